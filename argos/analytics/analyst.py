"""Events of one camera, from its results alone: the same results give the same events, live or replayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from argos.analytics.anchors import Anchor, anchor_point
from argos.analytics.geometry import Point
from argos.analytics.hours import all_hold
from argos.analytics.lines import Line, LineWatch
from argos.analytics.zone_events import Happening, Seen, ZoneEvents
from argos.analytics.zones import Zone
from argos.types import Event, EventCause, Result

WITHIN = 1 - 1e-9
"""Largest share of width and height: whoever is cut off by the lower edge stands in the zone that reaches there."""


class Analyst:
    """Watches the zones and lines of one camera. Only people with an id count.

    Args:
        zones: of the camera.
        lines: of the camera.
        lost_s: seconds unseen after which the tracker gives an id up: whoever is unseen for longer has left.
    """

    def __init__(self, zones: Sequence[Zone], lines: Sequence[Line], lost_s: float) -> None:
        self._zones = [ZoneEvents(zone) for zone in zones]
        self._lines = [LineWatch(line) for line in lines]
        self._lost_s = lost_s
        self._anchors: set[Anchor] = {"mask_bottom", *(z.anchor for z in zones), *(line.anchor for line in lines)}
        self._open_zones, self._open_lines = self._zones, self._lines
        self._epoch: int | None = None
        self._seq = 0
        self._last: dict[int, Seen] = {}

    def update(self, result: Result) -> tuple[Event, ...]:
        """Take the next result of the camera.

        Returns:
            What happened: what the end of a connection or of active hours means; who did not come back; people in the
            order of the result, for each the zones, then the lines; people who are gone; crowds. ``seq`` counts on
            from event to event.
        """
        events = self._ended(result)
        for zone in self._open_zones:
            events += self._of_zone(result, zone, zone.begin(result.pts_s, self._last))
        people = result.instances
        if people is not None and len(people.ids):
            for n, track in enumerate(people.ids.tolist()):
                if track >= 0:
                    x0, y0, x1, y1 = people.boxes[n].tolist()
                    points = {kind: anchor_point(kind, (x0, y0, x1, y1), people.masks[n]) for kind in self._anchors}
                    who = Seen(track, result.pts_s, (x0, y0, x1, y1), points["mask_bottom"])
                    events += self._met(result, who, points)
        for who in [seen for seen in self._last.values() if result.pts_s - seen.time_s > self._lost_s]:
            events += self._gone(result, who, "lost")
        for zone in self._open_zones:
            events += self._of_zone(result, zone, zone.gather(result.pts_s))
        return tuple(events)

    def _ended(self, result: Result) -> list[Event]:
        """A new connection begins, or zones and lines close or open."""
        events: list[Event] = []
        if result.epoch != self._epoch:
            end_s = max((who.time_s for who in self._last.values()), default=result.pts_s)
            for who in list(self._last.values()):
                events += self._gone(result, who, "reconnected")
            for zone in self._open_zones:
                events += self._of_zone(result, zone, zone.disperse(end_s, "reconnected"))
            self._epoch = result.epoch
        time_ns = result.captured_ns
        for zone in self._open_zones:
            if not all_hold(zone.zone.hours, time_ns):
                for who in self._last.values():
                    events += self._of_zone(result, zone, zone.forget(who, "closed"))
                events += self._of_zone(result, zone, zone.disperse(result.pts_s, "closed"))
        for line in self._open_lines:
            if not all_hold(line.line.hours, time_ns):
                line.close()
        self._open_zones = [zone for zone in self._zones if all_hold(zone.zone.hours, time_ns)]
        self._open_lines = [line for line in self._lines if all_hold(line.line.hours, time_ns)]
        return events

    def _met(self, result: Result, who: Seen, points: dict[Anchor, Point]) -> list[Event]:
        """A person is seen."""
        events = []
        height, width = result.size
        shares: dict[Anchor, Point] = {
            kind: (min(x / width, WITHIN), min(y / height, WITHIN)) for kind, (x, y) in points.items()
        }
        self._last[who.track] = who
        for zone in self._open_zones:
            events += self._of_zone(result, zone, zone.see(who, shares[zone.zone.anchor]))
        for line in self._open_lines:
            direction = line.see(who.track, shares[line.line.anchor])
            if direction is not None:
                name, count = line.line.name, line.counts[direction]
                events.append(self._event(result, who, type="line_cross", name=name, direction=direction, count=count))
        return events

    def _gone(self, result: Result, who: Seen, cause: EventCause) -> list[Event]:
        """A person will not be seen again under this id."""
        events = []
        for zone in self._open_zones:
            events += self._of_zone(result, zone, zone.forget(who, cause))
        for line in self._open_lines:
            line.forget(who.track)
        del self._last[who.track]
        return events

    def _of_zone(self, result: Result, zone: ZoneEvents, happenings: Sequence[Happening]) -> list[Event]:
        return [
            self._event(
                result, what.who, type=what.type, name=zone.zone.name, occupancy=what.occupancy, count=what.count,
                dwell_s=what.dwell_s, cause=what.cause,
            )
            for what in happenings
        ]  # fmt: skip

    def _event(self, result: Result, who: Seen, **what: Any) -> Event:
        self._seq += 1
        return Event(
            camera=result.camera, run=result.run, epoch=self._epoch or 0, seq=self._seq - 1, id=who.track,
            result_seq=result.seq, index=result.index, pts_s=result.pts_s, captured_ns=result.captured_ns,
            box=who.box, anchor=who.anchor, **what,
        )  # fmt: skip
