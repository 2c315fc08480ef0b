"""Ids: who gets one, who keeps it, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.tracking.tracker import UNCONFIRMED, Tracker, TrackSettings
from argos.types import Instances, Size

SIZE: Size = (240, 640)
SETTINGS = TrackSettings(score=0.5, low_score=0.2)
Box = tuple[int, int, int, int]


def people(*boxes: Box, scores: tuple[float, ...] = ()) -> Instances:
    masks = tuple(np.ones((y1 - y0, x1 - x0), np.bool_) for x0, y0, x1, y1 in boxes)
    n = len(boxes)
    return Instances(
        np.array(boxes, np.int32).reshape(-1, 4),
        np.array(scores or (0.9,) * n, np.float32),
        np.zeros(n, np.int32),
        masks,
        SIZE,
    )


def walker(x: float, y: int = 60) -> Box:
    return round(x), y, round(x) + 40, y + 100


def ids(tracker: Tracker, found: Instances, time: float, epoch: int = 0) -> list[int]:
    return tracker.update(found, time, epoch).ids.tolist()


def test_id_comes_with_the_third_frame_in_a_row() -> None:
    tracker = Tracker(SETTINGS)
    assert [ids(tracker, people(walker(100)), n / 10) for n in range(4)] == [[-1], [-1], [1], [1]]


def test_id_comes_at_once_where_one_frame_is_enough() -> None:
    tracker = Tracker(TrackSettings(0.5, 0.2, confirm_frames=1))
    assert ids(tracker, people(walker(100), walker(300)), 0.0) == [1, 2]


def test_flicker_gets_no_id_and_uses_none_up() -> None:
    tracker = Tracker(SETTINGS)
    for n in range(30):
        found = [walker(20)] + ([walker(400)] if n % 3 != 2 else [])  # two frames there, one not
        shown = ids(tracker, people(*found), n / 10)
        assert shown[1:] in ([], [UNCONFIRMED])
    assert ids(tracker, people(walker(20), walker(400)), 3.0)[0] == 1
    ids(tracker, people(walker(20), walker(400)), 3.1)
    assert ids(tracker, people(walker(20), walker(400)), 3.2) == [1, 2]


def test_a_new_epoch_forgets_everybody() -> None:
    tracker = Tracker(SETTINGS)
    for n in range(5):
        first = ids(tracker, people(walker(100), walker(300)), n / 10)
    assert first == [1, 2]
    assert ids(tracker, people(walker(300), walker(100)), 0.0, epoch=1) == [-1, -1]
    ids(tracker, people(walker(300), walker(100)), 0.1, epoch=1)
    assert ids(tracker, people(walker(300), walker(100)), 0.2, epoch=1) == [1, 2]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.02, 0.3), min_size=8, max_size=20),
    st.floats(-60, 60),
    st.integers(0, 2**32 - 1),
)
def test_id_stays_while_somebody_walks_at_any_frame_rate(gaps: list[float], speed: float, seed: int) -> None:
    """Half a stature a second, jitter of 2 pixels, frames that come when they like."""
    rng, tracker, time, shown = np.random.default_rng(seed), Tracker(SETTINGS), 0.0, set[int]()
    for n, gap in enumerate(gaps):
        time += gap
        x0, y0, x1, y1 = walker(320 + speed * time)
        jitter = rng.integers(-2, 3, 4).tolist()
        box = (x0 + jitter[0], y0 + jitter[1], x1 + jitter[2], y1 + jitter[3])
        got = ids(tracker, people(box), time)
        if n >= 2:
            shown.update(got)
    assert shown == {1}


@pytest.mark.parametrize(("fps", "statures"), [(5.0, 1.0), (2.0, 0.4), (2.0, 1.0), (1.0, 0.7)])
def test_who_walks_gets_an_id_in_the_third_frame_however_few_there_are(fps: float, statures: float) -> None:
    height = walker(0)[3] - walker(0)[1]
    tracker = Tracker(SETTINGS)
    found = [ids(tracker, people(walker(60 + statures * height * n / fps)), n / fps) for n in range(6)]
    assert found == [[-1], [-1], [1], [1], [1], [1]]


def test_two_new_people_apart_are_not_taken_for_one_who_walks() -> None:
    tracker = Tracker(SETTINGS)
    assert [ids(tracker, people(walker(100 if n % 2 else 500)), n / 10) for n in range(6)] == [[-1]] * 6


def test_a_weak_find_continues_a_track_but_begins_none() -> None:
    tracker = Tracker(SETTINGS)
    for n in range(4):
        assert len(tracker.update(people(walker(400), scores=(0.4,)), n / 10)) == 0
    for n in range(4, 8):
        tracker.update(people(walker(100)), n / 10)
    shown = tracker.update(people(walker(400), walker(101), scores=(0.4, 0.3)), 0.8)
    assert shown.ids.tolist() == [1]
    assert shown.boxes.tolist() == [list(walker(101))]
    assert len(tracker.update(people(walker(101), scores=(0.1,)), 0.9)) == 0


@pytest.mark.parametrize(("unseen_s", "same"), [(0.5, True), (1.8, True), (2.5, False)])
def test_somebody_hidden_keeps_the_id_for_so_long_and_no_longer(unseen_s: float, same: bool) -> None:
    tracker, time = Tracker(SETTINGS), 0.0
    for n in range(10):
        time = n / 10
        ids(tracker, people(walker(100 + 60 * time)), time)
    until = time + unseen_s
    while (time := time + 0.1) < until:
        assert ids(tracker, people(), time) == []
    shown = [ids(tracker, people(walker(100 + 60 * (time + n / 10))), time + n / 10) for n in range(3)]
    assert shown == ([[1]] * 3 if same else [[-1], [-1], [2]])


def test_who_walked_out_of_the_frame_is_somebody_new_when_coming_back() -> None:
    tracker = Tracker(SETTINGS)
    for n in range(30):
        x = 500 + 60 * n / 10
        box = (round(x), 60, min(round(x) + 40, 640), 160)
        ids(tracker, people(*([box] if x < 636 else [])), n / 10)
    shown = [ids(tracker, people((600 - 3 * n, 60, 640 - 3 * n, 160)), 3.0 + n / 10) for n in range(3)]
    assert shown == [[-1], [-1], [2]]


def test_two_who_cross_keep_their_ids() -> None:
    tracker, shown = Tracker(SETTINGS), []
    for n in range(40):
        a, b = walker(100 + 8 * n), walker(420 - 8 * n, 66)
        hidden = abs(a[0] - b[0]) < 24  # the one behind is not found
        shown.append(ids(tracker, people(a, *([] if hidden else [b])), n / 10))
    assert [] not in shown
    assert shown[2] == [1, 2]
    assert shown[-1] == [1, 2]


def test_equal_times_and_no_people_are_no_trouble() -> None:
    tracker = Tracker(SETTINGS)
    assert ids(tracker, people(), 5.0) == []
    assert [ids(tracker, people(walker(100)), 5.0) for _ in range(4)] == [[-1], [-1], [1], [1]]
    assert ids(tracker, people(walker(100)), 4.0) == [1]  # a clock that goes back stands still


def test_people_stay_in_order_with_all_they_have() -> None:
    tracker = Tracker(SETTINGS)
    found = people(walker(300), walker(100), walker(500), scores=(0.6, 0.3, 0.9))
    shown = tracker.update(found, 0.0)
    assert shown.boxes.tolist() == [list(walker(300)), list(walker(500))]
    assert shown.scores.tolist() == found.scores[[0, 2]].tolist()
    assert shown.size == SIZE
