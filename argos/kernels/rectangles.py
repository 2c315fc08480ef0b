"""Rectangles: merging those that overlap or are cheaper together, what is highest in each, and which are the same."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _grown_area(x0: int, y0: int, x1: int, y1: int, margin: int, height: int, width: int) -> int:
    """Pixels of a box with ``margin`` on each side, cut at the frame."""
    w = min(x1 + margin, width) - max(x0 - margin, 0)
    h = min(y1 + margin, height) - max(y0 - margin, 0)
    return w * h


@njit(cache=True, nogil=True)
def merge_rectangles(boxes: NDArray[np.int32], margin: int, height: int, width: int) -> NDArray[np.int64]:
    """Group the boxes whose common bounding box replaces them, until no two groups want to merge.

    Two groups merge when their bounding boxes overlap, or when the bounding box of both costs at most as many
    pixels as the two, each counted with its margin and cut at the frame.

    Args:
        boxes: ``(N, 4)`` int32, inside the frame.
        margin: frame pixels added on each side.
        height: of the frame.
        width: of the frame.

    Returns:
        ``(N,)`` int64, the group of each box: the index of the first box in it.
    """
    count = len(boxes)
    merged = boxes.astype(np.int64)
    group = np.arange(count)
    changed = True
    while changed:
        changed = False
        for i in range(count):
            if group[i] != i:
                continue
            j = 0
            while j < count:
                if j == i or group[j] != j:
                    j += 1
                    continue
                x0, y0 = min(merged[i, 0], merged[j, 0]), min(merged[i, 1], merged[j, 1])
                x1, y1 = max(merged[i, 2], merged[j, 2]), max(merged[i, 3], merged[j, 3])
                # as wide as both together, or wider: no common column
                apart_x = x1 - x0 >= merged[i, 2] - merged[i, 0] + merged[j, 2] - merged[j, 0]
                apart_y = y1 - y0 >= merged[i, 3] - merged[i, 1] + merged[j, 3] - merged[j, 1]
                extra = _grown_area(x0, y0, x1, y1, margin, height, width)
                for k in (i, j):
                    extra -= _grown_area(merged[k, 0], merged[k, 1], merged[k, 2], merged[k, 3], margin, height, width)
                if extra <= 0 or not (apart_x or apart_y):
                    keep, gone = min(i, j), max(i, j)
                    merged[keep, 0], merged[keep, 1], merged[keep, 2], merged[keep, 3] = x0, y0, x1, y1
                    for k in range(count):
                        if group[k] == gone:
                            group[k] = keep
                    changed = True
                    if gone == i:
                        break
                    j = 0  # the box grew: what did not fit before may fit now
                else:
                    j += 1
    return group


@njit(cache=True, nogil=True)
def highest(scores: NDArray[np.float32], boxes: NDArray[np.int32]) -> NDArray[np.float32]:
    """The highest score in each box.

    Args:
        scores: ``(h, w)`` float32, 0 or more.
        boxes: ``(N, 4)`` int32, inside, not empty.

    Returns:
        ``(N,)`` float32.
    """
    found = np.zeros(len(boxes), np.float32)
    for n in range(len(boxes)):
        best = np.float32(0)
        for y in range(boxes[n, 1], boxes[n, 3]):
            for x in range(boxes[n, 0], boxes[n, 2]):
                best = max(best, scores[y, x])
        found[n] = best
    return found


@njit(cache=True, nogil=True)
def same_rectangles(
    new: NDArray[np.int32], new_frame: NDArray[np.int32], last: NDArray[np.int32], last_frame: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Find each rectangle among earlier ones: two are the same that overlap more with each other than with others.

    Args:
        new: ``(N, 4)`` int32.
        new_frame: ``(N,)`` int32; rectangles of different frames do not overlap.
        last: ``(M, 4)`` int32.
        last_frame: ``(M,)`` int32.

    Returns:
        ``(N,)`` int64, index of the earlier one; -1 where there is none. Overlap is intersection over union; of equally
        good ones it is the first.
    """
    like, back = np.full(len(new), -1), np.full(len(last), -1)
    most, most_back = np.zeros(len(new)), np.zeros(len(last))
    for i in range(len(new)):
        x0, y0, x1, y1 = np.int64(new[i, 0]), np.int64(new[i, 1]), np.int64(new[i, 2]), np.int64(new[i, 3])
        for j in range(len(last)):
            w, h = min(x1, last[j, 2]) - max(x0, last[j, 0]), min(y1, last[j, 3]) - max(y0, last[j, 1])
            if w <= 0 or h <= 0 or new_frame[i] != last_frame[j]:
                continue
            area = (np.int64(last[j, 2]) - last[j, 0]) * (np.int64(last[j, 3]) - last[j, 1])
            overlap = w * h / ((x1 - x0) * (y1 - y0) + area - w * h)
            if overlap > most[i]:
                most[i], like[i] = overlap, j
            if overlap > most_back[j]:
                most_back[j], back[j] = overlap, i
    for i in range(len(new)):
        if like[i] >= 0 and back[like[i]] != i:
            like[i] = -1
    return like
