"""Copying rectangles of a picture onto canvases."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _copy(target: NDArray[np.uint8], source: NDArray[np.uint8]) -> None:
    """Copy one row; two plain vectors and one index become a memory copy."""
    for k in range(len(target)):
        target[k] = source[k]


@njit(cache=True, nogil=True)
def paste_rectangles(
    canvases: NDArray[np.uint8],
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    canvas: NDArray[np.int32],
    source: NDArray[np.int32],
    target: NDArray[np.int32],
) -> None:
    """Copy rectangles unchanged, in place.

    Args:
        canvases: ``(B, H, W * 3)`` uint8, written to.
        pixels: ``(h, w * 3)`` uint8, the picture.
        rows: which of the ``N`` rectangles to copy.
        canvas: ``(N,)`` int32, index of the canvas.
        source: ``(N, 4)`` int32, in the picture.
        target: ``(N, 4)`` int32, on the canvas; as large as ``source``.
    """
    for k in range(len(rows)):
        n = rows[k]
        x0, x1, a0, a1 = 3 * source[n, 0], 3 * source[n, 2], 3 * target[n, 0], 3 * target[n, 2]
        y0, b0 = source[n, 1], target[n, 1]
        for y in range(source[n, 3] - y0):
            _copy(canvases[canvas[n], b0 + y, a0:a1], pixels[y0 + y, x0:x1])
