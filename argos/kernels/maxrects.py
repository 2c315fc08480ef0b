"""Packing rectangles by MaxRects: every maximal free rectangle of every canvas is known.

Single numbers are written, never rows: a tuple put into a row compiles five times as long and runs slower.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

ELSEWHERE = 1 << 20
"""Farther than any two places of one canvas."""


@njit(cache=True, nogil=True)
def _put(rectangles: NDArray[np.int64], k: int, x0: int, y0: int, x1: int, y1: int, canvas: int, piece: int) -> int:
    """Write row ``k``: a free rectangle, its canvas and whether it is a new piece; return the next row."""
    rectangles[k, 0] = x0
    rectangles[k, 1] = y0
    rectangles[k, 2] = x1
    rectangles[k, 3] = y1
    rectangles[k, 4] = canvas
    rectangles[k, 5] = piece
    return k + 1


@njit(cache=True, nogil=True)
def _best_fit(free: NDArray[np.int64], count: int, height: int, width: int) -> int:
    """The free rectangle in which the shorter leftover side is shortest, the first of equals; -1 where none fits."""
    best, at = 1 << 40, -1
    for k in range(count):
        x, y = free[k, 2] - free[k, 0] - width, free[k, 3] - free[k, 1] - height
        if x >= 0 and y >= 0 and min(x, y) < best:
            best, at = min(x, y), k
    return at


@njit(cache=True, nogil=True)
def _occupy(
    free: NDArray[np.int64], count: int, spare: NDArray[np.int64], x0: int, y0: int, x1: int, y1: int, canvas: int
) -> int:
    """Take a rectangle out of the free ones and return how many there are then; both arrays hold four times as many.

    A free rectangle that it overlaps is replaced by what is left of it at its four sides. What lies in another free
    rectangle is dropped; only a new piece can.
    """
    grown = 0
    for k in range(count):
        a0, b0, a1, b1, on = free[k, 0], free[k, 1], free[k, 2], free[k, 3], free[k, 4]
        if on != canvas or a0 >= x1 or x0 >= a1 or b0 >= y1 or y0 >= b1:
            grown = _put(spare, grown, a0, b0, a1, b1, on, 0)
            continue
        if x0 > a0:
            grown = _put(spare, grown, a0, b0, x0, b1, on, 1)
        if x1 < a1:
            grown = _put(spare, grown, x1, b0, a1, b1, on, 1)
        if y1 < b1:
            grown = _put(spare, grown, a0, y1, a1, b1, on, 1)
        if y0 > b0:
            grown = _put(spare, grown, a0, b0, a1, y0, on, 1)
    kept = 0
    for k in range(grown):
        a0, b0, a1, b1, on = spare[k, 0], spare[k, 1], spare[k, 2], spare[k, 3], spare[k, 4]
        inside = False
        if spare[k, 5] == 1:
            for j in range(grown):
                if (
                    spare[j, 0] <= a0
                    and spare[j, 2] >= a1
                    and spare[j, 1] <= b0
                    and spare[j, 3] >= b1
                    and spare[j, 4] == on
                    and j != k
                ):
                    inside = True
                    break
        if not inside:
            kept = _put(free, kept, a0, b0, a1, b1, on, 0)
    return kept


@njit(cache=True, nogil=True)
def _with_room(
    free: NDArray[np.int64], count: int, spare: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same arrays, or larger ones: the next rectangle may cut every free one in four."""
    if 4 * count + 4 <= len(free):
        return free, spare
    larger = np.empty((max(2 * len(free), 4 * count + 4), 6), np.int64)
    for k in range(count):  # a slice would compile for seconds, for the words of an error that cannot be
        _put(larger, k, free[k, 0], free[k, 1], free[k, 2], free[k, 3], free[k, 4], free[k, 5])
    return larger, np.empty_like(larger)


