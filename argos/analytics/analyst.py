"""Events of one camera, from its results alone: the same results give the same events, live or replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from argos.analytics.anchors import Anchor, anchor_point
from argos.analytics.geometry import Point
from argos.analytics.lines import Line, LineWatch
from argos.analytics.zones import Change, Zone, ZoneWatch
from argos.types import Event, EventCause, Result


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where a person was last: time, box, anchor in pixels."""

    time_s: float
    box: tuple[int, int, int, int]
    anchor: Point


class Analyst:
    """Watches the zones and lines of one camera. Only people with an id count.

    Args:
        zones: of the camera.
        lines: of the camera.
        lost_s: seconds unseen after which the tracker gives an id up: whoever is unseen for longer has left.
    """

    def __init__(self, zones: Sequence[Zone], lines: Sequence[Line], lost_s: float) -> None:
        self.zones = [ZoneWatch(zone) for zone in zones]
        self.lines = [LineWatch(line) for line in lines]
        self._lost_s = lost_s
        self._epoch: int | None = None
        self._seq = 0
        self._last: dict[int, _Seen] = {}

    def update(self, result: Result) -> tuple[Event, ...]:
        """Take the next result of the camera.

        Returns:
            What happened: people in the order of the result, for each the zones, then the lines; then people who are
            gone. ``seq`` counts on from event to event.
        """
        events: list[Event] = []
        if result.epoch != self._epoch:
            for track in list(self._last):
                events += self._gone(result, track, "reconnected")
            self._epoch = result.epoch
        people = result.instances
        if people is not None and len(people.ids):
            for n, track in enumerate(people.ids.tolist()):
                if track >= 0:
                    x0, y0, x1, y1 = people.boxes[n].tolist()
                    points = {kind: anchor_point(kind, (x0, y0, x1, y1), people.masks[n]) for kind in self._anchors()}
                    events += self._met(result, track, (x0, y0, x1, y1), points)
        for track in [t for t, seen in self._last.items() if result.pts_s - seen.time_s > self._lost_s]:
            events += self._gone(result, track, "lost")
        return tuple(events)

    def _anchors(self) -> set[Anchor]:
        return {"mask_bottom", *(w.zone.anchor for w in self.zones), *(w.line.anchor for w in self.lines)}

    def _met(
        self, result: Result, track: int, box: tuple[int, int, int, int], points: dict[Anchor, Point]
    ) -> list[Event]:
        """A person is seen."""
        events = []
        height, width = result.size
        shares: dict[Anchor, Point] = {kind: (x / width, y / height) for kind, (x, y) in points.items()}
        self._last[track] = _Seen(result.pts_s, box, points["mask_bottom"])
        for zone in self.zones:
            change = zone.see(track, shares[zone.zone.anchor], result.pts_s)
            if change is not None:
                events.append(self._zone_event(result, zone, track, change, None if change.entered else "left"))
        for line in self.lines:
            direction = line.see(track, shares[line.line.anchor])
            if direction is not None:
                count = line.counts[direction]
                events.append(
                    self._event(result, track, type="line_cross", name=line.line.name, direction=direction, count=count)
                )
        return events

    def _gone(self, result: Result, track: int, cause: EventCause) -> list[Event]:
        """A person will not be seen again under this id."""
        events = []
        for zone in self.zones:
            change = zone.forget(track)
            if change is not None:
                events.append(self._zone_event(result, zone, track, change, cause))
        for line in self.lines:
            line.forget(track)
        del self._last[track]
        return events

    def _zone_event(
        self, result: Result, zone: ZoneWatch, track: int, change: Change, cause: EventCause | None
    ) -> Event:
        return self._event(
            result, track, type="zone_enter" if change.entered else "zone_leave", name=zone.zone.name,
            occupancy=zone.occupancy, dwell_s=change.dwell_s, cause=cause, count=zone.entries,
        )  # fmt: skip

    def _event(self, result: Result, track: int, **what: Any) -> Event:
        seen = self._last[track]
        self._seq += 1
        return Event(
            camera=result.camera, run=result.run, epoch=self._epoch or 0, seq=self._seq - 1, id=track,
            result_seq=result.seq, index=result.index, pts_s=result.pts_s, captured_ns=result.captured_ns,
            box=seen.box, anchor=seen.anchor, **what,
        )  # fmt: skip
