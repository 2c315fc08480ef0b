"""``argos replay RECORDING [CONFIG]``: find people in a recording again, or the events of its results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from argos.commands.run import length_s, run_config, whole_number
from argos.errors import PublishError, UsageError

if TYPE_CHECKING:
    from argos.config import Config

EPILOG = """Every recorded frame is analysed, none is dropped, with the times and epochs of the camera. Without CONFIG
the defaults are used; with it the settings of the camera of that name; variables in its sources, publish, http and
outputs need not be set. Nothing is published, and nothing is written but results, and events where the camera has
zones or lines.

examples:
  argos replay rec/door                            writes rec/door.replay.jsonl
  argos replay rec/door camera.yaml -o new.jsonl --set camera.regions.mode=full
  argos diff rec/door new.jsonl                    names the frames whose masks changed
  argos replay rec/door camera.yaml --events       other zones tried on the recorded results, in seconds
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos replay``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("recording", type=Path, help="a folder of argos record, one of its segments, or any "
                        "video; with --events also a .jsonl of results")  # fmt: skip
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a camera.yaml (default: the defaults)")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="results (default: RECORDING.replay.jsonl; "
                        "of --events RECORDING.events.jsonl)")  # fmt: skip
    parser.add_argument("--events", action="store_true", help="only make the events anew, from the results that were "
                        "recorded, by the zones, lines and hours of CONFIG: no picture is looked at")  # fmt: skip
    parser.add_argument("--camera", metavar="NAME", help="camera of CONFIG whose settings are used (default: the one "
                        "that was recorded)")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument("--frames", type=whole_number, metavar="N", help="stop after N results")
    parser.add_argument("--duration", type=length_s, metavar="T", help="stop after this time: 30s, 5m, 2h")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(fail_fast=False)


def run(args: argparse.Namespace) -> int:
    """Analyse all of it; returns the exit status."""
    config = configuration(args)
    return _write_events(config, args) if args.events else run_config(config, args)


def _write_events(config: Config, args: argparse.Namespace) -> int:
    """Events of the recorded results, all of them or none."""
    from argos.pipelines.again import events_again
    from argos.publishing.jsonl import event_line

    (camera,) = config.cameras.values()
    path = args.out or _beside(args.recording, "events")
    part = path.with_name(f".{path.name}.part")
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for event in events_again(args.recording, camera):
                file.write(event_line(event))
                count += 1
        part.replace(path)
    except OSError as error:
        raise PublishError(f"{path}: cannot be written ({error.strerror}); choose another path with -o") from error
    finally:
        part.unlink(missing_ok=True)
    print(json.dumps({"events": count, "paths": [str(path)]}) if args.json else f"{count} events\nwrote {path}")
    return 0


def configuration(args: argparse.Namespace) -> Config:
    """The configuration of the command line: one camera, whose source is the recording.

    Raises:
        UsageError: no such recording, or a configuration without its camera.
        ConfigError: with every fault.
        SourceError: the first segment cannot be opened.
    """
    from argos.config import config_from_sources
    from argos.sources.names import camera_name

    recording = args.recording
    if not recording.exists():
        raise UsageError(f"{recording}: no such recording; argos record makes one")
    out = args.out or _beside(recording, "replay")
    lines = {"type": "jsonl", "path": str(out)}
    events = {"type": "events", "path": str(out.with_name(f"{out.stem}.events.jsonl"))}
    wanted = f"outputs={json.dumps([lines])}"
    name = args.camera or _recorded_camera(recording) or camera_name(str(recording))
    if args.config is None:
        config = config_from_sources([str(recording)], [wanted, *args.set])
        (camera,) = config.cameras.values()
        camera = camera.model_copy(update={"name": name})
    else:
        config = _settings(args.config, args.set)
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
    if camera.zones or camera.lines:
        wanted = f"outputs={json.dumps([lines, events])}"
    outputs = config_from_sources(["camera.mp4"], [wanted]).outputs
    return config.model_copy(
        update={
            "cameras": {name: camera},
            "outputs": outputs,
            "publish": config.publish.model_copy(update={"bind": None}),
            "http": config.http.model_copy(update={"bind": None}),
        }
    )


def _settings(path: Path, overrides: Sequence[str]) -> Config:
    """A configuration without the cameras and receivers that a replay has nothing to do with.

    Passwords that it reads from the environment need not be there.

    Raises:
        ConfigError: with every fault.
    """
    from argos.config import build_config, read_document

    data = read_document(path).data
    entries = {"camera": data.get("camera")}
    if isinstance(data.get("cameras"), dict):
        entries |= {f"cameras.{name}": entry for name, entry in data["cameras"].items()}
    unused = ["outputs=[]", "publish={bind: null}", "http={bind: null}"]
    for key, entry in entries.items():
        if isinstance(entry, dict) and "source" in entry:
            unused.append(f"{key}.{'source.url' if isinstance(entry['source'], dict) else 'source'}=recording.mp4")
    document = read_document(path, [*unused, *overrides])
    return build_config(document, path.parent, path.stem, same_source=True)


def _beside(recording: Path, what: str) -> Path:
    if recording.name in ("", ".."):  # it tells where, and no name
        recording = recording.resolve()
    return recording.parent / f"{recording.stem if recording.is_file() else recording.name}.{what}.jsonl"


def _recorded_camera(recording: Path) -> str | None:
    """The camera that a recording says it is of."""
    from argos.sources.recording import origin_of_file
    from argos.sources.segments import segments_of

    segments = segments_of(recording)
    origin = origin_of_file(segments[0]) if segments else None
    return None if origin is None else origin.camera
