"""How much two sets of people look like each other: overlap of boxes, and of masks where boxes cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def box_overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of every box of ``a`` with every box of ``b``, ``(N, M)``; 0 where one is empty."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas_a, areas_b = (np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1) for boxes in (a, b))
    union = areas_a[:, None] + areas_b[None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0))


def mask_overlap(a: Mask, corner_a: tuple[int, int], b: Mask, corner_b: tuple[int, int]) -> float:
    """Intersection over union of two masks whose top left corners ``(x, y)`` are given; 0 when both are empty."""
    x0, y0 = max(corner_a[0], corner_b[0]), max(corner_a[1], corner_b[1])
    x1 = min(corner_a[0] + a.shape[1], corner_b[0] + b.shape[1])
    y1 = min(corner_a[1] + a.shape[0], corner_b[1] + b.shape[0])
    common = 0
    if x0 < x1 and y0 < y1:
        part_a = a[y0 - corner_a[1] : y1 - corner_a[1], x0 - corner_a[0] : x1 - corner_a[0]]
        part_b = b[y0 - corner_b[1] : y1 - corner_b[1], x0 - corner_b[0] : x1 - corner_b[0]]
        common = int(np.count_nonzero(part_a & part_b))
    union = int(np.count_nonzero(a)) + int(np.count_nonzero(b)) - common
    return common / union if union else 0.0


def likenesses(
    boxes: Floats, masks: Sequence[Mask], seen_boxes: Floats, seen_masks: Sequence[Mask], least: float
) -> Floats:
    """Box overlap; in a crowd, where one box overlaps several, the mean of box and mask overlap.

    Args:
        boxes: ``(N, 4)`` where people are expected.
        masks: their masks when they were last seen, of any size: each is laid on the middle of its box.
        seen_boxes: ``(M, 4)`` where people are.
        seen_masks: their masks, of the size of their boxes.
        least: box overlap from which two may be the same.

    Returns:
        ``(N, M)`` in 0..1.
    """
    overlaps = box_overlaps(boxes, seen_boxes)
    near = overlaps >= least
    crowded = near & ((near.sum(axis=1, keepdims=True) > 1) | (near.sum(axis=0, keepdims=True) > 1))
    for n, m in np.argwhere(crowded).tolist():
        centre = (boxes[n, :2] + boxes[n, 2:]) / 2
        height, width = masks[n].shape
        corner = (round(float(centre[0]) - width / 2), round(float(centre[1]) - height / 2))
        seen_corner = (int(seen_boxes[m, 0]), int(seen_boxes[m, 1]))
        overlaps[n, m] = (overlaps[n, m] + mask_overlap(masks[n], corner, seen_masks[m], seen_corner)) / 2
    return overlaps


def sides_of(boxes: Floats) -> Floats:
    """Width and height of boxes ``(N, 4)``: ``(N, 2)``."""
    return boxes[:, 2:] - boxes[:, :2]


def grown(boxes: Floats, margin: Floats) -> Floats:
    """Boxes with ``margin`` pixels, ``(N, 2)`` or ``(N, 1)`` for both directions, added at each end."""
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
