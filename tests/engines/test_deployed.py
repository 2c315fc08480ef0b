"""Other runtimes compute what torch does, on pictures of any size and number, from a file written once."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from argos import machine
from argos.engines import deployed
from argos.engines.core import Core
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.deployed import Backend, Deployed, onnx_of, open_runtime
from argos.engines.weights import load_network
from argos.errors import UsageError, WeightsError
from argos.networks.ssd_isb import SSDISB
from argos.networks.table import NETWORKS

SHAPES = ((1, 96, 64, 3), (3, 64, 160, 3))


pytestmark = pytest.mark.usefixtures("cache")


class Tiny(nn.Module):
    """One logit per pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def core() -> Core:
    torch.manual_seed(0)
    detector = NETWORKS["ssd_isb.person"](0.25).eval()
    assert isinstance(detector, SSDISB)
    for head in (*detector.class_heads, *(branch.score for branch in detector.branches)):
        nn.init.normal_(head.weight, std=0.3)
    return Core(Tiny(), detector).eval()


def pictures(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_runtime_computes_what_torch_does_on_any_size_and_number(backend: Backend, core: Core) -> None:
    pytest.importorskip(backend, reason=f"needs the package {backend}")
    runtime = open_runtime(backend, onnx_of(core), 1)
    for shape in SHAPES:
        with torch.inference_mode():
            wanted = core(torch.from_numpy(pictures(shape)))
        found = runtime(pictures(shape))
        assert [array.shape for array in found] == [tuple(tensor.shape) for tensor in wanted]
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b.numpy(), atol=1e-3 * max(1.0, float(b.abs().max())))


def test_people_and_scores_are_those_of_torch(core: Core) -> None:
    assert core.semantic is not None
    assert core.instances is not None
    outputs = Deployed(core, "onnxruntime", 1)
    picture = pictures(SHAPES[1])
    people = InstanceSegmenter(core.instances, 0.2, 0.5)
    found = replace(people, outputs=outputs).instances(picture)
    wanted = people.instances(picture)
    assert sum(len(one) for one in found) > 0
    for one, expected in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.boxes, expected.boxes, atol=1)
        np.testing.assert_allclose(one.scores, expected.scores, atol=1e-4)
    scores = SemanticSegmenter(core.semantic)
    np.testing.assert_allclose(replace(scores, outputs=outputs).scores(picture), scores.scores(picture), atol=1e-4)


def test_the_file_is_written_once_for_the_same_weights(
    core: Core, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = onnx_of(core)
    assert path.parent == cache / "onnx"
    monkeypatch.setattr(torch.onnx, "export", None)
    assert onnx_of(core) == path
    assert core.instances is not None
    with torch.no_grad():
        core.instances.box_heads[0].bias += 1
    with pytest.raises(UsageError):  # another file would have to be written
        onnx_of(core)
    with torch.no_grad():
        core.instances.box_heads[0].bias -= 1


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_damaged_file_is_told_and_written_anew(
    backend: Backend, share: float, core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip(backend, reason=f"needs the package {backend}")
    path = onnx_of(core)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    for _ in range(2):  # the second time there is nothing to tell
        logits, _ = Deployed(core, backend, 1)(pictures(SHAPES[0]))
        assert logits is not None
        with torch.inference_mode():
            torch.testing.assert_close(logits, core(torch.from_numpy(pictures(SHAPES[0])))[0], atol=1e-4, rtol=1e-4)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{path}: cannot be loaded")
    assert record.getMessage().endswith("it is written anew")
    assert len(path.read_bytes()) == len(whole)


def test_a_file_that_cannot_be_loaded_when_just_written_is_an_error(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(backend: Backend, path: Path, *_: object, **__: object) -> None:
        raise WeightsError(f"{path}: cannot be loaded")

    monkeypatch.setattr(deployed, "open_runtime", refuses)
    with pytest.raises(WeightsError, match=r"cannot be loaded, although it was just written: choose another engine.b"):
        _ = Deployed(core, "onnxruntime", 1).runtime


def test_a_shared_encoder_runs_once() -> None:
    unet, _ = load_network("unet_lite")
    detector, _ = load_network("ssdisb")
    assert isinstance(detector, SSDISB)
    core = Core(unet, detector)
    assert core.shared
    calls: list[int] = []
    for network in (unet, detector):
        network.backbone.register_forward_hook(lambda *_: calls.append(1))
    picture = torch.from_numpy(pictures((1, 64, 96, 3)))
    with torch.inference_mode():
        logits, output = core.split(core(picture))
        image = picture.permute(0, 3, 1, 2).float() / 255
        assert len(calls) == 1
        assert logits is not None
        assert output is not None
        torch.testing.assert_close(logits, unet(image))
        for found, wanted in zip((output.deltas, output.logits, output.anchors), detector(image), strict=False):
            torch.testing.assert_close(found, wanted)


def test_a_missing_package_names_the_extra(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    path = onnx_of(core)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match=r"pip install 'argos-vision\[openvino\]'"):
        open_runtime("openvino", path, 1)


def test_bfloat16_is_refused_where_the_processor_has_it_not(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="needs the package openvino")
    monkeypatch.setattr(machine, "processor", lambda: ("old", ["avx2", "avx512f"]))  # where it is emulated
    with pytest.raises(UsageError, match=r"engine.precision: bfloat16 is not .* choose int8 or float32"):
        _ = Deployed(core, "openvino", 1, "bfloat16").runtime


def test_a_file_with_sizes_for_constants_is_refused() -> None:
    class Wide(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image[:, :1] + int(image.shape[3])

    with pytest.raises(UsageError, match="cannot be written as ONNX for pictures of any size that say the same"):
        onnx_of(Core(Wide(), None))


def test_sides_that_are_no_multiples_are_left_to_the_networks(core: Core) -> None:
    assert core.semantic is not None
    segmenter = SemanticSegmenter(core.semantic)
    picture = pictures((1, 90, 70, 3))
    assert Deployed(core, "onnxruntime", 1)(picture) == (None, None)
    found = replace(segmenter, outputs=Deployed(Core(core.semantic, None), "onnxruntime", 1)).scores(picture)
    np.testing.assert_array_equal(found, segmenter.scores(picture))


def test_a_package_that_writes_is_named(core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"needs the package onnx .*: pip install onnx, or choose torch"):
        onnx_of(core)
