"""Cutting regions into tiles that fit a canvas."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

MOST_TILES = 3
"""Per axis. Two tiles cover up to twice the canvas less their overlap; the third makes up for the overlap."""

LEAST_SEAM = 8
"""Frame pixels that two tiles of one region share on each side of their seam, whatever the margin: stitching
recognises a person cut by the seam by what both tiles see there."""


@njit(cache=True, nogil=True)
def _span(spans: NDArray[np.int64], k: int, start: int, end: int, before: int, after: int, length: int) -> int:
    """Write span ``k``: a core, and its source with context, cut at the frame; return the length of the source."""
    first, last = max(start - before, 0), min(end + after, length)
    spans[k, 0] = start
    spans[k, 1] = end
    spans[k, 2] = first
    spans[k, 3] = last
    return last - first


@njit(cache=True, nogil=True)
def _cut(spans: NDArray[np.int64], start: int, end: int, margin: int, length: int, limit: float, shrink: float) -> int:
    """Cut one axis of a region into the fewest spans that fit ``limit / shrink``; their number, 0 to reduce instead."""
    if _span(spans, 0, start, end, margin, margin, length) > 2 * limit:
        return 0
    seam = max(margin, LEAST_SEAM)
    for count in range(1, MOST_TILES + 1):
        longest = 0
        for k in range(count):
            before = margin if k == 0 else seam
            after = margin if k == count - 1 else seam
            first, last = start + (end - start) * k // count, start + (end - start) * (k + 1) // count
            longest = max(longest, _span(spans, k, first, last, before, after, length))
        if longest * shrink <= limit:
            return count
    return 0


@njit(cache=True, nogil=True)
def _on_canvas(length: int, scale: float, limit: int) -> int:
    """Canvas pixels of ``length`` frame pixels; at least one, at most the canvas."""
    return min(max(int(np.rint(length * scale)), 1), limit)


@njit(cache=True, nogil=True)
def cut_regions(
    boxes: NDArray[np.int64],
    frame: NDArray[np.int64],
    frame_sizes: NDArray[np.int64],
    scales: NDArray[np.float64],
    margins: NDArray[np.int64],
    canvas_height: int,
    canvas_width: int,
    shrink: float,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Add context to boxes and cut or reduce those that are larger than a canvas.

    Args:
        boxes: ``(N, 4)`` int64, frame pixels.
        frame: ``(N,)`` int64, index of the frame.
        frame_sizes: ``(F, 2)`` int64, ``(height, width)``.
        scales: ``(F,)`` float64, canvas pixels per frame pixel.
        margins: ``(F,)`` int64, frame pixels of context.
        canvas_height: of a canvas.
        canvas_width: of a canvas.
        shrink: factor in 0..1 on the scale of every rectangle.

    Returns:
        ``(frame, source, core, size, scale)`` of the rectangles by box and tile, row by row: ``(M,)``, ``(M, 4)``,
        ``(M, 4)`` and ``(M, 2)`` int32, ``(M,)`` float32.
    """
    most = len(boxes) * MOST_TILES * MOST_TILES
    of, scale = np.empty(most, np.int32), np.empty(most, np.float32)
    source, core = np.empty((most, 4), np.int32), np.empty((most, 4), np.int32)
    size = np.empty((most, 2), np.int32)
    columns, rows = np.empty((MOST_TILES, 4), np.int64), np.empty((MOST_TILES, 4), np.int64)
    m = 0
    for n in range(len(boxes)):
        f = frame[n]
        height, width, margin = frame_sizes[f, 0], frame_sizes[f, 1], margins[f]
        down, across = canvas_height / scales[f], canvas_width / scales[f]  # frame pixels of one canvas
        column_count = _cut(columns, boxes[n, 0], boxes[n, 2], margin, width, across, shrink)
        row_count = _cut(rows, boxes[n, 1], boxes[n, 3], margin, height, down, shrink)
        fit = 1.0
        if column_count == 0 or row_count == 0:
            column_count, row_count = 1, 1
            wide = _span(columns, 0, boxes[n, 0], boxes[n, 2], margin, margin, width)
            high = _span(rows, 0, boxes[n, 1], boxes[n, 3], margin, margin, height)
            fit = min(across / wide, down / high, 1.0)
        own_scale = scales[f] * fit * shrink
        for r in range(row_count):
            for c in range(column_count):
                of[m] = f
                scale[m] = own_scale
                for k in range(2):
                    core[m, 2 * k] = columns[c, k]
                    core[m, 2 * k + 1] = rows[r, k]
                    source[m, 2 * k] = columns[c, 2 + k]
                    source[m, 2 * k + 1] = rows[r, 2 + k]
                size[m, 0] = _on_canvas(rows[r, 3] - rows[r, 2], own_scale, canvas_height)
                size[m, 1] = _on_canvas(columns[c, 3] - columns[c, 2], own_scale, canvas_width)
                m += 1
    return of[:m], source[:m], core[:m], size[:m], scale[:m]
