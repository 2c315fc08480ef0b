"""The smallest of the fixed canvas shapes on which nothing changes but the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.packing.canvas import shapes_of, smallest_canvas
from argos.packing.pack import plan_placements
from argos.types import Regions

FRAME = (720, 1280)


def regions_of(*boxes: tuple[int, int, int, int]) -> Regions:
    array = np.asarray(boxes, np.int32).reshape(-1, 4)
    return Regions(array, np.ones(len(array), np.float32), FRAME)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([], (192, 160)),
        ([(100, 100, 200, 240)], (192, 160)),  # 66 x 86 network pixels with its context
        ([(100, 100, 200, 600)], (384, 224)),  # 266 high
        ([(100, 100, 600, 200)], (192, 288)),  # 266 wide
        ([(100, 100, 300, 600), (800, 100, 900, 600)], (384, 224)),
        ([(100, 100, 700, 600), (800, 100, 900, 600)], (384, 416)),
        ([(0, 0, 1280, 720)], (384, 640)),  # the whole frame, uncut
        ([(0, 0, 1280, 720), (0, 0, 1280, 720)], (384, 640)),  # on two canvases
    ],
)
def test_shapes(boxes: list[tuple[int, int, int, int]], expected: tuple[int, int]) -> None:
    assert smallest_canvas([regions_of(*boxes)], (384, 640), scale=0.5, margin=16, gutter=8) == expected


def test_shapes_stay_on_the_grid() -> None:
    assert smallest_canvas([regions_of()], (288, 352), scale=0.5, margin=16, gutter=8) == (160, 96)
    assert smallest_canvas([regions_of()], (32, 32), scale=0.5, margin=16, gutter=8) == (32, 32)


@given(st.integers(1, 700), st.integers(1, 700))
def test_no_shape_is_larger_than_the_largest(height: int, width: int) -> None:
    *smaller, largest = shapes_of((height, width))
    assert largest == (height, width)
    assert all(rows <= height and columns <= width for rows, columns in smaller)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 680), st.integers(1, 400), st.integers(1, 400)), max_size=8)
)
def test_nothing_but_the_canvas_changes(drawn: list[tuple[int, int, int, int]]) -> None:
    boxes = [(x, y, min(x + w, FRAME[1]), min(y + h, FRAME[0])) for x, y, w, h in drawn]
    regions = [regions_of(*boxes)]
    size = smallest_canvas(regions, (384, 640), scale=0.5, margin=16, gutter=8)
    large = plan_placements(regions, (384, 640), scale=0.5, margin=16, gutter=8, max_canvases=40)
    small = plan_placements(regions, size, scale=0.5, margin=16, gutter=8, max_canvases=40)
    assert np.array_equal(small.source, large.source)
    assert np.array_equal(small.core, large.core)
    assert np.array_equal(small.scale, large.scale)
    if size != (384, 640):
        assert int(small.canvas.max(initial=0)) == 0
        assert not len(small) or (small.target[:, 2:].max(axis=0) <= (size[1], size[0])).all()
