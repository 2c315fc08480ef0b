"""People of several cameras followed: settings from the configuration, ids in the results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from argos.config import Camera, config_from_sources
from argos.packing.limits import InstanceLimits
from argos.pipelines.follow import Following, analyst_of, track_settings
from argos.pipelines.views import Analysis, View
from argos.types import Frame, Instances, Regions, Result

LIMITS = InstanceLimits(score_threshold=0.5, nms=0.5, max_people=9)
SIZE = (90, 120)


def camera(*settings: str) -> Camera:
    (only,) = config_from_sources(["webcam:0"], [f"camera.{setting}" for setting in settings]).cameras.values()
    return only


def frame(name: str, n: int, epoch: int = 0) -> Frame:
    return Frame(np.zeros((*SIZE, 3), np.uint8), name, n, n / 10, epoch=epoch)


def analysis(*scores: float) -> Analysis:
    n = len(scores)
    boxes = np.array([[5 + 30 * k, 10, 25 + 30 * k, 60] for k in range(n)], np.int32).reshape(-1, 4)
    masks = (np.ones((50, 20), np.bool_),) * n
    people = Instances(boxes, np.array(scores, np.float32), np.zeros(n, np.int32), masks, SIZE)
    regions = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), SIZE)
    return Analysis("full", regions, people, None, 1.0, {"segment": 2.0})


@pytest.mark.parametrize(
    ("settings", "low"),
    [([], 0.25), (["track.low_score=0.1"], 0.1), (["track.low_score=0.9"], 0.5)],
)
def test_weaker_people_are_looked_at_down_to_low_score(settings: list[str], low: float) -> None:
    chosen = track_settings(camera(*settings), LIMITS)
    assert chosen is not None
    assert (chosen.score, chosen.low_score, chosen.confirm_frames, chosen.lost_s) == (0.5, low, 3, 2.0)
    view = View("full", 0.5, 0, 0.0, 0, None, LIMITS, None)
    wider = Following({"a": chosen}).view("a", view)
    assert (wider.instances, wider.shown_from) == (InstanceLimits(low, 0.5, 9), 0.5)
    assert Following({"a": None}).view("a", view) is view


def test_a_camera_without_tracker_or_people_is_left_alone() -> None:
    assert track_settings(camera("track.enabled=false"), LIMITS) is None  # and no low score is asked for
    assert track_settings(camera(), None) is None
    found = analysis(0.9)
    assert Following({"a": None}).followed(frame("a", 0), found) is found


def test_cameras_have_ids_of_their_own_and_reconnects_begin_anew() -> None:
    chosen = track_settings(camera("track.confirm_frames=2"), LIMITS)
    following = Following({"a": chosen, "b": chosen})
    ids = []
    for n in range(3):
        for name in "ab":
            shown = following.followed(frame(name, n, epoch=n // 2), analysis(0.9, 0.3 if n else 0.8))
            assert shown.instances is not None
            ids.append(shown.instances.ids.tolist())
            assert shown.spans_ms["segment"] == 2.0
            assert shown.spans_ms["track"] > 0
    # second frame: the weak one has no confirmed track to continue; third: another epoch
    assert ids == [[-1, -1], [-1, -1], [1], [1], [-1], [-1]]


def test_the_zones_and_lines_of_the_configuration_are_watched() -> None:
    marks = [
        "zones={yard: {polygon: [[0, 0], [6, 0], [6, 9], [0, 9]], units: px, reference: [12, 9], enter_frames: 1}}",
        "lines={gate: {points: [[0.5, 0], [0.5, 1]], anchor: center, confirm_frames: 1}}",
    ]
    watched = camera("track.confirm_frames=1", *marks)
    settings = {"a": track_settings(watched, LIMITS), "b": track_settings(camera(), LIMITS)}
    following = Following(settings, {"a": analyst_of(watched), "b": analyst_of(camera())})
    said = []
    for n in range(20):
        for name in "ab":
            found = moved(analysis(0.9), 4 * n)
            result = following.watched(result_of(frame(name, n), following.followed(frame(name, n), found)))
            said += [(event.camera, event.type, event.name, event.id, event.seq) for event in result.events]
    assert said == [
        ("a", "zone_enter", "yard", 1, 0),
        ("a", "line_cross", "gate", 1, 1),
        ("a", "zone_leave", "yard", 1, 2),
    ]


def moved(found: Analysis, x: int) -> Analysis:
    assert found.instances is not None
    return replace(
        found, instances=replace(found.instances, boxes=found.instances.boxes + np.array([x, 0, x, 0], np.int32))
    )


def result_of(of: Frame, found: Analysis) -> Result:
    return Result(
        camera=of.camera, epoch=of.epoch, seq=of.index, index=of.index, pts=None, time_base=of.time_base,
        pts_s=of.pts_s, captured_ns=0, clock="file", run="r", size=of.size, mode=found.mode, regions=found.regions,
        instances=found.instances, semantic=None, deep_share=1.0, spans_ms=found.spans_ms, dropped={}, models={},
    )  # fmt: skip
