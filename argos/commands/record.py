"""``argos record SOURCE|CONFIG``: keep what a camera sends, as it comes, and what was found in it."""

from __future__ import annotations

import argparse
import json
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from argos.commands.reload import hold_hangup, reload_on_hangup
from argos.commands.run import length_s, run_config, stop_on_signals, whole_number
from argos.errors import UsageError

if TYPE_CHECKING:
    from argos.config import Config

log = logging.getLogger(__name__)

EPILOG = """what is written, for each camera, to DIR/CAMERA/:
  20261121T115500-123Z.mkv     packets as the camera sent them (nothing is encoded again); the name is their time
  20261121T115500-123Z.jsonl   the results of these frames, one line each

A segment begins with a key picture: after --segment, at each reconnect, and where the camera's clock jumps. A segment
that was cut off (kill -9, a full disk) plays up to its last half second. With --quota-mb the oldest segments
go, each with its results. When the disk is full the run ends with status 6; what was written stays.
In a configuration the same is  outputs: [{type: recording, path: rec/%camera%, segment_s: 60, quota_mb: 5000}]

examples:
  argos record rtsp://10.0.0.7/stream1 -o rec --segment 5m --quota-mb 20000
  argos record camera.yaml --duration 1h           its settings and outputs, and a recording
  argos record webcam:0 --packets-only             no networks: little work for this machine
  argos replay rec/10-0-0-7-stream1 new.yaml       then: find people in it again, with other settings
  argos diff rec/10-0-0-7-stream1 new.jsonl        and name the frames whose masks changed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos record``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("what", nargs="+", metavar="SOURCE|CONFIG", help="one camera.yaml, or cameras and videos: "
                        "rtsp://, http://, webcam:0, clip.mp4 (images and fake:// have no packets)")  # fmt: skip
    parser.add_argument("-o", "--out", default="rec", metavar="DIR", help="folder (default: rec)")
    parser.add_argument("--segment", type=length_s, default=60.0, metavar="T", help="length of a segment: 30s, 5m, 1h "
                        "(default: 60s)")  # fmt: skip
    parser.add_argument("--quota-mb", type=float, metavar="MB", help="most space for each camera, 10^6 bytes; the "
                        "oldest segments are deleted (default: all are kept)")  # fmt: skip
    parser.add_argument("--packets-only", action="store_true", help="find nobody: keep the packets alone")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument("--frames", type=whole_number, metavar="N", help="stop after N results")
    parser.add_argument("--duration", type=length_s, metavar="T", help="stop after this time: 30s, 5m, 2h")
    parser.add_argument("--fail-fast", action="store_true", help="end with status 3 when a camera cannot be reached, "
                        "instead of trying again")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Record until the sources end, the limit is reached, or a signal; returns the exit status."""
    config = configuration(args)
    if not args.packets_only:
        return run_config(config, args)
    if args.frames is not None:
        raise UsageError("--frames counts results, and --packets-only gives none; use --duration")
    from argos.pipelines.packets import record_packets

    stop = threading.Event()
    terminals = hold_hangup()
    stop_on_signals(stop.set)
    reload_on_hangup(None, stop.set, terminals)
    paths, faults = record_packets(config, args.duration, stop, fail_fast=args.fail_fast)
    if args.json:
        print(json.dumps({"paths": [str(path) for path in paths], "errors": [str(fault) for fault in faults]}))
    else:
        for path in paths:
            print(f"wrote {path}")
    if faults:
        raise faults[0]
    if not paths:
        log.warning("nothing was recorded")
    return 0


def configuration(args: argparse.Namespace) -> Config:
    """The configuration of the command line, its recording added.

    Raises:
        UsageError: a configuration together with other sources.
        ConfigError: with every fault.
    """
    from argos.config import config_from_sources, load_config

    entry = {"type": "recording", "path": f"{args.out}/%camera%", "segment_s": args.segment, "quota_mb": args.quota_mb}
    wanted = f"outputs={json.dumps([entry])}"
    files = [name for name in args.what if name.endswith((".yaml", ".yml"))]
    if not files:
        return config_from_sources(args.what, [wanted, *args.set])
    if len(args.what) > 1:
        raise UsageError(f"{files[0]}: give one configuration or sources, not both")
    config = load_config(Path(files[0]), args.set)
    recording = config_from_sources(["camera.mp4"], [wanted]).outputs
    return config.model_copy(update={"outputs": (*config.outputs, *recording)})
