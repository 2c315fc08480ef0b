"""Crowds, loiterers and active hours, from results to events."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracked_people import people_result

from argos.analytics.analyst import Analyst
from argos.analytics.crowd import Crowd, CrowdWatch
from argos.analytics.hours import Hours, parse_span
from argos.analytics.lines import Line
from argos.analytics.loiter import Loiter, LoiterWatch
from argos.analytics.zones import Zone
from argos.types import Event, Result

SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
IN, OUT = (0.5, 0.5), (0.9, 0.5)


def zone(**what: object) -> Zone:
    return replace(Zone("room", SQUARE, enter_frames=1, leave_frames=1), **what)  # type: ignore[arg-type]


def scene(*numbers: int) -> list[Result]:
    """Ten people, of whom so many are inside, frame by frame at ten a second."""
    return [
        people_result(n, {track: IN if track < number else OUT for track in range(10)})
        for n, number in enumerate(numbers)
    ]


def events_of(zones: list[Zone], results: list[Result], lines: list[Line] | None = None) -> list[Event]:
    analyst = Analyst(zones, lines or [], lost_s=2.0)
    return [event for one in results for event in analyst.update(one)]


def told(events: list[Event]) -> list[tuple[str, int, int | None]]:
    return [(event.type, event.result_seq, event.occupancy) for event in events if event.type.startswith("crowd")]


def test_a_crowd_begins_and_ends_once_however_its_number_flickers() -> None:
    crowd = Crowd(people=4, end_people=2, start_s=0.3, end_s=0.5)
    numbers = [0, 4, 4, 3, 4, 4, 4, 4, 5, 3, 2, 2, 3, 2, 2, 2, 2, 2, 2, 1]
    events = events_of([zone(crowd=crowd)], scene(*numbers))
    assert told(events) == [("crowd_start", 7, 4), ("crowd_end", 18, 2)]  # 4 held from frame 4, 2 held from frame 13
    start, end = (event for event in events if event.type.startswith("crowd"))
    assert (start.id, start.count, start.dwell_s, start.cause) == (3, 1, None, None)  # the fourth to come
    assert (end.id, end.count, end.cause) == (2, 1, None)  # the last to leave
    assert end.dwell_s == pytest.approx(1.1)
    assert start.box[3] == 500


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(2, 5), st.integers(0, 3), st.integers(0, 4))
def test_a_crowd_only_changes_after_the_number_has_held(numbers: list[int], people: int, less: int, hold: int) -> None:
    crowd = Crowd(people, max(0, people - 1 - less), start_s=float(hold), end_s=float(hold))
    watch, was = CrowdWatch(crowd), False
    for n, number in enumerate(numbers):
        changed = watch.see(number, float(n))
        assert watch.is_crowd is (was != changed)
        if changed:
            held = numbers[n - hold : n + 1]
            assert len(held) == hold + 1
            assert all(k >= people for k in held) if watch.is_crowd else all(k <= crowd.end_people for k in held)
        was = watch.is_crowd


def test_who_stays_too_long_is_told_once_and_again_when_it_has_left() -> None:
    walk = [OUT] * 2 + [IN] * 20 + [OUT] * 3 + [IN] * 10 + [OUT] * 12
    results = [people_result(n, {7: place}) for n, place in enumerate(walk)]
    events = events_of([zone(loiter=Loiter(after_s=1.5, grace_s=0.5))], results)
    kinds = [event.type for event in events]
    assert kinds == [
        "zone_enter", "loiter_start", "zone_leave", "zone_enter", "zone_leave", "loiter_end",
    ]  # fmt: skip
    start, end = events[1], events[-1]
    assert (start.id, start.pts_s, start.dwell_s, start.count) == (7, 1.7, pytest.approx(1.5), 1)
    assert (end.dwell_s, end.cause) == (pytest.approx(3.3), "left")  # the way out in between is forgiven
    assert end.pts_s == pytest.approx(4.1)


def test_who_comes_back_too_late_begins_anew() -> None:
    walk = [IN] * 20 + [OUT] * 8 + [IN] * 12 + [OUT] * 8
    results = [people_result(n, {7: place}) for n, place in enumerate(walk)]
    events = events_of([zone(loiter=Loiter(after_s=1.5, grace_s=0.5))], results)
    assert Counter(event.type for event in events)["loiter_start"] == 1
    assert [event.dwell_s for event in events if event.type == "loiter_end"] == [pytest.approx(2.0)]


def test_a_loiterer_who_is_lost_or_whose_camera_reconnects_is_told_to_be_gone() -> None:
    here = [people_result(n, {7: IN, 8: IN}) for n in range(20)]
    alone = [people_result(n, {8: IN}) for n in range(20, 45)]
    again = [people_result(n, {8: IN}, epoch=1) for n in range(45, 47)]
    events = events_of([zone(loiter=Loiter(1.0), crowd=Crowd(2, 1, 0.0, 30.0))], here + alone + again)
    said = [(event.type, event.id, event.cause) for event in events if event.type[:4] in ("loit", "crow")]
    assert said == [
        ("crowd_start", 8, None),
        ("loiter_start", 7, None),
        ("loiter_start", 8, None),
        ("loiter_end", 7, "lost"),
        ("loiter_end", 8, "reconnected"),
        ("crowd_end", 8, "reconnected"),
    ]


@pytest.mark.parametrize(("away", "kinds"), [
    (9, ["zone_enter", "loiter_start", "zone_leave", "zone_enter"]),
    (11, ["zone_enter", "loiter_start", "zone_leave", "loiter_end", "zone_enter"]),
])  # fmt: skip
def test_who_is_back_within_the_grace_was_never_away_though_frames_confirm_it_later(
    away: int, kinds: list[str]
) -> None:
    walk = [IN] * 20 + [OUT] * away + [IN] * 8
    slow = zone(enter_frames=5, leave_frames=2, loiter=Loiter(after_s=1.0, grace_s=1.0))
    assert [
        event.type for event in events_of([slow], [people_result(n, {7: at}) for n, at in enumerate(walk)])
    ] == kinds


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 8), st.integers(0, 5))
def test_starts_and_ends_of_loitering_take_turns(inside: list[bool], after: int, grace: int) -> None:
    watch = LoiterWatch(Loiter(float(after), float(grace)))
    loiters, was = False, False
    for n, is_in in enumerate([*inside, *[False] * 10]):
        for track, dwell_s in watch.ended(float(n), lambda _: None):
            assert (track, loiters) == (1, True)
            assert dwell_s >= after
            loiters = False
        if is_in != was:
            (watch.enter if is_in else watch.leave)(1, float(n))
            was = is_in
        if watch.see(1, float(n)) is not None:
            assert is_in
            assert not loiters
            loiters = True
    assert not loiters


def clock(results: list[Result], begins: str) -> list[Result]:
    """The results a minute apart, from a time in Berlin on."""
    from datetime import datetime

    start = int(datetime.fromisoformat(begins).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
    return [replace(one, captured_ns=(start + 60 * n) * 10**9) for n, one in enumerate(results)]


def test_a_zone_is_empty_when_its_hours_begin_and_end() -> None:
    hours = (Hours((parse_span("22:00-22:05"),), ZoneInfo("Europe/Berlin")),)
    watched = zone(hours=hours, loiter=Loiter(0.2), crowd=Crowd(2, 1, 0.0, 0.0))
    events = events_of([watched], clock(scene(*[3] * 12), "2026-11-20 21:57"))
    said = [(event.type, event.result_seq, event.cause, event.occupancy) for event in events]
    assert said[:4] == [
        ("zone_enter", 3, None, 1),
        ("zone_enter", 3, None, 2),
        ("zone_enter", 3, None, 3),
        ("crowd_start", 3, None, 3),
    ]
    assert [one[0] for one in said[4:7]] == ["loiter_start"] * 3
    assert said[7:] == [
        ("zone_leave", 8, "closed", 2),
        ("loiter_end", 8, "closed", 2),
        ("zone_leave", 8, "closed", 1),
        ("loiter_end", 8, "closed", 1),
        ("zone_leave", 8, "closed", 0),
        ("loiter_end", 8, "closed", 0),
        ("crowd_end", 8, "closed", 0),
    ]


def test_nobody_crosses_a_line_out_of_hours_and_who_was_there_before_is_new() -> None:
    ways = [(0.5, 0.3)] * 4 + [(0.5, 0.7)] * 4 + [(0.5, 0.3)] * 4 + [(0.5, 0.7)] * 4
    results = clock([people_result(n, {1: place}) for n, place in enumerate(ways)], "2026-11-20 22:00")
    line = Line("gate", (0.0, 0.5), (1.0, 0.5))
    always = events_of([], results, [line])
    assert [event.result_seq for event in always] == [5, 9, 13]
    hours = (Hours((parse_span("22:00-22:02"), parse_span("22:06-23:00")), ZoneInfo("Europe/Berlin")),)
    assert [event.result_seq for event in events_of([], results, [replace(line, hours=hours)])] == [9, 13]
