"""What is known of the people of each camera from its frames before: who is who, and what they do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from argos.analytics.analyst import Analyst
from argos.analytics.crowd import Crowd
from argos.analytics.hours import Hours
from argos.analytics.lines import Line
from argos.analytics.loiter import Loiter
from argos.analytics.zones import Zone
from argos.config import Camera
from argos.config_scene import ActiveSection, CrowdSection
from argos.packing.limits import InstanceLimits
from argos.pipelines.views import Analysis, View
from argos.tracking.tracker import Tracker, TrackSettings
from argos.types import Frame, Result


def track_settings(camera: Camera, limits: InstanceLimits | None) -> TrackSettings | None:
    """How the people of a camera are followed; None where they are not.

    Args:
        camera: its configuration.
        limits: of its people, as shown without a tracker; None when the task ``instances`` is off.
    """
    track = camera.track
    if not track.enabled or limits is None:
        return None
    score = limits.score_threshold
    low = score / 2 if track.low_score is None else min(track.low_score, score)
    return TrackSettings(score, low, track.min_iou, track.confirm_frames, track.lost_s)


def analyst_of(camera: Camera) -> Analyst | None:
    """Who watches the zones and lines of a camera; None where there are none."""
    zones = [
        Zone(
            name,
            zone.corners,
            zone.anchor,
            zone.enter_frames,
            zone.leave_frames,
            _crowd_of(zone.crowd),
            None if zone.loiter is None else Loiter(zone.loiter.after_s, zone.loiter.grace_s),
            _hours_of(camera.active, zone.active),
        )
        for name, zone in camera.zones.items()
    ]
    lines = [
        Line(name, *line.ends, line.anchor, line.confirm_frames, _hours_of(camera.active, line.active))
        for name, line in camera.lines.items()
    ]
    return Analyst(zones, lines, camera.track.lost_s) if zones or lines else None


def _crowd_of(section: CrowdSection | None) -> Crowd | None:
    if section is None:
        return None
    end_people = section.people - 1 if section.end_people is None else section.end_people
    return Crowd(section.people, end_people, section.start_s, section.end_s)


def _hours_of(*sections: ActiveSection | None) -> tuple[Hours, ...]:
    return tuple(section.span for section in sections if section is not None)


class Following:
    """Follows the people of every camera.

    Args:
        settings: camera -> how; None for cameras whose people are not followed.
        analysts: camera -> who watches its zones and lines; None for cameras without.
    """

    def __init__(
        self,
        settings: Mapping[str, TrackSettings | None],
        analysts: Mapping[str, Analyst | None] = MappingProxyType({}),
    ) -> None:
        self._analysts = {name: analyst for name, analyst in analysts.items() if analyst is not None}
        self._trackers = {name: Tracker(chosen) for name, chosen in settings.items() if chosen is not None}

        self._event_seq: dict[
            str, tuple[int, int]
        ] = {}  # by camera: seq of the next event, and the analyst's own first

    def keep(self, camera: str, settings: TrackSettings | None) -> bool:
        """Follow the people of a camera so from now on.

        Returns:
            Whether ids begin again, which asks for a new epoch.
        """
        before = self._trackers.pop(camera, None)
        if settings is None:
            return before is not None
        if before is not None and before.settings == settings:
            self._trackers[camera] = before
            return False
        self._trackers[camera] = Tracker(settings)
        return before is not None

    def watch(self, camera: str, analyst: Analyst | None) -> None:
        """Let another one watch the zones and lines of a camera; its counts begin again, ``seq`` of events goes on."""
        self._analysts.pop(camera, None)
        if analyst is not None:
            self._analysts[camera] = analyst
        self._event_seq[camera] = (self._event_seq.get(camera, (0, 0))[0],) * 2

    def forget(self, camera: str) -> None:
        """The camera is gone; should it come back, ``seq`` of its events goes on."""
        self._trackers.pop(camera, None)
        self.watch(camera, None)

    def view(self, camera: str, view: View) -> View:
        """The view of a camera, with the weaker people whom its tracker wants to see."""
        tracker = self._trackers.get(camera)
        if tracker is None or view.instances is None:
            return view
        weaker = replace(view.instances, score_threshold=tracker.settings.low_score)
        return replace(view, instances=weaker, shown_from=tracker.settings.score)

    def followed(self, frame: Frame, analysis: Analysis) -> Analysis:
        """The analysis with the ids of its people; called once for each frame of a camera, in order."""
        tracker = self._trackers.get(frame.camera)
        if tracker is None or analysis.instances is None:
            return analysis
        start = time.perf_counter()
        people = tracker.update(analysis.instances, frame.pts_s, frame.epoch)
        spans_ms = {**analysis.spans_ms, "track": (time.perf_counter() - start) * 1e3}
        return replace(analysis, instances=people, spans_ms=spans_ms)

    def watched(self, result: Result) -> Result:
        """The result with the events it made happen; called once for each result of a camera, in order."""
        analyst = self._analysts.get(result.camera)
        if analyst is None:
            return result
        seq, first = self._event_seq.get(result.camera, (0, 0))
        events = analyst.update(result)
        self._event_seq[result.camera] = (seq + len(events), first)
        if first:
            events = tuple(replace(event, seq=event.seq + first) for event in events)
        return replace(result, events=events)
