"""The smallest canvas shape on which nothing changes but the canvas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.packing.canvas import few_shapes_of, full_canvas, smallest_canvas
from argos.packing.pack import plan_placements
from argos.packing.rectangles import boxes_of, cut
from argos.types import Regions

FRAME = (720, 1280)


def regions_of(*boxes: tuple[int, int, int, int]) -> Regions:
    array = np.asarray(boxes, np.int32).reshape(-1, 4)
    return Regions(array, np.ones(len(array), np.float32), FRAME)


@pytest.mark.parametrize(
    ("boxes", "of_few", "of_any"),
    [
        ([], (192, 160), (96, 96)),
        ([(100, 100, 200, 240)], (192, 160), (96, 96)),  # 66 x 86 network pixels with its context
        ([(100, 100, 200, 600)], (384, 224), (288, 96)),  # 266 high
        ([(100, 100, 600, 200)], (192, 288), (96, 288)),  # 266 wide
        ([(100, 100, 300, 600), (800, 100, 900, 600)], (384, 224), (288, 192)),  # 116 and 66 wide
        ([(100, 100, 700, 600), (800, 100, 900, 600)], (384, 416), (288, 416)),
        ([(0, 0, 1280, 720)], (384, 640), (384, 640)),  # the whole frame, uncut
        ([(0, 0, 1280, 720), (0, 0, 1280, 720)], (384, 640), (384, 640)),  # on two canvases
    ],
)
def test_shapes(boxes: list[tuple[int, int, int, int]], of_few: tuple[int, int], of_any: tuple[int, int]) -> None:
    regions = [regions_of(*boxes)]
    assert smallest_canvas(regions, (384, 640), scale=0.5, margin=16, gutter=8, few=True) == of_few
    assert smallest_canvas(regions, (384, 640), scale=0.5, margin=16, gutter=8) == of_any


def test_shapes_stay_on_the_grid() -> None:
    for few, expected in ((True, (160, 96)), (False, (96, 96))):
        assert smallest_canvas([regions_of()], (288, 352), scale=0.5, margin=16, gutter=8, few=few) == expected
        assert smallest_canvas([regions_of()], (32, 32), scale=0.5, margin=16, gutter=8, few=few) == (32, 32)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 1900), st.integers(1, 1900))
def test_a_region_gets_the_least_canvas_around_it(rows: int, columns: int, height: int, width: int) -> None:
    largest, frame = (32 * rows, 32 * columns), (2000, 2000)
    one = Regions(np.array([[0, 0, width, height]], np.int32), np.ones(1, np.float32), frame)
    size = smallest_canvas([one], largest, scale=1.0, margin=0, gutter=8)
    assert size[0] % 32 == size[1] % 32 == 0
    assert size[0] * size[1] <= largest[0] * largest[1]
    if height <= largest[0] and width <= largest[1]:
        step = [32 * math.ceil(side / 640) for side in largest]
        assert height <= size[0] < max(height, 95) + step[0] + 1
        assert width <= size[1] < max(width, 95) + step[1] + 1


@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), max_size=4),
    st.sampled_from([(384, 640), (640, 384), (96, 1280), (256, 256)]),
)
def test_a_canvas_is_turned_only_where_that_leaves_the_regions_whole(
    sides: list[tuple[int, int]], largest: tuple[int, int]
) -> None:
    boxes = boxes_of([regions_of(*[(50, 30, 50 + w, 30 + h) for w, h in sides])], scale=0.9, margin=8)
    size = full_canvas(boxes, largest)
    assert full_canvas(boxes, largest, few=True) == largest
    uncut = [(min(w + 16, 1280), min(h + 16, 720)) for w, h in sides]
    if size != largest:
        assert size[0] % 32 == size[1] % 32 == 0
        assert size[0] * size[1] <= largest[0] * largest[1]
        assert len(cut(boxes, size)) == len(sides)
        assert (cut(boxes, size).scale == np.float32(0.9)).all()
        assert any(0.9 * w > largest[1] or 0.9 * h > largest[0] for w, h in uncut)


def test_somebody_as_high_as_a_picture_of_four_by_three_stays_whole() -> None:
    near = Regions(np.array([[152, 56, 640, 480]], np.int32), np.ones(1, np.float32), (480, 640))
    assert smallest_canvas([near], (384, 640), scale=1.0, margin=16, gutter=8) == (448, 512)
    assert smallest_canvas([near], (384, 640), scale=1.0, margin=16, gutter=8, few=True) == (384, 640)
    flat = regions_of((0, 300, 1280, 420))
    assert smallest_canvas([flat], (384, 640), scale=1.0, margin=16, gutter=8) == (160, 1280)


@given(st.integers(1, 700), st.integers(1, 700))
def test_no_shape_is_larger_than_the_largest(height: int, width: int) -> None:
    *smaller, largest = few_shapes_of((height, width))
    assert largest == (height, width)
    assert all(rows <= height and columns <= width for rows, columns in smaller)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1200), st.integers(0, 680), st.integers(1, 400), st.integers(1, 400)), max_size=8
    ),
    st.booleans(),
)
def test_nothing_but_the_canvas_changes(drawn: list[tuple[int, int, int, int]], few: bool) -> None:
    boxes = [(x, y, min(x + w, FRAME[1]), min(y + h, FRAME[0])) for x, y, w, h in drawn]
    regions = [regions_of(*boxes)]
    size = smallest_canvas(regions, (384, 640), scale=0.5, margin=16, gutter=8, few=few)
    large = plan_placements(regions, (384, 640), scale=0.5, margin=16, gutter=8, max_canvases=40)
    small = plan_placements(regions, size, scale=0.5, margin=16, gutter=8, max_canvases=40)
    assert np.array_equal(small.source, large.source)
    assert np.array_equal(small.core, large.core)
    assert np.array_equal(small.scale, large.scale)
    if size != (384, 640):
        assert int(small.canvas.max(initial=0)) == 0
        assert not len(small) or (small.target[:, 2:].max(axis=0) <= (size[1], size[0])).all()
