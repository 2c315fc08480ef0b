"""Networks in 8 bits: what is run is the file, its ranges are those of the pictures, last layers stay as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from argos.engines import int8
from argos.engines.core import Core
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.deployed import Deployed, onnx_of
from argos.engines.gather_own import runs_on_blocks
from argos.engines.int8 import Calibration, in_int8
from argos.errors import UsageError
from argos.networks.ssd_isb import SSDISB
from argos.networks.table import NETWORKS

SHAPES = ((1, 32, 32, 3), (2, 64, 160, 3), (1, 32, 480, 3))
"""Canvases: the smallest, several, a part of a full one."""


pytestmark = pytest.mark.usefixtures("cache")


class Edges(nn.Module):
    """One logit per pixel, by three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.score = nn.Conv2d(8, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.score(torch.relu(self.second(torch.relu(self.first(image)))))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return Edges().eval()


def pictures(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def calibration(name: str = "noise", count: int = 3) -> Calibration:
    return Calibration(name, lambda: [torch.from_numpy(pictures((1, 64, 96, 3), n)) for n in range(count)])


def integer_weights(path: Path) -> dict[str, np.ndarray]:
    """Weights of more than one axis that are kept as int8."""
    found = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    return {name: array for name, array in found.items() if array.dtype == np.int8 and array.ndim == 4}


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_pictures_of_any_size_and_number_are_near_float32_and_not_equal(backend: str, network: nn.Module) -> None:
    pytest.importorskip(backend, reason=f"needs the package {backend}")
    plain = SemanticSegmenter(network)
    segmenter = SemanticSegmenter(network, Deployed(Core(network, None), backend, 1, "int8", calibration()))  # type: ignore[arg-type]
    for shape in SHAPES:
        wanted, found = plain.scores(pictures(shape)), segmenter.scores(pictures(shape))
        assert found.shape == wanted.shape
        assert 0 < float(np.abs(found - wanted).max()) < 0.03
    assert segmenter.scores(np.zeros((0, 64, 64, 3), np.uint8)).shape == (0, 64, 64)


def test_what_is_run_is_the_file_bit_for_bit(network: nn.Module, cache: Path) -> None:
    deployed = Deployed(Core(network, None), "onnxruntime", 1, "int8", calibration())
    path = in_int8(onnx_of(deployed.core), calibration())
    assert path.parent == cache / "onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for shape in SHAPES:
        (wanted,) = session.run(None, {"pixels": pictures(shape)})
        found, output = deployed(pictures(shape))
        assert output is None
        assert found is not None
        np.testing.assert_array_equal(found.numpy(), wanted)


def test_a_layer_is_computed_in_integers_as_the_file_says(network: nn.Module) -> None:
    """The first layer by hand, from the numbers in the file: rounded input, integer sums, rounded output."""
    path = in_int8(onnx_of(Core(network, None)), calibration())
    model = onnx.load(path)
    nodes = {output: node for node in model.graph.node for output in node.output}
    constant = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    read, weight, bias = (nodes[name] for name in convolution.input)
    assert {node.op_type for node in (read, weight, bias)} == {"DequantizeLinear"}
    # what follows rounds, and by its range from 0 on it is the ReLU too
    rounded = next(n for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in convolution.output)
    image = pictures((1, 32, 64, 3)).transpose(0, 3, 1, 2).astype(np.float32) / 255
    step, zero = constant[read.input[1]], constant[read.input[2]].astype(np.int32)
    integers = np.clip(np.rint(image / step) + zero, 0, 255).astype(np.int32) - zero
    sums = torch.conv2d(
        torch.from_numpy(integers).double(), torch.from_numpy(constant[weight.input[0]].astype(np.float64)), padding=1
    )
    sums += torch.from_numpy(constant[bias.input[0]].astype(np.float64))[:, None, None]
    real = sums.numpy() * (step * constant[weight.input[1]])[:, None, None]
    out_step = constant[rounded.input[1]]
    assert constant[rounded.input[2]] == 0
    wanted = np.clip(np.rint(np.maximum(real, 0) / out_step), 0, 255)
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(onnx.helper.make_tensor_value_info(rounded.output[0], onnx.TensorProto.UINT8, None))
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run([rounded.output[0]], {"pixels": pictures((1, 32, 64, 3))})[0].astype(np.float64)
    off = np.abs(found - wanted)
    assert off.max() <= 1  # sums that lie between two integers
    assert (off > 0).mean() < 0.001


def test_the_last_layer_stays_in_float32_where_that_is_asked_for(network: nn.Module) -> None:
    source = onnx_of(Core(network, None))
    whole, shapes = [(1, 8, 1, 1), (8, 3, 3, 3), (8, 8, 3, 3)], []
    for precise in ((), (0,)):
        weights = integer_weights(in_int8(source, calibration(), precise))
        shapes.append(sorted(array.shape for array in weights.values()))
    assert shapes == [whole, whole[1:]]


def test_heads_of_a_detector_stay_in_float32_and_its_maps_do_not() -> None:
    torch.manual_seed(0)
    detector = NETWORKS["ssd_isb.person"](0.25).eval()
    assert isinstance(detector, SSDISB)
    core = Core(None, detector).eval()
    deployed = Deployed(core, "onnxruntime", 1, "int8", calibration())
    people = InstanceSegmenter(detector, 0.2, 0.5, deployed)
    assert len(people.instances(pictures(SHAPES[1]))) == 2
    convolutions = [node for node in onnx.load(onnx_of(core)).graph.node if node.op_type == "Conv"]
    kept = len(detector.box_heads) + len(detector.class_heads)
    path = in_int8(onnx_of(core), calibration(), core.precise)
    assert len(integer_weights(path)) == len(convolutions) - kept
    with torch.inference_mode():
        deltas, logits, *_ = core(torch.from_numpy(pictures(SHAPES[1])))
    _, found = deployed(pictures(SHAPES[1]))
    assert found is not None
    for a, b in ((found.deltas, deltas), (found.logits, logits)):
        assert 0 < float((a - b).std()) < 0.1 * float(b.std())


def test_other_weights_pictures_or_processors_get_another_file(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = onnx_of(Core(network, None))
    monkeypatch.setattr(int8, "processor", lambda: ("new", ["avx2", "avx512_vnni"]))
    path = in_int8(source, calibration())
    written = path.stat().st_mtime_ns
    assert in_int8(source, Calibration("noise", list)) == path  # the pictures are not asked for again
    assert path.stat().st_mtime_ns == written
    others = {in_int8(source, calibration("few", 1)), in_int8(onnx_of(Core(Edges(), None)), calibration())}
    assert max(int(np.abs(w.astype(int)).max()) for w in integer_weights(path).values()) > 64
    monkeypatch.setattr(int8, "processor", lambda: ("old", ["avx2"]))
    old = in_int8(source, calibration())
    assert max(int(np.abs(w.astype(int)).max()) for w in integer_weights(old).values()) <= 64  # nothing saturates
    assert len({path, old, *others}) == 4


@pytest.mark.parametrize("damaged", ["the float32 file", "the file"])
def test_damaged_files_are_written_anew(network: nn.Module, damaged: str, caplog: pytest.LogCaptureFixture) -> None:
    source, noise = onnx_of(Core(network, None)), calibration(f"noise {damaged}")
    path = source if damaged == "the float32 file" else in_int8(source, noise)
    path.write_bytes(path.read_bytes()[:100])
    deployed = Deployed(Core(network, None), "onnxruntime", 1, "int8", noise)
    assert deployed(pictures(SHAPES[0]))[0] is not None
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(f"{path}: cannot be loaded")
    assert path.stat().st_size > 100


def test_without_a_cache_the_files_are_temporary(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "file"))
    segmenter = SemanticSegmenter(network, Deployed(Core(network, None), "onnxruntime", 1, "int8", calibration()))
    assert segmenter.scores(pictures(SHAPES[0])).shape == SHAPES[0][:3]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"the cache {tmp_path / 'file'} cannot be written (Not a directory)" in warning
    assert "set ARGOS_CACHE to a folder that can" in warning


def test_nobody_looks_into_a_network_in_8_bits(network: nn.Module) -> None:
    core = Core(network, None)
    assert runs_on_blocks(SemanticSegmenter(network, Deployed(core, "onnxruntime", 1)))
    assert not runs_on_blocks(SemanticSegmenter(network, Deployed(core, "onnxruntime", 1, "int8", calibration())))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(package: str, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"needs the package {package} .*pip install {package}"):
        Deployed(Core(network, None), "onnxruntime", 1, "int8", calibration()).runtime  # noqa: B018
