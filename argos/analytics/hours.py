"""Hours of the week in which something counts, on the wall clock of a place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60

_SPAN = re.compile(r"(?P<days>[a-z][a-z, -]*?)?\s*(?:(?P<from>\d?\d:\d\d)\s*-\s*(?P<to>\d?\d:\d\d))?")


@dataclass(frozen=True, slots=True)
class Span:
    """The same hours of some days.

    Attributes:
        days: on which they begin, 0 is Monday.
        start_min, end_min: minutes since midnight, the end exclusive; an end that is not later than the start is on
            the next day.
    """

    days: frozenset[int]
    start_min: int = 0
    end_min: int = DAY_MIN

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether a minute of a day lies in it."""
        if self.start_min < self.end_min:
            return weekday in self.days and self.start_min <= minute < self.end_min
        begun = weekday in self.days and minute >= self.start_min
        return begun or ((weekday - 1) % 7 in self.days and minute < self.end_min)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the week.

    They follow the wall clock through changes of summer time: an hour that comes twice counts twice, one that is
    skipped never comes.

    Attributes:
        spans: any of them.
        zone: of the wall clock; None: that of this machine.
    """

    spans: tuple[Span, ...]
    zone: tzinfo | None = None

    def hold(self, time_ns: int) -> bool:
        """Whether a moment lies in them.

        Args:
            time_ns: nanoseconds since 1970.
        """
        local = datetime.fromtimestamp(time_ns // 1_000_000_000, self.zone)
        return any(span.holds(local.weekday(), local.hour * 60 + local.minute) for span in self.spans)


def all_hold(hours: Sequence[Hours], time_ns: int) -> bool:
    """Whether a moment lies in each of ``hours``; of none, always."""
    return all(one.hold(time_ns) for one in hours)


def parse_span(text: str) -> Span:
    """``mon-fri 22:00-06:00``, ``sat,sun`` or ``08:00-18:30``.

    Raises:
        ValueError: it is nothing of that kind.
    """
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise ValueError(f"should be hours like 'mon-fri 22:00-06:00', 'sat,sun' or '08:00-18:30', got '{text}'")
    days = frozenset(range(7)) if match["days"] is None else _days(match["days"])
    if match["from"] is None:
        return Span(days)
    start_min, end_min = _minutes(match["from"], DAY_MIN - 1), _minutes(match["to"], DAY_MIN)
    if start_min == end_min:
        raise ValueError(f"begins and ends at {match['from']}: for the whole day write 00:00-24:00")
    return Span(days, start_min, end_min)


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        ends = [end.strip() for end in part.split("-")]
        wrong = [end for end in ends if end not in DAYS]
        if wrong or len(ends) > 2:
            raise ValueError(f"should name days as {', '.join(DAYS)}, got '{part.strip()}'")
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        days |= {(first + n) % 7 for n in range((last - first) % 7 + 1)}
    return frozenset(days)


def _minutes(text: str, latest: int) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > latest:
        raise ValueError(f"should be a time from 00:00 to {latest // 60:02}:{latest % 60:02}, got {text}")
    return hour * 60 + minute
