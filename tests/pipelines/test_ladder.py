"""The overload ladder on ages that are made up, and from end to end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.pipelines.ladder import MODEL, Ladder, eased, period_s
from argos.pipelines.views import View
from argos.types import OVERLOAD_STEPS

MOST_MS = 500.0


def steps_of(age_ms: Callable[[float, int], float], until_s: float, fps: float = 10.0) -> list[tuple[float, int]]:
    """When which step was taken, for results whose age depends on time and step."""
    ladder, taken = Ladder(MOST_MS), []
    for n in range(round(until_s * fps)):
        now_s = n / fps
        if ladder.take(age_ms(now_s, ladder.step), now_s):
            taken.append((now_s, ladder.step))
    return taken


def test_young_results_hold_nothing_back() -> None:
    assert steps_of(lambda now_s, step: MOST_MS, 100) == []


def test_a_short_delay_is_no_overload() -> None:
    assert steps_of(lambda now_s, step: 5 * MOST_MS if 20 <= now_s < 20.9 else 100, 100) == []


def test_steps_are_taken_one_by_one_until_results_are_young_enough() -> None:
    assert steps_of(lambda now_s, step: 900 - 250 * step, 9) == [(2.0, 1), (4.0, 2)]
    assert steps_of(lambda now_s, step: 5000, 60) == [(2.0, 1), (4.0, 2), (6.0, 3)]


def test_a_fourth_step_is_taken_where_there_are_smaller_networks() -> None:
    ladder, now_s = Ladder(MOST_MS, last=MODEL), 0.0
    while now_s < 60:
        now_s += 0.1
        ladder.take(5000, now_s)
    assert OVERLOAD_STEPS[ladder.step] == "model"


def test_between_the_two_thresholds_a_step_is_kept() -> None:
    taken = steps_of(lambda now_s, step: 900 if step == 0 else 0.8 * MOST_MS, 200)
    assert taken == [(2.0, 1)]


def test_steps_are_taken_back_when_it_is_over() -> None:
    taken = steps_of(lambda now_s, step: 5000 if now_s < 7 else 100, 60)
    assert taken[:3] == [(2.0, 1), (4.0, 2), (6.0, 3)]
    assert [step for _, step in taken[3:]] == [2, 1, 0]
    back_s = [7.0, *(at for at, _ in taken[3:])]
    assert [round(b - a) for a, b in pairwise(back_s)] == [10, 10, 10]


def test_steps_back_that_come_too_early_wait_ever_longer() -> None:
    """Step 1 is calm, without it results are late: the ladder must not swing."""
    taken = steps_of(lambda now_s, step: 100 if step else 900, 1000)
    waits = [round(b - a) for (a, up), (b, _) in pairwise(taken) if up == 1]
    assert waits[:5] == [10, 20, 40, 80, 160]
    assert set(waits[5:]) <= {160}
    assert {step for _, step in taken} == {0, 1}


@pytest.mark.parametrize("fps", [0.9, 0.1])
def test_a_camera_of_few_results_is_judged_too(fps: float) -> None:
    assert [step for _, step in steps_of(lambda now_s, step: 5000, 10 / fps, fps=fps)] == [1, 2, 3]
    assert steps_of(lambda now_s, step: 100, 10 / fps, fps=fps) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3000), st.floats(0.01, 1.0)), max_size=300))
def test_whatever_the_ages_steps_change_by_one_and_never_sooner_than_two_seconds(
    results: list[tuple[float, float]],
) -> None:
    ladder, now_s, last_s, last = Ladder(MOST_MS), 0.0, 0.0, 0
    for age_ms, after_s in results:
        now_s += after_s
        if ladder.take(age_ms, now_s):
            assert abs(ladder.step - last) == 1
            assert now_s - last_s >= (2.0 if last or last_s else 0.0)
            last_s, last = now_s, ladder.step
        assert 0 <= ladder.step < len(OVERLOAD_STEPS)


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        ("auto", ["auto", "auto", "auto", "auto"]),
        ("full", ["full", "full", "auto", "auto"]),
        ("mask", ["mask", "mask", "auto", "auto"]),
        ("pack", ["pack", "pack", "pack", "pack"]),
    ],
)
def test_regions_alone_are_looked_at_from_step_two_on_at_a_smaller_scale_at_step_three(asked, steps) -> None:
    view = View(asked, 0.5, 4, 0.0, 16, None, None, None)
    assert [eased(view, step).mode for step in range(4)] == steps
    assert [eased(view, step).shrink for step in range(4)] == [1.0, 1.0, 1.0, 0.7]


def test_the_rate_is_halved_but_for_what_is_slow_already() -> None:
    assert [period_s(fps) for fps in (10.0, 4.0, 0.5, 0.0)] == [0.2, 0.5, 2.0, 2.0]
