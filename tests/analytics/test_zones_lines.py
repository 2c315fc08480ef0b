"""One zone, one line: flicker on the border is no traffic, and what is confirmed counts once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.analytics.lines import Line, LineWatch
from argos.analytics.zones import Zone, ZoneWatch

GATE = Line("gate", (0.2, 0.5), (0.8, 0.5), confirm_frames=2)
ROOM = Zone("room", ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)), enter_frames=3, leave_frames=4)


def crossings(line: Line, *ys: float, x: float = 0.5) -> list[str | None]:
    watch = LineWatch(line)
    return [watch.see(1, (x, y)) for y in ys]


def test_direction_is_that_of_somebody_on_the_first_point_who_looks_at_the_second() -> None:
    assert crossings(GATE, 0.3, 0.4, 0.6, 0.7) == [None, None, None, "left_to_right"]
    assert crossings(GATE, 0.7, 0.6, 0.4, 0.3) == [None, None, None, "right_to_left"]


@pytest.mark.parametrize(
    "ys",
    [
        (0.4, 0.4, 0.6, 0.4, 0.6, 0.4, 0.6),  # one frame there, one here
        (0.6, 0.4, 0.6, 0.4, 0.6, 0.6),  # never settled on the first side
        (0.4, 0.4, 0.5, 0.5, 0.5, 0.4),  # on the line
        (0.6, 0.6, 0.6),  # appeared behind it
    ],
)
def test_flicker_and_standing_on_the_line_count_nobody(ys: tuple[float, ...]) -> None:
    assert not any(crossings(GATE, *ys))


def test_who_goes_round_the_end_does_not_count_and_comes_back_counted() -> None:
    watch = LineWatch(GATE)
    around = [(0.5, 0.4), (0.6, 0.4), (0.9, 0.4), (0.9, 0.6), (0.9, 0.7), (0.5, 0.6)]
    assert [watch.see(1, point) for point in around] == [None] * 6
    assert [watch.see(1, (0.5, 0.4)), watch.see(1, (0.5, 0.3))] == [None, "right_to_left"]
    assert watch.counts == {"left_to_right": 0, "right_to_left": 1}


def test_people_are_told_apart_and_forgotten() -> None:
    watch = LineWatch(GATE)
    for track, y in ((1, 0.4), (2, 0.6), (1, 0.4), (2, 0.6), (1, 0.6), (2, 0.4)):
        watch.see(track, (0.5, y))
    assert watch.see(1, (0.5, 0.6)) == "left_to_right"
    watch.forget(2)
    assert watch.see(2, (0.5, 0.4)) is None


def see(watch: ZoneWatch, inside: str) -> list[bool | None]:
    """One letter a tenth of a second: ``#`` inside, ``.`` outside, a blank not seen."""
    changes = []
    for n, letter in enumerate(inside):
        change = None if letter == " " else watch.see(1, (0.5 if letter == "#" else 0.9, 0.5), n / 10)
        changes.append(None if change is None else change.entered)
    return changes


def test_entering_and_leaving_take_frames_in_a_row() -> None:
    assert see(ZoneWatch(ROOM), ".###....")[3:] == [True, None, None, None, False]
    assert see(ZoneWatch(ROOM), "##.##.##.") == [None] * 9
    assert see(ZoneWatch(ROOM), "###...#...#")[3:] == [None] * 8
    assert see(ZoneWatch(ROOM), "#  # #")[5] is True  # frames unseen are frames of no information


def test_dwell_is_from_the_first_frame_inside_to_the_first_outside() -> None:
    watch = ZoneWatch(ROOM)
    see(watch, "..####...")  # in at 0.2, out at 0.6
    assert watch.occupancy == 1
    change = watch.see(1, (0.9, 0.5), 0.9)
    assert change is not None
    assert change.dwell_s == pytest.approx(0.4)
    assert (watch.occupancy, watch.entries) == (0, 1)


def test_who_is_gone_left_when_last_seen_inside() -> None:
    watch = ZoneWatch(ROOM)
    see(watch, "#####  ")
    change = watch.forget(1)
    assert change is not None
    assert (change.entered, change.dwell_s) == (False, pytest.approx(0.4))
    assert watch.forget(1) is None
    assert watch.occupancy == 0
    see(watch, "###..")
    assert watch.forget(1) == (False, pytest.approx(0.3), pytest.approx(0.3))  # was on the way out


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="#. ", max_size=60))
def test_entries_and_leaves_alternate_and_occupancy_is_their_difference(walk: str) -> None:
    watch = ZoneWatch(ROOM)
    changes = [change for change in see(watch, walk) if change is not None]
    assert changes == [n % 2 == 0 for n in range(len(changes))]
    assert watch.occupancy == len(changes) % 2
    assert watch.entries == (len(changes) + 1) // 2
