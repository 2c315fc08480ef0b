"""Where rectangles lie: the kernel against rectpack."""

from __future__ import annotations

import numpy as np
import pytest
from by_rectpack import place_by_rectpack
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.kernels.maxrects import place_near
from argos.packing.place import place


def drawn_sizes(seed: int, count: int, smallest: int, largest: int) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(smallest, largest + 1, (count, 2)).astype(np.int32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(0, 40),
    st.sampled_from([(1, 3), (6, 9), (4, 90), (60, 100)]),  # many equal ones, alike, mixed, a few to a canvas
    st.tuples(st.integers(100, 320), st.integers(100, 320)),
    st.integers(0, 8),
    st.sampled_from([1, 2, 1 << 20]),
)
def test_kernel_finds_the_places_of_rectpack(
    seed: int, count: int, sides: tuple[int, int], canvas_size: tuple[int, int], gutter: int, most: int
) -> None:
    sizes = drawn_sizes(seed, count, *sides)
    expected = place_by_rectpack(sizes, canvas_size, gutter=gutter, max_canvases=most)
    found = place(sizes, canvas_size, gutter=gutter, max_canvases=most)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("share", [0.5, 0.75, 0.95])
def test_fill_is_within_two_points_of_rectpack_where_not_all_fit(share: float) -> None:
    fills: list[list[float]] = [[], []]
    for seed in range(6):
        sizes = drawn_sizes(seed, 30, 20, 90)
        side = int(np.sqrt(sizes.prod(axis=1).sum() * share))
        for fill, places in zip(fills, (place, place_by_rectpack), strict=True):
            found = places(sizes, (side, side), gutter=0, max_canvases=30)
            assert found is not None
            fill.append(float(sizes[found[0] == 0].prod(axis=1).sum()) / side**2)
    assert np.mean(fills[0]) >= np.mean(fills[1]) - 0.02
    assert np.mean(fills[0]) > 0.8


def test_many_rectangles_lie_apart_on_the_canvases_and_the_same_twice() -> None:
    sizes = drawn_sizes(3, 400, 1, 60)
    canvas, corner = place(sizes, (200, 170), gutter=5, max_canvases=50) or pytest.fail("they fit")
    painted = np.zeros((canvas.max() + 1, 205, 175), np.int32)
    for n, (x, y), (h, w) in zip(canvas.tolist(), corner.tolist(), sizes.tolist(), strict=True):
        assert 0 <= x <= 170 - w
        assert 0 <= y <= 200 - h
        painted[n, y : y + h + 5, x : x + w + 5] += 1
    assert painted.max() == 1
    again = place(sizes, (200, 170), gutter=5, max_canvases=50) or pytest.fail("they fit")
    np.testing.assert_array_equal(canvas, again[0])
    np.testing.assert_array_equal(corner, again[1])


def test_rectangle_larger_than_the_canvas_does_not_fit() -> None:
    sizes = np.full((9, 2), 10, np.int32)
    sizes[4] = 10, 31
    assert place(sizes, (40, 30), gutter=2, max_canvases=9) is None
    assert place_by_rectpack(sizes, (40, 30), gutter=2, max_canvases=9) is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=8),
    st.integers(0, 2**32),
    st.tuples(st.integers(9, 20), st.integers(9, 20)),
    st.integers(1, 2),
)
def test_no_free_place_is_nearer_than_the_one_that_is_found(
    drawn: list[tuple[int, int]], seed: int, canvas_size: tuple[int, int], canvases: int
) -> None:
    """Every place is tried, one rectangle after the other."""
    random = np.random.default_rng(seed)
    sizes, (height, width) = np.array(drawn, np.int64), canvas_size
    wanted = np.column_stack([random.integers(-1, canvases + 1, len(sizes)), random.integers(-4, 20, (len(sizes), 2))])
    order = random.permutation(len(sizes))
    canvas, corner, fits = place_near(sizes, order, wanted, height, width, canvases)
    taken = np.zeros((canvases, height, width), np.bool_)
    for n in order.tolist():
        h, w = drawn[n]
        distances = {
            (c, x, y): abs(x - wanted[n, 1]) + abs(y - wanted[n, 2]) if c == wanted[n, 0] else 1000
            for c in range(canvases)
            for y in range(height - h + 1)
            for x in range(width - w + 1)
            if not taken[c, y : y + h, x : x + w].any()
        }
        if not distances:
            assert not fits
            return
        place = int(canvas[n]), int(corner[n, 0]), int(corner[n, 1])
        assert distances[place] == min(distances.values())
        taken[place[0], place[2] : place[2] + h, place[1] : place[1] + w] = True
    assert fits


def test_what_is_wanted_nowhere_comes_where_it_fits_best() -> None:
    """On a canvas of 20 by 30 whose left half is taken; the second one leaves 5 pixels of the rest, below."""
    sizes, order = np.array([[20, 15], [5, 14]], np.int64), np.array([0, 1])
    wanted = np.array([[0, -7, 0], [-1, 0, 0]], np.int64)
    canvas, corner, fits = place_near(sizes, order, wanted, 20, 30, 1)
    assert fits
    assert canvas.tolist() == [0, 0]
    assert corner.tolist() == [[0, 0], [15, 0]]
