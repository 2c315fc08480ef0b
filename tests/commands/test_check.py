"""``argos check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from argos.cli import main

GOOD = """\
version: 1
defaults: {rate: {fps: 10}}
cameras:
  street: {source: "fake://people?n=1&seed=1&frames=5&size=64x48"}
  gone: {source: no_such_clip.mp4}
outputs: [{type: jsonl, path: "out/%camera%.jsonl"}]
"""
BAD = "version: 1\ncamera: {source: webcam:0, fps: 1}\nrate: 1\n"


def test_a_good_configuration_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(GOOD)
    assert main(["check", str(path), "--set", "cameras.gone.tasks=[semantic]"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"OK {path}",
        "  street: fake://people?n=1&seed=1&frames=5&size=64x48, instances, auto, at most 10 fps",
        "  gone: no_such_clip.mp4, semantic, auto, at most 10 fps",
        "  writes: jsonl out/%camera%.jsonl",
    ]
    assert err == "warning: camera 'gone': no_such_clip.mp4 does not exist now\n"


def test_every_fault_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(BAD)
    assert main(["check", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"{path}:2:28: camera.fps: unknown key - did you mean 'rate.fps'?",
        f"{path}:3:1: rate: unknown key - did you mean 'camera.rate'?",
    ]


def test_a_mistyped_scene_is_an_error_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("version: 1\ncamera:\n  source: fake://people?sead=4\n")
    assert main(["check", str(path)]) == 2
    assert "unknown key 'sead'" in capsys.readouterr().err


def test_json_reports_faults_and_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(BAD)
    assert main(["check", str(path), "--json", "--set", "x"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["errors"][0] == {
        "file": str(path), "line": 2, "column": 28, "key": "camera.fps",
        "text": "unknown key - did you mean 'rate.fps'?",
    }  # fmt: skip
    assert [error["line"] for error in report["errors"]] == [2, 3, None]
    path.write_text(GOOD)
    assert main(["check", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["cameras"]) == (True, ["street", "gone"])
    assert report["warnings"] == ["camera 'gone': no_such_clip.mp4 does not exist now"]
    assert main(["check", str(tmp_path / "none.yaml"), "--json"]) == 2
    assert "cannot be read" in json.loads(capsys.readouterr().out)["errors"][0]["text"]


def test_resolved_is_complete_and_masks_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_PASSWORD", "hunter2")
    path = tmp_path / "camera.yaml"
    path.write_text("version: 1\ncamera:\n  source: rtsp://me:${CAM_PASSWORD}@h/${CAM_PASSWORD}/a\n")
    assert main(["check", str(path), "--resolved"]) == 0
    text = capsys.readouterr().out
    assert "hunter2" not in text
    data = yaml.safe_load(text)
    assert data["cameras"]["camera"]["source"]["url"] == "rtsp://***@h/***/a"
    assert data["engine"]["packing"]["canvas"] == [384, 640]


def test_connect_opens_each_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(GOOD)
    assert main(["check", str(path), "--connect"]) == 3
    out, err = capsys.readouterr()
    assert "camera 'street': opens, rendered 64x48" in out.splitlines()
    (line,) = [line for line in err.splitlines() if line.startswith("camera 'gone'")]
    assert "no_such_clip.mp4" in line
    path.write_text(GOOD.replace("  gone: {source: no_such_clip.mp4}\n", ""))
    assert main(["check", str(path), "--connect", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"] == {"street": {"ok": True, "text": "opens, rendered 64x48"}}
