"""The overload ladder from end to end: a live camera whose results are always too old."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from functools import partial
from itertools import groupby
from pathlib import Path

import pytest
from main_job import free_port, own_models, until
from watched_pipeline import more, running, written

from argos.config import load_config
from argos.pipelines import cameras
from argos.pipelines.api import Pipeline
from argos.pipelines.ladder import Ladder, Patience
from argos.types import Notice, Result, Status


def test_a_camera_that_is_always_late_is_held_back_step_by_step_and_let_go_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cameras, "Ladder", partial(Ladder, patience=Patience(late_s=0.2)))
    models, port = own_models(tmp_path), free_port()
    full = ", regions: {mode: full}, latency: {max_age_ms: "
    small = Path(shutil.copy(models["instances"], tmp_path / "small.safetensors"))
    card = json.loads(models["instances"].with_suffix(".json").read_text())
    small.with_suffix(".json").write_text(json.dumps({**card, "name": "small"}))
    named, other = ["engine.models.instances_small=small.safetensors"], ", regions: {mode: full}"
    late = load_config(written(tmp_path, models, port, hurried=full + "0.001}", other=other), named)
    calm = load_config(written(tmp_path, models, port, hurried=full + "1000000}", other=other), named)
    with running(late, port) as (pipeline, messages):
        until(lambda: [n for n in messages.of(Notice, "hurried") if n.values.get("step") == 4])
        more(messages, "hurried", 2)
        assert pipeline.status("hurried").step == 4
        dropped = pipeline.status("hurried").dropped["overload"]
        assert pipeline.reload(calm).adjusted == ("hurried",)
        more(messages, "hurried", 2, lambda r: r.config != late_digest(messages))
        assert pipeline.status("hurried").step == 0
    steps = [n for n in messages.of(Notice, "hurried") if n.type == "overload.step"]
    assert [(n.values["from"], n.values["step"], n.values["held_back"]) for n in steps] == [
        (0, 1, "rate"), (1, 2, "regions"), (2, 3, "scale"), (3, 4, "model"),
    ]  # fmt: skip
    assert dropped > 0
    assert {s.step for s in messages.of(Status, "hurried")} >= {1, 2, 3, 4}
    assert {s.step for s in messages.of(Status, "other")} == {0}
    results = messages.of(Result, "hurried")
    assert all(r.index == r.seq + sum(r.dropped.values()) for r in results)
    assert results[0].mode == "full"
    assert {r.mode for r in results[-2:]} == {"full"}  # as asked for, again
    assert {r.mode for r in messages.of(Result, "other")} == {"full"}
    # who found the people stands in each result; the camera and the ids of its people go on
    names = [r.models["instances"].partition("@")[0] for r in results]
    assert [name for name, _ in groupby(names)] == ["own-instances", "small", "own-instances"]
    assert {r.models["instances"].partition("@")[0] for r in messages.of(Result, "other")} == {"own-instances"}
    assert {r.epoch for r in results} == {0}


def late_digest(messages) -> str:
    return messages.of(Result, "hurried")[0].config


def test_under_overload_cameras_get_frames_through_by_their_priority(tmp_path: Path) -> None:
    """Whole frames, shown four times as large to the networks: these take far longer than frames to come."""
    camera = "regions: {mode: full}, source: 'fake://people?n=2&seed=%d&size=384x240&fps=25&realtime=1'"
    path = tmp_path / "camera.yaml"
    cameras = f"{{till: {{{camera % 1}, priority: 3}}, door: {{{camera % 2}}}}}"
    path.write_text(f"version: 1\ncameras: {cameras}\noutputs: []\nengine: {{scale: 4}}\n")
    found: list[str] = []
    with Pipeline(load_config(path)) as pipeline:
        for result in pipeline:
            found.append(result.camera)
            if found.count("door") == 9:
                break
    doors = [n for n, name in enumerate(found) if name == "door"]
    counted = Counter(found[doors[2] :])  # each begins at its own time, and shared are only frames that come too fast
    assert 12 <= counted["till"] <= 24  # about three for each of the door's six; one for each would be six
