"""What leaves the process of people whose truth is known: nothing when networks fail; measured when they are healthy.

The cameras are rendered, the networks the shipped ones, damaged as the test says; the overlays come over a real socket,
from an MP4 file and over HTTP.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import argos
from argos.config import config_from_sources
from argos.drawing.overlay import overlay
from argos.drawing.styles import remembers
from argos.errors import WeightsError
from argos.pipelines.api import Pipeline
from argos.pipelines.outputs import Outputs
from argos.privacy.background import UNSEEN
from argos.privacy.judge import grown
from argos.propose.qunet import QUNetProposer
from argos.sources.read import read
from argos.sources.synthetic import Rendered, parse_scene, render
from argos.types import Frame, Overlay, RegionMask, Result

FRAMES = 4
SCENE = f"fake://people?n=4&seed=3&size=480x272&fps=10&frames={FRAMES}"
FAR = 60
"""Two values that differ by this much are told apart after JPEG and H.264."""

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Damage = Callable[[Pipeline], None]


def answers(pipeline: Pipeline, logits: Callable[[Floats], Floats]) -> None:
    """Let the network say something else of who is a person: for each anchor, background and person."""
    outputs = pipeline._people.instances.outputs
    run = outputs.runtime

    def changed(pixels: Pixels) -> list[Floats]:
        deltas, scores, *features = run(pixels)
        return [deltas, logits(scores), *features]

    outputs.runtime = changed


def nan(pipeline: Pipeline) -> None:
    answers(pipeline, lambda scores: np.full_like(scores, np.nan))


def nan_proposer(pipeline: Pipeline) -> None:
    pipeline._people.proposer.network = lambda image: torch.full((1, 2, *image.shape[2:]), float("nan"))


def raises(pipeline: Pipeline) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    pipeline._people.instances.outputs.runtime = fail


def blind(pipeline: Pipeline) -> None:
    """The network answers, and finds nobody."""
    answers(pipeline, lambda scores: np.broadcast_to(np.float32([50, 0]), scores.shape).copy())


def healthy(pipeline: Pipeline) -> None:
    """As shipped."""


def settings(folder: Path, *more: str) -> list[str]:
    files = f"[{{type: overlay, path: {folder}/o.mp4}}, {{type: contact_sheet, path: {folder}/sheet.png}}]"
    return [
        "camera.name=gate",
        "camera.privacy.people=fill",
        "camera.track.enabled=false",
        "publish.bind=tcp://127.0.0.1:*",
        "publish.overlay={max_fps: 1000, quality: 95, width: null}",
        "http={bind: '127.0.0.1:0', pictures: {quality: 95}}",
        f"outputs={files}",
        *more,
    ]


@pytest.fixture(scope="module")
def truth() -> list[Rendered]:
    return list(render(parse_scene(SCENE)))


def person(rendered: Rendered) -> NDArray[np.bool_]:
    mask = np.zeros(rendered.pixels.shape[:2], np.bool_)
    for one in rendered.people:
        x0, y0, x1, y1 = one.box
        mask[y0:y1, x0:x1] |= one.mask
    return mask


def decoded(data: bytes) -> Pixels:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[:, :, ::-1], np.uint8)


def leaked(picture: Pixels, rendered: Rendered, expected: Pixels) -> int:
    """True person pixels that look more like the person than like what should be there; where the two differ enough."""
    original = rendered.pixels.astype(int)
    from_original = np.abs(picture.astype(int) - original).max(axis=2)
    from_expected = np.abs(picture.astype(int) - expected).max(axis=2)
    told = person(rendered) & (np.abs(expected.astype(int) - original).max(axis=2) > FAR)
    assert told.sum() > 300, "the scene shows too little of anybody to tell a leak"
    return int((told & (from_original < from_expected)).sum())


def grey_overlay(result: Result) -> Pixels:
    """The overlay of a result on a picture that shows nothing."""
    grey = np.full((*result.size, 3), UNSEEN, np.uint8)
    return overlay(grey, result, memory=remembers("mask"))


def shown(folder: Path, damage: Damage, *more: str) -> Iterator[tuple[Result, dict[str, Pixels]]]:
    """Each result of a run with what left the process; then those that came late, with the last result."""
    pipeline = Pipeline(config_from_sources([SCENE], settings(folder, *more)))
    with pipeline:
        damage(pipeline)
        assert pipeline.endpoint is not None
        with argos.Subscriber(pipeline.endpoint, kinds=["overlay", "result"], queue=99, timeout=60) as subscriber:
            assert pipeline._publisher is not None
            end = time.monotonic() + 30
            while not pipeline._publisher.wants("overlay", "gate") and time.monotonic() < end:
                time.sleep(0.01)
            for result in pipeline:
                assert result.image is not None
                seen = {"image": result.image, "plot": result.plot()}
                for name, query in (("page", "?plain=1"), ("drawn", "")):
                    with urllib.request.urlopen(f"{pipeline.page}cameras/gate.jpg{query}", timeout=60) as answer:
                        seen[name] = decoded(answer.read())
                while "socket" not in seen:
                    message = subscriber.receive()
                    if isinstance(message, Overlay) and message.result_seq == result.seq:
                        seen["socket"] = decoded(message.data)
                    elif isinstance(message, Result):
                        assert message.privacy == result.privacy
                yield result, seen


@pytest.mark.parametrize(
    ("damage", "more", "state"),
    [
        (raises, (), "fallback:failed"),
        (nan, (), "fallback:failed"),
        (nan_proposer, (), "fallback:failed"),
        (blind, (), "fallback:uncertain"),
        (blind, ("camera.regions.mode=full",), "fallback:uncertain"),
        (healthy, ("camera.privacy.late_s=0.00001", "camera.instances.score_threshold=1.0"), "fallback:late"),
    ],
)
def test_nobody_leaves_the_process_when_the_networks_fail(
    tmp_path: Path, truth: list[Rendered], damage: Damage, more: tuple[str, ...], state: str
) -> None:
    results = []
    for result, seen in shown(tmp_path, damage, *more):
        results.append(result)
        assert result.privacy == state
        assert result.image is not None
        assert (result.image == UNSEEN).all()
        grey, drawn = np.full_like(result.image, UNSEEN), grey_overlay(result)
        wanted = {"image": grey, "page": grey, "plot": drawn, "drawn": drawn, "socket": drawn}
        assert {name: leaked(p, truth[result.index], wanted[name]) for name, p in seen.items()} == dict.fromkeys(
            seen, 0
        )
        # and the measure would have told
        assert leaked(truth[result.index].pixels, truth[result.index], grey) > 300
    assert len(results) == FRAMES
    film = list(read(str(tmp_path / "o.mp4"), "film"))
    assert len(film) == FRAMES
    for result, frame in zip(results, film, strict=True):
        assert leaked(frame.pixels, truth[result.index], grey_overlay(result)) == 0
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert np.median(np.abs(sheet[5:200, 5:200].astype(int) - UNSEEN)) <= 2


def test_the_leak_of_healthy_networks_is_measured(tmp_path: Path, truth: list[Rendered]) -> None:
    people = leak = covered = pixels = 0
    for result, seen in shown(tmp_path, healthy):
        assert result.privacy in ("ok", "fallback:uncertain")
        true, original = person(truth[result.index]), truth[result.index].pixels
        untouched = (seen["image"] == original).all(axis=2)
        people, leak = people + int(true.sum()), leak + int((true & untouched).sum())
        covered, pixels = covered + int((~untouched).sum()), pixels + true.size
        assert not (grown(seen["image"].max(axis=2) == UNSEEN, 1) & ~true).all()
    print(f"healthy: {leak / people:.2%} of person pixels shown, {covered / pixels:.1%} of the frame covered")
    assert leak / people < 0.25
    assert covered / pixels < 0.8


def test_who_is_missed_while_the_frame_before_is_on_its_way_stays_covered(
    truth: list[Rendered], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = QUNetProposer.__call__

    def blink(proposer: QUNetProposer, frame: Frame) -> RegionMask:
        found = look(proposer, frame)
        return found if frame.index == 0 else replace(found, scores=0 * found.scores, mask=np.zeros_like(found.mask))

    monkeypatch.setattr(QUNetProposer, "__call__", blink)
    wanted = ["camera.privacy={people: fill, hold_s: 9}", "camera.regions.mode=pack", "engine.in_flight=2"]
    with Pipeline(config_from_sources([SCENE], wanted)) as pipeline:
        results = list(pipeline)
    assert results[1].mode == "skip"
    assert results[0].image is not None
    assert results[1].image is not None
    covered = (results[0].image == UNSEEN).all(axis=2) & person(truth[0])
    assert covered.any()
    assert (results[1].image[covered] == UNSEEN).all()


def test_outputs_forget_the_pictures_of_a_camera_that_is_covered_from_now_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(Outputs, "forget", lambda _, camera: forgotten.append(camera))
    files = f"outputs=[{{type: jsonl, path: {tmp_path}/r.jsonl}}]"
    open_to_all, faster, covered = (
        config_from_sources([SCENE], [files, "camera.name=gate", *more])
        for more in ((), ["camera.priority=2"], ["camera.privacy.people=fill"])
    )
    with Pipeline(open_to_all) as pipeline:
        results = iter(pipeline)
        next(results)
        pipeline.reload(faster)
        next(results)
        pipeline.reload(covered)
        assert {result.privacy for result in results} & {"ok", "fallback:uncertain"}
    assert forgotten == ["gate"]


def test_a_camera_that_is_not_covered_ends_with_the_error_of_its_network(tmp_path: Path) -> None:
    pipeline = Pipeline(config_from_sources([SCENE], ["camera.privacy.people=none"]))
    with pipeline:
        nan(pipeline)
        with pytest.raises(WeightsError, match="the instance network gives NaN"):
            list(pipeline)


def test_areas_are_filled_before_anything_looks(truth: list[Rendered]) -> None:
    areas = "camera.mask_areas=[[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]"
    with Pipeline(config_from_sources([SCENE], [areas, "camera.regions.mode=full"])) as pipeline:
        for result in pipeline:
            assert result.privacy == "off"
            assert result.image is not None
            assert (result.image[:, :240] == UNSEEN).all()
            np.testing.assert_array_equal(result.image[:, 242:], truth[result.index].pixels[:, 242:])
