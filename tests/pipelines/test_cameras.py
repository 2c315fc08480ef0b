"""What is learnt of the scene of a camera holds as long as it is looked at in the same way."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from argos.config import config_from_sources
from argos.engines.weights import load_card
from argos.pipelines.cameras import Cameras
from argos.pipelines.changes import compare
from argos.pipelines.ladder import RATE, SCALE
from argos.pipelines.people import People

CARDS = {"semantic": load_card("unet_lite"), "instances": load_card("ssdisb"), "proposal": load_card("qunet16")}
URL = "rtsp://127.0.0.1/door"


class Unlearning:
    """A line without networks that knows which cameras it was told to forget."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    def forget(self, camera: str) -> None:
        self.forgotten.append(camera)

    def keep_from(self, *limits: float) -> None:
        pass


def cameras_of(*settings: str) -> tuple[Cameras, Unlearning]:
    line = Unlearning()
    given: Any = {"recorders": {}, "fail_fast": False, "changed": threading.Condition(), "on_state": lambda feed: None}
    found = Cameras(config_from_sources([URL], list(settings)), cast(People, line), CARDS, **given)
    line.forgotten.clear()
    return found, line


@pytest.mark.parametrize(
    ("setting", "forgets"),
    [
        ("camera.instances.score_threshold=0.2", True),
        ("camera.instances.nms=0.9", True),
        ("camera.track.low_score=0.1", True),
        ("camera.semantic.threshold=0.2", True),
        ("camera.tasks=[semantic]", True),
        ("camera.mask_areas=[[[0,0],[1,0],[1,1]]]", True),
        ("camera.regions.mode=pack", False),
        ("camera.track.lost_s=5", False),
    ],
)
def test_a_camera_of_which_others_may_be_found_is_looked_at_anew(setting: str, forgets: bool) -> None:
    tasks = "camera.tasks=[instances,semantic]"
    cameras, line = cameras_of(tasks)
    (name,) = cameras.feeds
    changed = config_from_sources([URL], [tasks, setting])
    changes = compare(cameras.config, changed)
    assert changes.adjusted == (name,)
    cameras.apply(changed, changes, {})
    assert bool(line.forgotten) == forgets


def test_what_was_not_found_in_smaller_pictures_is_looked_for_again() -> None:
    cameras, line = cameras_of("camera.latency.max_age_ms=100")
    (name,) = cameras.feeds
    now_s = 0.0
    while cameras.step(name) < SCALE:
        now_s += 0.5
        cameras.aged(name, 1000.0, now_s)
    assert not line.forgotten
    while cameras.step(name) > RATE:
        now_s += 0.5
        cameras.aged(name, 1.0, now_s)
    assert line.forgotten == [name]
