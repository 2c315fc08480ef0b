"""``argos bench``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import pytest
import torch
from main_job import always_four

from argos.cli import main
from argos.errors import UsageError

FILM = "fake://people?n=2&seed=1&size=128x96&fps=15"
"""It has no end: what is measured has to be bounded."""


def test_every_mode_has_a_row_and_an_endless_source_is_measured_to_the_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures" / "bench.json"
    networks = [*always_four(tmp_path), "--set", "camera.tasks=[semantic]", "--set", "engine.scale=1"]
    asked = ["--opponents", "shrunk,tiles,motion"]
    assert main(["bench", FILM, "--frames", "2", "--json", "--out", str(out), *asked, *networks]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(out.read_text())
    assert (report["frames"], report["size"]) == (2, [96, 128])
    rows = {row["name"]: row for row in report["modes"]}
    assert list(rows) == ["full", "auto", "pack", "gather", "mask"]
    opponents = {row["name"]: row for row in report["opponents"]}
    assert list(opponents) == ["shrunk", "tiles", "motion"]
    assert report["not_run"] == {}
    assert (rows["full"]["speed_up"], rows["full"]["iou_full"]) == (1.0, 1.0)
    for row in (*rows.values(), *opponents.values()):
        assert row["ms_p10"] <= row["ms"] <= row["ms_p90"]
        assert row["share"] > 0
        assert row["iou_truth"] is None
    assert len(report["decode_fps"]) == 3
    assert {mode: len(rates) for mode, rates in report["pipeline_fps"].items()} == {"full": 2, "pack": 2}
    assert report["machine"]["cores"] >= 1


def test_what_is_compared_has_the_threads_it_has_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def compare(*_: object) -> None:
        seen.append((cv2.getNumThreads(), torch.get_num_threads()))
        raise UsageError("that will do")

    monkeypatch.setattr("argos.benching.compare.compare", compare)
    before = torch.get_num_threads()
    cv2.setNumThreads(2)
    try:
        assert main(["bench", FILM, "--frames", "1", "--set", "engine.threads=3"]) == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [(1, 3)]


def test_an_unknown_opponent_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", FILM, "--opponents", "tile"]) == 2
    assert "unknown tile; should be all, none or of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("images", "shape", "message"),
    [
        ([], {}, r"frame 0 is not in it, and 128x96 in the source; is it the truth of another clip"),
        ([{"id": 0, "height": 48, "width": 64}], {}, r"frame 0 is 64x48 there, and 128x96 in the source"),
        ([{"id": 0, "height": 96, "width": 128}], [[0, 0, 9, 0, 9, 9]], r"not a COCO file with the truth of a clip"),
    ],
)
def test_a_truth_of_something_else_is_refused_before_anything_is_measured(
    images: list[object], shape: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = [{"image_id": 0, "segmentation": shape}] if shape else []
    (tmp_path / "truth.json").write_text(json.dumps({"images": images, "annotations": people}))
    assert main(["bench", FILM, "--frames", "1", "--truth", str(tmp_path / "truth.json")]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_truth_that_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "truth.json").write_bytes(b"\xff\xfe\x00")
    assert main(["bench", FILM, "--frames", "1", "--truth", str(tmp_path / "truth.json")]) == 2
    said = capsys.readouterr().err
    assert "truth.json: not a COCO file with the truth of a clip" in said
    assert len(said) < 300, "the file itself is not shown"
    assert main(["bench", FILM, "--frames", "1", "--truth", str(tmp_path / "none.json")]) == 2
    assert "none.json: cannot be read (No such file or directory)" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", FILM, "--frames", "1", "--out", str(tmp_path)]) == 6
    assert f"--out: {tmp_path} cannot be written (Is a directory); name another file" in capsys.readouterr().err


def test_without_figures_no_file_is_left_and_an_old_one_stays(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("{}")
    for out in (tmp_path / "new.json", old):
        assert main(["bench", str(tmp_path / "none.mp4"), "--out", str(out)]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert old.read_text() == "{}"


@pytest.mark.parametrize("frames", ["0", "-3", "many"])
def test_frames_are_counted_from_one(frames: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", FILM, "--frames", frames]) == 2
    assert "argument --frames: should be" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["rtsp://me:hunter2@127.0.0.1:1/a", f"{FILM}&realtime=1", "webcam:0"])
def test_a_live_source_is_refused(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", source]) == 2
    err = capsys.readouterr().err
    assert "argos bench reads a source again and again" in err
    assert "argos record SOURCE --packets-only" in err, "argos run --record draws into the pictures"
    assert "hunter2" not in err


def test_a_source_without_a_frame_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(tmp_path)]) == 3
    err = capsys.readouterr().err
    assert err.startswith("argos: ")
    assert str(tmp_path) in err
