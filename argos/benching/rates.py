"""Frames of a source, and how fast it is decoded and run through the whole pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

from argos.config import Config, source_options
from argos.errors import SourceError
from argos.packing.planner import AskedMode
from argos.pipelines.api import Pipeline
from argos.sources.names import redact
from argos.sources.read import read
from argos.types import Frame


def first_frames(config: Config, most: int) -> list[Frame]:
    """The first frames of the only camera.

    Raises:
        SourceError: it cannot be opened, or there is no frame in it.
    """
    frames = list(_read(config, most))
    if not frames:
        (camera,) = config.cameras.values()
        raise SourceError(f"camera '{camera.name}': {redact(camera.source.url)} holds no frame to measure", "ended")
    return frames


def decode_fps(config: Config, most: int) -> list[float]:
    """Frames per second of decoding the first frames alone, to RGB, measured three times."""
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        count = sum(1 for _ in _read(config, most))
        rates.append(count / (time.perf_counter() - start))
    return rates


def pipeline_fps(config: Config, mode: AskedMode, most: int) -> float:
    """Frames per second of the whole pipeline on the first frames in one mode.

    Decoding has its own thread; nothing is published or written.
    """
    (name,) = config.cameras
    camera = config.cameras[name]
    changed = camera.model_copy(update={"regions": camera.regions.model_copy(update={"mode": mode})})
    silent = {"cameras": {name: changed}, "outputs": (), "publish": config.publish.model_copy(update={"bind": None})}
    with Pipeline(config.model_copy(update=silent)) as pipeline:
        start = time.perf_counter()
        count = sum(1 for _ in islice(pipeline, most))
        return count / (time.perf_counter() - start)


def _read(config: Config, most: int) -> Iterator[Frame]:
    (camera,) = config.cameras.values()
    return islice(read(camera.source.url, camera.name, source_options(camera)), most)
