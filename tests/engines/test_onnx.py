"""ONNX files: what they take and give is read from them, and they compute what the network does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from argos.engines.export import export
from argos.engines.onnx import METADATA_KEY, OnnxNetwork, Port
from argos.errors import UsageError, WeightsError

pytest.importorskip("onnxscript", reason="needs the extra 'export'")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()


@pytest.fixture(scope="module")
def path(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    export(network, torch.rand(1, 3, 32, 48), "onnx", path, {"task": "semantic"})
    return path


def test_a_file_tells_what_it_takes_gives_and_is(path: Path) -> None:
    file = OnnxNetwork(path)
    assert file.inputs == (Port("image", (1, 3, 32, 48), "float32"),)
    assert [port.shape for port in file.outputs] == [(1, 2, 32, 48)]
    assert file.about == {"task": "semantic"}
    assert METADATA_KEY == "argos"


def test_a_file_computes_what_the_network_does(path: Path, network: nn.Module) -> None:
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        wanted = network(image).numpy()
    (found,) = OnnxNetwork(path, threads=1).run(image.numpy())
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_another_size_says_what_the_file_takes(path: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny.onnx: takes image float32 1x3x32x48, got float32 1x3x64x48"):
        OnnxNetwork(path).run(np.zeros((1, 3, 64, 48), np.float32))


def test_a_missing_and_a_damaged_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no.onnx: no such file"):
        OnnxNetwork(tmp_path / "no.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(WeightsError, match=r"bad.onnx: cannot be loaded as ONNX"):
        OnnxNetwork(tmp_path / "bad.onnx")


def test_a_missing_package_is_named_with_the_other_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"pip install onnxruntime, or use a torch.export file"):
        OnnxNetwork(path)
