"""Who is in a zone, since when, and for how long they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from argos.analytics.anchors import Anchor
from argos.analytics.crowd import Crowd
from argos.analytics.geometry import Point, is_inside
from argos.analytics.hours import Hours
from argos.analytics.loiter import Loiter


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the frame.

    Attributes:
        name: of the zone.
        polygon: corners, shares of the frame's width and height, 0..1.
        anchor: which point of a person has to be inside.
        enter_frames: frames in a row inside after which somebody is in.
        leave_frames: frames in a row outside after which somebody is out.
        crowd: how many are a crowd; None: any number is none.
        loiter: who stays too long; None: nobody does.
        hours: outside of any of them the zone is closed: nobody is in it.
    """

    name: str
    polygon: tuple[Point, ...]
    anchor: Anchor = "mask_bottom"
    enter_frames: int = 3
    leave_frames: int = 6
    crowd: Crowd | None = None
    loiter: Loiter | None = None
    hours: tuple[Hours, ...] = ()


class Change(NamedTuple):
    """Somebody entered at ``since_s``, or left at it after ``dwell_s`` seconds."""

    entered: bool
    since_s: float
    dwell_s: float | None


@dataclass(slots=True)
class _Stay:
    """Of one person: whether it is in, frames in a row that say otherwise, since when they do, since when it is in."""

    inside: bool = False
    count: int = 0
    since_s: float = 0.0
    entered_s: float = 0.0
    seen_s: float = 0.0


class ZoneWatch:
    """Watches one zone; flicker at its border makes nobody come and go.

    Attributes:
        zone: the zone.
        entries: how often somebody came in so far.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.entries = 0
        self._stays: dict[int, _Stay] = {}

    @property
    def occupancy(self) -> int:
        """People who are in."""
        return sum(stay.inside for stay in self._stays.values())

    def back_since(self, track: int) -> float | None:
        """Since when somebody who is out is seen inside; None: is in, or is not seen there."""
        stay = self._stays.get(track)
        return stay.since_s if stay is not None and not stay.inside and stay.count else None

    def see(self, track: int, point: Point, time_s: float) -> Change | None:
        """Take where a person is now; what that confirms, if anything.

        Who enters was in from the first of the frames that confirm it, who leaves was out from the first of those.
        """
        stay = self._stays.setdefault(track, _Stay())
        stay.seen_s = time_s
        if is_inside(point, self.zone.polygon) == stay.inside:
            stay.count = 0
            return None
        if stay.count == 0:
            stay.since_s = time_s
        stay.count += 1
        if stay.count < (self.zone.leave_frames if stay.inside else self.zone.enter_frames):
            return None
        stay.inside, stay.count = not stay.inside, 0
        if stay.inside:
            stay.entered_s = stay.since_s
            self.entries += 1
            return Change(True, stay.since_s, None)
        return Change(False, stay.since_s, stay.since_s - stay.entered_s)

    def forget(self, track: int) -> Change | None:
        """A person is gone; what that means for somebody who was in: out since last seen."""
        stay = self._stays.pop(track, None)
        if stay is None or not stay.inside:
            return None
        left_s = stay.since_s if stay.count else stay.seen_s
        return Change(False, left_s, left_s - stay.entered_s)
