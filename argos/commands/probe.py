"""``argos probe SOURCE``: what a source is, how fast it really is, or why it does not open."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from argos.commands.seconds import seconds

if TYPE_CHECKING:
    from argos.sources.probe import ProbeReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos probe``."""
    parser.add_argument(
        "source", help="file, directory or pattern of images, rtsp://, http://, webcam:0, fake://people"
    )
    parser.add_argument("--seconds", type=seconds, default=3.0, help="how long to look (default: 3)")
    parser.add_argument("--transport", choices=["tcp", "udp"], default="tcp", help="of RTSP (default: tcp)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Probe and print; 3 when the source does not open, gives no frame, or is live and ends while it is looked at."""
    from argos.sources.options import SourceOptions
    from argos.sources.probe import probe

    # one attempt only, so with more patience than a run that tries again
    options = SourceOptions(transport=args.transport, open_timeout_s=8.0, stall_timeout_s=5.0)
    report = probe(args.source, args.seconds, options)
    if args.json:
        print(json.dumps(asdict(report), indent=2))
    elif report.decoded:
        print("\n".join(_lines(report)))
    if report.error:
        print(f"argos probe: {report.error}", file=sys.stderr)
        return 3
    return 0


def _lines(report: ProbeReport) -> list[str]:
    """The report as a table."""

    def number(value: float | None, unit: str = "") -> str:
        return "unknown" if value is None else f"{value:g}{unit}"

    height, width = report.size or (0, 0)
    no_gop = "fewer than two seen; --seconds looks for longer" if report.live else "unknown"
    rows = {
        "source": report.source + (" (live)" if report.live else ""),
        "format": f"{report.container}, {report.codec}, {report.pixel_format}",
        "size": f"{width}x{height}" + (f", turned by {report.rotation} degrees" if report.rotation else ""),
        "fps": f"{number(report.measured_fps)} measured, {number(report.announced_fps)} announced",
        "frames": f"{number(report.frames)} announced, {report.decoded} decoded, {report.damaged} damaged",
        "duration": number(report.duration_s, " s"),
        "key frame": "every " + number(report.gop, " frames") if report.gop else no_gop,
        "clock": report.clock,
        "first frame": "after " + number(report.first_frame_s, " s"),
    }
    return [f"{name:<12} {value}" for name, value in rows.items()]
