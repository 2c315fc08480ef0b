"""The opponents on the sample clip: people in frame coordinates, and every computed pixel accounted for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from own_networks import write_code

from argos import machine
from argos.benching.contender import Networks, NotHereError, Setting, by_torch, networks_of
from argos.benching.modes import mode
from argos.benching.motion import FEW_STEP
from argos.benching.opponents import OPPONENTS, chosen
from argos.benching.rates import first_frames
from argos.benching.tiles import OVERLAP, SIDE, starts, tiling
from argos.benching.whole import bf16_by_torch, in_bf16, in_full
from argos.config import config_from_sources
from argos.engines.deployed import Deployed
from argos.engines.own_semantic import OwnSemantic
from argos.errors import UsageError
from argos.pipelines import calibration
from argos.pipelines.build import people_of_config, view_of
from argos.pipelines.truth import Truth

SAMPLES = Path(__file__).parents[2] / "samples"
FIRST, STEP, COUNT = 48, 4, 2  # frames of the clip: people in the middle, far enough apart to have moved
FULL = 352 * 640
"""Pixels of the sample clip at scale 0.5."""

FLOORS = {"shrunk": 0.6, "tiles": 0.75, "motion": 0.75, "motion-boxes": 0.75}
"""IoU with the truth; the full frame has 0.86."""


@pytest.fixture(scope="module")
def setting() -> Setting:
    config = config_from_sources([str(SAMPLES / "people.mp4")], ["camera.tasks=[semantic]", "engine.scale=0.5"])
    people, cards = people_of_config(config)
    (camera,) = config.cameras.values()
    frames = first_frames(config, FIRST + STEP * (COUNT - 1) + 1)[FIRST::STEP]
    return Setting(config, people, view_of(camera, config, cards), frames, 0.3)


@pytest.fixture(scope="module")
def truth() -> Callable[[int], NDArray[np.bool_]]:
    return Truth(SAMPLES / "people_truth.json").person


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


@pytest.mark.parametrize("name", FLOORS)
def test_people_are_found_where_they_are_and_the_pixels_are_those_the_network_saw(
    name: str, setting: Setting, truth: Callable[[int], NDArray[np.bool_]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    compute = Deployed.__call__

    def counted(outputs: Deployed, pixels: NDArray[np.uint8]):
        seen.append(pixels.shape)
        return compute(outputs, pixels)

    monkeypatch.setattr(Deployed, "__call__", counted)
    run = OPPONENTS[name](setting)
    for frame in setting.frames:
        seen.clear()
        outcome = run(frame, False)
        assert outcome.person.shape == frame.size
        assert outcome.share == pytest.approx(sum(n * h * w for n, h, w, _ in seen) / FULL)
        if name in ("tiles", "motion-boxes"):
            assert [shape[0] for shape in seen] == [1] * len(seen)
    assert overlap(outcome.person, truth(frame.index)) > FLOORS[name]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("full-torch", 0.99),
        ("full-onnxruntime", 0.99),
        ("full-openvino", 0.99),
        ("full-bf16", 0.97),
        ("full-int8", 0.9),
        ("full-int8-openvino", 0.9),
    ],
)
def test_other_runtimes_find_the_same_people(
    name: str, least: float, setting: Setting, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "RENDERED", calibration.RENDERED[:1])  # quick
    if "openvino" in name or "bf16" in name:
        pytest.importorskip("openvino", reason="needs the package openvino")
    if "bf16" in name and machine.lacks_bfloat16():
        pytest.skip("needs a processor with bfloat16")
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path_factory.getbasetemp() / "exported"))  # one file for all three
    frame = setting.frames[0]
    found = OPPONENTS[name](setting)(frame, False)
    wanted = in_full(setting, networks_of(setting.people, setting.view))(frame, False)
    assert found.share == 1.0
    assert overlap(found.person, wanted.person) > least


def test_packed_regions_in_8_bits_are_those_of_pack(
    setting: Setting, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "RENDERED", calibration.RENDERED[:1])
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path_factory.getbasetemp() / "exported"))
    run, plain = OPPONENTS["pack-int8"](setting), mode(setting, "pack")
    for frame in setting.frames:
        found, wanted = run(frame, False), plain(frame, False)
        assert (found.mode, found.share) == ("pack", wanted.share)
        assert 0.9 < overlap(found.person, wanted.person) < 1.0
    assert run(setting.frames[0], True).mode == "full"
    precise = setting.config.engine.model_copy(update={"precision": "int8", "backend": "onnxruntime"})
    with pytest.raises(NotHereError, match=r"engine.precision is int8: pack is this"):
        OPPONENTS["pack-int8"](replace(setting, config=setting.config.model_copy(update={"engine": precise})))


def test_a_runtime_that_is_not_installed_is_not_here(
    setting: Setting, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path_factory.getbasetemp() / "exported"))
    for name, package, remedy in (
        ("full-onnxruntime", "onnxruntime", "onnxruntime"),
        ("full-int8", "onnx", "onnx"),
        ("full-openvino", "openvino", r"'argos-vision\[openvino\]'"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(NotHereError, match=rf"pip install {remedy}"):
            OPPONENTS[name](setting)


@pytest.mark.parametrize("changes", [[], ["engine.scale=1"]])
def test_a_network_of_one_size_sees_no_larger_picture_and_computes_that_size_for_each(
    changes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"engine.models.semantic.network={write_code(tmp_path)}:shapes"
    takes = ["camera.tasks=[semantic]", own, "engine.models.semantic.input.size=[128, 160]"]
    names = "engine.models.semantic.output={name: out, person: [0, 2]}"
    config = config_from_sources([str(SAMPLES / "people.mp4")], [*takes, names, *changes])
    people, cards = people_of_config(config)
    frames = first_frames(config, 2)
    fixed = Setting(config, people, view_of(config.cameras["people"], config, cards), frames, 0.3)
    seen: list[tuple[int, ...]] = []
    compute = OwnSemantic.scores

    def counted(segmenter: OwnSemantic, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(pixels.shape)
        return compute(segmenter, pixels)

    monkeypatch.setattr(OwnSemantic, "scores", counted)
    for run in (mode(fixed, "full"), *(OPPONENTS[name](fixed) for name in (*FLOORS, "full-torch"))):
        for frame in frames:
            seen.clear()
            assert run(frame, False).share == sum(shape[0] for shape in seen)
            assert all(shape[1] <= 128 and shape[2] <= 160 for shape in seen)


@pytest.mark.parametrize("name", ["full-torch", *FLOORS])
def test_each_picture_has_its_own_scale(name: str, setting: Setting) -> None:
    large = setting.frames[0]
    small = replace(large, pixels=np.ascontiguousarray(large.pixels[:256, :320]), camera="small")
    view = replace(setting.view, scale=None)
    found, wanted = (
        OPPONENTS[name](replace(setting, view=view, frames=frames))(small, False)
        for frames in ([large, small], [small])
    )
    assert found.share == wanted.share
    np.testing.assert_array_equal(found.person, wanted.person)


def test_the_shrunk_frame_has_the_pixels_of_pack(setting: Setting) -> None:
    for budget in (0.1, 0.3, 0.6, 1.0):
        share = OPPONENTS["shrunk"](replace(setting, budget=budget))(setting.frames[0], False).share
        assert share == pytest.approx(budget, rel=0.15)  # sides are multiples of 32
    assert OPPONENTS["shrunk"](replace(setting, budget=1.7))(setting.frames[0], False).share == 1.0


@pytest.mark.parametrize("name", ["motion", "motion-boxes"])
def test_motion_takes_the_refreshes_of_the_modes_and_learns_from_them(name: str, setting: Setting) -> None:
    run = OPPONENTS[name](setting)
    frame = setting.frames[0]
    assert run(frame, True).share == 1.0
    still = run(frame, False)
    assert (still.share, still.person.any()) == (0.0, False)


def test_sides_of_single_boxes_come_in_few_lengths() -> None:
    assert FEW_STEP % 32 == 0


@given(st.integers(1, 3000), st.integers(1, 700))
def test_tiles_cover_a_side_and_overlap_at_least_as_asked(length: int, side: int) -> None:
    side = min(side, length)
    begins = starts(length, side)
    assert (begins[0], begins[-1]) == (0, length - side)
    assert all(0 < b - a <= side - int(side * OVERLAP) for a, b in pairwise(begins))


def test_tiles_of_720p_are_six_of_512() -> None:
    placements, size = tiling((720, 1280), (736, 1280), 1.0)
    assert size == (SIDE, SIDE)
    covered = np.zeros((720, 1280), np.bool_)
    for x0, y0, x1, y1 in placements.source.tolist():
        assert (x1 - x0, y1 - y0) == (512, 501)  # 720 rows are 736 for the network
        covered[y0:y1, x0:x1] = True
    assert len(placements) == 6
    assert covered.all()


def test_bfloat16_finds_the_same_people(setting: Setting) -> None:
    networks: Networks = networks_of(by_torch(setting.people), setting.view)
    frame = setting.frames[0]
    wanted = in_full(setting, networks)(frame, False)
    found = in_full(setting, in_bf16(networks, "cpu"))(frame, False)
    assert found.share == wanted.share == 1.0
    assert 0.9 < overlap(found.person, wanted.person) < 1.0  # 1.0 would be float32 again


def test_bfloat16_is_not_run_where_it_would_be_emulated(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "processor", lambda: ("old", ["avx2"]))
    with pytest.raises(NotHereError, match="no bfloat16"):
        bf16_by_torch(setting)


def test_opponents_are_chosen_by_name_in_the_order_of_the_table() -> None:
    assert chosen("all") == list(OPPONENTS)
    assert chosen("none") == []
    assert chosen("tiles, shrunk") == ["shrunk", "tiles"]
    with pytest.raises(UsageError, match=r"unknown tile; should be all, none or of .*shrunk, tiles"):
        chosen("tile")
