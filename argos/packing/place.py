"""Where rectangles lie on canvases: offline MaxRects, best short side fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from argos.kernels.maxrects import place_rectangles
from argos.types import Size

Places = tuple[NDArray[np.int32], NDArray[np.int32]]
"""``(canvas, corner)``: ``(N,)`` index of the canvas and ``(N, 2)`` ``(x, y)`` of the top left corner."""


def place(sizes: NDArray[np.int32], canvas_size: Size, *, gutter: int, max_canvases: int) -> Places | None:
    """Place rectangles on as few canvases as the heuristic finds, largest first, never rotated.

    Args:
        sizes: ``(N, 2)`` int32, ``(height, width)``, none larger than the canvas.
        canvas_size: size of a canvas.
        gutter: canvas pixels between two rectangles; none to the edge of the canvas.
        max_canvases: canvases available.

    Returns:
        ``(canvas, corner)``: ``(N,)`` int32 index of the canvas and ``(N, 2)`` int32 ``(x, y)`` of the top left corner;
        None when they do not fit.

    Reference:
        Jylänki, A Thousand Ways to Pack the Bin, 2010, MAXRECTS-BSSF-DESCA. The package rectpack finds the very same
        places in several times the time, however few the rectangles (``benchmarks/packing.py``).
    """
    return placed(*largest_first(sizes, gutter), canvas_size, gutter=gutter, max_canvases=max_canvases)


def largest_first(sizes: NDArray[np.int32], gutter: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What ``placed`` takes, for any canvas size: rectangles with their gutters at right and bottom, and an order."""
    with_gutter = sizes.astype(np.int64) + gutter
    return with_gutter, np.argsort(-with_gutter[:, 0] * with_gutter[:, 1], kind="stable")


def placed(
    with_gutter: NDArray[np.int64], order: NDArray[np.int64], canvas_size: Size, *, gutter: int, max_canvases: int
) -> Places | None:
    """``place`` of rectangles with gutters, in an order; the canvas carries its gutter at right and bottom too."""
    height, width = int(canvas_size[0]) + gutter, int(canvas_size[1]) + gutter
    canvas, corner, fits = place_rectangles(with_gutter, order, height, width, min(max_canvases, len(order)))
    return (canvas, corner) if fits else None
