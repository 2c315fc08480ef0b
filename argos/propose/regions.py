"""From a mask of proposed cells to boxes on the frame: dilation, components, merging."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.kernels.rectangles import highest, merge_rectangles
from argos.types import RegionMask, Regions, Size

Dilation = int | Literal["dynamic"]

LARGEST_DISC = 13
"""Radius in cells up to which a mask is grown by a disc, whose cost grows with its area; above by distances, whose does
not. The default radius is 4."""

DYNAMIC_SHARE = 0.15
"""Dynamic dilation: radius as a share of the longer side of the component."""


def regions_of(
    mask: RegionMask, *, dilation: Dilation, min_area: float, merge: bool = True, margin: int = 0
) -> Regions:
    """Boxes around the components of the dilated mask, in frame pixels.

    A box reaches outward to whole pixels around its cells. The score of a region is the highest score of a cell in
    its box. Every proposed cell lies in a box when ``min_area`` is 0.

    Args:
        mask: what a proposer returned.
        dilation: see ``dilate``.
        min_area: components with fewer proposed cells (counted before dilation) are dropped; share of the grid.
        merge: unite boxes that overlap, or whose union costs at most as many pixels as the two, repeatedly.
        margin: context in frame pixels that packing will add around each box; it counts in the cost of merging.

    Returns:
        Regions in the order of their first cell, row by row.

    Raises:
        ValueError: ``dilation``, ``min_area`` or ``margin`` is negative.
    """
    if margin < 0:
        raise ValueError(f"margin should not be negative, got {margin}")
    grown = grow(mask, dilation=dilation, min_area=min_area)
    _, _, stats, _ = cv2.connectedComponentsWithStats(grown.mask.view(np.uint8), connectivity=8)
    corner = stats[1:, :2]  # CC_STAT_LEFT, CC_STAT_TOP, then WIDTH, HEIGHT; 0 is the background
    cells = np.concatenate([corner, corner + stats[1:, 2:4]], axis=1).astype(np.int32)
    boxes = _frame_boxes(cells, mask.scores.shape, mask.frame_size)
    if merge:
        group = merge_rectangles(boxes, margin, *mask.frame_size)
        boxes, cells = _unite(boxes, group), _unite(cells, group)
    return Regions(boxes, highest(np.ascontiguousarray(mask.scores), cells), mask.frame_size)


def grow(mask: RegionMask, *, dilation: Dilation, min_area: float) -> RegionMask:
    """Dilate the mask and drop the components that hold too few proposed cells; what ``regions_of`` draws boxes around.

    Args:
        mask: what a proposer returned.
        dilation, min_area: as in ``regions_of``.

    Raises:
        ValueError: ``dilation`` or ``min_area`` is negative.
    """
    if min_area < 0:
        raise ValueError(f"min_area should not be negative, got {min_area}")
    if dilation == 0 and min_area == 0:
        return mask
    grown = dilate(mask, dilation)
    count, labels = cv2.connectedComponents(grown.mask.view(np.uint8), connectivity=8)
    proposed = np.bincount(labels[mask.mask], minlength=count)  # proposed cells of each component
    kept = proposed >= max(1.0, min_area * mask.mask.size)
    if kept[1:].all():
        return grown
    kept[0] = False  # the background
    return RegionMask(mask.scores, kept[labels], mask.frame_size)


def dilate(mask: RegionMask, dilation: Dilation) -> RegionMask:
    """Grow the mask by a disc; the scores stay.

    Args:
        mask: what a proposer returned.
        dilation: radius in cells, 0 for none; or ``dynamic``: each component grows by its own radius,
            ``max(1, round(0.15 * longer side))`` cells, so that near people get more room than far ones.

    Returns:
        The mask with every cell added whose centre is at most the radius away from a proposed cell.

    Raises:
        ValueError: ``dilation`` is negative.
    """
    if dilation == "dynamic":
        return RegionMask(mask.scores, _grow_each_component(mask.mask), mask.frame_size)
    if dilation < 0:
        raise ValueError(f"dilation should not be negative, got {dilation}")
    grown = mask.mask if dilation == 0 else _within(mask.mask, dilation)
    return RegionMask(mask.scores, grown, mask.frame_size)


def whole_frame(frame_size: Size) -> Regions:
    """The frame as its only region, score 1."""
    height, width = frame_size
    return Regions(np.array([[0, 0, width, height]], np.int32), np.ones(1, np.float32), frame_size)


def cells_of(boxes: NDArray[np.int32], frame_size: Size, grid: Size, *, outward: bool) -> NDArray[np.bool_]:
    """The cells of a grid over the frame that boxes cover.

    Args:
        boxes: ``(N, 4)`` int32 in frame pixels.
        frame_size: size of the frame.
        grid: rows and columns of cells.
        outward: whether a cell counts that a box covers in part.

    Returns:
        ``grid`` bool.
    """
    per_cell = np.array([frame_size[1] / grid[1], frame_size[0] / grid[0]] * 2)
    first, last = (np.floor, np.ceil) if outward else (np.ceil, np.floor)
    cells = boxes / per_cell
    mask = np.zeros(grid, np.bool_)
    for (x0, y0), (x1, y1) in zip(first(cells[:, :2]).astype(int), last(cells[:, 2:]).astype(int), strict=True):
        mask[y0:y1, x0:x1] = True
    return mask


def _within(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Cells at most ``radius`` away from a cell of ``mask``."""
    if radius <= LARGEST_DISC:
        offsets = np.arange(-radius, radius + 1) ** 2
        disc = (offsets[:, None] + offsets <= radius**2).view(np.uint8)
        return np.asarray(cv2.dilate(mask.view(np.uint8), disc).view(np.bool_))
    if not mask.any():
        return mask.copy()
    distance = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance <= radius + 1e-3)


def _grow_each_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilate each component by a radius proportional to its longer side."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    grown = mask.copy()
    for n in range(1, count):
        x, y, w, h = stats[n, :4].tolist()
        radius = max(1, math.floor(DYNAMIC_SHARE * max(h, w) + 0.5))
        window = np.s_[max(y - radius, 0) : y + h + radius, max(x - radius, 0) : x + w + radius]
        grown[window] |= _within(labels[window] == n, radius)
    return grown


def _frame_boxes(cells: NDArray[np.int32], grid: tuple[int, ...], frame_size: Size) -> NDArray[np.int32]:
    """Boxes in cells to boxes in frame pixels, rounded outward; they stay inside because the grid covers the frame."""
    h, w = grid
    height, width = frame_size
    size, cell_count = np.array([width, height]), np.array([w, h])
    start = cells[:, :2] * size // cell_count
    end = -(-cells[:, 2:] * size // cell_count)
    return np.concatenate([start, end], axis=1).astype(np.int32)


def _unite(boxes: NDArray[np.int32], group: NDArray[np.int64]) -> NDArray[np.int32]:
    """The bounding box of each group."""
    united = boxes.copy()
    np.minimum.at(united[:, :2], group, boxes[:, :2])
    np.maximum.at(united[:, 2:], group, boxes[:, 2:])
    return united[np.unique(group)]
