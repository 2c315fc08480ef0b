from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argos.sources.clock import FrameClock, Pacer

TIMES = st.lists(st.one_of(st.none(), st.floats(-100, 100), st.integers(0, 3).map(float)), max_size=60)


@given(TIMES)
def test_time_never_goes_back_whatever_comes(times: list[float | None]) -> None:
    clock = FrameClock(0.04)
    shown = [clock.read(raw_s) for raw_s in times]
    assert all(a <= b for a, b in pairwise(shown))


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=50))
def test_good_times_pass_unchanged(steps: list[float]) -> None:
    clock, raw_s = FrameClock(0.04), 12.5
    for step in steps:
        raw_s += step
        assert clock.read(raw_s) == raw_s


def test_one_repeated_time_is_made_up_for() -> None:
    clock = FrameClock(0.04)
    assert [clock.read(t) for t in (0.0, 0.04, 0.04, 0.08, 0.12)] == pytest.approx([0, 0.04, 0.08, 0.08, 0.12])


def test_missing_times_advance_by_the_usual_step() -> None:
    clock = FrameClock(0.1)
    assert [clock.read(t) for t in (None, None, None)] == pytest.approx([0, 0.1, 0.2])


def test_a_jump_back_goes_on_from_the_last_frame() -> None:
    clock = FrameClock(0.1)
    assert [clock.read(t) for t in (5.0, 5.1, 0.0, 0.1, 0.3)] == pytest.approx([5, 5.1, 5.2, 5.3, 5.5])


def test_a_jump_forward_beyond_the_limit_goes_on_from_the_last_frame() -> None:
    clock = FrameClock(0.1, jump_s=3600)
    assert [clock.read(t) for t in (5.0, 5.1, 50_000.0, 50_000.1, 6.0)] == pytest.approx([5, 5.1, 5.2, 5.3, 5.4])
    assert clock.read(3000.0) == pytest.approx(2999.4)


@given(st.floats(1, 30), st.lists(st.floats(0, 0.3), min_size=2, max_size=200))
def test_no_more_than_the_rate_passes(fps: float, steps: list[float]) -> None:
    pacer, now_s, kept = Pacer(fps), 0.0, 0
    for step in steps:
        now_s += step
        kept += pacer.passes(now_s)
    assert 1 <= kept <= (now_s - steps[0]) * fps + 2


def test_the_own_rate_of_a_jittering_camera_passes_whole() -> None:
    pacer = Pacer(15)
    assert all(pacer.passes(n / 15 + (0.012 if n % 2 else 0.0)) for n in range(300))


@pytest.mark.parametrize(("fps", "expected"), [(10, 100), (7, 70), (1, 10)])
def test_the_rate_is_reached(fps: float, expected: int) -> None:
    pacer = Pacer(fps)
    assert sum(pacer.passes(n / 30) for n in range(300)) == pytest.approx(expected, abs=2)


def test_a_clock_that_starts_anew_is_followed() -> None:
    pacer = Pacer(10)
    assert pacer.passes(1000.0)
    assert pacer.passes(0.0)


def test_rate_of_zero_is_an_error() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Pacer(0)
