"""``argos run CONFIG|SOURCE...``: the main job."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from argos.commands.reload import Again, Reloader, file_state, hold_hangup, reload_on_hangup
from argos.errors import SourceError, UsageError

if TYPE_CHECKING:
    from argos.config import Config
    from argos.drawing.window import Window
    from argos.pipelines.api import Pipeline
    from argos.pipelines.summary import Summary
    from argos.types import Result

log = logging.getLogger(__name__)

LIVE_BIND = "tcp://127.0.0.1:5555"
"""Where results of live sources given without a configuration are published."""

DESCRIPTORS = 65_536
"""Open files and connections that are enough."""

EXAMPLES = """examples:
  argos run clip.mp4                       people of a video; writes overlay, results and contact sheet to out/clip/
  argos run photos/ --set camera.tasks=[semantic]
  argos run rtsp://10.0.0.7/stream1        a camera; publishes to tcp://127.0.0.1:5555 until Ctrl-C
  argos run webcam:0 --record out          a webcam, also written to out/
  argos run webcam:0 --web 127.0.0.1:8080  with the live page at http://127.0.0.1:8080/
  argos run webcam:0 --window              in a window on this machine
  argos run webcam:0 --virtual-camera /dev/video10 --backdrop office.jpg
  argos run camera.yaml --watch            load it again when the file changes (or on SIGHUP: kill -HUP PID)
  argos run camera.yaml --set camera.regions.mode=full --duration 30s
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos run``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "what", nargs="+", metavar="CONFIG|SOURCE", help="one camera.yaml, or sources: files, directories or patterns "
        "of images, rtsp://, http://, webcam:0, /dev/video0, fake://people?n=5&seed=1"
    )  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the "
                        "configuration, e.g. camera.regions.mode=pack; may be repeated")  # fmt: skip
    parser.add_argument("--frames", type=whole_number, metavar="N", help="stop after N results")
    parser.add_argument("--duration", type=length_s, metavar="T", help="stop after this time: 30s, 5m, 2h")
    parser.add_argument("--record", metavar="DIR", help="write overlay.mp4, results.jsonl and contact_sheet.png of "
                        "each camera to DIR/CAMERA (default for files without a configuration: out)")  # fmt: skip
    parser.add_argument("--web", metavar="HOST:PORT", help="serve the live page there, as http.bind does, "
                        "e.g. 127.0.0.1:8080")  # fmt: skip
    parser.add_argument("--window", action="store_true", help="show the cameras in a window on this machine's display; "
                        "q ends")  # fmt: skip
    parser.add_argument("--virtual-camera", metavar="DEVICE", help="show people before a blurred background to "
                        "programs that open this v4l2loopback device, e.g. /dev/video10")  # fmt: skip
    parser.add_argument("--backdrop", metavar="PICTURE", help="with --virtual-camera: this picture behind them")
    parser.add_argument("--fail-fast", action="store_true", help="end with status 3 when a camera cannot be reached, "
                        "instead of trying again")  # fmt: skip
    parser.add_argument("--watch", action="store_true", help="load the configuration again whenever its file changes, "
                        "as SIGHUP does: cameras come, go and change without the others noticing")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Run until the sources end, the limit is reached, or a signal; returns the exit status."""
    overrides = args.set if args.web is None else [*args.set, f"http.bind={json.dumps(args.web)}"]
    files = [name for name in args.what if _is_config(name)]
    if args.watch and not files:
        raise UsageError("--watch: there is no configuration to watch; write one with argos init")

    shown = _virtual_camera(args.virtual_camera, args.backdrop)

    def load() -> Config:
        return configuration(args.what, overrides, args.record, shown)

    again = Again(load, Path(files[0]), args.watch, file_state(Path(files[0]))) if files else None
    return run_config(load(), args, again, window=args.window)


def allow_descriptors() -> None:
    """Let this process have as many open files and connections as it may.

    The usual limit of 1024 is used up by as many strangers on a port; then no camera could be connected again.
    """
    if sys.platform == "win32":
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def run_config(config: Config, args: argparse.Namespace, again: Again | None = None, *, window: bool = False) -> int:
    """Run a configuration to its end; returns the exit status.

    Args:
        config: validated.
        args: ``frames``, ``duration``, ``fail_fast``, ``json`` and what is everywhere.
        again: how it is loaded again; None where it does not come from a file.
        window: show the pictures on this machine's display.
    """
    from argos.engines.threads import prepare_threads, share_heaps
    from argos.logs import set_up_logs
    from argos.pipelines.compiling import compile_beside

    run_id: str | None = None

    def log_as(config: Config) -> None:
        set_up_logs(args.log_level or config.logging.level, args.log_format or config.logging.format, run_id)

    log_as(config)
    terminals = hold_hangup()
    allow_descriptors()
    prepare_threads(config.engine.threads)
    share_heaps()
    compile_beside()
    with contextlib.ExitStack() as beside:
        with _nothing_collected():
            from argos.pipelines.api import Pipeline
            from argos.pipelines.summary import Summary

            pipeline = Pipeline(config, fail_fast=args.fail_fast)
            run_id = pipeline.run
            log_as(config)
            shown = _open_window(pipeline) if window else None
            stop_on_signals(pipeline.stop)
            reloader = None if again is None else Reloader(pipeline, again, log_as)
            reload_on_hangup(reloader, pipeline.stop, terminals)
            if shown is not None:
                beside.enter_context(contextlib.closing(shown))
            beside.enter_context(pipeline)
        if reloader is not None:
            beside.enter_context(reloader)
        summary = Summary()
        if pipeline.endpoint:
            log.info("publishing to %s", pipeline.endpoint)
        if pipeline.every_endpoint:
            log.info("every message for consumers at %s", pipeline.every_endpoint)
        if pipeline.page:
            log.info("live page at %s", pipeline.page)
        with _stopped_after(pipeline, args.duration), _Progress(pipeline, summary, args.frames, args.quiet):
            try:
                for result in pipeline:
                    summary.add(result)
                    if shown is not None:
                        _show(shown, result)
                    if summary.frames == args.frames:
                        break
            except SourceError:
                if args.fail_fast:
                    raise  # otherwise it is among the errors that are told below, with those of other sources
    errors = pipeline.errors
    _report(pipeline, summary, as_json=args.json)
    if errors:
        raise SourceError("\nargos: ".join(map(str, errors.values())), next(iter(errors.values())).code)
    if not summary.frames:
        log.warning("no frame was analysed")
    return 0


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """Leave the garbage collector out of a start: what that makes stays, and to look through it takes up to half a
    second, and holds up frames later on."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _open_window(pipeline: Pipeline) -> Window:
    from argos.drawing.window import Window

    return Window(f"ARGOS: {', '.join(pipeline.config.cameras)}", pipeline.stop)


