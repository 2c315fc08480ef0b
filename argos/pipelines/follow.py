"""What is known of the people of each camera from its frames before: who is who, and what they do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from argos.analytics.analyst import Analyst
from argos.analytics.lines import Line
from argos.analytics.zones import Zone
from argos.config import Camera
from argos.kernels.assignment import assign
from argos.pipelines.views import Analysis, InstanceLimits, View
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
        Zone(name, zone.corners, zone.anchor, zone.enter_frames, zone.leave_frames)
        for name, zone in camera.zones.items()
    ]
    lines = [Line(name, *line.ends, line.anchor, line.confirm_frames) for name, line in camera.lines.items()]
    return Analyst(zones, lines, camera.track.lost_s) if zones or lines else None


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
        if any(chosen is not None for chosen in settings.values()):
            assign(np.zeros((1, 1)), 1.0)  # compiled now rather than while the first people wait
        self._trackers = {name: Tracker(chosen) for name, chosen in settings.items() if chosen is not None}

    def view(self, camera: str, view: View) -> View:
        """The view of a camera, with the weaker people whom its tracker wants to see."""
        tracker = self._trackers.get(camera)
        if tracker is None or view.instances is None:
            return view
        return replace(view, instances=replace(view.instances, score_threshold=tracker.settings.low_score))

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
        return result if analyst is None else replace(result, events=analyst.update(result))
