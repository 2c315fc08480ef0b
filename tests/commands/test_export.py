"""``argos export``: files that compute what the network does, on frames of the sample clip."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from main_job import own_models

from argos.cli import main
from argos.commands import export_int8
from argos.engines.export import compare_outputs, export, load_exported
from argos.engines.own_network import load_own
from argos.errors import UsageError

CLIP = str(Path(__file__).parents[2] / "samples" / "people.mp4")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small networks of each task, as files with cards."""
    return own_models(tmp_path_factory.mktemp("models"))


def checked(model: Path, to: str, out: Path, *more: str) -> list[str]:
    return ["export", str(model), "--to", to, "--out", str(out), "--size", "96x64", "--images", CLIP,
            "--frames", "2", *more]  # fmt: skip


def about_of(path: Path) -> Mapping[str, Any]:
    about = load_own(str(path), {}, None).about
    assert about is not None
    return about


def test_segmentation_in_onnx_computes_the_same_on_real_frames(
    own: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'export'")
    out = tmp_path / "own.onnx"
    assert main(checked(own["semantic"], "onnx", out, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert report["outputs"] == [[1, 1, 64, 96]]
    assert report["relative"] < 1e-4
    assert report["images"] == 2
    about = about_of(out)
    assert about["size"] == [96, 64]
    assert about["layout"].startswith("float32 RGB 0..1")
    assert main(checked(own["semantic"], "onnx", out, "--tolerance", "-1")) == 7
    assert "tolerance -1: exceeded" in capsys.readouterr().out


def test_what_belongs_to_int8_is_refused_without_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--truth", "--photos", "--loss"):
        assert main(["export", "unet_lite", "--out", str(tmp_path / "x.onnx"), option, "1"]) == 2
        assert f"{option}: for --int8 alone" in capsys.readouterr().err


def test_what_int8_does_not_take_is_refused_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value, words in (
        ("--frames", "3", "--frames: not for --int8"),
        ("--tolerance", "0.1", "--tolerance: not for --int8"),
        ("--photos", "-3", "--photos should be at least 0, got -3"),
    ):
        assert main(["export", "unet_lite", "--int8", "--out", str(tmp_path / "x.onnx"), option, value]) == 2
        assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_gives_nan_is_as_far_from_its_network_as_can_be() -> None:
    image, network = torch.ones(1, 3, 8, 8), torch.nn.Conv2d(3, 1, 1)
    found = compare_outputs(network, lambda image: [torch.full((1, 1, 8, 8), math.nan)], [image, image])
    assert found.relative == math.inf


def test_a_place_that_cannot_be_is_told_before_anything_is_computed(
    own: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, to, words in (
        ("x.pt2", "onnx", "x.pt2: a file of onnx ends in .onnx; or write --to torch.export"),
        ("x.bin", "torch.export", "x.bin: a file of torch.export ends in .pt2\n"),
    ):
        assert main(checked(own["semantic"], to, tmp_path / name)) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(checked(own["semantic"], "torch.export", tmp_path / "file" / "x.pt2")) == 6
    assert "x.pt2: cannot be written (File exists); choose another path with --out" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert main(checked(own["semantic"], "torch.export", tmp_path / "new" / "X.PT2")) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["X.PT2"]


def test_detector_in_torch_export_gives_its_outputs_in_order(
    own: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "own.pt2"
    assert main(checked(own["instances"], "torch.export", out)) == 0
    assert "frames of" in capsys.readouterr().out
    assert about_of(out)["task"] == "instances"
    deltas, logits, anchors, *maps = load_exported(out)(torch.rand(1, 3, 64, 96))
    assert deltas.shape[:2] == logits.shape[:2] == (1, len(anchors))
    assert [tuple(x.shape[-2:]) for x in maps] == [(8, 12), (4, 6), (2, 3)]


def test_proposals_in_onnx_are_those_of_the_network_in_every_bit(
    own: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'export'")
    out = tmp_path / "own.onnx"
    assert main(checked(own["proposal"], "onnx", out, "--tolerance", "0", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == [[1, 2, 64, 96]]


def test_an_operation_that_onnx_lacks_is_told_with_the_other_format(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'export'")

    class Spectrum(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.frexp(image).mantissa

    with pytest.raises(UsageError, match=r"ONNX has no prims.frexp, which .*; use --to torch.export"):
        export(Spectrum(), torch.rand(1, 3, 8, 8), "onnx", tmp_path / "own.onnx", {})


def test_int8_keeps_the_accuracy_of_asbunet_on_frames_that_did_not_calibrate_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript", reason="needs the extra 'export'")
    monkeypatch.setattr(export_int8, "FRAMES", 12)
    monkeypatch.setattr(export_int8, "STRIDE", 12)
    out = tmp_path / "small.onnx"
    arguments = ["export", "asbunet", "--int8", "--out", str(out), "--size", "448x256", "--images", CLIP]
    status = main([*arguments, "--loss", "0.03"])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "calibrated on 3 pictures" in printed
    (row,) = [line.split() for line in printed.splitlines() if "iou_clip" in line]
    before, after = float(row[1]), float(row[2])
    assert before > 0.5
    assert after > before - 0.03
    model = onnx.load(out)
    eight_bits = {weight.name for weight in model.graph.initializer if weight.data_type == onnx.TensorProto.INT8}
    quantised = {node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    assert len(eight_bits & quantised) == sum(node.op_type == "Conv" for node in model.graph.node)
    assert out.stat().st_size < 6.7e6 / 3
    assert about_of(out)["task"] == "semantic"


def test_int8_refuses_what_it_cannot_measure(own: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(own["proposal"]), "--int8"]) == 2
    assert "--int8: own-proposal is a model for proposal" in capsys.readouterr().err
    assert main(["export", "asbunet", "--int8", "--to", "torch.export"]) == 2
    assert "--int8 writes ONNX, not torch.export" in capsys.readouterr().err


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown suffix; exported files end in .onnx or .pt2"):
        load_exported(tmp_path / "model.engine")


def test_no_frames_is_a_usage_error(own: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(own["semantic"]), "--frames", "0"]) == 2
    assert "--frames should be at least 1, got 0" in capsys.readouterr().err
