"""``engine.backend``: another program computes what torch does, in the line as a whole."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from main_job import PEOPLE, always_four
from numpy.typing import NDArray

from argos.config import config_from_sources
from argos.engines import deployed
from argos.engines.dense import SemanticSegmenter
from argos.engines.deployed import Deployed
from argos.errors import DeviceError, UsageError
from argos.packing.canvas import few_shapes_of
from argos.packing.costs import Costs, Line, Tasks
from argos.packing.planner import AskedMode
from argos.pipelines.backend import Program, by_program, fastest_program, open_networks, programs
from argos.pipelines.build import engine_settings, people_of_config, view_of
from argos.pipelines.truth import Truth
from argos.sources.read import read

SAMPLES = Path(__file__).parents[2] / "samples"


def test_the_line_finds_the_same_by_onnx_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    changes = [*always_four(tmp_path)[1::2], "camera.regions.mode=pack", "engine.scale=0.5"]
    frame = next(iter(read(PEOPLE, "people")))
    found = {}
    for backend in ("torch", "onnxruntime"):
        config = config_from_sources([PEOPLE], [*changes, f"engine.backend={backend}"])
        people, cards = people_of_config(config)
        (camera,) = config.cameras.values()
        assert isinstance(getattr(people.semantic, "outputs", None), Deployed) == (backend == "onnxruntime")
        assert people.canvas.few == (backend == "torch")
        people.canvas = replace(people.canvas, few=False)  # the same pixels for both
        (found[backend],) = people.step([frame], [view_of(camera, config, cards)], [False])
    wanted, got = found["torch"], found["onnxruntime"]
    assert wanted.mode == got.mode == "pack"
    assert wanted.semantic is not None
    assert got.semantic is not None
    assert wanted.semantic.mask.any()
    assert (wanted.semantic.mask != got.semantic.mask).mean() < 0.01
    assert wanted.instances is not None
    assert got.instances is not None
    np.testing.assert_allclose(got.instances.scores, wanted.instances.scores, atol=1e-3)


def test_every_mode_in_8_bits_finds_nearly_the_same_as_in_32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    clip = str(SAMPLES / "people.mp4")
    changes = ["camera.tasks=[semantic]", "camera.regions.memory=false", "engine.scale=0.5"]
    frames = list(islice(read(clip, "people"), 30, 91, 20))
    modes: tuple[AskedMode, ...] = ("full", "pack", "mask", "auto")
    found: dict[str, dict[AskedMode, list[NDArray[np.bool_]]]] = {}
    for precision in ("float32", "int8"):
        engine = ["engine.backend=onnxruntime", f"engine.precision={precision}"]
        config = config_from_sources([clip], [*changes, *engine])
        people, cards = people_of_config(config)
        assert people.gathers == (precision == "float32")
        (camera,) = config.cameras.values()
        view = view_of(camera, config, cards)
        masks: dict[AskedMode, list[NDArray[np.bool_]]] = {mode: [] for mode in modes}
        for mode, seen in masks.items():
            for frame in frames:
                (analysis,) = people.step([replace(frame, camera=mode)], [replace(view, mode=mode)], [False])
                assert analysis.semantic is not None
                assert mode == "auto" or analysis.mode == mode
                seen.append(analysis.semantic.mask)
        found[precision] = masks
    truth = Truth(SAMPLES / "people_truth.json")
    true = [truth.person(frame.index) for frame in frames]
    for mode in ("full", "pack", "mask"):  # auto may choose otherwise, by the time that a run takes
        wanted, got = found["float32"][mode], found["int8"][mode]
        assert 0.95 < overlap(got, wanted) < 1.0
        assert abs(overlap(got, true) - overlap(wanted, true)) < 0.02
    assert overlap(found["int8"]["auto"], true) > 0.6
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"needs the package onnx .*pip install onnx"):
        people_of_config(config)


def test_what_runs_is_open_and_warm_before_the_first_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    network = torch.nn.Conv2d(3, 1, 1).eval()
    segmenter = by_program("onnxruntime", SemanticSegmenter(network), "cpu")
    assert isinstance(segmenter.outputs, Deployed)
    run, seen = segmenter.outputs.runtime, []

    def watched(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        seen.append(pixels.shape)
        return run(pixels)

    segmenter.outputs.runtime = watched
    open_networks([("instances",)], segmenter, None, None, (320, 480))
    assert seen == []  # nobody needs it
    open_networks([("semantic",)], segmenter, None, None, (320, 480))
    assert seen == [(1, 320, 480, 3)]
    segmenter.outputs.backend = "openvino"
    open_networks([("semantic",)], segmenter, None, None, (320, 480))
    assert seen[1:] == [(1, h, w, 3) for h, w in few_shapes_of((320, 480))]
    joint = replace(segmenter)
    segmenter.outputs.backend = "onnxruntime"
    both: Tasks = ("instances", "semantic")
    for tasks, runs in (({both}, 1), ({both, ("semantic",)}, 2), ({("semantic",), ("instances",)}, 1)):
        seen.clear()
        open_networks(tasks, segmenter, None, joint, (320, 480))
        assert len(seen) == runs  # cameras with other tasks share canvases, and the networks run apart then


def overlap(a: list[NDArray[np.bool_]], b: list[NDArray[np.bool_]]) -> float:
    """IoU over all frames."""
    pairs = list(zip(a, b, strict=True))
    return sum(int((x & y).sum()) for x, y in pairs) / sum(int((x | y).sum()) for x, y in pairs)


def test_costs_in_8_bits_are_others_than_in_32() -> None:
    settings = []
    for changes in (["precision=float32"], ["precision=int8"], ["precision=int8", "calibration=fake://people"]):
        keys = ["engine.backend=onnxruntime", *(f"engine.{change}" for change in changes)]
        settings.append(engine_settings(config_from_sources([PEOPLE], keys), "onnxruntime"))
    assert settings[0] != settings[1]
    assert settings[1] == settings[2]  # other pictures change no time


@pytest.mark.parametrize(
    ("precision", "says"),
    [
        ("int8", r"int8 is for the networks of ARGOS, .*argos export NAME"),
        ("bfloat16", r"bfloat16 is .* all your own: remove engine.precision"),
    ],
)
def test_another_precision_of_networks_of_ones_own_alone_is_refused(precision: str, says: str) -> None:
    class Given:
        size = None

        def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.zeros(pixels.shape[:3], np.float32)

    keys = ["camera.tasks=[semantic]", f"engine.precision={precision}"]
    with pytest.raises(UsageError, match=rf"engine.precision: {says}"):
        people_of_config(config_from_sources([PEOPLE], keys), Given())


def test_a_gpu_and_another_program_do_not_go_together() -> None:
    with pytest.raises(DeviceError, match=r"openvino runs on the CPU here; set engine.precision to float32, or"):
        by_program("openvino", None, "cuda:0", "bfloat16")
    with pytest.raises(DeviceError, match=r"engine.backend: openvino runs on the CPU here; choose torch"):
        by_program("openvino", None, "cuda:0")


def test_programs_are_those_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"onnxruntime", "openvino"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in here else None)
    assert programs("openvino", "float32", "cpu") == ("openvino",)
    assert programs("auto", "float32", "cpu") == ("onnxruntime", "openvino", "torch")
    assert programs("auto", "int8", "cpu") == ("onnxruntime", "openvino")
    assert programs("auto", "bfloat16", "cpu") == ("openvino",)
    assert programs("auto", "float32", "cuda:0") == ("torch",)
    assert programs("auto", "int8", "cuda:0")[0] == "onnxruntime"  # which says that it runs on CPUs
    here.clear()
    assert programs("auto", "float32", "cpu") == ("torch",)
    assert programs("auto", "int8", "cpu") == ("onnxruntime",)  # whose package is then asked for


def test_the_program_of_the_shortest_runs_is_taken() -> None:
    semantic, both = ("semantic",), ("instances", "semantic")
    canvas, pixels = (100, 100), 10_000
    slow, fast = (Costs(1.0, Line(ms - ms * pixels / 1e6, ms)) for ms in (50.0, 40.0))
    assert fastest_program({"onnxruntime": {}, "torch": {}}, [semantic], canvas) == "onnxruntime"
    assert fastest_program({"onnxruntime": {}, "torch": {semantic: slow}}, [semantic], canvas) == "onnxruntime"
    known: dict[Program, dict[Tasks, Costs]] = {"onnxruntime": {semantic: slow}, "torch": {semantic: fast}}
    assert fastest_program(known, [semantic], canvas) == "torch"
    assert fastest_program(known, [semantic, both], canvas) == "onnxruntime"  # nothing is known of both
    known = {"onnxruntime": {semantic: slow, both: fast}, "torch": {semantic: fast, both: fast}}
    assert fastest_program(known, [semantic, both], canvas) == "torch"


def test_auto_keeps_onnx_runtime_where_the_cache_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "file"))
    people, _ = people_of_config(config_from_sources([PEOPLE], always_four(tmp_path)[1::2]))
    for segmenter in (people.semantic, people.instances):
        outputs = getattr(segmenter, "outputs", None)
        assert isinstance(outputs, Deployed)
        assert outputs.backend == "onnxruntime"
    (record,) = caplog.records
    assert "set ARGOS_CACHE to a folder that can" in record.getMessage()


def test_auto_takes_torch_where_onnx_says_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(deployed, "_says_the_same", lambda core, path: False)
    config = config_from_sources([PEOPLE], always_four(tmp_path)[1::2])
    people, _ = people_of_config(config)
    assert getattr(people.semantic, "outputs", None) is None
    assert getattr(people.instances, "outputs", None) is None
    assert "auto takes torch" in caplog.text
    asked = config.engine.model_copy(update={"backend": "onnxruntime"})
    with pytest.raises(UsageError, match=r"cannot be written as ONNX .* choose torch"):
        people_of_config(config.model_copy(update={"engine": asked}))
