"""A mask that cannot be trusted covers everything, and says why."""

from __future__ import annotations

import logging
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.privacy.background import SIGHTINGS, UNSEEN
from argos.privacy.guard import Covered, Guard, Privacy
from argos.privacy.judge import Evidence, judge, touching, unexplained
from argos.types import Frame

SIZE, GRID = (90, 120), (45, 60)
NOISE = np.random.default_rng(0).integers(0, 90, (*SIZE, 3), np.uint8)  # never the grey that covers
PERSON = np.zeros(SIZE, np.bool_)
PERSON[20:70, 30:50] = True
NOBODY = np.zeros(SIZE, np.bool_)
PROPOSED = touching(PERSON, GRID)
FILL = Privacy(people="fill")


def frame(index: int = 0, pixels: np.ndarray = NOISE, epoch: int = 0) -> Frame:
    return Frame(pixels, "gate", index, index / 10, epoch=epoch)


def evidence(index: int = 0, **changes: Any) -> Evidence:
    values: dict[str, Any] = {"people": PERSON, "proposed": PROPOSED, "index": index, "epoch": 0, "took_s": 0.1}
    return Evidence(**(values | changes))


def is_grey(covered: Covered) -> np.ndarray:
    return np.asarray((covered.pixels == UNSEEN).all(axis=2))


def test_people_found_are_covered_with_a_margin_and_nothing_else_is() -> None:
    covered = Guard(FILL).covered(frame(), evidence())
    assert covered.state == "ok"
    assert is_grey(covered)[PERSON].all()
    assert is_grey(covered)[18:72, 30:50].all()
    np.testing.assert_array_equal(covered.pixels[:, 70:], NOISE[:, 70:])
    assert 0.1 < is_grey(covered).mean() < 0.2


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"failed": True}, "failed"),
        ({"took_s": float("nan")}, "failed"),
        ({"people": None}, "missing"),
        ({"people": PERSON[1:]}, "missing"),
        ({"proposed": None}, "missing"),
        ({"index": 7}, "stale"),
        ({"epoch": 1}, "stale"),
        ({"took_s": 5.1}, "late"),
        ({"people": NOBODY}, "uncertain"),
    ],
)
@pytest.mark.parametrize("privacy", [FILL, Privacy(None, rest="fill"), Privacy("fill", rest="fill")])
def test_everything_is_covered_when_the_mask_is_not_trusted(
    privacy: Privacy, changes: dict[str, Any], cause: str
) -> None:
    covered = Guard(privacy).covered(frame(), evidence(**changes))
    assert is_grey(covered).all()
    only_rest = privacy.people is None and cause == "uncertain"
    assert covered.state == ("ok" if only_rest else f"fallback:{cause}")


def test_somebody_proposed_beside_those_found_is_covered_too() -> None:
    other = NOBODY.copy()
    other[10:80, 90:110] = True
    seen = PROPOSED | touching(other, GRID)
    covered = Guard(FILL).covered(frame(), evidence(proposed=seen))
    assert covered.state == "fallback:uncertain"
    assert is_grey(covered)[PERSON | other].all()
    assert not is_grey(covered)[:, :20].any()
    strict = Guard(replace(FILL, on_uncertain="full_frame")).covered(frame(), evidence(proposed=seen))
    assert is_grey(strict).all()


def test_an_empty_scene_is_shown() -> None:
    covered = Guard(FILL).covered(frame(), evidence(people=NOBODY, proposed=np.zeros(GRID, np.bool_)))
    assert covered.state == "ok"
    np.testing.assert_array_equal(covered.pixels, NOISE)


def test_somebody_missed_for_a_moment_stays_covered_until_the_time_is_over_or_the_camera_reconnects() -> None:
    def missed(guard: Guard, index: int, epoch: int = 0) -> np.ndarray:
        nothing = evidence(index, people=NOBODY, proposed=np.zeros(GRID, np.bool_), epoch=epoch)
        return is_grey(guard.covered(frame(index, epoch=epoch), nothing))

    guard = Guard(FILL)
    guard.covered(frame(0), evidence(0))
    assert missed(guard, 5)[PERSON].all()
    assert not missed(guard, 6).any()
    guard.covered(frame(7), evidence(7))
    assert not missed(guard, 8, epoch=1).any()


def test_what_stays_covered_for_long_takes_no_more_memory_than_for_a_moment() -> None:
    guard = Guard(Privacy(people="fill", hold_s=10))
    tracemalloc.start()
    for n in range(100):
        guard.covered(frame(n), evidence(n))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20 * PERSON.nbytes


@pytest.mark.parametrize("changes", [{"people": NOBODY}, {"took_s": 5.1}])
def test_who_was_proposed_or_found_late_stays_covered_after_the_whole_frame_was(changes: dict[str, Any]) -> None:
    guard = Guard(FILL)
    assert is_grey(guard.covered(frame(0), evidence(0, **changes))).all()
    missed = guard.covered(frame(1), evidence(1, people=NOBODY, proposed=np.zeros(GRID, np.bool_)))
    assert missed.state == "ok"
    assert is_grey(missed)[PERSON].all()
    assert is_grey(missed).mean() < 0.3


def test_everything_but_people_is_covered_exactly() -> None:
    covered = Guard(Privacy(None, rest="fill")).covered(frame(), evidence())
    np.testing.assert_array_equal(is_grey(covered), ~PERSON)


def test_the_learned_background_replaces_people_and_the_whole_frame_when_in_doubt() -> None:
    guard, empty = Guard(Privacy(people="background")), np.full((*SIZE, 3), 40, np.uint8)
    for n in range(SIGHTINGS):
        guard.covered(frame(n, empty), evidence(n, people=NOBODY, proposed=np.zeros(GRID, np.bool_)))
    somebody = np.where(PERSON[:, :, None], NOISE, empty).astype(np.uint8)
    np.testing.assert_array_equal(guard.covered(frame(30, somebody), evidence(30)).pixels, empty)
    for n in range(31, 31 + 2 * SIGHTINGS):  # a failing network teaches the background nothing
        np.testing.assert_array_equal(guard.covered(frame(n), evidence(n, failed=True)).pixels, empty)


def test_a_fallback_is_logged_once_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(FILL)
    with caplog.at_level(logging.WARNING, "argos"):
        for n in range(3):
            guard.covered(frame(n), evidence(n, took_s=9.0))
    assert [record.getMessage() for record in caplog.records] == [
        "camera 'gate': the mask is late, so the whole frame is covered"
    ]


@settings(deadline=None)
@given(st.integers(20, 90), st.integers(20, 120), st.integers(3, 60), st.integers(3, 80), st.integers(0, 99))
def test_cells_that_touch_a_pixel_are_found_one_by_one(
    height: int, width: int, rows: int, columns: int, seed: int
) -> None:
    mask = np.random.default_rng(seed).random((height, width)) > 0.99
    cells = touching(mask, (rows, columns))
    plain = np.zeros((rows, columns), np.bool_)
    for y, x in zip(*np.nonzero(mask), strict=True):  # the pixel from (y, x) to (y + 1, x + 1)
        plain[
            y * rows // height : -(-(y + 1) * rows // height), x * columns // width : -(-(x + 1) * columns // width)
        ] = True
    np.testing.assert_array_equal(cells, plain)
    assert not (mask & ~touching(cells, (height, width))).any()


def test_what_was_found_explains_what_was_proposed_around_it() -> None:
    assert not unexplained(PROPOSED, PERSON).any()
    assert unexplained(PROPOSED, NOBODY).sum() == PROPOSED.sum()
    assert judge(evidence(), frame(), 5.0) is None
