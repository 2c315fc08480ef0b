"""Packets kept as they came: rotation, quota, a killed process, a full disk, a camera that comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import pytest
from publishing_results import made_result
from reading import PATIENT
from video_files import FPS, number_of, write_video

from argos.errors import PublishError, SourceError
from argos.fakecam.fake_camera import FakeCamera
from argos.fakecam.script import Command
from argos.publishing.jsonl import read_jsonl
from argos.recording.disk import keep_quota
from argos.recording.recorder import PacketRecorder
from argos.recording.results import RecordedResults
from argos.sources.names import kind_of
from argos.sources.probe import probe
from argos.sources.read import read
from argos.sources.segments import TAG, files_of, origin_of, segment_stem, segments_of
from argos.types import Frame

TESTS = Path(__file__).parents[1]


def recorded(source: Path, folder: Path, **options: object) -> list[Frame]:
    """The frames of a video, its packets kept in a folder."""
    recorder = PacketRecorder(folder, "door", waits=True, **options)  # type: ignore[arg-type]
    frames = list(read(str(source), "door", tap=recorder))
    recorder.close()
    return frames


def test_packets_before_the_first_key_picture_are_told_and_not_as_a_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with av.open(str(write_video(tmp_path / "in.mp4", 30))) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        second = [n for n, packet in enumerate(packets) if packet.is_keyframe][1]
        for name, last in (("joined", len(packets)), ("short", second)):
            recorder = PacketRecorder(tmp_path / name, "door", waits=True)
            recorder.opened(stream)
            for packet in packets[1:last]:
                recorder.take(packet, time.time_ns())
            recorder.ended()
            recorder.close()
            assert (recorder.dropped, recorder.early) == (0, second - 1)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("INFO", f"camera 'door': recorded from a key picture on, {second - 1} packets before it were left out"),
        (
            "WARNING",
            f"camera 'door': nothing was recorded, there is no key picture among its {second - 1} packets; record for "
            "longer",
        ),
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("h264.mp4", {}),
        ("turned.mp4", {"rotation": 90}),
        ("h264.ts", {}),
        ("mjpeg.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    ],
)
def test_what_is_read_back_is_what_came(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    source = write_video(tmp_path / name, 40, **options)  # type: ignore[arg-type]
    frames = recorded(source, tmp_path / "rec", segment_s=1.0)
    again = list(read(str(tmp_path / "rec"), "door"))
    assert len(frames) == len(again) == 40
    assert all((a.pixels == b.pixels).all() for a, b in zip(frames, again, strict=True))
    assert max(abs(a.pts_s - b.pts_s) for a, b in zip(frames, again, strict=True)) < 0.001
    assert {(b.epoch, b.time_base, b.clock) for b in again} == {(0, frames[0].time_base, "recording")}
    assert [b.index for b in again] == list(range(40))


def test_packets_without_times_are_read_back_at_the_times_of_their_source(tmp_path: Path) -> None:
    source = write_video(tmp_path / "bare.h264", 40, form="h264")  # shown in another order than decoded
    frames = recorded(source, tmp_path / "rec", segment_s=0.5)
    again = list(read(str(tmp_path / "rec"), "door"))
    assert [number_of(frame.pixels) for frame in again] == list(range(40))
    assert len(segments_of(tmp_path / "rec")) > 1
    assert max(abs(a.pts_s - b.pts_s) for a, b in zip(frames, again, strict=True)) < 0.001
    last = list(read(str(segments_of(tmp_path / "rec")[-1]), "door"))
    assert last[-1].pts_s == pytest.approx(frames[-1].pts_s, abs=0.001)


def test_a_file_of_pictures_that_are_far_apart_is_recorded_whole(tmp_path: Path) -> None:
    source = write_video(tmp_path / "slides.mkv", 12, ticks_ms=[n * 12_000 for n in range(12)])
    frames = recorded(source, tmp_path / "rec", segment_s=600)
    again = list(read(str(tmp_path / "rec"), "door"))
    assert [frame.pts_s for frame in again] == pytest.approx([frame.pts_s for frame in frames], abs=0.001)
    assert len(again) == 12


def test_segments_begin_at_key_pictures_and_play_by_themselves(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", 60)  # a key picture each 10 frames
    recorded(source, tmp_path / "rec", segment_s=1.0)
    segments = segments_of(tmp_path / "rec")
    assert [kind_of(str(path)) for path in (tmp_path / "rec", *segments)] == ["recording"] * 4
    numbers = [[number_of(frame.pixels) for frame in read(str(path), "door")] for path in segments]
    assert numbers == [list(range(20)), list(range(20, 40)), list(range(40, 60))]
    assert next(read(str(segments[1]), "door")).pts_s == pytest.approx(20 / FPS, abs=0.001)
    report = probe(str(segments[2]))
    assert (report.codec, report.frames, report.duration_s, report.error) == ("h264", None, None, "")
    assert probe(str(tmp_path / "rec")).size == (180, 320)


def test_probe_looks_at_the_first_segment_that_opens(tmp_path: Path) -> None:
    uneven = write_video(tmp_path / "clip.mkv", 30, ticks_ms=[10 * n * n for n in range(30)])
    recorded(uneven, tmp_path / "rec", segment_s=1.0)
    first, *_ = segments_of(tmp_path / "rec")
    first.write_bytes(first.read_bytes()[:20])
    report = probe(str(tmp_path / "rec"))
    assert (report.size, report.decoded, report.announced_fps, report.error) == ((180, 320), 10, None, "")
    for path in segments_of(tmp_path / "rec"):
        path.write_bytes(b"")
    assert probe(str(tmp_path / "rec")).code == "not_a_video"


def test_a_length_that_no_key_picture_meets_waits_for_the_next(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", 60)
    recorded(source, tmp_path / "rec", segment_s=0.9)
    assert [len(list(read(str(path), "door"))) for path in segments_of(tmp_path / "rec")] == [20, 20, 20]


def test_quota_deletes_the_oldest_with_their_results(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", 60, noise=True, size=(360, 640))
    size = source.stat().st_size
    folder = tmp_path / "rec"
    folder.mkdir()
    old = folder / f"{segment_stem(10**18)}.jsonl"
    old.write_bytes(b"{}\n")
    (folder / "notes.txt").write_bytes(b"x" * size)
    quota = 0.6 * size
    frames = recorded(source, folder, quota_mb=quota / 1e6)
    left = [path for paths in files_of(folder).values() for path in paths]
    assert sum(path.stat().st_size for path in left) <= quota
    assert not old.exists()
    assert (folder / "notes.txt").exists()
    again = [number_of(frame.pixels) for frame in read(str(folder), "door")]
    assert again == list(range(60 - len(again), 60))
    assert 15 <= len(again) < len(frames) == 60


def test_the_newest_segment_stays_whatever_the_quota(tmp_path: Path) -> None:
    recorded(write_video(tmp_path / "clip.mp4", 10), tmp_path / "rec")
    assert keep_quota(files_of(tmp_path / "rec"), 1) == []
    assert len(segments_of(tmp_path / "rec")) == 1


def test_files_that_somebody_else_deletes_meanwhile_are_no_fault(tmp_path: Path) -> None:
    stems = [segment_stem(n * 1_000_000_000) for n in range(3)]
    for stem in stems:
        (tmp_path / f"{stem}.mkv").write_bytes(bytes(1000))
    listed = files_of(tmp_path)
    (tmp_path / f"{stems[0]}.mkv").unlink()
    keep_quota(listed, 1500)
    assert list(files_of(tmp_path)) == stems[2:]


PACED = """
import sys, time
from argos.recording.recorder import PacketRecorder
from argos.sources.read import read
recorder = PacketRecorder(sys.argv[2], "door")
start = None
for frame in read(sys.argv[1], "door", tap=recorder):
    start = time.monotonic() - frame.pts_s if start is None else start
    time.sleep(max(0.0, start + frame.pts_s - time.monotonic()))
    print(frame.index, flush=True)
