"""``argos tune``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from main_job import always_four

from argos.cli import main
from argos.config import config_from_sources
from argos.packing.costs import Costs, GatherCost, Line
from argos.pipelines import backend, tune
from argos.pipelines.build import people_of_config
from argos.pipelines.tune import break_even, painted
from argos.types import Frame


def test_what_is_measured_is_kept_printed_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tune, "PACKED", (0.02, 0.3))  # quick
    monkeypatch.setattr(tune, "GATHERED", (0.02, 0.2))
    monkeypatch.setattr(backend, "PREFERRED", ("onnxruntime", "torch"))
    networks = [*always_four(tmp_path), "--set", "engine.scale=0.1", "--set", "engine.packing.canvas=[64,96]"]
    assert main(["tune", "--seconds", "0.01", "--json", *networks]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fastest"] in [one["program"] for one in report["tasks"]]
    assert {"onnxruntime", "torch"} <= {one["program"] for one in report["tasks"]}
    (one,) = (one for one in report["tasks"] if one["program"] == report["fastest"])
    assert one["tasks"] == ["instances", "semantic"]
    assert one["rounds"] == 3
    runs = [point["run"] for point in one["points"]]
    assert {"propose", "full", "pack", "gather"} == set(runs)
    for point in one["points"]:
        assert 0 < point["ms_p10"] <= point["ms"] <= point["ms_p90"]
        assert point["model_ms"] > 0
        assert (point["active"] > 0) == (point["run"] == "gather")
    assert Path(one["file"]).parent == tmp_path / "cache" / "costs"
    assert len({point["pixels"] for point in one["points"] if point["run"] == "full"}) > 1
    settings = [part for part in networks if part != "--set"]
    people, _ = people_of_config(config_from_sources(["fake://people"], settings))
    known = people.planner.times(("instances", "semantic")).costs
    assert known is not None
    assert known.propose_ms == one["costs"]["propose_ms"]


def test_gather_is_left_out_where_the_network_cannot_run_on_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tune, "PACKED", (0.02, 0.3))  # quick
    (tmp_path / "twice.py").write_text(
        "from torch import nn\n\n\nclass Twice(nn.Conv2d):\n    def forward(self, image):\n"
        "        return super().forward(image.repeat(2, 1, 1, 1))[: len(image)]\n\n\n"
        "def net():\n    return Twice(3, 1, 1)\n"
    )
    settings = ["camera.tasks=[semantic]", f"engine.models.semantic.network={tmp_path}/twice.py:net"]
    settings += ["engine.scale=0.1", "engine.packing.canvas=[64,96]"]
    asked = [part for setting in settings for part in ("--set", setting)]
    assert main(["tune", "--seconds", "0.01", "--json", *asked]) == 0
    told = capsys.readouterr()
    (one,) = json.loads(told.out)["tasks"]  # it runs alike whatever engine.backend is
    assert {"propose", "full", "pack"} == {point["run"] for point in one["points"]}
    (line,) = [line for line in told.err.splitlines() if "gather" in line]
    assert "twice.py:net: cannot run on blocks" in line
    assert line.endswith("gather is not measured")


def test_where_no_program_can_be_measured_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["tune", "--set", "engine.precision=int8", "--set", "camera.tasks=[semantic]"]) == 2
    assert "engine.precision: int8 needs the package onnx to quantise" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan"])
def test_seconds_are_above_0(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--seconds", seconds]) == 2
    assert "argument --seconds: should be a number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5])
def test_painted_regions_cover_what_they_should(share: float) -> None:
    mask = painted(share, Frame(np.zeros((720, 1280, 3), np.uint8), "a", 0, 0.0), 320)
    assert mask.mean() == pytest.approx(share, rel=0.1)


def test_regions_pay_up_to_where_they_cost_as_much_as_the_frame() -> None:
    costs = Costs(10.0, Line(20.0, 400.0), GatherCost(10.0, 50.0, 900.0))
    pixels = 200_000
    pays = break_even(costs, pixels, 0.95)
    assert costs.propose_ms + costs.dense(pays["pack"] * pixels) == pytest.approx(0.95 * costs.dense(pixels))
    assert costs.gather is not None
    in_place = costs.gather(pixels, pays["gather"] * pixels)
    assert costs.propose_ms + in_place == pytest.approx(0.95 * costs.dense(pixels))
    assert break_even(Costs(500.0, costs.dense), pixels, 0.95) == {"pack": 0.0}
