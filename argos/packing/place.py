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
    # each rectangle carries its gutter at its right and bottom, and so does the canvas
    with_gutter = sizes.astype(np.int64) + gutter
    largest_first = np.argsort(-with_gutter[:, 0] * with_gutter[:, 1], kind="stable")
    height, width = int(canvas_size[0]) + gutter, int(canvas_size[1]) + gutter
    canvas, corner, fits = place_rectangles(with_gutter, largest_first, height, width, min(max_canvases, len(sizes)))
    return (canvas, corner) if fits else None
