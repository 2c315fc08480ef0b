"""Which rectangles of the frames are needed, and how large they are on a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from argos.types import Regions, Size

PerFrame = float | Sequence[float]
"""One value for all frames, or one for each."""

MOST_TILES = 3
"""Per axis. Two tiles cover up to twice the canvas less their overlap; the third makes up for the overlap."""

LEAST_SEAM = 8
"""Frame pixels that two tiles of one region share on each side of their seam, whatever the margin: stitching
recognises a person cut by the seam by what both tiles see there."""


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


def rectangles_of(
    regions: Sequence[Regions], canvas_size: Size, *, scale: PerFrame, margin: PerFrame, shrink: float = 1.0
) -> Rectangles:
    """Add context to each region and make each fit a canvas.

    A region at most twice as large as the canvas in each axis is cut into the fewest tiles that fit (up to
    ``MOST_TILES`` per axis): equal cores that partition the region, each with ``margin`` around it and at least
    ``LEAST_SEAM`` across a seam. Any larger region, and one whose margins leave no room for tiles, is reduced to fit.

    Args:
        regions: one value per frame.
        canvas_size: size of a canvas.
        scale: canvas pixels per frame pixel, of all frames or one per frame.
        margin: context around each region, frame pixels, cut at the frame; of all frames or one per frame.
        shrink: factor in 0..1 on the scale of every rectangle; fewer tiles may do then.

    Returns:
        Rectangles by frame, region and tile.
    """
    own_scales, own_margins = per_frame(scale, len(regions)), per_frame(margin, len(regions))
    frames, sources, cores, sizes, scales = [], [], [], [], []
    for n, of_frame in enumerate(regions):
        height, width = of_frame.frame_size
        own_scale, own_margin = own_scales[n], round(own_margins[n])
        limits = canvas_size[0] / own_scale, canvas_size[1] / own_scale  # frame pixels of one canvas
        for x0, y0, x1, y1 in of_frame.boxes.tolist():
            columns = _cut(x0, x1, width, own_margin, limits[1], shrink)
            rows = _cut(y0, y1, height, own_margin, limits[0], shrink)
            fit = 1.0
            if columns is None or rows is None:
                columns = [_span(x0, x1, width, own_margin, own_margin)]
                rows = [_span(y0, y1, height, own_margin, own_margin)]
                fit = min(limits[1] / columns[0].length, limits[0] / rows[0].length, 1.0)
            for row in rows:
                for column in columns:
                    frames.append(n)
                    sources.append((column.start, row.start, column.end, row.end))
                    cores.append((column.core_start, row.core_start, column.core_end, row.core_end))
                    scales.append(own_scale * fit * shrink)
                    sizes.append(
                        (
                            _on_canvas(row.length, scales[-1], canvas_size[0]),
                            _on_canvas(column.length, scales[-1], canvas_size[1]),
                        )
                    )
    return Rectangles(
        np.array(frames, np.int32),
        np.array(sources, np.int32).reshape(-1, 4),
        np.array(cores, np.int32).reshape(-1, 4),
        np.array(sizes, np.int32).reshape(-1, 2),
        np.array(scales, np.float32),
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


class _Span(NamedTuple):
    """One axis of a rectangle: its core, and its source ``start..end`` with context."""

    core_start: int
    core_end: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """Frame pixels read."""
        return self.end - self.start


def _span(core_start: int, core_end: int, length: int, before: int, after: int) -> _Span:
    """A core with context before and after it, cut at the frame of ``length`` pixels."""
    return _Span(core_start, core_end, max(core_start - before, 0), min(core_end + after, length))


def _cut(start: int, end: int, length: int, margin: int, limit: float, shrink: float) -> list[_Span] | None:
    """Cut one axis of a region into the fewest spans that fit ``limit / shrink``; None where it has to be reduced."""
    if _span(start, end, length, margin, margin).length > 2 * limit:
        return None
    seam = max(margin, LEAST_SEAM)
    for count in range(1, MOST_TILES + 1):
        edges = [start + (end - start) * k // count for k in range(count + 1)]
        spans = [
            _span(edges[k], edges[k + 1], length, margin if k == 0 else seam, margin if k == count - 1 else seam)
            for k in range(count)
        ]
        if max(span.length for span in spans) * shrink <= limit:
            return spans
    return None


def _on_canvas(length: int, scale: float, limit: int) -> int:
    """Canvas pixels of ``length`` frame pixels; at least one, at most the canvas."""
    return min(max(round(length * scale), 1), limit)
