"""Networks of others behind the proposals, from the configuration and from Python, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from main_job import own_models
from numpy.typing import NDArray
from own_networks import CLIP, export_to, in_all_forms, write_code

from argos.cli import main
from argos.config import config_from_sources
from argos.engines.weights import load_network
from argos.errors import UsageError, WeightsError
from argos.pipelines.api import Pipeline
from argos.pipelines.build import people_of_config, view_of
from argos.pipelines.views import Analysis
from argos.sources.read import read
from argos.types import Instances, Size

pytest.importorskip("onnxscript", reason="needs the extra 'export'")

SIZE = (96, 160)
FRAME = next(read(CLIP, "people"))
SEMANTIC = (
    "camera.tasks=[semantic]",
    "engine.models.semantic.input={mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3], order: bgr}",
    "engine.models.semantic.output={name: out, person: [0, 2]}",
)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return in_all_forms(tmp_path_factory.mktemp("shapes"), "shapes", *SIZE)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return own_models(tmp_path_factory.mktemp("own"))


def line(*overrides: str, **given: Any) -> Callable[[str], Analysis]:
    """The line of a configuration: a function from the mode to the analysis of the first frame of the sample clip."""
    config = config_from_sources([CLIP], overrides)
    people, cards = people_of_config(config, **given)
    view = replace(view_of(config.cameras["people"], config, cards), memory=False)

    def analysed(mode: str) -> Analysis:
        return people.step([FRAME], [replace(view, mode=mode)], [False])[0]

    return analysed


def masked(analysis: Analysis) -> NDArray[np.bool_]:
    assert analysis.semantic is not None
    return analysis.semantic.mask


def found(analysis: Analysis) -> Instances:
    assert analysis.instances is not None
    return analysis.instances


def test_a_module_runs_in_every_mode(shapes: dict[str, str]) -> None:
    analysed = line(f"engine.models.semantic.network={shapes['code']}", *SEMANTIC)
    full = masked(analysed("full"))
    assert 0.05 < full.mean() < 0.95
    for mode in ("pack", "mask", "gather"):
        analysis = analysed(mode)
        assert analysis.mode == mode
        assert 0 < masked(analysis).mean() < 0.95
        inside = np.zeros_like(full)
        for x0, y0, x1, y1 in analysis.regions.boxes.tolist():
            inside[y0 + 24 : y1 - 24, x0 + 24 : x1 - 24] = True  # what is far from borders sees what it sees in full
        assert (masked(analysis) == full)[inside].mean() > (0.9 if mode == "pack" else 0.6)


@pytest.mark.parametrize("form", ["program", "onnx"])
def test_a_file_of_one_size_finds_what_the_code_finds(shapes: dict[str, str], form: str) -> None:
    analysed = line(f"engine.models.semantic.network={shapes[form]}", *SEMANTIC)
    of_code = line(
        f"engine.models.semantic.network={shapes['code']}", *SEMANTIC, "engine.models.semantic.input.size=[96, 160]"
    )
    for mode in ("full", "pack", "mask"):
        analysis, wanted = analysed(mode), of_code(mode)
        assert (masked(analysis) == masked(wanted)).mean() > 0.9999
        assert analysis.mode == mode
        assert analysis.deep_share == wanted.deep_share
        assert analysis.deep_share == int(analysis.deep_share)  # whole pictures of its size, filled up or not


def test_people_of_a_file_are_in_pixels_of_the_frame(tmp_path: Path) -> None:
    files = in_all_forms(tmp_path, "Halves", *SIZE)
    least = "camera.instances.score_threshold=0.1"
    both = line(f"engine.models.instances={files['onnx']}", least)("full")
    assert sorted(found(both).boxes.tolist()) == [[0, 0, 640, 720], [640, 0, 1280, 720]]
    right = line(
        f"engine.models.instances.network={files['program']}", least, "engine.models.instances.output.person=[7]"
    )
    assert found(right("full")).boxes.tolist() == [[640, 0, 1280, 720]]


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_what_argos_exported_finds_what_the_model_finds(own: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    files = {}
    for task in ("semantic", "instances"):
        network, card = load_network(str(own[task]))
        about = {"model": card.identity, "task": task, "thresholds": card.thresholds}
        files[task] = export_to(network, tmp_path / f"{task}{suffix}", *SIZE, about)
    settings = ("camera.tasks=[semantic, instances]", "camera.semantic.threshold=0.5", "engine.scale=0.125",
                "camera.instances={score_threshold: 0.2, max_people: 5}",
                "engine.packing.canvas=[96, 160]")  # fmt: skip
    of_model = line(*settings, *(f"engine.models.{task}={own[task]}" for task in files))
    of_file = line(
        *settings,
        f"engine.models.semantic={files['semantic']}",
        f"engine.models.instances.network={files['instances']}",
        f"engine.models.instances.weights={own['instances']}",
    )
    wanted, analysis = of_model("full"), of_file("full")
    assert (masked(analysis) == masked(wanted)).mean() > 0.999
    assert len(found(wanted))
    np.testing.assert_allclose(found(analysis).scores, found(wanted).scores, atol=1e-3)
    np.testing.assert_allclose(found(analysis).boxes, found(wanted).boxes, atol=1)
    assert (found(analysis).union() == found(wanted).union()).mean() > 0.999
    packed = of_file("pack")  # small canvases are filled up to the size of the file, so the context is another one
    assert packed.mode == "pack"
    assert packed.deep_share >= 1
    assert len(found(packed))
    with pytest.raises(WeightsError, match=r"a model for instances, not for semantic; choose another under engine.mod"):
        line("camera.tasks=[semantic]", f"engine.models.semantic={files['instances']}")
    with pytest.raises(
        WeightsError, match=r"exported from own-instances@sha256:\w+, and the branches are those of ssdi"
    ):
        line(f"engine.models.instances.network={files['instances']}", "engine.models.instances.weights=ssdisb")
    for key in ("input={order: bgr}", "output={person: [1]}"):
        said = rf"models.instances.{key[:5]}.*: .* was written by argos export and says itself .*: remove the key"
        with pytest.raises(WeightsError, match=said):
            line(f"engine.models.instances.network={files['instances']}", f"engine.models.instances.{key}")
    with pytest.raises(WeightsError, match=r"no shipped model, .* set engine.models.instances.weights to the"):
        line(f"engine.models.instances={files['instances']}")


class Somebody:
    """A segmenter of one's own: somebody in the corner of every picture, and a shadow of somebody."""

    size: Size | None = None

    def instances(self, pixels: NDArray[np.uint8]) -> list[Instances]:
        boxes = np.array([[0, 0, 8, 8], [16, 16, 32, 32]], np.int32)
        masks = (np.ones((8, 8), np.bool_), np.ones((16, 16), np.bool_))
        size = (pixels.shape[1], pixels.shape[2])
        return [Instances(boxes, np.float32([0.9, 0.3]), np.int32([0, 0]), masks, size)] * len(pixels)


