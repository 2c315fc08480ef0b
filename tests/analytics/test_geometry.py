"""Points, lines and polygons."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argos.analytics.geometry import area, crosses_itself, is_crossed, is_inside, turn

SQUARE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
U = ((0.0, 0.0), (3.0, 0.0), (3.0, 3.0), (2.0, 3.0), (2.0, 1.0), (1.0, 1.0), (1.0, 3.0), (0.0, 3.0))
whole = st.integers(0, 12).map(float)


def test_right_is_below_a_line_that_goes_right_as_in_pictures() -> None:
    assert turn((0, 0), (1, 0), (0.5, 1)) > 0
    assert turn((0, 0), (1, 0), (0.5, -1)) < 0
    assert turn((0, 0), (1, 0), (7, 0)) == 0


@pytest.mark.parametrize(
    ("point", "inside"), [((0.5, 2.5), True), ((1.5, 2.5), False), ((1.5, 0.5), True), ((4, 1), False)]
)
def test_a_bay_is_outside(point: tuple[float, float], inside: bool) -> None:
    assert is_inside(point, U) == inside
    assert is_inside(point, U[::-1]) == inside


@given(whole, whole)
def test_a_point_on_the_border_of_two_zones_is_in_one(x: float, y: float) -> None:
    left, right = ((0, 0), (6, 0), (6, 13), (0, 13)), ((6, 0), (13, 0), (13, 13), (6, 13))
    assert is_inside((x, y), left) + is_inside((x, y), right) == 1


@given(whole, whole, whole, whole)
def test_a_way_crosses_a_segment_where_it_crosses_its_line_between_the_ends(
    x0: float, y0: float, x1: float, y1: float
) -> None:
    a, b = (3.5, 5.5), (8.5, 5.5)
    across = (y0 < 5.5) != (y1 < 5.5)
    x = x0 + (5.5 - y0) / (y1 - y0) * (x1 - x0) if across else 0.0
    assert is_crossed((x0, y0), (x1, y1), a, b) == (across and 3.5 <= x <= 8.5)


def test_polygons_that_cross_themselves_are_found() -> None:
    assert not crosses_itself(SQUARE)
    assert not crosses_itself(U)
    assert crosses_itself((SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3]))
    assert crosses_itself(((0, 0), (4, 0), (4, 4), (2, 0)))  # a corner on another edge
    assert not crosses_itself(((0, 0), (4, 0), (4, 4)))
    assert area(SQUARE) == pytest.approx(0.36)
    assert area(U) == pytest.approx(7.0)
