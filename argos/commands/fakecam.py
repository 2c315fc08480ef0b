"""``argos fakecam``: an RTSP camera with faults on demand."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from argos.errors import ConfigError, PublishError, UsageError

if TYPE_CHECKING:
    from argos.fakecam.fake_camera import FakeCamera

_DEFAULT = "fake://people?n=3&seed=1&size=640x360"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos fakecam``."""
    from argos.fakecam.script import FAULTS

    width = max(map(len, FAULTS))
    words = "\n".join(f"  {name:<{width}}  {fault.about}" for name, fault in FAULTS.items())
    parser.description = (
        "Show a clip for ever as an RTSP camera does (H.264 or H.265, over TCP and UDP), with faults when they are "
        "asked for."
    )
    parser.epilog = (
        f"faults, by a script or as lines on standard input (stall, stall off, loss 0.1, loss off, jump -5, kick):\n"
        f"{words}\n\n"
        "a script:\n"
        "  repeat_s: 60                             # begins again this often; without it once\n"
        "  steps:\n"
        "    - {at_s: 5, fault: stall, for_s: 4}    # without for_s it lasts\n"
        "    - {at_s: 20, fault: loss, value: 0.1, for_s: 10}\n"
        "    - {at_s: 40, fault: kick}\n\n"
        "a camera whose codec changes, by the fault switch:\n"
        "  argos fakecam 'fake://people?size=640x360' 'fake://people?size=640x360&codec=h265'\n\n"
        "Viewers join where the clip is at that moment and see something from its next key picture on."
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="*",
        default=[_DEFAULT],
        help=f"H.264 or H.265 file, or fake://people (default: {_DEFAULT})",
    )
    parser.add_argument("--script", metavar="FILE", type=Path, help="YAML with the faults and their times")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--port", type=int, default=8554, help="0 takes a free one (default: 8554)")
    parser.add_argument("--path", default="/cam", help="path of the URL (default: /cam)")
    parser.add_argument("--user", default="", help="who may look (default: everybody)")
    parser.add_argument("--password-file", metavar="FILE", type=Path, help="its first line is the password of --user")
    parser.add_argument("--auth", choices=["basic", "digest"], default="digest", help="(default: digest)")
    parser.add_argument("--seed", type=int, default=0, help="of the random faults (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Print ``READY rtsp://...`` and show pictures until Ctrl-C, SIGTERM or the line ``quit``.

    Raises:
        UsageError: path, port or password do not fit.
        ConfigError: the script is wrong.
        SourceError: a clip cannot be read.
        PublishError: the port cannot be listened on.
    """
    from argos.fakecam.fake_camera import FakeCamera
    from argos.fakecam.script import read_script

    if not args.path.startswith("/") or not 0 <= args.port < 65536:
        raise UsageError(f"--path {args.path} --port {args.port}: expected a path like /cam and a port of 0 to 65535")
    script = read_script(args.script) if args.script else None
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    camera = FakeCamera(
        args.sources,
        host=args.host,
        port=args.port,
        path=args.path.rstrip("/"),
        user=args.user,
        password=_password(args),
        auth=args.auth,
        seed=args.seed,
        script=script,
    )
    with camera:
        print(f"READY {camera.url}", flush=True)
        threading.Thread(target=_obey, args=(camera, ended), name="argos-fakecam-words", daemon=True).start()
        try:
            ended.wait()
        except KeyboardInterrupt:
            return 0
    return 0


def _password(args: argparse.Namespace) -> str:
    if bool(args.user) != (args.password_file is not None):
        raise UsageError("--user and --password-file: expected both or none")
    if args.password_file is None:
        return ""
    try:
        return str(args.password_file.read_text(encoding="utf-8").partition("\n")[0])
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{args.password_file}: cannot be read ({error}); expected a file with the password"
        ) from error


def _obey(camera: FakeCamera, ended: threading.Event) -> None:
    """Do what lines on standard input say; their end is no reason to stop."""
    from argos.fakecam.script import parse_command

    for line in sys.stdin:
        if line.strip() == "quit":
            ended.set()
            return
        if not line.strip():
            continue
        try:
            camera.apply(parse_command(line))
        except (ValueError, PublishError) as error:
            print(f"argos: {error}", file=sys.stderr, flush=True)
