"""Which rectangles of the frames are needed, and how large they are on a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argos.kernels.tiles import cut_regions
from argos.types import Regions, Size

PerFrame = float | Sequence[float]
"""One value for all frames, or one for each."""


@dataclass(frozen=True, slots=True, eq=False)
class Rectangles:
    """Rectangles to be packed; ``Placements`` without the place.

    Attributes:
        frame: ``(N,)`` int32, index of the frame.
        source: ``(N, 4)`` int32, read from the frame, context included, frame pixels.
        core: ``(N, 4)`` int32, kept on stitching, frame pixels.
        size: ``(N, 2)`` int32, ``(height, width)`` on the canvas.
        scale: ``(N,)`` float32, canvas pixels per frame pixel.
    """

    frame: NDArray[np.int32]
    source: NDArray[np.int32]
    core: NDArray[np.int32]
    size: NDArray[np.int32]
    scale: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)

    def area(self, gutter: int) -> int:
        """Canvas pixels of all rectangles with their gutters."""
        sides = self.size.astype(np.int64) + gutter
        return int(sides[:, 0] @ sides[:, 1])  # twice as fast as the product along an axis


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """The regions of all frames in one table; to be cut for several canvases.

    Attributes:
        boxes: ``(N, 4)`` int64, frame pixels.
        frame: ``(N,)`` int64, index of the frame.
        frame_sizes: ``(F, 2)`` int64, ``(height, width)``.
        scales: ``(F,)`` float64, canvas pixels per frame pixel.
        margins: ``(F,)`` int64, frame pixels of context.
    """

    boxes: NDArray[np.int64]
    frame: NDArray[np.int64]
    frame_sizes: NDArray[np.int64]
    scales: NDArray[np.float64]
    margins: NDArray[np.int64]


def boxes_of(regions: Sequence[Regions], *, scale: PerFrame, margin: PerFrame) -> Boxes:
    """The table of regions; the arguments as in ``rectangles_of``."""
    scales, margins = per_frame(scale, len(regions)), per_frame(margin, len(regions))
    boxes = [np.zeros((0, 4), np.int32), *(of_frame.boxes for of_frame in regions)]
    counts = np.array([len(of_frame) for of_frame in regions], np.int64)
    return Boxes(
        np.concatenate(boxes).astype(np.int64),
        np.repeat(np.arange(len(regions)), counts),
        np.array([of_frame.frame_size for of_frame in regions], np.int64).reshape(-1, 2),
        np.array(scales, np.float64),
        np.array([round(own_margin) for own_margin in margins], np.int64),
    )


def rectangles_of(
    regions: Sequence[Regions], canvas_size: Size, *, scale: PerFrame, margin: PerFrame, shrink: float = 1.0
) -> Rectangles:
    """Add context to each region and make each fit a canvas.

    A region at most twice as large as the canvas in each axis is cut into the fewest tiles that fit (up to
    ``tiles.MOST_TILES`` per axis): equal cores that partition the region, each with ``margin`` around it and at least
    ``tiles.LEAST_SEAM`` across a seam. Any larger region, and one whose margins leave no room for tiles, is reduced to
    fit.

    Args:
        regions: one value per frame.
        canvas_size: size of a canvas.
        scale: canvas pixels per frame pixel, of all frames or one per frame.
        margin: context around each region, frame pixels, cut at the frame; of all frames or one per frame.
        shrink: factor in 0..1 on the scale of every rectangle; fewer tiles may do then.

    Returns:
        Rectangles by frame, region and tile.
    """
    return cut(boxes_of(regions, scale=scale, margin=margin), canvas_size, shrink=shrink)


def cut(boxes: Boxes, canvas_size: Size, *, shrink: float = 1.0) -> Rectangles:
    """``rectangles_of`` a table."""
    height, width = int(canvas_size[0]), int(canvas_size[1])
    return Rectangles(
        *cut_regions(
            boxes.boxes, boxes.frame, boxes.frame_sizes, boxes.scales, boxes.margins, height, width, float(shrink)
        )
    )


def per_frame(value: PerFrame, frames: int) -> list[float]:
    """One value for each frame.

    Raises:
        ValueError: a sequence of another length.
    """
    values = [float(value)] * frames if isinstance(value, int | float) else [float(v) for v in value]
    if len(values) != frames:
        raise ValueError(f"expected one value or one for each of {frames} frames, got {len(values)}")
    return values
