"""The main job from end to end: real files, processes and signals, by the command line and by ``argos.Pipeline``."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from main_job import (
    FAST,
    PEOPLE,
    always_four,
    argos_threads,
    assert_gapless,
    decoded,
    finish,
    frames_told,
    line_count,
    lines_of,
    run_here,
    start,
    until,
)
from numpy.typing import NDArray
from video_files import numbered, write_video

import argos
from argos.pipelines import api, feeds
from argos.sources.read import read
from argos.types import Frame


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_file_and_no_configuration_gives_overlay_results_and_sheet(tmp_path: Path) -> None:
    write_video(tmp_path / "Clip 1.mp4", 9, size=(90, 160))
    status, out, err = finish(start("run", "Clip 1.mp4", folder=tmp_path))
    assert (status, err) == (0, "")
    written = tmp_path / "out" / "clip-1"
    assert sorted(path.name for path in written.iterdir()) == ["contact_sheet.png", "overlay.mp4", "results.jsonl"]
    for name in ("contact_sheet.png", "overlay.mp4", "results.jsonl"):
        assert f"wrote out/clip-1/{name}\n" in out
    assert frames_told(out) == 9
    assert "pixels the deep network saw" in out
    lines = lines_of(written / "results.jsonl")
    assert_gapless(lines)
    assert [line["frame"] for line in lines] == list(range(9))
    assert {(line["camera"], *line["size"]) for line in lines} == {("clip-1", 160, 90)}
    frames = decoded(written / "overlay.mp4")
    assert len(frames) == 9
    assert {frame.shape for frame in frames} == {(90, 160, 3)}
    sheet = cv2.imread(str(written / "contact_sheet.png"))
    assert sheet is not None
    assert sheet.std() > 10

    # again, shorter: nothing of the first run is left
    status, out, err = finish(start("run", "Clip 1.mp4", "--frames", "3", "--json", folder=tmp_path))
    assert (status, err) == (0, "")
    summary = json.loads(out)
    assert (summary["frames"], summary["dropped"], summary["errors"]) == (3, 0, {})
    assert sum(summary["modes"].values()) == 3
    assert {"decode", "plan"} <= set(summary["ms_per_frame"])
    assert summary["latency_ms"]["p95"] >= summary["latency_ms"]["p50"] > 0
    assert [Path(path).name for path in summary["paths"]] == ["results.jsonl", "overlay.mp4", "contact_sheet.png"]
    again = lines_of(written / "results.jsonl")
    assert len(again) == len(decoded(written / "overlay.mp4")) == 3
    assert_gapless(again)
    assert again[0]["run"] != lines[0]["run"]


def test_a_folder_of_images_is_one_camera_in_natural_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    for n, size in [(1, (60, 80)), (2, (90, 70)), (10, (61, 81))]:
        cv2.imwrite(f"photos/{n}.png", numbered(n, *size)[:, :, ::-1])
    assert run_here("photos", *FAST) == 0
    assert capsys.readouterr().err == ""
    lines = lines_of(tmp_path / "out/photos/results.jsonl")
    assert_gapless(lines)
    assert [line["size"] for line in lines] == [[80, 60], [70, 90], [81, 61]]  # each of its own size
    assert {frame.shape for frame in decoded(tmp_path / "out/photos/overlay.mp4")} == {(60, 80, 3)}


def test_two_files_are_two_cameras_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "door.mp4", 5, size=(90, 160))
    write_video(tmp_path / "yard.mp4", 8, size=(96, 128))
    assert run_here("door.mp4", "yard.mp4", "--json", *FAST, *_for("door", "yard", mode="pack", threshold=0)) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 13
    door, yard = (lines_of(tmp_path / f"out/{name}/results.jsonl") for name in ("door", "yard"))
    assert (len(door), len(yard)) == (5, 8)
    assert_gapless(door)
    assert_gapless(yard)
    assert {line["run"] for line in door} == {line["run"] for line in yard}
    assert {tuple(line["size"]) for line in door} == {(160, 90)}
    assert {tuple(line["size"]) for line in yard} == {(128, 96)}
    assert {line["mode"] for line in yard} <= {"pack", "full"}  # all is proposed: the canvases may be more than a frame
    assert len(decoded(tmp_path / "out/door/overlay.mp4")) == 5
    assert len(decoded(tmp_path / "out/yard/overlay.mp4")) == 8


def _for(*cameras: str, **regions: object) -> list[str]:
    """``--set`` of keys below ``regions`` for each camera."""
    settings = [f"cameras.{name}.regions.{key}={value}" for name in cameras for key, value in regions.items()]
    return [part for setting in settings for part in ("--set", setting)]


@pytest.mark.parametrize(
    ("patience_s", "held_s", "order"),
    [(60.0, 0.5, "a0 b0 a1 b1 a2 a3 a4 a5"), (0.1, 60.0, "a0 a1 a2 a3 a4 a5 b0 b1")],
)
def test_files_wait_a_while_for_each_other_so_that_they_share_canvases_the_same_way_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience_s: float, held_s: float, order: str
) -> None:
    a_is_over = threading.Event()

    def late(source: str, *args: Any, **options: Any) -> Iterator[Frame]:
        if source == "b.mp4":
            a_is_over.wait(held_s)
        yield from read(source, *args, **options)

    write_video(tmp_path / "a.mp4", 6, size=(90, 160))
    write_video(tmp_path / "b.mp4", 2, size=(90, 160))
    monkeypatch.setattr(feeds, "read", late)
    monkeypatch.setattr(api, "READS_S", patience_s)
    came = []
    keys = ["engine.scale=0.5", "defaults.tasks=[semantic]"]
    with argos.Pipeline.from_sources("a.mp4", "b.mp4", overrides=keys) as pipeline:
        for result in pipeline:
            came.append(f"{result.camera}{result.seq}")
            if came[-1] == "a5":
                a_is_over.set()
    assert " ".join(came) == order


def test_frames_ends_an_endless_source_after_so_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(PEOPLE, "--frames", "4", "--record", "rec", *FAST, *always_four(tmp_path)) == 0
    lines = lines_of(tmp_path / "rec/people/results.jsonl")
    assert len(lines) == len(decoded(tmp_path / "rec/people/overlay.mp4")) == 4
    assert [len(line["instances"]) for line in lines] == [4] * 4
    assert all(0 < line["semantic"]["area"] < 1 for line in lines)
    assert capsys.readouterr().err == ""


def test_duration_ends_an_endless_source_after_so_long(tmp_path: Path) -> None:
    started = time.monotonic()
    assert run_here(PEOPLE, "--duration", "1.5s", *FAST) == 0
    assert 1.5 < time.monotonic() - started < 30
    lines = lines_of(tmp_path / "out/people/results.jsonl")
    assert_gapless(lines)
    assert len(decoded(tmp_path / "out/people/overlay.mp4")) == len(lines) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_exits_0(tmp_path: Path, number: signal.Signals) -> None:
    process = start("run", PEOPLE, *FAST, folder=tmp_path)
    results = tmp_path / "out/people/results.jsonl"
    until(lambda: line_count(results) >= 3, of=process)
    process.send_signal(number)
    asked = time.monotonic()
    status, out, err = finish(process)
    assert (status, err) == (0, "")
    assert time.monotonic() - asked < 5
    lines = lines_of(results)
    assert_gapless(lines)
    assert len(decoded(results.with_name("overlay.mp4"))) == len(lines)
    assert frames_told(out) == len(lines)


def test_a_signal_ends_the_wait_for_a_camera_that_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # takes connections and says nothing
        url = f"rtsp://127.0.0.1:{frozen.getsockname()[1]}/live"
        process = start("run", url, "--set", "publish.bind=null", folder=tmp_path)
        frozen.settimeout(60)
        connection, _ = frozen.accept()
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        status, out, err = finish(process)
        assert time.monotonic() - asked < 8  # 4 s at the longest, and what the machine is busy with
        connection.close()
    assert status == 0
    assert frames_told(out) == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    # large pictures, so that draining takes longer than the time between two signals
    process = start("run", PEOPLE.replace("320x240", "1280x720"), "--set", "engine.scale=0.1", folder=tmp_path)
    results = tmp_path / "out/people/results.jsonl"
    until(lambda: line_count(results) >= 2, of=process)
    asked = time.monotonic()
    while process.poll() is None and time.monotonic() - asked < 20:
        process.send_signal(number)
        time.sleep(0.03)
    assert process.returncode == 128 + number
    assert_gapless(lines_of(results))  # what was written is whole
    finish(process)


def test_an_earlier_result_survives_a_run_that_cannot_begin(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", 2, size=(90, 160))
    assert run_here("clip.mp4", *FAST) == 0
    before = (tmp_path / "out/clip/results.jsonl").read_bytes()
    clip.unlink()
    assert run_here("clip.mp4", *FAST) == 3
    assert (tmp_path / "out/clip/results.jsonl").read_bytes() == before
    assert len(decoded(tmp_path / "out/clip/overlay.mp4")) == 2


def _joined(folder: Path) -> Path:
    """A recording whose pictures grow in the middle."""
    small = write_video(folder / "a.ts", 4, size=(90, 160))
    large = write_video(folder / "b.ts", 4, size=(120, 200))
    path = folder / "joined.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    return path


ODD = {
    "variable rate": (
        lambda folder: write_video(folder / "v.mkv", 6, size=(90, 160), ticks_ms=[0, 40, 50, 700, 710, 1500]),
        [(160, 90)] * 6,
    ),
    "on its side": (lambda folder: write_video(folder / "r.mp4", 3, size=(90, 160), rotation=-90), [(90, 160)] * 3),
    "10 bit": (lambda folder: write_video(folder / "t.mp4", 3, size=(90, 160), pix_fmt="yuv420p10le"), [(160, 90)] * 3),
    "odd size": (
        lambda folder: write_video(folder / "o.mkv", 3, codec="ffv1", size=(61, 35), pix_fmt="yuv444p"),
        [(35, 61)] * 3,
    ),
    "growing": (_joined, [(160, 90)] * 4 + [(200, 120)] * 4),
    "tiny": (lambda folder: write_video(folder / "s.mkv", 2, codec="ffv1", size=(3, 2), pix_fmt="gray"), [(2, 3)] * 2),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_video_goes_through_the_whole_run(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, sizes = ODD[kind]
    path = make(tmp_path)
    scale = "auto" if kind == "tiny" else "1"  # auto brings the long side to 640 pixels
    settings = ["--set", "camera.tasks=[semantic,instances]", "--set", f"engine.scale={scale}"]
    assert run_here(str(path), "--record", "rec", *settings) == 0
    assert capsys.readouterr().err == ""
    written = tmp_path / "rec" / path.stem
    lines = lines_of(written / "results.jsonl")
    assert_gapless(lines)
    assert [tuple(line["size"]) for line in lines] == sizes
    assert [tuple(line["semantic"]["rle"]["size"]) for line in lines] == [(h, w) for w, h in sizes]
    expected = list(read(str(path), "cam"))
    np.testing.assert_allclose([line["pts_s"] for line in lines], [frame.pts_s for frame in expected], atol=1e-6)
    width, height = sizes[0]
    frames = decoded(written / "overlay.mp4")
    assert {frame.shape for frame in frames} == {(height + height % 2, width + width % 2, 3)}
    assert len(frames) == len(sizes)


def arrays_of(result: argos.Result) -> list[NDArray[Any]]:
    people, regions = result.instances, result.regions
    assert people is not None
    assert result.image is not None
    few = [people.boxes, people.scores, people.labels, people.ids, *people.masks]
    return [result.image, regions.boxes, regions.scores, *few]


def test_a_pipeline_is_iterated(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 4, size=(90, 160))
    keys = (
        *always_four(tmp_path)[1::2],
        "engine.scale=0.5",
        "camera.tasks=[instances]",
        "camera.regions.mode=full",
        "outputs=[{type: jsonl, path: new/folder/r.jsonl}]",
    )
    with argos.Pipeline.from_sources("clip.mp4", overrides=keys) as pipeline:
        results = list(pipeline)
        assert list(pipeline) == []  # it has ended
    assert [path.as_posix() for path in pipeline.paths] == ["new/folder/r.jsonl"]
    assert len(lines_of(tmp_path / "new/folder/r.jsonl")) == 4
    assert [result.seq for result in results] == [0, 1, 2, 3]
    followed = [[person["id"] for person in line["instances"]] for line in lines_of(tmp_path / "new/folder/r.jsonl")]
    assert followed[0] == [None] * 4
    assert set(followed[2]) & {1, 2, 3, 4}, followed
    for result, frame in zip(results, read("clip.mp4", "cam"), strict=True):
        assert (result.camera, result.run, result.size, result.mode) == ("clip", pipeline.run, (90, 160), "full")
        assert result.semantic is None
        assert result.instances is not None
        assert len(result.instances) == 4
        np.testing.assert_array_equal(result.image, frame.pixels)
        assert [array.flags.writeable for array in arrays_of(result)] == [False] * 11
        picture = result.plot()
        assert (picture.shape, picture.dtype) == ((90, 160, 3), np.uint8)
        assert (picture != frame.pixels).any()
        people = result.to_coco()
        assert [person["score"] for person in people] == pytest.approx(result.instances.scores.tolist(), abs=1e-3)
        assert all(person["segmentation"]["size"] == [90, 160] for person in people)
        assert {"decode", "pack", "segment", "stitch"} <= set(result.spans)


def test_a_pipeline_stops_from_another_thread() -> None:
    pipeline = argos.Pipeline.from_sources(PEOPLE, overrides=["engine.scale=0.25"])
    is_running, count = threading.Event(), 0

    def stop() -> None:
        is_running.wait(60)
        pipeline.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    with pipeline:
        for result in pipeline:
            assert result.seq == count
            count += 1
            is_running.set()
    thread.join()
    assert count > 0
    assert pipeline.errors == {}
    assert pipeline.status("people").state == "ended"
    assert argos_threads() == []


def test_a_pipeline_that_is_not_open_or_has_run_says_so() -> None:
    pipeline = argos.Pipeline.from_sources(PEOPLE + "&frames=1", overrides=["engine.scale=0.25"])
    with pytest.raises(ValueError, match="with pipeline"):
        next(iter(pipeline))
    with pipeline:
        assert len(list(pipeline)) == 1
    with pytest.raises(ValueError, match="make a new one"), pipeline:
        pass


def test_a_pipeline_names_the_arguments_that_it_does_not_take() -> None:
    with pytest.raises(ValueError, match=r"expected argos\.config\.Config, got str; Pipeline\.from_yaml takes a file"):
        argos.Pipeline("camera.yaml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"one by one, got list; write from_sources\(\*paths\)"):
        argos.Pipeline.from_sources(["a.mp4", "b.mp4"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got ndarray"):
        argos.Pipeline.from_sources(np.zeros((90, 160, 3), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got one string; write \['engine.scale=0.25'\]"):
        argos.Pipeline.from_sources(PEOPLE, overrides="engine.scale=0.25")


def test_an_error_in_the_loop_finishes_the_files_and_comes_through(tmp_path: Path) -> None:
    pipeline = argos.Pipeline.from_sources(
        PEOPLE, overrides=["engine.scale=0.25", "outputs=[{type: overlay, path: o.mp4}, {type: jsonl, path: r.jsonl}]"]
    )
    with pytest.raises(ZeroDivisionError), pipeline:  # noqa: PT012 - the loop is what is tested
        for result in pipeline:
            if result.seq == 2:
                _ = 1 / 0
    assert len(lines_of(tmp_path / "r.jsonl")) == len(decoded(tmp_path / "o.mp4")) == 3


def test_a_bug_in_the_line_ends_every_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = argos.Pipeline.from_sources(
        PEOPLE, overrides=["engine.scale=0.25", "outputs=[{type: jsonl, path: r.jsonl}]"]
    )

    def fail(frames: list[Frame], *_: object) -> None:
        raise KeyError(frames[0].camera)

    with pytest.raises(KeyError, match="people"), pipeline:  # noqa: PT012
        results = iter(pipeline)
        next(results)
        monkeypatch.setattr(pipeline._people, "steps", fail)
        for _ in range(3):  # one frame may be in flight already
            next(results)
    assert 1 <= len(lines_of(tmp_path / "r.jsonl")) <= 2
    assert_gapless(lines_of(tmp_path / "r.jsonl"))
    assert argos_threads() == []


def test_a_process_that_is_killed_leaves_whole_lines_and_a_video(tmp_path: Path) -> None:
    process = start("run", PEOPLE + "&fps=1", *FAST, folder=tmp_path)
    results = tmp_path / "out/people/results.jsonl"
    until(lambda: line_count(results) >= 24, of=process)  # the encoder looks ahead, a fragment holds a second
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert_gapless(lines_of(results))
    assert len(decoded(results.with_name(".overlay.mp4.part"))) >= 5
