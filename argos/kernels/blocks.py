"""Numba kernels of the gather-scatter engine: which blocks are active, gather windows, clear blocks.

Maps are ``(H, W, C)`` float32, C-contiguous: the memory of a channels-last tensor of one image.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def active_blocks(
    active: NDArray[np.bool_], strides: tuple[float, float], size: tuple[int, int], block: tuple[int, int]
) -> NDArray[np.bool_]:
    """Find the blocks of a map in which any pixel of the image is active.

    Map and image share their top left corner: row ``y`` of the map is the rows ``y * stride`` up to
    ``(y + 1) * stride`` of the image. The last row also takes what of the image lies below it; rows that lie
    below the image, where a network has padded it, are active where the image's last row is.

    Args:
        active: ``(H, W)``, on the image.
        strides: image pixels per pixel of the map, down and across.
        size: of the map.
        block: size of a block in pixels of the map; the last ones may be smaller.

    Returns:
        ``(ceil(h / block), ceil(w / block))``.
    """
    height, width = active.shape
    grid = np.zeros((-(-size[0] // block[0]), -(-size[1] // block[1])), np.bool_)
    any_row = np.empty(width, np.uint8)
    for i in range(grid.shape[0]):
        y0 = min(height - 1, math.floor(i * block[0] * strides[0]))
        y1 = height if i == grid.shape[0] - 1 else min(height, math.ceil((i + 1) * block[0] * strides[0]))
        any_row[:] = 0
        for y in range(y0, y1):  # whole rows: a vector instruction takes 64 pixels
            row = active[y]
            for x in range(width):
                any_row[x] |= np.uint8(row[x])
        for j in range(grid.shape[1]):
            x0 = min(width - 1, math.floor(j * block[1] * strides[1]))
            x1 = width if j == grid.shape[1] - 1 else min(width, math.ceil((j + 1) * block[1] * strides[1]))
            found = np.uint8(0)
            for x in range(x0, x1):
                found |= any_row[x]
            grid[i, j] = found != 0
    return grid


@njit(cache=True, nogil=True)
def _copy(target: NDArray[np.float32], source: NDArray[np.float32]) -> None:
    """Copy one row. Two plain vectors and one index vectorise; `a[i:j] = b[k:l]` and 3-D indices are 2-8x slower."""
    for k in range(len(target)):
        target[k] = source[k]


@njit(cache=True, nogil=True)
def gather(
    image: NDArray[np.float32],
    corners: NDArray[np.int64],
    taps: tuple[int, int],
    run: tuple[int, int],
    step: tuple[int, int],
    windows: NDArray[np.float32],
) -> None:
    """Copy windows of ``image`` to ``windows``; what lies outside of the image is zero.

    A window is ``taps`` runs of ``run`` pixels each, the starts of the runs ``step`` pixels apart (down, across);
    with one tap it is a plain rectangle.

    Args:
        image: ``(H, W, C)``.
        corners: ``(N, 2)`` top left pixel of each window as (row, column); may be negative.
        windows: ``(N, taps * run, taps * run, C)``, written.
    """
    height, width, channels = image.shape
    source = image.reshape(height, width * channels)
    target = windows.reshape(windows.shape[0], windows.shape[1], windows.shape[2] * channels)
    for n in range(len(corners)):
        for i in range(taps[0] * run[0]):
            row = corners[n, 0] + (i // run[0]) * step[0] + i % run[0]
            if row < 0 or row >= height:
                target[n, i, :] = 0.0
                continue
            for tap in range(taps[1]):
                column = corners[n, 1] + tap * step[1]
                before = min(run[1], max(0, -column)) * channels
                inside = max(before, min(run[1], width - column) * channels)
                window = target[n, i, tap * run[1] * channels : (tap + 1) * run[1] * channels]
                window[:before] = 0.0
                shift = column * channels
                _copy(window[before:inside], source[row, shift + before : shift + inside])
                window[inside:] = 0.0


@njit(cache=True, nogil=True)
def clear_blocks(image: NDArray[np.float32], grid: NDArray[np.bool_], block: tuple[int, int]) -> None:
    """Set the blocks of ``image``, ``(H, W, C)``, to zero that ``grid`` leaves out, in place."""
    height, width, _ = image.shape
    for i in range(grid.shape[0]):
        for j in range(grid.shape[1]):
            if not grid[i, j]:
                rows = min(height, (i + 1) * block[0])
                columns = min(width, (j + 1) * block[1])
                image[i * block[0] : rows, j * block[1] : columns] = 0.0
