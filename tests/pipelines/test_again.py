"""Events made anew from kept results are those of the run that kept them."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from tracked_people import people_result

from argos.cli import main
from argos.config import load_config
from argos.pipelines.follow import Following, analyst_of
from argos.pipelines.outputs import EventLines, Outputs, ResultLines, file_at
from argos.pipelines.senders import EventFilter
from argos.publishing.jsonl import JsonlWriter
from argos.types import EventType, Result

CAMERA = """
version: 1
camera:
  name: door
  source: webcam:0
  active: {hours: [mon-sun], timezone: UTC}
  lines: {gate: {points: [[0, 0.5], [1, 0.5]]}}
  zones:
    hall:
      polygon: [[0, 0.2], [1, 0.2], [1, 0.8], [0, 0.8]]
      crowd: {people: 2, start_s: 0.5}
      loiter: {after_s: 1, grace_s: 0.5}
"""


def walks() -> list[Result]:
    """Three people, one after the other through the hall and back, seen by two connections."""
    results = []
    for n in range(120):
        at = {track: 0.5 + 0.45 * math.sin((n - 7 * track) / 12) for track in (1, 2, 3) if n > 7 * track}
        results.append(people_result(n, {track: (0.2 * track, y) for track, y in at.items()}, epoch=n // 80))
    return results


def test_a_replay_of_the_results_gives_the_very_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("camera.yaml").write_text(CAMERA)
    (camera,) = load_config(Path("camera.yaml")).cameras.values()
    lines, events = partial(ResultLines, anew=False), partial(EventLines, anew=False, passed=EventFilter(None, None))
    outputs = Outputs({"door": [file_at(Path("results.jsonl"), lines), file_at(Path("events.jsonl"), events)]})
    for run in ("one", "two"):  # a restart counts from 0
        following = Following({"door": None}, {"door": analyst_of(camera)})
        for result in walks():
            outputs.write(following.watched(replace(result, run=run)))
    outputs.close()

    live = Path("events.jsonl").read_bytes()
    kinds = Counter(json.loads(line)["type"] for line in live.splitlines())
    assert set(kinds) == set(get_args(EventType))
    assert main(["replay", "results.jsonl", "camera.yaml", "--events", "-o", "again/events.jsonl"]) == 0
    assert capsys.readouterr().out == f"{kinds.total()} events\nwrote again/events.jsonl\n"
    assert Path("again/events.jsonl").read_bytes() == live

    # other zones, tried on the same results
    Path("other.yaml").write_text(CAMERA.replace("people: 2", "people: 9"))
    assert main(["-q", "replay", "results.jsonl", "other.yaml", "--events", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["paths"] == ["results.events.jsonl"]
    assert b"crowd" not in Path("results.events.jsonl").read_bytes()
    assert b"loiter" in Path("results.events.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("recording", "config", "words"),
    [
        ("clip.mp4", "zones: {a: {polygon: [[0, 0], [1, 0], [1, 1]]}}", "clip.mp4: no results there; give a .jsonl"),
        ("r.jsonl", "track: {enabled: true}", "camera 'door' has neither zones nor lines"),
    ],
)
def test_without_results_or_zones_there_are_no_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recording: str, config: str, words: str
) -> None:
    (tmp_path / recording).write_bytes(b"")
    (tmp_path / "c.yaml").write_text(f"version: 1\ncamera:\n  name: door\n  source: webcam:0\n  {config}\n")
    assert main(["replay", str(tmp_path / recording), str(tmp_path / "c.yaml"), "--events"]) == 2
    assert words in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["c.yaml", recording])


def test_of_several_cameras_only_the_chosen_one_is_judged_by_its_zones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("camera.yaml").write_text(CAMERA)
    both = [replace(result, camera=name) for result in walks() for name in ("door", "yard")]
    for name, results in {"all": both, "door": walks()}.items():
        with JsonlWriter(Path(f"{name}.jsonl")) as writer:
            for result in results:
                writer.write(result)
        assert main(["-q", "replay", f"{name}.jsonl", "camera.yaml", "--events", "--camera", "door"]) == 0
    assert Path("all.events.jsonl").read_bytes() == Path("door.events.jsonl").read_bytes() != b""
    Path("shed.yaml").write_text(CAMERA.replace("name: door", "name: shed"))
    assert main(["-q", "replay", "door.jsonl", "shed.yaml", "--events"]) == 0  # the only one, by another name
    capsys.readouterr()
    assert main(["-q", "replay", "all.jsonl", "shed.yaml", "--events"]) == 2
    assert "has no results of camera 'shed', only of door, yard" in capsys.readouterr().err
