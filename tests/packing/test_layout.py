"""Planning canvases once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.packing.canvas import smallest_canvas
from argos.packing.layout import lay_out
from argos.packing.pack import plan_placements
from argos.packing.rectangles import boxes_of
from argos.types import Regions

HD = (720, 1280)


def regions_of(*boxes: tuple[int, int, int, int]) -> Regions:
    return Regions(np.array(boxes, np.int32).reshape(-1, 4), np.ones(len(boxes), np.float32), HD)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 1200), st.integers(0, 680), st.integers(1, 400), st.integers(1, 400)), max_size=12
    )
)
def test_a_layout_is_the_plan_on_the_smallest_canvas(drawn: list[tuple[int, int, int, int]]) -> None:
    regions = [regions_of(*[(x, y, min(x + w, HD[1]), min(y + h, HD[0])) for x, y, w, h in drawn])]
    layout = lay_out(boxes_of(regions, scale=0.5, margin=16), (384, 640), gutter=8, max_canvases=40)
    size = smallest_canvas(regions, (384, 640), scale=0.5, margin=16, gutter=8)
    assert layout.canvas_size == size
    plain = plan_placements(regions, size, scale=0.5, margin=16, gutter=8, max_canvases=40)
    for name in ("frame", "source", "core", "canvas", "target", "scale"):
        np.testing.assert_array_equal(getattr(layout.placements, name), getattr(plain, name))
    assert layout.canvases == int(plain.canvas.max(initial=-1)) + 1
    assert layout.pixels == layout.canvases * size[0] * size[1]


def test_without_a_limit_nothing_is_reduced() -> None:
    boxes = boxes_of([regions_of(*[(x, 0, x + 120, 300) for x in range(0, 1200, 160)])], scale=1.0, margin=8)
    few = lay_out(boxes, (320, 480), gutter=8, max_canvases=2)
    many = lay_out(boxes, (320, 480), gutter=8)
    assert few.canvases <= 2 < many.canvases
    assert (many.placements.scale == 1).all()
    assert (few.placements.scale < 1).all()
