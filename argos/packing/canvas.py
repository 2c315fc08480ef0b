"""How large a canvas has to be: one of a few fixed shapes, so that the networks stay warm for each of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argos.packing.place import Places, place
from argos.packing.rectangles import Boxes, PerFrame, Rectangles, boxes_of, cut
from argos.types import Regions, Size

SHARES = ((0.5, 0.25), (0.5, 0.45), (1.0, 0.35), (0.75, 0.55), (1.0, 0.5), (1.0, 0.65), (1.0, 0.8))
"""Height and width of the smaller shapes, as shares of the largest, by area. Each step in area is
what a frame may waste; each shape more is one more for the networks to get warm for. ``benchmarks/clips.py`` tells the
pixels of ``pack`` on real clips."""

GRID = 32
"""Canvas sides are multiples of it, see ``networks``."""


def shapes_of(largest: Size) -> list[Size]:
    """Every shape that a canvas may have, ``largest`` at the end."""
    height, width = largest  # of the only size a network takes, which may be off the grid
    smaller = [
        (min(height, _on_grid(height * rows)), min(width, _on_grid(width * columns))) for rows, columns in SHARES
    ]
    return [*dict.fromkeys(size for size in smaller if size != largest), largest]


def smallest_canvas(
    regions: Sequence[Regions], largest: Size, *, scale: PerFrame, margin: PerFrame, gutter: int
) -> Size:
    """The smallest shape that takes all regions on one canvas as the largest takes them: uncut and unreduced.

    Args:
        regions: one value per frame.
        largest: size of a full canvas.
        scale, margin, gutter: as for ``pack``.

    Returns:
        One of the ``SHARES`` of ``largest`` rounded up to the grid within it, or ``largest``, also where one canvas is
        too few.
    """
    boxes = boxes_of(regions, scale=scale, margin=margin)
    return smallest_for(boxes, cut(boxes, largest), largest, gutter=gutter)[0]


def smallest_for(boxes: Boxes, whole: Rectangles, largest: Size, *, gutter: int) -> tuple[Size, Places | None]:
    """``smallest_canvas`` of a table of regions.

    Args:
        boxes: the table.
        whole: its rectangles on a full canvas.
        largest, gutter: as for ``smallest_canvas``.

    Returns:
        The shape, and where the rectangles lie on the one canvas of a smaller shape; None for ``largest``.
    """
    area = whole.area(gutter)
    for size in shapes_of(largest):
        if area > (size[0] + gutter) * (size[1] + gutter) or size == largest or (whole.size > size).any():
            continue
        same = cut(boxes, size)
        if not (np.array_equal(same.source, whole.source) and np.array_equal(same.size, whole.size)):
            continue
        places = place(whole.size, size, gutter=gutter, max_canvases=1)
        if places is not None:
            return size, places
    return largest, None


def _on_grid(length: float) -> int:
    return int(-(-length // GRID) * GRID)
