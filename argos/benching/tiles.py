"""The frame in overlapping tiles of a fixed size, one inference each, as slicing tools do."""

from __future__ import annotations

import numpy as np

from argos.benching.contender import Contender, Outcome, Setting, networks_of, person_on
from argos.benching.singly import singly
from argos.packing.pack import paste
from argos.types import Frame, Placements, Size

SIDE, OVERLAP = 512, 0.2
"""Network pixels, and the share of a tile that its neighbour sees too: the usual values of SAHI.

Reference:
    Akyon et al., Slicing Aided Hyper Inference and Fine-Tuning for Small Object Detection, arXiv:2202.06934.
"""


def tiles(setting: Setting) -> Contender:
    """Every tile of every frame; what tiles share is joined as at the seams of a large region."""
    networks = singly(networks_of(setting.people, setting.view))

    def run(frame: Frame, refresh: bool) -> Outcome:
        placements, size = tiling(frame.size, setting.network_size(frame), setting.scale(frame))
        batch = paste([frame], placements, size)
        person = person_on(batch, frame.size, networks, setting.view)
        return Outcome(person, setting.share(frame, len(placements), size))

    return run


def tiling(frame_size: Size, size: Size, scale: float) -> tuple[Placements, Size]:
    """Tiles over a frame that is ``size`` for the network, one per canvas, and the size of a tile."""
    tile = min(SIDE, size[0]), min(SIDE, size[1])
    rows, columns = starts(size[0], tile[0]), starts(size[1], tile[1])
    corners = np.array([(x, y) for y in rows for x in columns])
    per_pixel = np.array([frame_size[1] / size[1], frame_size[0] / size[0]] * 2)
    seen = np.concatenate([corners, corners + np.array([tile[1], tile[0]])], axis=1)
    source = np.rint(seen * per_pixel).astype(np.int32)
    count = len(corners)
    target = np.tile(np.array([0, 0, tile[1], tile[0]], np.int32), (count, 1))
    zeros, scales = np.zeros(count, np.int32), np.full(count, scale, np.float32)
    return Placements(zeros, source, source, np.arange(count, dtype=np.int32), target, scales), tile


def starts(length: int, side: int) -> list[int]:
    """Where tiles begin along one side of the frame: every ``side * (1 - OVERLAP)``, the last one at the border."""
    step = side - int(side * OVERLAP)
    return [*range(0, length - side, step), length - side]
