"""The command line: finds the verb, imports its module alone, and turns errors into one line and an exit status."""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from argos import __version__
from argos.errors import ArgosError, ConfigError
from argos.logs import FORMATS, set_up_logs

VERBS = {
    "run": ("argos.commands.run", "find people in files and cameras"),
    "init": ("argos.commands.init", "write a commented camera.yaml"),
    "check": ("argos.commands.check", "validate a configuration"),
    "convert": ("argos.commands.convert", "turn a file of results into COCO, YOLO, MOT or CSV"),
    "schema": ("argos.commands.schema", "print a JSON Schema"),
    "probe": ("argos.commands.probe", "open a source and say what it delivers"),
    "doctor": ("argos.commands.doctor", "look over this machine: versions, devices, codecs, weights"),
    "sub": ("argos.commands.sub", "follow a publisher"),
    "record": ("argos.commands.record", "keep what a camera sends, and what was found in it"),
    "replay": ("argos.commands.replay", "find people in a recording again"),
    "diff": ("argos.commands.diff", "name the frames whose masks changed between two runs"),
    "fakecam": ("argos.commands.fakecam", "be an RTSP camera, with faults on demand"),
    "keygen": ("argos.commands.keygen", "make keys for publishing to other machines"),
    "top": ("argos.commands.top", "show the cameras of a publisher as a table"),
    "models": ("argos.commands.models", "list networks and shipped models, compare them with what was published"),
    "export": ("argos.commands.export", "write a model as ONNX or torch.export, and check the file"),
    "bench": ("argos.commands.bench", "compare pack, gather and full on a video"),
    "tune": ("argos.commands.tune", "measure this machine for mode auto"),
    "train": ("argos.commands.train", "train a model by its recipe"),
    "eval": ("argos.commands.eval", "measure a model on labelled photos"),
    "experiment": ("argos.commands.experiment", "run the documents' experiments again"),
    "data": ("argos.commands.data", "make a small copy of the training data"),
}
"""Verb -> module with ``add_arguments(parser)`` and ``run(args) -> exit status``, and one line of help."""

BUG = 1
USAGE = 2
NOT_WRITTEN = 6
INTERRUPTED = 130

_EXIT_CODES = """exit status:
  0 done, or stopped by a signal after draining    4 model missing or digest mismatch
  1 bug                                            5 device not available
  2 usage or configuration                         6 cannot bind or write
  3 source not available                           7 a check failed: diff, doctor, eval, export,
                                                     models compare, sub --conformance"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; default those of the process.

    Returns:
        The exit status (DESIGN section 8).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = False
    try:
        args = _parse(arguments)
        verbose = args.verbose
        set_up_logs(args.log_level or "info", args.log_format or "auto")
        status = int(args.run(args))
        sys.stdout.flush()
    except SystemExit as exit_:  # argparse: --help, --version, a usage error
        return exit_.code if isinstance(exit_.code, int) else USAGE
    except ArgosError as error:
        _say(str(error) if isinstance(error, ConfigError) else f"argos: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `argos schema config | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the exit flushes into the pipe again
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # as of `argos sub ... > FILE`
            _let_stdout_go()
            _say(f"argos: cannot write ({error.strerror}); free some space")
            return NOT_WRITTEN
        # the outermost frame of the program: what nobody named is a bug, and is said to be one
        _say_bug(error, arguments, verbose)
        return BUG
    return status


def _let_stdout_go() -> None:
    """Write out what standard output still holds; where that fails, forget it, or the exit would try again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Arguments of the program up to the verb, then those of the verb by its own module."""
    top = _top_parser()
    first = top.parse_args(arguments)
    if first.verb is None:
        top.print_help()
        raise SystemExit(USAGE)
    if first.verb not in VERBS:
        top.error(_unknown_verb(first.verb))
    module_name, summary = VERBS[first.verb]
    module = importlib.import_module(module_name)
    parser = argparse.ArgumentParser(prog=f"argos {first.verb}", description=f"{summary[0].upper()}{summary[1:]}.")
    module.add_arguments(parser)
    _add_common(parser, default=argparse.SUPPRESS)
    given = argparse.Namespace(**{name: getattr(first, name) for name in ("quiet", "verbose", "log_format")})
    args = parser.parse_args(first.rest, given)
    args.log_level = "debug" if args.verbose else "warning" if args.quiet else None
    args.run = module.run
    return args


def _top_parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {verb:<10} {summary}" for verb, (_, summary) in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="argos",
        usage="argos [-q | -v] [--log-format FORMAT] VERB ...",
        description="Finds people in live video, and computes only the parts of the frame that hold them.",
        epilog=f"verbs (argos VERB --help says more):\n{verbs}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common(parser, default=None)
    parser.add_argument("verb", nargs="?", metavar="VERB", help="what to do, see below")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add_common(parser: argparse.ArgumentParser, default: object) -> None:
    """Options that may stand before and after the verb; ``SUPPRESS`` after it keeps what stood before."""
    group = parser.add_argument_group("everywhere")
    off = False if default is None else default
    group.add_argument("-q", "--quiet", action="store_true", default=off, help="only warnings and errors")
    group.add_argument("-v", "--verbose", action="store_true", default=off, help="more messages, tracebacks of bugs")
    group.add_argument("--log-format", choices=FORMATS, default=default, metavar="FORMAT", help="auto, text or json")
    group.add_argument("--version", action="version", version=f"argos {__version__}")


def _unknown_verb(word: str) -> str:
    close = difflib.get_close_matches(word, VERBS, n=1)
    if close:
        return f"unknown verb '{word}' - did you mean '{close[0]}'?"
    if "://" in word or ":" in word or os.path.exists(word):
        return f"a verb is missing before '{word}' - did you mean 'argos run {word}'?"
    return f"unknown verb '{word}'; argos --help lists them"


def _say(text: str) -> None:
    """Errors go through the log when it is JSON, one object per line, and are plain lines otherwise."""
    from argos.logs import JsonLines

    log = logging.getLogger("argos")
    if any(isinstance(handler.formatter, JsonLines) for handler in log.handlers):
        for line in text.splitlines():
            log.error("%s", line, extra={"event": "error"})
    else:
        print(text, file=sys.stderr)


def _say_bug(error: Exception, arguments: Sequence[str], verbose: bool) -> None:
    from argos.sources.names import redact

    if verbose:
        print(redact("".join(traceback.format_exception(error))), file=sys.stderr, end="")
    again = "" if verbose else f"; run it again with -v and add the traceback: argos {' '.join(arguments)} -v"
    kind = type(error).__name__
    _say(redact(f"argos: this is a bug ({kind}: {error}). Please report it with argos doctor's output{again}"))