"""


def test_a_killed_process_leaves_all_but_the_last_second(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", 60, noise=True)
    command = [sys.executable, "-c", PACED, str(source), str(tmp_path / "rec")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 40:
                break
        process.send_signal(signal.SIGKILL)
        last = max([40, *map(int, process.stdout.read().split())])
    assert process.returncode == -signal.SIGKILL
    numbers = [number_of(frame.pixels) for frame in read(str(tmp_path / "rec"), "door")]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= last - FPS
    assert len(numbers) < 60


FILLED = """
import resource, sys
from argos.errors import PublishError
from argos.recording.recorder import PacketRecorder
from argos.sources.read import read
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
recorder = PacketRecorder(sys.argv[2], "door", waits=True)
try:
    for frame in read(sys.argv[1], "door", tap=recorder):
        pass
    recorder.close()
except PublishError as error:
    print(error)
"""
MOUNT = "mkdir {0}/small && mount -t tmpfs -o size={1} tmpfs {0}/small && "


def filled(tmp_path: Path, source: Path, how: str, size: int) -> subprocess.CompletedProcess[str]:
    """Record onto a disk, or into a file, that may become ``size`` bytes large; what is there is copied to ``kept``."""
    program = [sys.executable, "-c", FILLED, str(source)]
    if how == "limit":
        return subprocess.run(
            [*program, str(tmp_path / "kept"), str(size)], capture_output=True, text=True, timeout=100
        )
    shell = MOUNT.format(tmp_path, size) + f'"$@" {tmp_path}/small/rec && cp -r {tmp_path}/small/rec {tmp_path}/kept'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", shell, "sh", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    if done.returncode and ("mount" in done.stderr or "unshare" in done.stderr):
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    return done


@pytest.mark.parametrize(("how", "words"), [("disk", "No space left on device"), ("limit", "File too large")])
def test_a_full_disk_leaves_what_was_written(tmp_path: Path, how: str, words: str) -> None:
    source = write_video(tmp_path / "clip.mp4", 60, noise=True, size=(360, 640))
    done = filled(tmp_path, source, how, source.stat().st_size // 2 // 4096 * 4096)
    assert done.returncode == 0, done.stderr
    assert f"cannot write the recording ({words}); what was written before stays - free some space" in done.stdout
    numbers = [number_of(frame.pixels) for frame in read(str(tmp_path / "kept"), "door")]
    assert numbers == list(range(len(numbers)))
    assert 15 <= len(numbers) < 60


def test_a_camera_that_comes_back_begins_a_segment_and_an_epoch(tmp_path: Path) -> None:
    recorder, stop, frames = PacketRecorder(tmp_path, "gate"), threading.Event(), []
    with FakeCamera(["fake://people?n=2&seed=1&size=320x192&frames=20&fps=10"]) as camera:

        def watch() -> None:
            for frame in read(camera.url, "gate", PATIENT, stop=stop, tap=recorder):
                frames.append(frame)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            for epoch in range(2):
                deadline = time.monotonic() + 40
                while sum(frame.epoch == epoch for frame in frames) < 12 and time.monotonic() < deadline:
                    time.sleep(0.05)
                if epoch == 0:
                    camera.apply(Command("kick"))
        finally:
            stop.set()
            thread.join(20)
    recorder.close()
    again = list(read(str(tmp_path), "gate"))
    assert {frame.epoch for frame in again} == {frame.epoch for frame in frames} == {0, 1}
    for epoch in (0, 1):
        live = {round(f.pts_s, 2): f for f in frames if f.epoch == epoch}
        kept = {round(f.pts_s, 2): f for f in again if f.epoch == epoch}
        assert len(live.keys() & kept.keys()) >= min(len(live), len(kept)) - 1 >= 10
        assert all((live[at].pixels == kept[at].pixels).all() for at in live.keys() & kept.keys())


def test_results_lie_beside_the_packets_of_their_frames(tmp_path: Path) -> None:
    source = write_video(tmp_path / "clip.mp4", 40)
    recorder = PacketRecorder(tmp_path / "rec", "door", segment_s=1.0, waits=True)
    results = RecordedResults(recorder)
    results.write(made_result(0))  # before anything is recorded
    for frame in read(str(source), "door", tap=recorder):
        results.write(made_result(frame.index, captured_ns=frame.captured_ns, pts_s=frame.pts_s))
    results.close()
    recorder.close()
    files = list(files_of(tmp_path / "rec").values())
    assert [[path.suffix for path in of_segment] for of_segment in files] == [[".mkv", ".jsonl"]] * 2
    assert [result.seq for _, lines in files for result in read_jsonl(lines)] == list(range(40))


def test_names_grow_even_when_the_wall_clock_goes_back(tmp_path: Path) -> None:
    (tmp_path / "20991231T235959-999Z.mkv").write_bytes(b"")
    recorded(write_video(tmp_path / "clip.mp4", 30), tmp_path, segment_s=0.5)
    names = [path.stem for path in segments_of(tmp_path)]
    assert names[1:] == ["21000101T000000-000Z", "21000101T000000-001Z", "21000101T000000-002Z"]
    assert all(a < b for a, b in pairwise(names))
    assert len(list(read(str(tmp_path), "door"))) == 30  # the empty one is left out


def test_a_tag_that_is_not_ours_is_no_origin() -> None:
    whole = {"camera": "a", "connection": "b", "pts": 1, "time_base": [1, 90000], "captured_ns": 5}
    assert origin_of({TAG: json.dumps(whole)}) is not None
    for text in ("", "[]", "{}", "7", json.dumps(whole | {"time_base": [1, 0]}), json.dumps(whole | {"pts": None})):
        assert origin_of({TAG: text}) is None
    assert origin_of({}) is None


def test_a_source_without_packets_says_so(tmp_path: Path) -> None:
    recorder = PacketRecorder(tmp_path, "door")
    with pytest.raises(SourceError, match="camera 'door': fake://people: has no packets to record") as caught:
        next(read("fake://people", "door", tap=recorder))
    assert caught.value.code == "unsupported"
    recorder.close()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PublishError, match=r"file: cannot hold a recording \(File exists\)"):
        PacketRecorder(tmp_path / "file", "door")