def _show(window: Window, result: Result) -> None:
    """Show a result, where it would be seen."""
    if window.is_due() and result.image is not None:
        window.show(result.camera, result.plot())


@contextlib.contextmanager
def _stopped_after(pipeline: Pipeline, seconds: float | None) -> Iterator[None]:
    """Stop the pipeline when the time is over, whether frames come or not."""
    timer = threading.Timer(seconds or 0.0, pipeline.stop)
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def configuration(
    what: list[str], overrides: list[str], record: str | None, more: Sequence[Mapping[str, str]] = ()
) -> Config:
    """The configuration of the command line.

    Args:
        what: a configuration, or sources.
        overrides: ``KEY=VALUE``.
        record: folder for the files of each camera.
        more: further entries of ``outputs``.

    Raises:
        UsageError: a configuration together with other sources, or a pattern of images that the shell took apart.
        ConfigError: with every fault.
    """
    from argos.config import config_from_sources, load_config
    from argos.sources.names import IMAGE_SUFFIXES, is_live

    files = [name for name in what if _is_config(name)]
    if files and len(what) > 1:
        raise UsageError(
            f"{files[0]}: give one configuration or sources, not both; several sources go under 'cameras:'"
        )
    if len(what) > 1 and all(name.lower().endswith(IMAGE_SUFFIXES) and not Path(name).is_dir() for name in what):
        raise UsageError(
            f"{len(what)} images would be {len(what)} cameras; name their directory ({Path(what[0]).parent}/), "
            f"or quote the pattern so that the shell leaves it alone, as in '*{Path(what[0]).suffix}'"
        )
    if files:
        config = load_config(Path(files[0]), overrides)
        entries = [*_files(record), *more]
        if not entries:
            return config
        added = config_from_sources(["camera.mp4"], [f"outputs={json.dumps(entries)}"]).outputs
        return config.model_copy(update={"outputs": (*config.outputs, *added)})
    live = any(is_live(source) for source in what)
    entries = [*_files(record or (None if live else "out")), *more]
    extra = [f"outputs={json.dumps(entries)}"] if entries else []
    if live:
        extra.append(f"publish.bind={LIVE_BIND}")
    return config_from_sources(what, [*extra, *overrides])


