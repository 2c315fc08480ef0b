from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from video_files import write_sound, write_video

from argos.cli import main
from argos.commands.probe import _lines, add_arguments, run
from argos.sources.probe import probe
from argos.sources.read import read


def argos_probe(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def test_a_video_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "a.mp4", 30, size=(64, 96), rotation=-90)
    assert argos_probe(str(path), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    expected = {
        "codec": "h264",
        "size": [96, 64],
        "pixel_format": "yuv420p",
        "rotation": 270,
        "announced_fps": 15.0,
        "frames": 30,
        "duration_s": 2.0,
        "decoded": 30,
        "damaged": 0,
        "gop": 10,
        "live": False,
        "error": "",
    }
    assert {key: report[key] for key in expected} == expected
    assert report["measured_fps"] == pytest.approx(15, abs=0.1)


def test_of_a_camera_whose_key_frames_are_far_apart_it_says_how_to_see_them(tmp_path: Path) -> None:
    report = probe(str(write_video(tmp_path / "a.mp4", 5)))
    assert "key frame    unknown" in _lines(report), "a file that was read to its end has no more of them"
    assert "key frame    fewer than two seen; --seconds looks for longer" in _lines(replace(report, live=True))


def test_a_file_without_times_has_the_rate_at_which_it_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264", 30, form="h264")
    first, second = islice(read(str(path), "cam"), 2)
    assert probe(str(path)).measured_fps == pytest.approx(1 / (second.pts_s - first.pts_s), abs=0.01)


@pytest.mark.parametrize("seconds", ["0", "-5", "nan", "inf", "soon"])
def test_a_time_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    assert main(["probe", "fake://people", f"--seconds={seconds}"]) == 2
    assert f"should be a number of seconds above 0, got '{seconds}'" in capsys.readouterr().err


def test_the_table_names_size_and_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert argos_probe(str(write_video(tmp_path / "a.mp4", 30))) == 0
    table = capsys.readouterr().out
    assert "320x180" in table
    assert "15 measured, 15 announced" in table
    assert "every 10 frames" in table


def test_images_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from test_images import write_image

    for n in range(3):
        write_image(tmp_path / f"{n}.png", n)
    assert argos_probe(str(tmp_path), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["codec"], report["size"]) == (3, "png", [60, 90])


def test_the_first_image_that_can_be_decoded_describes_a_folder(tmp_path: Path) -> None:
    from test_images import write_image

    (tmp_path / "a.png").write_bytes(b"\x89PNG nothing")
    write_image(tmp_path / "b.png", 1)
    report = probe(str(tmp_path))
    assert (report.frames, report.size, report.error) == (2, (60, 90), "")


def test_a_rendered_scene_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert argos_probe("fake://people?n=1&size=160x90&frames=4&fps=10", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["decoded"], report["size"], report["measured_fps"]) == (4, 4, [90, 160], 10.0)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("gone.mp4", "not_found", "no such file"),
        ("sound.mp4", "no_video", "only audio"),
        ("text.mp4", "not_a_video", "not a video"),
        (".", "no_images", "looked for .bmp"),
    ],
)
def test_what_does_not_open_ends_with_3_and_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: str, words: str
) -> None:
    write_sound(tmp_path / "sound.mp4")
    (tmp_path / "text.mp4").write_text("x" * 500)
    assert argos_probe(str(tmp_path / name), "--json") == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["code"] == code
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert argos_probe(str(tmp_path / name)) == 3
    assert capsys.readouterr().out == ""
