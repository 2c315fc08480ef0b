"""Planning canvases once."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
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
    assume(layout.canvases <= 1)
    assert layout.canvas_size == size
    plain = plan_placements(regions, size, scale=0.5, margin=16, gutter=8, max_canvases=40)
    for name in ("frame", "source", "core", "canvas", "target", "scale"):
        np.testing.assert_array_equal(getattr(layout.placements, name), getattr(plain, name))
    assert layout.canvases == int(plain.canvas.max(initial=-1)) + 1
    assert layout.pixels == layout.canvases * size[0] * size[1]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(20, 400), st.integers(20, 360)), min_size=4, max_size=16), st.booleans())
def test_several_canvases_are_no_larger_than_their_regions_need(sides: list[tuple[int, int]], few: bool) -> None:
    regions = [regions_of((100, 100, 100 + w, 100 + h)) for w, h in sides]  # of as many cameras
    boxes = boxes_of(regions, scale=1.0, margin=8)
    layout = lay_out(boxes, (384, 640), gutter=8, few=few)
    plain = plan_placements(regions, (384, 640), scale=1.0, margin=8, gutter=8, max_canvases=40)
    assert layout.canvases <= int(plain.canvas.max()) + 1
    assert layout.pixels <= layout.canvases * 384 * 640
    for name in ("frame", "source", "core", "scale"):
        np.testing.assert_array_equal(getattr(layout.placements, name), getattr(plain, name))
    painted = np.zeros((layout.canvases, *layout.canvas_size), np.int32)
    for canvas, (x0, y0, x1, y1) in zip(
        layout.placements.canvas.tolist(), layout.placements.target.tolist(), strict=True
    ):
        painted[canvas, y0:y1, x0:x1] += 1
    assert painted.max() == 1
    assert painted.sum() == sum((w + 16) * (h + 16) for w, h in sides)


def test_four_cameras_that_need_little_more_than_a_canvas_get_two_small_ones() -> None:
    regions = [regions_of((100, 100, 364, 424))] * 4  # 280 x 340 with margins: two side by side on a canvas
    layout = lay_out(boxes_of(regions, scale=1.0, margin=8), (384, 640), gutter=8)
    assert (layout.canvases, layout.canvas_size) == (2, (352, 576))


def test_without_a_limit_nothing_is_reduced() -> None:
    boxes = boxes_of([regions_of(*[(x, 0, x + 120, 300) for x in range(0, 1200, 160)])], scale=1.0, margin=8)
    few = lay_out(boxes, (320, 480), gutter=8, max_canvases=2)
    many = lay_out(boxes, (320, 480), gutter=8)
    assert few.canvases <= 2 < many.canvases
    assert (many.placements.scale == 1).all()
    assert (few.placements.scale < 1).all()
