"""``engine.backend``: another program computes what torch does, in the line as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from main_job import PEOPLE, always_four

from argos.config import config_from_sources
from argos.engines.deployed import Deployed
from argos.errors import DeviceError
from argos.pipelines.backend import by_backend
from argos.pipelines.build import people_of_config, view_of
from argos.sources.read import read

pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")


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


def test_a_gpu_and_another_program_do_not_go_together() -> None:
    with pytest.raises(DeviceError, match=r"engine.backend: openvino runs on the CPU here"):
        by_backend("openvino", None, "cuda:0")