@njit(cache=True, nogil=True)
def place_rectangles(
    sizes: NDArray[np.int64], order: NDArray[np.int64], height: int, width: int, most: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], bool]:
    """Place rectangles, never rotated, where the shorter leftover side is shortest, on all canvases begun so far.

    A canvas is begun when a rectangle fits none. Of equally good places the one on the earliest canvas is taken.

    Args:
        sizes: ``(N, 2)`` int64, ``(height, width)``, 1 or more.
        order: ``(N,)`` int64, in which they are placed.
        height: of a canvas.
        width: of a canvas.
        most: canvases available.

    Returns:
        ``(canvas, corner, fits)``: ``(N,)`` int32 index of the canvas and ``(N, 2)`` int32 ``(x, y)`` of the top left
        corner; unfinished where they do not fit.

    Reference:
        Jylänki, A Thousand Ways to Pack the Bin, 2010, MAXRECTS-BSSF.
    """
    canvas, corner = np.zeros(len(sizes), np.int32), np.zeros((len(sizes), 2), np.int32)
    free = np.empty((64 + 16 * len(sizes), 6), np.int64)  # x0, y0, x1, y1, canvas, piece; by canvas
    spare = np.empty_like(free)
    count, begun = 0, 0
    for k in range(len(order)):
        n = order[k]
        h, w = sizes[n, 0], sizes[n, 1]
        at = _best_fit(free, count, h, w)
        if at < 0:
            if begun == most or h > height or w > width:
                return canvas, corner, False
            at, begun = count, begun + 1
            count = _put(free, count, 0, 0, width, height, begun - 1, 0)
        x, y, on = free[at, 0], free[at, 1], free[at, 4]
        canvas[n] = on
        corner[n, 0] = x
        corner[n, 1] = y
        count = _occupy(free, count, spare, x, y, x + w, y + h, on)
        free, spare = _with_room(free, count, spare)
    return canvas, corner, True


@njit(cache=True, nogil=True)
def place_near(
    sizes: NDArray[np.int64],
    order: NDArray[np.int64],
    wanted: NDArray[np.int64],
    height: int,
    width: int,
    canvases: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], bool]:
    """Place rectangles, never rotated, as near as possible to where each is wanted.

    One that is wanted nowhere, or has no room on the canvas where it is wanted, comes where the shorter leftover side
    is shortest. Distances are sums of both axes; of equally good places the one on the earliest canvas is taken.

    Args:
        sizes: ``(N, 2)`` int64, ``(height, width)``, 1 or more.
        order: ``(N,)`` int64, in which they are placed.
        wanted: ``(N, 3)`` int64, canvas and ``(x, y)`` of the top left corner, which may lie outside of the canvas;
            canvas -1: nowhere.
        height: of a canvas.
        width: of a canvas.
        canvases: available.

    Returns:
        As ``place_rectangles``; a canvas may stay empty.
    """
    canvas, corner = np.zeros(len(sizes), np.int32), np.zeros((len(sizes), 2), np.int32)
    free = np.empty((64 + 16 * len(sizes) + 4 * canvases, 6), np.int64)
    spare = np.empty_like(free)
    count = 0
    for on in range(canvases):
        count = _put(free, count, 0, 0, width, height, on, 0)
    for k in range(len(order)):
        n = order[k]
        h, w = sizes[n, 0], sizes[n, 1]
        nearest, at, x, y = 1 << 40, -1, 0, 0
        for j in range(count):
            last_x, last_y = free[j, 2] - w, free[j, 3] - h
            if last_x < free[j, 0] or last_y < free[j, 1]:
                continue
            if free[j, 4] == wanted[n, 0]:
                near_x = min(max(wanted[n, 1], free[j, 0]), last_x)
                near_y = min(max(wanted[n, 2], free[j, 1]), last_y)
                distance = abs(near_x - wanted[n, 1]) + abs(near_y - wanted[n, 2])
            else:
                near_x, near_y = free[j, 0], free[j, 1]
                distance = ELSEWHERE + min(last_x - near_x, last_y - near_y)
            if distance < nearest:
                nearest, at, x, y = distance, j, near_x, near_y
        if at < 0:
            return canvas, corner, False
        on = free[at, 4]
        canvas[n] = on
        corner[n, 0] = x
        corner[n, 1] = y
        count = _occupy(free, count, spare, x, y, x + w, y + h, on)
        free, spare = _with_room(free, count, spare)
    return canvas, corner, True