def test_modules_functions_and_segmenters_are_given_from_python() -> None:
    module = torch.nn.Conv2d(3, 1, 1)
    torch.nn.init.constant_(module.weight, 1.0)
    torch.nn.init.constant_(module.bias, -1.5)  # type: ignore[arg-type]
    overrides = ["camera.tasks=[semantic, instances]", "camera.track.enabled=false", "camera.regions.mode=full"]
    with Pipeline.from_sources(CLIP, overrides=overrides, semantic=module, instances=Somebody()) as pipeline:
        result = next(iter(pipeline))
    assert result.instances is not None
    assert result.instances.boxes.tolist() == [[0, 0, 16, 17]]
    assert result.semantic is not None
    assert 0 < result.semantic.area < 1
    assert result.models["semantic"].startswith("the network given from Python@sha256:")

    function = line("camera.tasks=[semantic]", own_semantic=lambda image: module(image))
    np.testing.assert_array_equal(masked(function("full")), result.semantic.mask)
    with pytest.raises(UsageError, match=r"given from Python: runs as a whole, so it does not run in mode gather"):
        line("camera.tasks=[semantic]", "camera.regions.mode=gather", own_semantic=lambda image: module(image))


def test_what_does_not_fit_is_told_before_a_camera_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = write_code(tmp_path)
    run = ["run", "webcam:77", "--set", "camera.tasks=[semantic]", "--set", f"engine.models.semantic={code}:shapes"]
    assert main(run) == 4
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"argos: {code}:shapes: gives more than one output; set engine.models.semantic.output.name to one of: "
        "out 1x3x192x320, seen 1x1x384x640"
    )
