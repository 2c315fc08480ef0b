"""Regions stay where they lay on the canvas of the frame before: who hardly moves is not thrown about.

A deep network sees a person otherwise at another place of a canvas: other pixels fall together at its strides, other
regions lie beside. Results of the same person flicker with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from argos.kernels.maxrects import place_near
from argos.kernels.rectangles import same_rectangles
from argos.packing.layout import Layout
from argos.types import Placements

ROOMIER = 1.15
"""Times the pixels of a fresh canvas that the last one may have and be kept: otherwise all regions would lie elsewhere
whenever one of them grows or shrinks by a step of the grid."""

MOST_GROUPS = 16
"""Groups of cameras whose last layout is remembered; those that were not together for longest are forgotten."""


def settled(layout: Layout, last: Layout, *, gutter: int) -> Layout:
    """The same rectangles on canvases of the same number and shape, moved to where they lay last.

    A rectangle is the one of the last layout that it overlaps most with, if that overlaps with no other more. It comes
    where its frame pixels lay, or as near as there is room, the largest rectangle first; new ones fill what is left. As
    many canvases keep the shape of the last ones where that is at most ``ROOMIER`` times as large.

    Args:
        layout: of the frames at hand.
        last: of earlier frames of the same cameras, in the same order.
        gutter: canvas pixels between two rectangles, as ``layout`` was made with.

    Returns:
        ``layout`` itself where nothing of it was seen before, or where it does not fit so.
    """
    new = layout.placements
    wanted = _wanted(new, last.placements)
    seen = wanted[:, 0] >= 0
    if not seen.any():
        return layout
    # each rectangle carries its gutter at its right and bottom, and so does the canvas
    sizes = (new.target[:, 3:1:-1] - new.target[:, 1::-1]).astype(np.int64) + gutter
    order = np.lexsort((-sizes[:, 0] * sizes[:, 1], ~seen))
    keeps = layout.canvases == last.canvases and layout.pixels <= last.pixels <= ROOMIER * layout.pixels
    for size in dict.fromkeys((last.canvas_size, layout.canvas_size) if keeps else (layout.canvas_size,)):
        height, width = size[0] + gutter, size[1] + gutter
        canvas, corner, fits = place_near(sizes, order, wanted, height, width, layout.canvases)
        if fits and np.bincount(canvas, minlength=layout.canvases).all():
            target = np.concatenate([corner, corner + (new.target[:, 2:] - new.target[:, :2])], axis=1)
            return Layout(size, replace(new, canvas=canvas, target=target))
    return layout


class Steady:
    """Remembers where the regions of cameras lay.

    Groups of cameras that share canvases are told apart: each has its own last layout.
    """

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, ...], Layout] = OrderedDict()

    def settle(self, layout: Layout, cameras: Sequence[str], *, gutter: int) -> Layout:
        """``settled`` after the last layout of these cameras; remembered as their last from now on.

        Args:
            layout: of one frame of each camera.
            cameras: their names, in the order of the frames.
            gutter: as for ``settled``.
        """
        group = tuple(cameras)
        last = self._last.pop(group, None)
        found = layout if last is None else settled(layout, last, gutter=gutter)
        self._last[group] = found
        if len(self._last) > MOST_GROUPS:
            self._last.popitem(last=False)
        return found

    def forget(self, camera: str) -> None:
        """Unlearn every layout with regions of a camera."""
        for group in [group for group in self._last if camera in group]:
            del self._last[group]


def _wanted(new: Placements, last: Placements) -> NDArray[np.int64]:
    """Where each rectangle would lie as it lay last: ``(N, 3)`` canvas and ``(x, y)``; canvas -1 where it is new."""
    like = same_rectangles(new.source, new.frame, last.source, last.frame)
    same = np.flatnonzero(like >= 0)
    like = like[same]
    moved = (new.source[same, :2] - last.source[like, :2]) * new.scale[same, None]
    wanted = np.full((len(new), 3), -1, np.int64)
    wanted[same, 0] = last.canvas[like]
    wanted[same, 1:] = last.target[like, :2] + np.rint(moved).astype(np.int64)
    return wanted
