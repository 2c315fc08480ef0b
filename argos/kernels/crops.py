"""Windows of feature maps, resized bilinearly, one pass over each cell of the result."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def crop_rows(
    rows: NDArray[np.float32],
    first: NDArray[np.int64],
    width: int,
    y: NDArray[np.int64],
    next_y: NDArray[np.int64],
    fraction_y: NDArray[np.float32],
    x: NDArray[np.int64],
    next_x: NDArray[np.int64],
    fraction_x: NDArray[np.float32],
    pool: int,
) -> NDArray[np.float32]:
    """Interpolate between four cells for each cell of M windows, and keep the largest of each ``pool x pool`` cells.

    Products and sums have the order of ``networks.ssd_boxes.crop`` in torch: the same bits, of finite values.

    Args:
        rows: ``(N * H * W, C)`` float32, maps with their channels last.
        first: ``(M,)`` int64, row of the first cell of each window's map.
        width: W.
        y, next_y, fraction_y: ``(M, h)`` rows of the map, those after them, and the share of the latter, 0..1.
        x, next_x, fraction_x: ``(M, w)`` likewise of columns.

    Returns:
        ``(M, h / pool, w / pool, C)`` float32.
    """
    one = np.float32(1)
    channels = rows.shape[1]
    result = np.empty((y.shape[0], y.shape[1] // pool, x.shape[1] // pool, channels), np.float32)
    for m in range(y.shape[0]):
        for i in range(y.shape[1]):
            low, high = fraction_y[m, i], one - fraction_y[m, i]
            upper, lower = first[m] + y[m, i] * width, first[m] + next_y[m, i] * width
            for j in range(x.shape[1]):
                right, left = fraction_x[m, j], one - fraction_x[m, j]
                a, b, c, d = high * left, high * right, low * left, low * right
                cell_a, cell_b = rows[upper + x[m, j]], rows[upper + next_x[m, j]]
                cell_c, cell_d = rows[lower + x[m, j]], rows[lower + next_x[m, j]]
                cell = result[m, i // pool, j // pool]
                if i % pool == 0 and j % pool == 0:
                    for k in range(channels):
                        cell[k] = cell_a[k] * a + cell_b[k] * b + cell_c[k] * c + cell_d[k] * d
                else:
                    for k in range(channels):
                        cell[k] = max(cell[k], cell_a[k] * a + cell_b[k] * b + cell_c[k] * c + cell_d[k] * d)
    return result
