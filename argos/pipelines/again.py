"""Events made anew from results that were kept: no picture is decoded and no network runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from argos.analytics.analyst import Analyst
from argos.config import Camera
from argos.errors import UsageError
from argos.pipelines.follow import analyst_of
from argos.publishing.jsonl import read_jsonl
from argos.sources.segments import files_of
from argos.types import Event


def events_again(path: Path, camera: Camera) -> Iterator[Event]:
    """The events of the zones and lines of a camera, from results in their order.

    With the zones and lines of the run that kept the results they are the same events, but for the time of sending.

    Args:
        path: a ``.jsonl`` of results, or a folder of ``argos record``. Of several cameras only the one named like
            ``camera`` counts.
        camera: its zones, lines, active hours and ``track.lost_s``.

    Raises:
        UsageError: there are no results of the camera, or nothing that could make an event of them.
        SchemaError: a finished line is no result, with file and line.
    """
    files = [path]
    if path.is_dir():
        files = [file for files in files_of(path).values() for file in files if file.suffix == ".jsonl"]
    if not files or not all(file.is_file() and file.suffix == ".jsonl" for file in files):
        raise UsageError(f"{path}: no results there; give a .jsonl file of results, or a folder of argos record")
    if analyst_of(camera) is None:
        raise UsageError(f"camera '{camera.name}' has neither zones nor lines; without them there are no events")
    # of one camera alone they are taken under any name: it may have been called otherwise since
    cameras = {name for file in files for name in _cameras_in(file)}
    if len(cameras) > 1 and camera.name not in cameras:
        raise UsageError(f"{path}: has no results of camera '{camera.name}', only of {', '.join(sorted(cameras))}")
    analysts: dict[str, Analyst | None] = {}
    for file in files:
        for result in read_jsonl(file):
            if result.camera != camera.name and len(cameras) > 1:
                continue
            if result.run not in analysts:  # every run counts from 0
                analysts[result.run] = analyst_of(camera)
            analyst = analysts[result.run]
            if analyst is not None:
                yield from analyst.update(result)


class _Named(msgspec.Struct):
    """All of a line that tells whose it is."""

    camera: str


_named = msgspec.json.Decoder(_Named).decode


def _cameras_in(file: Path) -> set[str]:
    """The cameras of finished lines; lines that cannot be read are named when the results are."""
    found = set()
    with file.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                found.add(_named(line).camera)
    return found
