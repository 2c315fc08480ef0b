"""``source.isolate: process``: a decoder process may die, freeze or talk nonsense; nobody else is hurt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from decoders import decoders
from reading import Reading, write_clip
from video_files import number_of, write_video

from argos.errors import SourceError
from argos.fakecam.fake_camera import FakeCamera
from argos.fakecam.script import Command
from argos.sources import decoder_process
from argos.sources.decoder_process import DecoderEndedError, DecoderProcess
from argos.sources.decoder_words import Order, Shown, Told
from argos.sources.options import Reconnect, SourceOptions, SourceState
from argos.sources.read import read
from argos.sources.slots import SLOTS, Slots, shared_memory

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

PROCESS = SourceOptions(open_timeout_s=6.0, stall_timeout_s=3.0, isolate="process")


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeCamera]:
    clips = tmp_path_factory.mktemp("clips")
    small = write_clip(clips / "small.mp4", (96, 160), 30)
    large = write_clip(clips / "large.mp4", (192, 320), 30)
    with FakeCamera([small, large], user="joe", password="geheim") as camera:
        yield camera


def is_gone(pid: int, seconds: float = 10.0) -> bool:
    deadline_s = time.monotonic() + seconds
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline_s:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # its parent, killed, cannot bury it, and nobody does in a container without init
        time.sleep(0.02)
    return not os.path.exists(f"/proc/{pid}")


def order(source: str, memory_mb: int | None = 1024) -> Order:
    return Order(source, "gate", {}, False, memory_mb, 30)


def test_a_file_comes_out_as_from_a_thread(tmp_path: Path) -> None:
    clip = str(write_video(tmp_path / "clip.mp4", 24, size=(90, 162)))
    states: list[SourceState] = []
    plain = list(read(clip, "gate"))
    apart = list(read(clip, "gate", SourceOptions(isolate="process"), on_state=states.append))
    assert [number_of(frame.pixels) for frame in apart] == list(range(24))
    for a, b in zip(plain, apart, strict=True):
        assert np.array_equal(a.pixels, b.pixels)
        assert (a.index, a.pts, a.pts_s, a.time_base, a.epoch, a.clock) == (
            b.index, b.pts, b.pts_s, b.time_base, b.epoch, b.clock,
        )  # fmt: skip
    assert [state.state for state in states] == ["connecting", "up", "ended"]


def test_what_a_process_logs_is_known_by_its_camera(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Else lines of other cameras are held back as repeated ones."""
    clip = write_video(tmp_path / "clip.mp4", 40, noise=True, movflags="faststart")
    data = bytearray(clip.read_bytes())
    for at in range(len(data) // 3, len(data) - 2000, 50):
        data[at] ^= 0x55
    clip.write_bytes(data)
    list(read(str(clip), "gate", PROCESS))
    assert [getattr(record, "camera", "") for record in caplog.records if "damaged" in record.message] == ["gate"]


def test_a_missing_file_is_told_in_the_same_words(tmp_path: Path) -> None:
    told = []
    for isolate in ("thread", "process"):
        with pytest.raises(SourceError, match="no such file") as caught:
            list(read(str(tmp_path / "gone.mp4"), "gate", SourceOptions(isolate=isolate)))  # type: ignore[arg-type]
        told.append((str(caught.value), caught.value.code))
    assert told[0] == told[1]


def test_kills_kicks_and_other_sizes_are_disconnects_with_new_epochs(camera: FakeCamera) -> None:
    url = camera.url.replace("rtsp://", "rtsp://joe:geheim@")
    with Reading(url, PROCESS) as reading:
        reading.until(lambda: len(reading.frames) >= 5)
        (first,) = decoders()
        assert b"geheim" not in Path(f"/proc/{first}/cmdline").read_bytes()
        assert b"geheim" not in Path(f"/proc/{first}/environ").read_bytes()
        camera.apply(Command("kick"))
        reading.until(lambda: reading.frames[-1].epoch == 1)
        os.kill(first, signal.SIGKILL)
        reading.until(lambda: reading.frames[-1].epoch == 2)
        (second,) = decoders()
        camera.apply(Command("switch"))
        reading.until(lambda: reading.frames[-1].size == (192, 320))
        camera.apply(Command("switch"))
        os.kill(second, signal.SIGSEGV)
        reading.until(lambda: reading.frames[-1].epoch == 3)
        last = decoders()
    assert [is_gone(pid) for pid in (first, second, *last)] == [True] * 3
    assert [frame.index for frame in reading.frames] == list(range(len(reading.frames)))
    assert all(a.epoch <= b.epoch for a, b in pairwise(reading.frames))
    told = [(s.state, s.code, s.epoch) for s in reading.states if s.state in ("up", "ended") or s.code == "crashed"]
    assert told == [
        ("up", "", 0), ("up", "", 1), ("lost", "crashed", 1), ("up", "", 2),
        ("lost", "crashed", 2), ("up", "", 3), ("ended", "", 3),
    ]  # fmt: skip
    assert "SIGKILL" in next(s.message for s in reading.states if s.code == "crashed")
    assert not any(word in repr(reading.states) for word in ("joe", "geheim"))


def test_a_frozen_process_is_ended_and_another_camera_goes_on(
    camera: FakeCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_process, "_SILENT_S", 2.0)
    url = camera.url.replace("rtsp://", "rtsp://joe:geheim@")
    with Reading(url, PROCESS) as frozen:
        frozen.until(lambda: len(frozen.frames) >= 3)
        (pid,) = decoders()
        with Reading(url) as other:
            other.until(lambda: len(other.frames) >= 3)
            os.kill(pid, signal.SIGSTOP)
            frozen.until(lambda: frozen.states[-1].code == "timeout")
            assert frozen.states[-1].state == "stalled"
            assert "frozen for 2 s" in frozen.states[-1].message
            assert is_gone(pid)
            frozen.until(lambda: frozen.frames[-1].epoch == 1)
            assert [state.state for state in other.states] == ["connecting", "up"]


def test_stop_ends_the_process_of_a_camera_that_never_answers(camera: FakeCamera) -> None:
    patient = SourceOptions(open_timeout_s=60.0, isolate="process")
    camera.apply(Command("mute"))
    try:
        with Reading(camera.url, patient) as reading:
            reading.until(lambda: bool(decoders()))
            (pid,) = decoders()
            reading.until(lambda: bool(reading.states))  # imported, and opening
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 10  # and not the 60 s of opening
        assert is_gone(pid)
    finally:
        camera.apply(Command("mute", 0))
    assert [state.state for state in reading.states] == ["connecting", "ended"]


def test_giving_up_and_failing_fast_are_kept(camera: FakeCamera) -> None:
    wrong = camera.url.replace("rtsp://", "rtsp://joe:falsch@")
    with pytest.raises(SourceError, match="user or password refused") as caught:
        next(read(wrong, "gate", PROCESS, fail_fast=True))
    assert caught.value.code == "unauthorized"
    once = SourceOptions(isolate="process", reconnect=Reconnect(give_up_after=1))
    with pytest.raises(SourceError, match="user or password refused"):
        next(read(wrong, "gate", once))


def test_a_file_whose_decoder_dies_is_an_error(tmp_path: Path) -> None:
    clip = str(write_video(tmp_path / "clip.mp4", 60))
    frames = read(clip, "gate", SourceOptions(isolate="process"))
    next(frames)
    os.kill(decoders()[0], signal.SIGKILL)
    with pytest.raises(
        SourceError, match=r"camera 'gate': .*clip\.mp4: the decoder process ended \(signal 9"
    ) as caught:
        list(frames)
    assert caught.value.code == "crashed"


def test_pictures_beyond_the_memory_are_refused_by_name(tmp_path: Path) -> None:
    large = str(write_video(tmp_path / "large.mp4", 2, size=(2400, 3200)))
    states: list[SourceState] = []
    options = SourceOptions(isolate="process", memory_mb=64)
    with pytest.raises(SourceError, match=r"needs more than source\.memory_mb \(64\)") as caught:
        list(read(large, "gate", options, on_state=states.append))
    assert caught.value.code == "memory"
    assert [state.code for state in states] == ["", "memory"]
    assert len(list(read(large, "gate", replace(options, memory_mb=1024)))) == 2


def test_a_file_whose_decoding_runs_out_of_memory_is_not_said_to_be_damaged(tmp_path: Path) -> None:
    large = str(write_video(tmp_path / "large.mkv", 2, codec="ffv1", size=(2400, 3200)))
    with pytest.raises(SourceError, match=r"needs more than source\.memory_mb \(16\)") as caught:
        list(read(large, "gate", SourceOptions(isolate="process", memory_mb=16)))
    assert caught.value.code == "memory"


def test_leaving_early_ends_the_process_and_gives_everything_back(tmp_path: Path) -> None:
    clip = str(write_video(tmp_path / "clip.mp4", 60))
    before = len(os.listdir("/proc/self/fd"))
    frames = read(clip, "gate", SourceOptions(isolate="process"))
    next(frames)
    (pid,) = decoders()
    frames.close()  # type: ignore[attr-defined]
    assert is_gone(pid)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_process_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    clip = str(write_video(tmp_path / "clip.mp4", 60))
    shared_before = set(os.listdir("/dev/shm"))
    code = (
        "import sys, time; from argos.sources.options import SourceOptions; from argos.sources.read import read\n"
        f"frames = read({clip!r}, 'gate', SourceOptions(isolate='process')); next(frames)\n"
        "print('READY', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "READY\n"
    (pid,) = decoders(parent.pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert is_gone(pid)
    assert set(os.listdir("/dev/shm")) == shared_before


@pytest.mark.parametrize(
    "nonsense", [b"", b"\xff\xfe", b"[]", b'{"type":"boo"}', b'{"type":"frame","slot":"x"}', b'{"type":"alive"}']
)
def test_nonsense_from_a_process_ends_it(tmp_path: Path, nonsense: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = str(write_video(tmp_path / "clip.mp4", 4))
    monkeypatch.setattr(Connection, "recv_bytes", lambda *_: nonsense)
    with DecoderProcess(order(clip), 10) as process, pytest.raises(DecoderEndedError, match="nonsense") as caught:
        list(process.messages(threading.Event()))
    assert caught.value.code == "crashed"
    assert is_gone(process.pid)


@pytest.mark.parametrize(
    ("slot", "slot_bytes", "size"),
    [(SLOTS, 4096, (8, 8)), (-1, 4096, (8, 8)), (0, 4096, (800, 800)), (0, 1 << 40, (8, 8)), (0, 4096, (-8, -8)),
     (0, 8192, (8, 8))],
)  # fmt: skip
def test_slots_that_cannot_be_are_refused(slot: int, slot_bytes: int, size: tuple[int, int]) -> None:
    memory = shared_memory()
    writer, reader = Slots(memory), Slots(memory)
    writer.grow((8, 8))
    with pytest.raises(ValueError, match="cannot hold"):
        reader.read(slot, slot_bytes, size)
    os.close(memory)


def test_slots_grow_and_never_shrink_under_the_reader() -> None:
    memory = shared_memory()
    writer, reader = Slots(memory), Slots(memory)
    rng = np.random.default_rng(0)
    for size in ((8, 8), (90, 161), (240, 320), (8, 8)):
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        if pixels.nbytes > writer.slot_bytes:
            writer.grow(size)
        for slot in range(SLOTS):
            writer.write(slot, pixels)
            assert np.array_equal(reader.read(slot, writer.slot_bytes, size), pixels)
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 0)
    with pytest.raises(ValueError, match="larger than"):
        writer.grow((100_000, 100_000))
    os.close(memory)


def test_messages_of_a_process_are_of_their_types(tmp_path: Path) -> None:
    clip = str(write_video(tmp_path / "clip.mp4", 3))
    with DecoderProcess(order(clip), 10) as process:
        said = list(_until_end(process))
    assert [type(one) for one in said] == [Told, Told, Shown, Shown, Shown, Told]


def _until_end(process: DecoderProcess) -> Iterator[Shown | Told]:
    for said in process.messages(threading.Event()):
        if isinstance(said, Shown):
            process.pixels(said)
        elif not isinstance(said, Told):
            return
        yield said
