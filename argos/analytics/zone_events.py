"""What happens in a zone: people come, stay, leave and gather."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argos.analytics.crowd import CrowdWatch
from argos.analytics.geometry import Point
from argos.analytics.loiter import LoiterWatch
from argos.analytics.zones import Zone, ZoneWatch
from argos.types import EventCause, EventType


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a person was last: id, time, box, anchor in pixels."""

    track: int
    time_s: float
    box: tuple[int, int, int, int]
    anchor: Point


@dataclass(frozen=True, slots=True)
class Happening:
    """What an event says of a zone, as in ``Event``; ``who`` has its person."""

    type: EventType
    who: Seen
    occupancy: int
    count: int
    dwell_s: float | None = None
    cause: EventCause | None = None


class ZoneEvents:
    """Watches one zone.

    Attributes:
        zone: the zone.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self._stays = ZoneWatch(zone)
        self._crowd = None if zone.crowd is None else CrowdWatch(zone.crowd)
        self._loiter = None if zone.loiter is None else LoiterWatch(zone.loiter)
        self._came: Seen | None = None
        self._went: Seen | None = None

    def begin(self, time_s: float, last: Mapping[int, Seen]) -> list[Happening]:
        """A result of a time comes: loiterers who went out and did not come back are gone.

        Args:
            time_s: of the result.
            last: where everybody was last, by id.
        """
        ended = [] if self._loiter is None else self._loiter.ended(time_s, self._stays.back_since)
        return [self._loiterer("loiter_end", last[track], dwell_s, "left") for track, dwell_s in ended]

    def see(self, who: Seen, point: Point) -> list[Happening]:
        """A person is seen; ``point`` stands for it, in shares of the frame."""
        happenings = []
        change = self._stays.see(who.track, point, who.time_s)
        if change is not None and change.entered:
            self._came = who
            happenings.append(Happening("zone_enter", who, self._stays.occupancy, self._stays.entries))
            if self._loiter is not None:
                self._loiter.enter(who.track, change.since_s)
        elif change is not None:
            happenings.append(self._left(who, change.dwell_s, "left"))
            if self._loiter is not None:
                self._loiter.leave(who.track, change.since_s)
        long_s = None if self._loiter is None else self._loiter.see(who.track, who.time_s)
        if long_s is not None:
            happenings.append(self._loiterer("loiter_start", who, long_s, None))
        return happenings

    def forget(self, who: Seen, cause: EventCause) -> list[Happening]:
        """A person will not be seen again under its id, or the zone is closed."""
        happenings = []
        change = self._stays.forget(who.track)
        if change is not None:
            happenings.append(self._left(who, change.dwell_s, cause))
        dwell_s = None if self._loiter is None else self._loiter.forget(who.track, who.time_s)
        if dwell_s is not None:
            happenings.append(self._loiterer("loiter_end", who, dwell_s, cause))
        return happenings

    def gather(self, time_s: float) -> list[Happening]:
        """All people of a result were seen: there are enough for a crowd, or too few."""
        if self._crowd is None or not self._crowd.see(self._stays.occupancy, time_s):
            return []
        return [self._crowding(time_s, None)]

    def disperse(self, time_s: float, cause: EventCause) -> list[Happening]:
        """Nobody is watched any more, everybody was forgotten before."""
        if self._crowd is None or not self._crowd.disperse(time_s):
            return []
        return [self._crowding(time_s, cause)]

    def _left(self, who: Seen, dwell_s: float | None, cause: EventCause) -> Happening:
        self._went = who
        return Happening("zone_leave", who, self._stays.occupancy, self._stays.entries, dwell_s, cause)

    def _loiterer(self, type: EventType, who: Seen, dwell_s: float, cause: EventCause | None) -> Happening:
        assert self._loiter is not None
        return Happening(type, who, self._stays.occupancy, self._loiter.loiterers, dwell_s, cause)

    def _crowding(self, time_s: float, cause: EventCause | None) -> Happening:
        assert self._crowd is not None
        began = self._crowd.is_crowd
        who = self._came if began else self._went
        assert who is not None  # the number changed, so somebody came or went
        dwell_s = None if began else self._crowd.lasted_s(time_s)
        type: EventType = "crowd_start" if began else "crowd_end"
        return Happening(type, who, self._stays.occupancy, self._crowd.crowds, dwell_s, cause)
