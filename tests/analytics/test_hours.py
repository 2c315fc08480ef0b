"""Hours of the week: what they mean, through nights, weekends and changes of summer time."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.analytics.hours import DAYS, Hours, all_hold, parse_span

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    """Nanoseconds of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()) * 10**9


def open_at(hours: str, *times: str, zone: ZoneInfo = BERLIN) -> list[bool]:
    return [Hours((parse_span(hours),), zone).hold(at(time, zone)) for time in times]


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    # 20 November 2026 is a Friday
    fri = ["2026-11-20 21:59", "2026-11-20 22:00", "2026-11-21 05:59", "2026-11-21 06:00", "2026-11-21 22:30"]
    assert open_at("mon-fri 22:00-06:00", *fri) == [False, True, True, False, False]
    assert open_at("mon-fri 22:00-06:00", "2026-11-23 05:00") == [False]  # the night of Sunday


def test_days_alone_are_whole_days_and_hours_alone_are_every_day() -> None:
    assert open_at("sat,sun", "2026-11-20 23:59", "2026-11-21 00:00", "2026-11-22 23:59", "2026-11-23 00:00") == [
        False, True, True, False,
    ]  # fmt: skip
    assert open_at("8:00-24:00", "2026-11-20 07:59", "2026-11-20 08:00", "2026-11-21 23:59") == [False, True, True]
    assert open_at("fri-mon", *(f"2026-11-{day} 12:00" for day in range(16, 23))) == [True] + [False] * 3 + [True] * 3


def test_an_hour_that_comes_twice_counts_twice_and_one_that_is_skipped_never_comes() -> None:
    hours = Hours((parse_span("02:00-03:00"),), BERLIN)
    back, forward = "2026-10-25", "2026-03-29"  # 03:00 becomes 02:00; 02:00 becomes 03:00
    day = [hours.hold(at(f"{back} 00:00") + minute * 60 * 10**9) for minute in range(25 * 60)]
    assert sum(day) == 120
    assert day.index(True) == 120
    assert [hours.hold(at(f"{back} 02:30", fold=fold)) for fold in (0, 1)] == [True, True]
    day = [hours.hold(at(f"{forward} 00:00") + minute * 60 * 10**9) for minute in range(23 * 60)]
    assert sum(day) == 0


def test_a_night_over_a_change_of_summer_time_is_an_hour_longer_or_shorter() -> None:
    hours = Hours((parse_span("22:00-06:00"),), BERLIN)
    for evening, length_h in [("2026-10-24", 9), ("2026-03-28", 7), ("2026-11-20", 8)]:
        start = at(f"{evening} 12:00")
        assert sum(hours.hold(start + minute * 60 * 10**9) for minute in range(24 * 60)) == length_h * 60


def test_the_same_moment_is_another_hour_elsewhere() -> None:
    moment = at("2026-11-20 23:30")
    for zone, inside in [("Europe/Berlin", True), ("America/New_York", False), ("Asia/Kathmandu", True)]:
        assert Hours((parse_span("22:00-06:00"),), ZoneInfo(zone)).hold(moment) is inside
    assert all_hold((), moment)
    assert not all_hold((Hours((parse_span("mon-sun"),)), Hours((parse_span("mon"),), BERLIN)), moment)


@settings(deadline=None)
@given(st.sampled_from(DAYS), st.integers(0, 1439), st.integers(1, 1440), st.integers(0, 10_000))
def test_each_span_has_its_length_in_a_week(day: str, start: int, end: int, seed: int) -> None:
    if start == end:
        return
    span = parse_span(f"{day} {start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}")
    inside = sum(span.holds(weekday, minute) for weekday in range(7) for minute in range(1440))
    assert inside == (end - start if start < end else 1440 - start + end)
    noon = datetime(2026, 1, 5, tzinfo=ZoneInfo("UTC")) + timedelta(minutes=seed)
    hours = Hours((span,), ZoneInfo("UTC"))
    assert hours.hold(int(noon.timestamp()) * 10**9) is span.holds(noon.weekday(), noon.hour * 60 + noon.minute)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "should be hours like 'mon-fri 22:00-06:00'"),
        ("at night", "should name days as mon, tue"),
        ("mon-wed-fri", "should name days as mon"),
        ("25:00-26:00", "should be a time from 00:00 to 23:59, got 25:00"),
        ("24:00-06:00", "should be a time from 00:00 to 23:59, got 24:00"),
        ("10:00-24:01", "should be a time from 00:00 to 24:00, got 24:01"),
        ("mon 10:60-12:00", "got 10:60"),
        ("10:00-10:00", "for the whole day write 00:00-24:00"),
        ("mon 10:00", "should be hours like"),
    ],
)
def test_what_are_no_hours_is_said(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_span(text)