def _is_config(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _files(folder: str | None) -> list[dict[str, str]]:
    """Entries of ``outputs`` for the files of each camera."""
    kinds = {"jsonl": "results.jsonl", "overlay": "overlay.mp4", "contact_sheet": "contact_sheet.png"}
    return [{"type": kind, "path": f"{folder}/%camera%/{name}"} for kind, name in kinds.items() if folder is not None]


def _virtual_camera(device: str | None, backdrop: str | None) -> list[dict[str, str]]:
    """The entry of ``outputs`` for a virtual camera, where one is asked for."""
    if device is None:
        if backdrop is not None:
            raise UsageError("--backdrop: goes with --virtual-camera DEVICE, e.g. /dev/video10")
        return []
    entry = {"type": "virtual_camera", "path": device}
    return [entry if backdrop is None else {**entry, "backdrop": backdrop}]


DRAIN_S = 15.0
"""Longest wait, after the first signal, for what is written and sent; an output that blocks does not hold it up."""


def stop_on_signals(stop: Callable[[], None]) -> None:
    """The first signal calls ``stop`` and drains, within ``DRAIN_S``; the second ends at once."""
    seen: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        stop()
        timer = threading.Timer(DRAIN_S, _give_up, (number,))
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


def _give_up(number: int) -> None:
    """End although not everything is written."""
    words = "not everything could be written within %g s of the signal; the rest is given up"
    log.error(words, DRAIN_S, extra={"event": "run.drain_timeout"})
    os._exit(128 + number)


class _Progress:
    """One line on standard error: percent of files, state of cameras. Every 10 s where that is no terminal.

    A thread of its own shows it, because a camera that is away gives no results but has a state.
    """

    def __init__(self, pipeline: Pipeline, summary: Summary, most: int | None, quiet: bool) -> None:
        self._pipeline, self._summary, self._most = pipeline, summary, most
        self._terminal = sys.stderr.isatty()
        self._over = threading.Event()
        self._thread = None if quiet else threading.Thread(target=self._work, name="argos-progress", daemon=True)

    def __enter__(self) -> None:
        if self._thread is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _work(self) -> None:
        total, asked = None, False
        while not self._over.wait(0.5 if self._terminal else 10.0):
            if not asked:  # not before: a short run is over by now
                total, asked = _expected_results(self._pipeline.config, self._most), True
            line = _files_line(self._summary, total) if total else _cameras_line(self._summary, self._pipeline)
            if self._terminal:
                # the cursor goes back to the start, so that a log line overwrites the progress
                print(f"{line}\x1b[K\r", end="", file=sys.stderr, flush=True)
            else:
                log.info("%s", line)
        if self._terminal:
            print("\x1b[K", end="", file=sys.stderr, flush=True)


def _expected_results(config: Config, most: int | None) -> int | None:
    """Frames that the files announce together, at most ``most``; None where one does not, is thinned, or is no file."""
    from argos.sources.names import is_live
    from argos.sources.read import frame_count

    urls = [camera.source.url for camera in config.cameras.values()]
    counts = [None if is_live(url) else frame_count(url) for url in urls]
    known = [count for count in counts if count]
    if len(known) < len(counts) or any(camera.rate.fps for camera in config.cameras.values()):
        return None
    return min(sum(known), most or sum(known))


def _files_line(summary: Summary, total: int) -> str:
    done, fps = summary.frames, summary.fps()
    left = f"  {max(0, total - done) / fps:.0f} s left" if fps else ""
    return f"{done}/{total} frames {done / total:4.0%}  {fps:.1f} fps{left}"


def _cameras_line(summary: Summary, pipeline: Pipeline) -> str:
    states = []
    for name in pipeline.config.cameras:
        status = pipeline.status(name)
        cause = f" ({status.code})" if status.code else ""
        age = f" {status.age_ms:.0f} ms" if status.age_ms is not None and status.state == "up" else ""
        states.append(f"{name} {status.state}{cause} {status.fps_out:.1f} fps{age}")
    return f"{summary.frames} frames  " + "  |  ".join(states)


def _report(pipeline: Pipeline, summary: Summary, as_json: bool) -> None:
    """What was done and written, on standard output; nothing where a fault left nothing to tell."""
    paths = [str(path) for path in pipeline.paths if path.exists()]
    if as_json:
        errors = {name: {"code": error.code, "message": str(error)} for name, error in pipeline.errors.items()}
        print(json.dumps({**summary.as_dict(), "paths": paths, "errors": errors}))
    elif summary.frames or not pipeline.errors:
        print(summary.table())
        for path in paths:
            print(f"wrote {path}")


def whole_number(text: str) -> int:
    """The value of ``--frames``."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a number of frames, 1 or more, got {text!r}")
    return int(text)


def length_s(text: str) -> float:
    """A time like 30s, 5m or 2h in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"should be a time like 30s, 5m or 2h, got {text!r}")
    return float(match[1]) * {None: 1, "s": 1, "m": 60, "h": 3600}[match[2]]
