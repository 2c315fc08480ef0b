"""How large a canvas has to be: the smallest shape on a grid, or one of a few that the networks stay warm for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from argos.packing.place import Places, largest_first, placed
from argos.packing.rectangles import Boxes, PerFrame, Rectangles, boxes_of, cut
from argos.types import Regions, Size

SHARES = ((0.5, 0.25), (0.5, 0.45), (1.0, 0.35), (0.75, 0.55), (1.0, 0.5), (1.0, 0.65), (1.0, 0.8))
"""Height and width of the few shapes, as shares of the largest, by area. Each step in area is what a frame may waste;
each shape more is one more for the networks to get warm for."""

GRID = 32
"""Canvas sides are multiples of it, see ``networks``."""

LEAST_SIDE = 96
"""Of a canvas, where it may have any shape: smaller ones saved no pixels on real clips."""

MOST_STEPS = 20
"""Sides are told apart in so many steps at most: 32 pixels up to a side of 640, more beyond."""

BOUNDLESS = 1 << 20
"""Side of a canvas on which nothing is cut."""

SLACK = 0.005
"""Where the regions do not fit, shapes that are larger by this share for each of them, or less, are not tried: the
regions of real clips got canvases larger by 1 % on average, after at most 15 trials in place of 22."""


def few_shapes_of(largest: Size) -> list[Size]:
    """The shapes that a canvas may have where the networks prepare themselves for each, ``largest`` at the end."""
    height, width = largest  # of the only size a network takes, which may be off the grid
    smaller = [
        (min(height, _on_grid(height * rows)), min(width, _on_grid(width * columns))) for rows, columns in SHARES
    ]
    return [*dict.fromkeys(size for size in smaller if size != largest), largest]


def full_canvas(boxes: Boxes, largest: Size, *, few: bool = False) -> Size:
    """The shape of a full canvas: another one of no more pixels where only on that no region is cut or reduced.

    Somebody near the camera is as high as the picture; in two tiles they are two people, or none.

    Args:
        boxes: the regions.
        largest: size of a full canvas.
        few: as for ``smallest_canvas``; then there is no other.
    """
    whole = cut(boxes, (BOUNDLESS, BOUNDLESS)).size.max(axis=0, initial=1).tolist()
    if few or (whole[0] <= largest[0] and whole[1] <= largest[1]):
        return largest
    height, width = _on_grid(whole[0]), _on_grid(whole[1])
    pixels = largest[0] * largest[1]
    if whole[0] > largest[0]:
        size = height, pixels // height // GRID * GRID
    else:
        size = pixels // width // GRID * GRID, width
    return size if size[0] >= height and size[1] >= width else largest


def smallest_canvas(
    regions: Sequence[Regions], largest: Size, *, scale: PerFrame, margin: PerFrame, gutter: int, few: bool = False
) -> Size:
    """The smallest shape that takes all regions on one canvas as a full one takes them: uncut and unreduced.

    Args:
        regions: one value per frame.
        largest: size of a full canvas.
        scale, margin, gutter: as for ``pack``.
        few: only of ``few_shapes_of`` the largest; otherwise any on the grid.

    Returns:
        The shape, or that of a full canvas (``full_canvas``), also where one canvas is too few.
    """
    boxes = boxes_of(regions, scale=scale, margin=margin)
    largest = full_canvas(boxes, largest, few=few)
    return smallest_for(boxes, cut(boxes, largest), largest, gutter=gutter, few=few)[0]


def smallest_for(
    boxes: Boxes, whole: Rectangles, largest: Size, *, gutter: int, few: bool = False, canvases: int = 1
) -> tuple[Size, Places | None]:
    """``smallest_canvas`` of a table of regions.

    Args:
        boxes: the table.
        whole: its rectangles on a full canvas.
        largest, gutter, few: as for ``smallest_canvas``.
        canvases: that may be filled, all of one shape.

    Returns:
        The shape, and where the rectangles lie on the canvases of a smaller shape; None for ``largest``.
    """
    heights, widths = _smaller(largest, few)
    highest, widest = whole.size.max(axis=0, initial=1).tolist()
    large_enough = canvases * (heights + gutter) * (widths + gutter) >= whole.area(gutter)
    ordered = largest_first(whole.size, gutter)
    too_small = 0.0
    for n in np.flatnonzero((heights >= highest) & (widths >= widest) & large_enough).tolist():
        size = int(heights[n]), int(widths[n])
        pixels = size[0] * size[1]
        if pixels < too_small:
            continue
        places = placed(*ordered, size, gutter=gutter, max_canvases=canvases)
        if places is None:
            too_small = pixels * (1 + SLACK * len(whole))
            continue
        same = cut(boxes, size)
        if np.array_equal(same.source, whole.source) and np.array_equal(same.size, whole.size):
            return size, places
    return largest, None


@cache
def _smaller(largest: Size, few: bool) -> NDArray[np.int64]:
    """``(2, N)``: heights and widths of every shape but the largest, by area."""
    if few:
        return np.array(few_shapes_of(largest)[:-1], np.int64).reshape(-1, 2).T
    sides = (range(side, min(LEAST_SIDE, side) - 1, -_on_grid(side / MOST_STEPS)) for side in largest)
    shapes = np.array([*itertools.product(*sides)][1:], np.int64).reshape(-1, 2)
    return np.ascontiguousarray(shapes[np.argsort(shapes[:, 0] * shapes[:, 1], kind="stable")].T)


def _on_grid(length: float) -> int:
    return int(-(-length // GRID) * GRID)
