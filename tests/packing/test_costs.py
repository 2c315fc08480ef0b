"""Fitting what runs take, and following it while it changes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.packing.costs import Costs, GatherCost, Line, fit_gather, fit_line
from argos.packing.times import FORGOTTEN, Times

MS = st.floats(0.1, 500)
PIXELS = st.integers(10_000, 2_000_000)


@settings(deadline=None)
@given(MS, MS, st.lists(PIXELS, min_size=2, max_size=6, unique=True))
def test_line_is_found_from_exact_times(base: float, slope: float, pixels: list[int]) -> None:
    line = Line(base, slope)
    found = fit_line([(float(p), line(p)) for p in pixels])
    for p in (*pixels, 500_000):
        if max(pixels) > 1.1 * min(pixels):  # closer points say nothing about others
            assert found(p) == pytest.approx(line(p), rel=1e-3)


def test_plane_is_found_from_exact_times() -> None:
    cost = GatherCost(7.0, 30.0, 900.0)
    points = [(p, a * p, cost(p, a * p)) for p in (6e4, 2.3e5, 9e5) for a in (0.05, 0.2, 0.5)]
    found = fit_gather(points)
    assert (found.base_ms, found.ms_per_frame_megapixel, found.ms_per_active_megapixel) == pytest.approx((7, 30, 900))
    one_size = fit_gather(points[:3])
    assert one_size(6e4, 2e4) == pytest.approx(cost(6e4, 2e4))
    assert one_size.ms_per_frame_megapixel == 0


def test_one_size_gives_a_line_through_the_origin() -> None:
    assert fit_line([(1e6, 200.0), (1e6, 200.0)]) == Line(0.0, pytest.approx(200.0))


def test_no_part_of_a_cost_is_negative() -> None:
    falling = fit_line([(1e5, 100.0), (1e6, 50.0)])
    assert falling.ms_per_megapixel == 0
    assert 50 < falling.base_ms < 100
    steep = fit_line([(1e5, 1.0), (1e6, 100.0)])
    assert steep.base_ms == 0


def test_before_anything_was_run_more_pixels_are_dearer() -> None:
    times = Times()
    assert not times.is_measured
    assert times.expect("pack", 1000) < times.expect("full", 2000)
    assert times.expect("gather", 1000, 10) == math.inf


def test_what_was_never_run_lies_on_the_line() -> None:
    times, line = Times(), Line(10.0, 500.0)
    for _ in range(3):
        times.observe("full", 400_000, line(400_000))
        times.observe("pack", 100_000, line(100_000))
    assert times.expect("pack", 250_000) == pytest.approx(line(250_000), rel=0.05)
    assert times.grows(250_000) == pytest.approx(line(250_000) - 10, rel=0.1)


def test_a_first_run_that_makes_primitives_is_outvoted_by_the_second() -> None:
    times = Times()
    for ms in (900.0, 150.0):
        times.observe("full", 1000, ms)
    assert times.expect("full", 1000) == pytest.approx(150, rel=0.01)


def test_one_disturbed_run_condemns_no_canvas() -> None:
    times = Times()
    for _ in range(9):
        times.observe("full", 400_000, 200.0)
    times.observe("pack", 100_000, 500.0)
    assert times.expect("pack", 100_000) < 100
    for _ in range(3):
        times.observe("pack", 100_000, 120.0)
    assert times.expect("pack", 100_000) == pytest.approx(120, rel=0.15)


def test_a_disturbed_run_among_many_changes_little() -> None:
    times = Times()
    for ms in [100.0] * 9 + [1000.0] + [100.0] * 2:
        times.observe("full", 1000, ms)
    assert times.expect("full", 1000) == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("off", [0.2, 1.0, 5.0, 1000.0])
def test_costs_that_were_measured_on_a_busy_machine_are_set_right_by_full_frames(off: float) -> None:
    line = Line(2.0, 9.0)
    times = Times(Costs(0.5, Line(off * line.base_ms, off * line.ms_per_megapixel)))
    for _ in range(9):
        times.observe("full", 225_000, line(225_000))
    for pixels in (50_000, 100_000, 400_000):
        assert times.expect("pack", pixels) == pytest.approx(line(pixels), rel=0.05)


def test_when_the_machine_slows_down_what_is_not_run_is_expected_to_slow_down_too() -> None:
    times = Times()
    for _ in range(9):
        times.observe("full", 400_000, 200.0)
        times.observe("pack", 100_000, 60.0)
    for _ in range(12):
        times.observe("pack", 100_000, 120.0)
    assert times.expect("pack", 100_000) == pytest.approx(120, rel=0.05)
    assert times.expect("full", 400_000) == pytest.approx(400, rel=0.1)


def test_a_canvas_that_was_not_run_for_long_is_back_on_the_line() -> None:
    times = Times()
    for _ in range(5):
        times.observe("full", 400_000, 200.0)
    for _ in range(5):
        times.observe("pack", 100_000, 400.0)
    assert times.expect("pack", 100_000) > 200
    for _ in range(FORGOTTEN + 1):
        times.observe("full", 400_000, 200.0)
    assert times.expect("pack", 100_000) == pytest.approx(50, rel=0.05)


def test_costs_measured_before_are_believed_until_runs_say_otherwise() -> None:
    times = Times(Costs(20.0, Line(10.0, 500.0), GatherCost(5.0, 0.0, 800.0)))
    assert times.is_measured
    assert times.expect("full", 400_000) == pytest.approx(210)
    assert times.expect("gather", 400_000, 100_000) == pytest.approx(85)
    for _ in range(9):
        times.observe("full", 400_000, 300.0)
    assert times.expect("full", 400_000) == pytest.approx(300, rel=0.02)
