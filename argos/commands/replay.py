"""``argos replay RECORDING [CONFIG]``: find people in a recording again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from argos.commands.run import length_s, run_config, whole_number
from argos.errors import UsageError

if TYPE_CHECKING:
    from argos.config import Config

EPILOG = """Every recorded frame is analysed, none is dropped, with the times and epochs of the camera. Without CONFIG
the defaults are used; with it the settings of the camera of that name. Nothing is published, and nothing is written
but results.

examples:
  argos replay rec/door                            writes rec/door.replay.jsonl
  argos replay rec/door camera.yaml -o new.jsonl --set camera.regions.mode=full
  argos diff rec/door new.jsonl                    names the frames whose masks changed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos replay``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("recording", type=Path, help="a folder of argos record, one of its segments, or any video")
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a camera.yaml (default: the defaults)")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="results (default: RECORDING.replay.jsonl)")
    parser.add_argument("--camera", metavar="NAME", help="camera of CONFIG whose settings are used (default: the one "
                        "that was recorded)")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument("--frames", type=whole_number, metavar="N", help="stop after N results")
    parser.add_argument("--duration", type=length_s, metavar="T", help="stop after this time: 30s, 5m, 2h")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(fail_fast=False)


def run(args: argparse.Namespace) -> int:
    """Analyse all of it; returns the exit status."""
    return run_config(configuration(args), args)


def configuration(args: argparse.Namespace) -> Config:
    """The configuration of the command line: one camera, whose source is the recording.

    Raises:
        UsageError: no such recording, or a configuration without its camera.
        ConfigError: with every fault.
        SourceError: the first segment cannot be opened.
    """
    from argos.config import config_from_sources, load_config
    from argos.sources.names import camera_name

    recording = args.recording
    if not recording.exists():
        raise UsageError(f"{recording}: no such recording; argos record makes one")
    out = args.out or recording.with_name(f"{recording.stem if recording.is_file() else recording.name}.replay.jsonl")
    wanted = f"outputs={json.dumps([{'type': 'jsonl', 'path': str(out)}])}"
    name = args.camera or _recorded_camera(recording) or camera_name(str(recording))
    if args.config is None:
        config = config_from_sources([str(recording)], [wanted, *args.set])
        (camera,) = config.cameras.values()
        camera = camera.model_copy(update={"name": name})
    else:
        config = load_config(args.config, args.set)
        if name not in config.cameras and (args.camera or len(config.cameras) > 1):
            raise UsageError(
                f"{args.config}: has no camera '{name}', only {', '.join(config.cameras)}; choose with --camera"
            )
        camera = config.cameras.get(name) or next(iter(config.cameras.values()))
        name = camera.name
        camera = camera.model_copy(
            update={
                "source": camera.source.model_copy(update={"url": str(recording)}),
                "latency": camera.latency.model_copy(update={"policy": "every_frame"}),
            }
        )
    outputs = config_from_sources(["camera.mp4"], [wanted]).outputs
    return config.model_copy(
        update={
            "cameras": {name: camera},
            "outputs": outputs,
            "publish": config.publish.model_copy(update={"bind": None}),
            "http": config.http.model_copy(update={"bind": None}),
        }
    )


def _recorded_camera(recording: Path) -> str | None:
    """The camera that a recording says it is of."""
    from argos.sources.recording import origin_of_file
    from argos.sources.segments import segments_of

    segments = segments_of(recording)
    origin = origin_of_file(segments[0]) if segments else None
    return None if origin is None else origin.camera
