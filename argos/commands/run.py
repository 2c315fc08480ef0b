"""``argos run CONFIG|SOURCE...``: the main job."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from argos.errors import UsageError

if TYPE_CHECKING:
    from argos.config import Config
    from argos.pipelines.api import Pipeline
    from argos.pipelines.summary import Summary

log = logging.getLogger(__name__)

LIVE_BIND = "tcp://127.0.0.1:5555"
"""Where results of live sources given without a configuration are published."""

EXAMPLES = """examples:
  argos run clip.mp4                       people of a video; writes overlay, results and contact sheet to out/clip/
  argos run photos/ --set camera.tasks=[semantic]
  argos run rtsp://10.0.0.7/stream1        a camera; publishes to tcp://127.0.0.1:5555 until Ctrl-C
  argos run webcam:0 --record out          a webcam, also written to out/
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
    parser.add_argument("--frames", type=_count, metavar="N", help="stop after N results")
    parser.add_argument("--duration", type=_seconds, metavar="T", help="stop after this time: 30s, 5m, 2h")
    parser.add_argument("--record", metavar="DIR", help="write overlay.mp4, results.jsonl and contact_sheet.png of "
                        "each camera to DIR/CAMERA (default for files without a configuration: out)")  # fmt: skip
    parser.add_argument("--fail-fast", action="store_true", help="end with status 3 when a camera cannot be reached, "
                        "instead of trying again")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Run until the sources end, the limit is reached, or a signal; returns the exit status."""
    config = configuration(args.what, args.set, args.record)
    from argos.engines.threads import prepare_threads
    from argos.logs import set_up_logs

    set_up_logs(args.log_level or config.logging.level, args.log_format or config.logging.format)
    prepare_threads(config.engine.threads)
    from argos.pipelines.api import Pipeline
    from argos.pipelines.summary import Summary

    pipeline, summary = Pipeline(config, fail_fast=args.fail_fast), Summary()
    _stop_on_signals(pipeline)
    until = time.monotonic() + args.duration if args.duration else None
    with pipeline:
        if pipeline.endpoint:
            log.info("publishing to %s", pipeline.endpoint)
        progress = _Progress(config, summary, quiet=args.quiet)
        for result in pipeline:
            summary.add(result)
            progress.show(pipeline)
            if (args.frames and summary.frames >= args.frames) or (until and time.monotonic() >= until):
                pipeline.stop()
        progress.end()
        if until is None and not summary.frames and not pipeline.errors:
            log.warning("no frame was analysed")
    _report(pipeline, summary, as_json=args.json)
    for error in pipeline.errors.values():
        print(f"argos: {error}", file=sys.stderr)
    return 3 if pipeline.errors else 0


def configuration(what: list[str], overrides: list[str], record: str | None) -> Config:
    """The configuration of the command line.

    Raises:
        UsageError: a configuration together with other sources.
        ConfigError: with every fault.
    """
    from argos.config import config_from_sources, load_config
    from argos.sources.names import is_live

    files = [name for name in what if name.endswith((".yaml", ".yml"))]
    if files and len(what) > 1:
        raise UsageError(
            f"{files[0]}: give one configuration or sources, not both; several sources go under 'cameras:'"
        )
    extra = [] if record is None else [_outputs(record)]
    if files:
        return load_config(Path(files[0]), [*extra, *overrides])
    live = any(is_live(source) for source in what)
    if record is None and not live:
        extra.append(_outputs("out"))
    if live:
        extra.append(f"publish.bind={LIVE_BIND}")
    return config_from_sources(what, [*extra, *overrides])


def _outputs(folder: str) -> str:
    kinds = {"jsonl": "results.jsonl", "overlay": "overlay.mp4", "contact_sheet": "contact_sheet.png"}
    entries = [{"type": kind, "path": f"{folder}/%camera%/{name}"} for kind, name in kinds.items()]
    return f"outputs={json.dumps(entries)}"


def _stop_on_signals(pipeline: Pipeline) -> None:
    """The first signal drains, the second ends at once."""
    seen: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        pipeline.stop()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


class _Progress:
    """One line on standard error: percent of files, state of cameras. Every 10 s where that is no terminal."""

    def __init__(self, config: Config, summary: Summary, quiet: bool) -> None:
        from argos.sources.names import is_live
        from argos.sources.read import frame_count

        urls = [camera.source.url for camera in config.cameras.values()]
        counts = [None if is_live(url) else frame_count(url) for url in urls]
        self._total = sum(c for c in counts if c) if all(counts) else None
        self._summary, self._terminal, self._quiet = summary, sys.stderr.isatty(), quiet
        self._next, self._width = time.monotonic() + (0.5 if self._terminal else 10.0), 0

    def show(self, pipeline: Pipeline) -> None:
        """Show the line if it is time."""
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        self._next = now + (0.5 if self._terminal else 10.0)
        line = self._line(pipeline)
        if self._terminal:
            self._width = max(self._width, len(line))
            print(f"\r{line:<{self._width}}", end="", file=sys.stderr, flush=True)
        else:
            log.info("%s", line)

    def end(self) -> None:
        """Leave the line."""
        if self._width:
            print(file=sys.stderr)

    def _line(self, pipeline: Pipeline) -> str:
        done, fps = self._summary.frames, self._summary.fps()
        if self._total:
            left = max(0, self._total - done) / max(fps, 1e-6)
            return f"{done}/{self._total} frames {done / self._total:4.0%}  {fps:.1f} fps  {left:.0f} s left"
        states = []
        for name in pipeline.config.cameras:
            status = pipeline.status(name)
            cause = f" ({status.code})" if status.code else ""
            age = f" {status.age_ms:.0f} ms" if status.age_ms is not None and status.state == "up" else ""
            states.append(f"{name} {status.state}{cause} {status.fps_out:.1f} fps{age}")
        return f"{done} frames  " + "  |  ".join(states)


def _report(pipeline: Pipeline, summary: Summary, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**summary.as_dict(), "paths": [str(path) for path in pipeline.paths]}))
        return
    print(summary.table())
    for path in pipeline.paths:
        if path.exists():
            print(f"wrote {path}")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a number of frames, 1 or more, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"should be a time like 30s, 5m or 2h, got {text!r}")
    return float(match[1]) * {None: 1, "s": 1, "m": 60, "h": 3600}[match[2]]
