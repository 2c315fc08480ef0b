"""Events made anew from results that were kept: no picture is decoded and no network runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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
        path: a ``.jsonl`` of results, or a folder of ``argos record``.
        camera: its zones, lines, active hours and ``track.lost_s``.

    Raises:
        UsageError: there are no results, or nothing that could make an event of them.
        SchemaError: a finished line is no result, with file and line.
    """
    files = [path]
    if path.is_dir():
        files = [file for files in files_of(path).values() for file in files if file.suffix == ".jsonl"]
    if not files or not all(file.is_file() and file.suffix == ".jsonl" for file in files):
        raise UsageError(f"{path}: no results there; give a .jsonl file of results, or a folder of argos record")
    if analyst_of(camera) is None:
        raise UsageError(f"camera '{camera.name}' has neither zones nor lines; without them there are no events")
    analysts: dict[tuple[str, str], Analyst | None] = {}
    for file in files:
        for result in read_jsonl(file):
            key = result.run, result.camera  # every run counts from 0
            if key not in analysts:
                analysts[key] = analyst_of(camera)
            analyst = analysts[key]
            if analyst is not None:
                yield from analyst.update(result)
