"""Where everything lies: the shape of the canvases and the placements on them, found once per step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argos.packing.canvas import full_canvas, smallest_for
from argos.packing.pack import placements_at, placements_of
from argos.packing.rectangles import Boxes, cut
from argos.types import Placements, Size


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Canvases that are planned but not painted; ``paste`` paints them.

    Attributes:
        canvas_size: of every canvas.
        placements: of the frames that are packed, in their order.
    """

    canvas_size: Size
    placements: Placements

    @property
    def canvases(self) -> int:
        """Number of canvases."""
        return int(self.placements.canvas.max(initial=-1)) + 1

    @property
    def pixels(self) -> int:
        """Pixels of all canvases, the empty ones counted."""
        return self.canvases * self.canvas_size[0] * self.canvas_size[1]


def lay_out(boxes: Boxes, largest: Size, *, gutter: int, max_canvases: int | None = None, few: bool = False) -> Layout:
    """One canvas that takes all regions or as few as it takes, of the smallest shape for so many.

    With one canvas the same as ``plan_placements`` on ``smallest_canvas``; no rectangle is cut or placed twice.

    Args:
        boxes: the regions of all frames, see ``boxes_of``.
        largest: size of a full canvas, see ``full_canvas``.
        gutter: as for ``pack``.
        max_canvases: likewise; None: as many as it takes.
        few: as for ``smallest_canvas``.

    Raises:
        ValueError: more regions than pixels.
    """
    largest = full_canvas(boxes, largest, few=few)
    whole = cut(boxes, largest)
    size, places = smallest_for(boxes, whole, largest, gutter=gutter, few=few)
    if places is not None:
        return Layout(size, placements_at(whole, places))
    most = max(1, len(whole)) if max_canvases is None else max_canvases
    layout = Layout(largest, placements_of(boxes, whole, largest, gutter=gutter, max_canvases=most))
    if layout.canvases > 1 and np.array_equal(layout.placements.scale, whole.scale):  # nothing was reduced
        size, places = smallest_for(boxes, whole, largest, gutter=gutter, few=few, canvases=layout.canvases)
        if places is not None:
            return Layout(size, placements_at(whole, places))
    return layout
