"""Mode ``auto`` from end to end: what it chooses, and what it asks for. Time is counted, not measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from main_job import own_models
from numpy.typing import NDArray

from argos.packing.limits import SemanticLimits
from argos.pipelines import people as people_module
from argos.pipelines import proposals, put_back, work
from argos.pipelines.api import Pipeline
from argos.pipelines.people import People
from argos.pipelines.views import Analysis, Canvas, View
from argos.types import Frame, RegionMask, Size

SIZE: Size = (192, 320)
VIEW = View("auto", 0.5, 0, 0.0, 0, semantic=SemanticLimits(0.5), instances=None, scale=1.0)


class Clock:
    """Stands still but for what is added."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def pass_ms(self, ms: float) -> None:
        self.now_s += ms / 1e3


class Proposer:
    """Proposes the left part of a frame, in 20 ms."""

    size = 80

    def __init__(self, clock: Clock) -> None:
        self.clock, self.share, self.calls = clock, 1.0, 0

    def __call__(self, frame: Frame, small: object = None) -> RegionMask:
        self.clock.pass_ms(20.0)
        self.calls += 1
        scores = np.zeros((48, 80), np.float32)
        scores[:, : round(80 * self.share)] = 0.9
        return RegionMask(scores, scores > 0.5, frame.size)


class Network:
    """Finds nobody, in 10 ms and 2 ms for every 1000 pixels."""

    size = None

    def __init__(self, clock: Clock) -> None:
        self.clock, self.pixels = clock, Counter[int]()

    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = int(np.prod(pixels.shape[:3]))
        self.pixels[count] += 1
        self.clock.pass_ms(10 + count / 500)
        return np.zeros(pixels.shape[:3], np.float32)


class Scene:
    """A line of such parts and what it did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        for module in (people_module, proposals, put_back, work):
            monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=self.clock.perf_counter))
        self.proposer, self.network = Proposer(self.clock), Network(self.clock)
        self.line = People(self.proposer, self.network, None, Canvas((192, 320), 2, 8))  # type: ignore[arg-type]
        self.index = 0

    def run(self, share: float, frames: int, view: View = VIEW, camera: str = "door") -> list[Analysis]:
        """Frames of which a share is proposed."""
        self.proposer.share = share
        done = []
        for _ in range(frames):
            frame = Frame(np.zeros((*SIZE, 3), np.uint8), camera, self.index, self.index / 10)
            done += self.line.step([frame], [view], [False])
            self.index += 1
        return done


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def modes(analyses: list[Analysis]) -> list[str]:
    return [analysis.mode for analysis in analyses]


def test_an_empty_scene_is_skipped(scene: Scene) -> None:
    assert modes(scene.run(0.0, 30)).count("skip") >= 29


def test_small_regions_are_packed_once_two_full_frames_are_known(scene: Scene) -> None:
    assert modes(scene.run(0.1, 10)) == ["full"] * 2 + ["pack"] * 8


def test_a_stream_that_begins_with_a_refresh_is_packed_as_soon(scene: Scene) -> None:
    scene.proposer.share = 0.1
    frame = Frame(np.zeros((*SIZE, 3), np.uint8), "door", 0, 0.0)
    assert modes(scene.line.step([frame], [VIEW], [True])) == ["full"]
    scene.index = 1
    assert modes(scene.run(0.1, 9))[2:] == ["pack"] * 7


def test_a_line_apart_learns_what_modes_cost_from_its_own_runs(scene: Scene) -> None:
    scene.run(0.1, 10)
    learnt, scene.line = scene.line, scene.line.apart()
    assert modes(scene.run(0.1, 4, camera="yard")) == ["full"] * 2 + ["pack"] * 2
    scene.line = learnt
    assert modes(scene.run(0.1, 4)) == ["pack"] * 4


def test_a_crowded_camera_is_asked_for_proposals_only_now_and_then(scene: Scene) -> None:
    assert set(modes(scene.run(1.0, 100))) == {"full"}
    before = scene.proposer.calls
    assert set(modes(scene.run(1.0, 100))) == {"full"}
    # a full frame takes 133 ms, of which 2 % pay for a question of 20 ms after 7.5 frames
    assert scene.proposer.calls - before == pytest.approx(100 / 7.5, abs=2)


def test_when_the_crowd_has_gone_it_is_seen_at_the_next_question(scene: Scene) -> None:
    scene.run(1.0, 60)
    assert "skip" not in modes(scene.run(1.0, 20))
    left = modes(scene.run(0.0, 20))
    assert left.index("skip") <= 8
    assert set(left[left.index("skip") :]) == {"skip"}


def test_an_answer_that_is_remembered_says_nothing_about_what_questions_take(scene: Scene) -> None:
    scene.run(0.1, 30, replace(VIEW, memory=True))
    assert scene.proposer.calls < 10
    assert scene.line.planner.account("door").question_ms == pytest.approx(20.0)


def test_a_watched_camera_is_asked_about_every_frame_however_crowded(scene: Scene) -> None:
    scene.run(1.0, 50, replace(VIEW, watched=True))
    assert scene.proposer.calls == 50


def test_a_refresh_is_no_change_of_mind(scene: Scene) -> None:
    scene.run(0.1, 10)
    frame = Frame(np.zeros((*SIZE, 3), np.uint8), "door", 10, 1.0)
    assert modes(scene.line.step([frame], [VIEW], [True])) == ["full"]
    assert scene.line.planner.account("door").mode == "pack"


def test_regions_are_laid_out_once_per_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The canvases that were weighed are those that are painted, and as large as was reckoned."""
    scene.run(0.1, 3)
    monkeypatch.setattr(people_module, "lay_out", None)
    (analysis,) = scene.run(0.1, 1)
    assert analysis.mode == "pack"
    assert analysis.deep_share == pytest.approx(max(scene.network.pixels) ** -1 * min(scene.network.pixels))


def test_cameras_that_ask_for_pack_and_auto_share_canvases(scene: Scene) -> None:
    scene.run(0.1, 3)
    scene.network.pixels.clear()
    frames = [Frame(np.zeros((*SIZE, 3), np.uint8), camera, 4, 0.4) for camera in ("door", "yard")]
    both = scene.line.step(frames, [VIEW, replace(VIEW, mode="pack")], [False, False])
    assert modes(both) == ["pack", "pack"]
    assert sum(scene.network.pixels.values()) == 1


@pytest.mark.parametrize(("threshold", "ending"), [("0", "full"), ("1", "skip")])
def test_a_crowded_stream_ends_in_full_and_an_empty_one_is_skipped(tmp_path: Path, threshold: str, ending: str) -> None:
    """Where everything or nothing is proposed, and the deep network is much dearer than the question on any machine."""
    settings = [f"engine.models.{role}={path}" for role, path in own_models(tmp_path).items()]
    settings += ["camera.tasks=[semantic]", f"camera.regions.threshold={threshold}", "camera.regions.memory=false"]
    settings += ["camera.regions.refresh_full_s=null", "engine.scale=1", "outputs=[]"]
    with Pipeline.from_sources("fake://people?n=8&seed=1&size=512x384&frames=12", overrides=settings) as pipeline:
        found = [result.mode for result in pipeline]
    assert len(found) == 12
    assert set(found[4:]) == {ending}
