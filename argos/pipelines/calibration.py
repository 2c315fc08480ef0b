"""``engine.calibration``: the pictures by which networks are quantised to 8 bits."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from argos.config_paths import is_path
from argos.engines.dense import auto_scale, network_size
from argos.engines.int8 import Calibration
from argos.errors import SourceError
from argos.packing.pack import resized
from argos.sources.names import file_path, redact
from argos.sources.read import read

RENDERED = tuple(f"fake://people?n=6&seed={seed}&size=640x360&frames=1" for seed in range(1, 9))
"""Eight rooms with people, each another."""

MOST = 16
"""Frames of a source; half as many or more, evenly spread over what is read of it, where it has them."""

READ = 600
"""Frames that are read of a source."""


def calibration_of(source: str | None) -> Calibration:
    """The pictures of ``engine.calibration``, to be read when they are needed.

    Args:
        source: video, folder of pictures or ``fake://``; None: rendered people.
    """
    sources = RENDERED if source is None else (source,)
    told = hashlib.sha256(" ".join([*sources, *_changes(source)]).encode()).hexdigest()[:24]
    return Calibration(told, partial(_images, sources))


def _changes(source: str | None) -> list[str]:
    """Size and time of the files of a source, so that others under the same name count as others."""
    if source is None or not is_path(source):
        return []
    path = Path(file_path(source))
    files = (
        sorted(path.iterdir()) if path.is_dir() else [path, *map(Path, sorted(glob.glob(str(path), recursive=True)))]
    )
    found = [(file, file.stat()) for file in files if file.is_file()]
    return [f"{file.name} {stat.st_size} {stat.st_mtime_ns}" for file, stat in found]


def _images(sources: Sequence[str]) -> list[Tensor]:
    """``(1, H, W, 3)`` uint8, as large as whole frames are for the deep networks by default.

    Raises:
        SourceError: a source cannot be read, or there is no frame in it.
    """
    try:
        return [image for source in sources for image in _spread(source)]
    except SourceError as error:
        raise SourceError(f"engine.calibration: {error}", error.code) from error


def _spread(source: str) -> list[Tensor]:
    """Frames of one source: every n-th, n growing with the length."""
    kept: list[Tensor] = []
    step = 1
    for n, frame in enumerate(islice(read(source, "calibration", fail_fast=True), READ)):
        if n % step:
            continue
        size = network_size(frame.size, auto_scale(frame.size))
        kept.append(torch.from_numpy(np.ascontiguousarray(resized(frame.pixels, size)[None])))
        if len(kept) > MOST:
            kept, step = kept[::2], step * 2
    if not kept:
        raise SourceError(f"{redact(source)} holds no frame", "no_images")
    return kept
