from __future__ import annotations

import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rtsp
from reading import PATIENT, Reading, write_clip
from waiting import wait_for

from argos.errors import PublishError, SourceError
from argos.fakecam.fake_camera import FakeCamera
from argos.fakecam.script import Command, Script, Step
from argos.fakecam.viewers import MAX_BACKLOG
from argos.sources.options import SourceOptions
from argos.sources.probe import probe
from argos.sources.read import read

TRANSPORTS = ("tcp", "udp")

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two short films with three key pictures a second, one larger than the other."""
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / "small.mp4", (96, 160), 30), write_clip(folder / "large.mp4", (192, 320), 15)]


@pytest.fixture
def camera(clips: list[str]) -> Iterator[FakeCamera]:
    with FakeCamera(clips) as camera:
        yield camera


def play(viewer: socket.socket, camera: FakeCamera, transport: str) -> None:
    """Ask for pictures by hand."""
    session = ""
    for request in (f"SETUP {camera.url}/track0", f"PLAY {camera.url}"):
        head = f"{request} RTSP/1.0\r\nCSeq: 1\r\nTransport: {transport}\r\nSession: {session}\r\n\r\n"
        viewer.sendall(head.encode())
        reply = viewer.recv(4096).decode(errors="replace")
        assert reply.startswith("RTSP/1.0 200 OK")
        session = reply.partition("Session: ")[2].partition(";")[0]


def options(transport: str) -> SourceOptions:
    assert transport in ("tcp", "udp")
    return SourceOptions(transport=transport, open_timeout_s=6.0, stall_timeout_s=3.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_argos_reads_it_picture_by_picture_over_the_end_of_the_clip(
    camera: FakeCamera, clips: list[str], transport: str
) -> None:
    clip = [frame.pixels.astype(int) for frame in read(clips[0], "scene")]
    with Reading(camera.url, options(transport)) as reading:
        reading.until(lambda: len(reading.frames) >= 40)  # the clip has 30
        assert camera.viewers == 1
    frames = reading.frames
    assert [frame.size for frame in frames] == [(96, 160)] * len(frames)
    steps = [b.pts_s - a.pts_s for a, b in itertools.pairwise(frames)]
    assert np.allclose(steps, 1 / 15, atol=2e-3)
    first = min(range(30), key=lambda n: np.abs(clip[n] - frames[0].pixels).mean())
    for n, frame in enumerate(frames):  # none is lost, repeated or out of order
        assert np.abs(clip[(first + n) % 30] - frame.pixels).mean() < 5
    assert {frame.epoch for frame in frames} == {0}
    wait_for(lambda: camera.viewers == 0)


@pytest.mark.rtsp
@pytest.mark.parametrize(("transport", "codec"), [("tcp", "h264"), ("udp", "h264"), ("tcp", "h265"), ("udp", "h265")])
def test_an_independent_viewer_reads_it(clips: list[str], transport: str, codec: str) -> None:
    """GStreamer shares no line with FFmpeg, which ARGOS reads with."""
    if rtsp.missing():
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"GStreamer is missing under CI: {rtsp.missing()}")
        pytest.skip(f"GStreamer is missing: {rtsp.missing()}")
    viewer = Path(__file__).with_name("gst_viewer.py")
    rendered = "fake://people?n=1&size=160x96&fps=15&frames=30&codec=h265"
    clip = clips[0] if codec == "h264" else rendered
    with FakeCamera([clip], user="joe", password="geheim") as camera:
        url = camera.url.replace("rtsp://", "rtsp://joe:geheim@")
        command = [rtsp.PYTHON, str(viewer), url, transport, "40", "40", codec]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.splitlines()[-1] == "PICTURES 40 of 160x96", done.stdout + done.stderr
        wrong = [rtsp.PYTHON, str(viewer), url.replace("geheim", "falsch"), transport, "40", "20", codec]
        done = subprocess.run(wrong, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.startswith("ERROR Unauthorized")


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_a_password_lets_in_and_a_wrong_one_does_not(clips: list[str], auth: str) -> None:
    with FakeCamera(clips[:1], user="joe", password="ge:heim", auth=auth) as camera:  # type: ignore[arg-type]
        url = camera.url.replace("rtsp://", "rtsp://joe:ge%3Aheim@")
        next(read(url, "gate", PATIENT))
        for wrong in (camera.url, url.replace("heim", "falsch"), url.replace("joe", "ann")):
            with pytest.raises(SourceError) as caught:
                next(read(wrong, "gate", PATIENT, fail_fast=True))
            assert caught.value.code == "unauthorized"


@pytest.mark.parametrize(
    ("fault", "transport"),
    [("kick", "udp"), ("refuse", "tcp"), ("stall", "tcp"), ("stall", "udp"), ("mute", "tcp"), ("unauthorized", "udp"),
     ("missing", "tcp"), ("no_video", "udp")],
)  # fmt: skip
def test_after_each_fault_the_pictures_come_back(camera: FakeCamera, fault: str, transport: str) -> None:
    quick = SourceOptions(transport=transport, open_timeout_s=1.0, stall_timeout_s=1.0)  # type: ignore[arg-type]
    codes = {
        "kick": "ended",
        "refuse": "refused",
        "stall": "timeout",
        "mute": "timeout",
        "unauthorized": "unauthorized",
        "missing": "not_found",
        "no_video": "no_video",
    }
    with Reading(camera.url, quick) as reading:
        reading.more()
        camera.apply(Command(fault))
        if fault in ("mute", "unauthorized", "missing", "no_video"):
            camera.apply(Command("kick"))  # they are met by those who come
        reading.until(lambda: [s.code for s in reading.states[-1:]] == [codes[fault]])
        if fault == "unauthorized":  # it is asked again after ten seconds; that it says so is enough here
            return
        if fault != "kick":
            camera.apply(Command(fault, 0))
        off_s = time.monotonic()
        reading.until(lambda: reading.frames[-1].epoch >= 1 and reading.states[-1].state == "up")
        if fault in (
            "missing",
            "no_video",
        ):  # as a camera does that is just starting: not asked again after ten seconds
            assert time.monotonic() - off_s < 8
        reading.more()


def test_no_stream_and_no_video_are_told_apart(camera: FakeCamera) -> None:
    for fault, code in (("missing", "not_found"), ("no_video", "no_video"), ("unauthorized", "unauthorized")):
        camera.apply(Command(fault))
        with pytest.raises(SourceError) as caught:
            next(read(camera.url, "gate", PATIENT, fail_fast=True))
        assert caught.value.code == code
        camera.apply(Command(fault, 0))
    with pytest.raises(SourceError) as caught:
        next(read(camera.url.replace("/cam", "/other"), "gate", PATIENT, fail_fast=True))
    assert caught.value.code == "not_found"
    assert next(read(camera.url, "gate", PATIENT)).size == (96, 160)


def test_another_size_in_the_middle_and_a_clock_set_back_are_survived(camera: FakeCamera) -> None:
    with Reading(camera.url) as reading:
        reading.more()
        camera.apply(Command("switch"))
        reading.until(lambda: reading.frames[-1].size == (192, 320))
        camera.apply(Command("switch"))
        reading.until(lambda: reading.frames[-1].size == (96, 160))
        camera.apply(Command("jump", -30))
        reading.until(lambda: any(b.pts < a.pts for a, b in itertools.pairwise(reading.frames)))
        reading.more(10)
    pts_s = [frame.pts_s for frame in reading.frames]
    assert pts_s == sorted(pts_s)


def test_a_clock_set_far_back_does_not_put_time_forward(camera: FakeCamera) -> None:
    with Reading(camera.url) as reading:
        reading.more()
        camera.apply(Command("jump", -1000))  # FFmpeg takes it for a clock that ran over
        reading.until(lambda: any(abs(b.pts - a.pts) > 900 * 90_000 for a, b in itertools.pairwise(reading.frames)))
        reading.more(10)
    assert {frame.epoch for frame in reading.frames} == {0}
    assert all(0 <= b.pts_s - a.pts_s < 5 for a, b in itertools.pairwise(reading.frames))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_another_codec_in_the_middle_is_survived(clips: list[str], transport: str) -> None:
    """The camera goes on sending, in a codec that the viewer was not told of: nothing can be decoded any more."""
    quick = SourceOptions(transport=transport, open_timeout_s=6.0, stall_timeout_s=1.5)  # type: ignore[arg-type]
    other = "fake://people?n=1&size=128x96&fps=15&frames=30&codec=h265"
    with FakeCamera([clips[0], other]) as camera, Reading(camera.url, quick) as reading:
        reading.more()
        for epoch, size in ((1, (96, 128)), (2, (96, 160))):
            camera.apply(Command("switch"))
            reading.until(lambda epoch=epoch: reading.frames[-1].epoch == epoch)  # type: ignore[misc]
            assert reading.frames[-1].size == size
        reading.more(10)
        assert reading.states[-1].state == "up"
    # FFmpeg sees nothing that it could decode in the one case, and refuses the packets in the other
    assert {state.code for state in reading.states} - {""} <= {"timeout", "failed"}


def test_lost_and_damaged_packets_end_no_reading(camera: FakeCamera) -> None:
    with Reading(camera.url) as reading:
        reading.more()
        for fault, share in (("loss", 0.05), ("corrupt", 0.3)):
            camera.apply(Command(fault, share))
            reading.more(10)
            camera.apply(Command(fault, 0))
        reading.more(20)
        assert reading.states[-1].state == "up"
    missing = reading.frames[-1].index + 1 - len(reading.frames)
    assert missing > 0  # each damaged picture and packet has an index of its own, so that it is counted as dropped


def test_a_slow_camera_shows_fewer_pictures(camera: FakeCamera) -> None:
    before = camera.shown
    time.sleep(0.6)
    normal = camera.shown - before
    camera.apply(Command("slow", 0.2))
    camera.apply(Command("jitter", 50))
    before = camera.shown
    time.sleep(0.6)
    assert camera.shown - before < normal


def test_a_viewer_who_does_not_read_costs_bounded_memory_and_harms_no_other(clips: list[str]) -> None:
    with FakeCamera(clips[:1]) as camera, socket.create_connection(("127.0.0.1", camera.port)) as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        play(sleeper, camera, "RTP/AVP/TCP;interleaved=0-1")
        viewer = camera._camera.viewers[0]
        for _ in range(8):  # what a bad day of pictures would bring
            viewer.way._writer.transport.write(bytes(1 << 20))  # type: ignore[attr-defined]
        wait_for(lambda: viewer.skipped > 3)
        assert viewer.way.backlog() < MAX_BACKLOG + (8 << 20)
        with Reading(camera.url) as reading:
            reading.more(20)


def test_nonsense_is_sent_away_and_harms_no_viewer(camera: FakeCamera) -> None:
    rng = np.random.default_rng(1)
    good = f"DESCRIBE {camera.url} RTSP/1.0\r\nCSeq: 1\r\n"
    with Reading(camera.url) as reading:
        reading.more()
        for junk in (
            b"GET / HTTP/1.1\r\n\r\n",
            rng.bytes(70_000),
            b"$\0\xff\xff" + rng.bytes(100),
            f"{good}Content-Length: 999999999\r\n\r\n".encode(),
            f"{good}Content-Length: -1\r\n\r\n".encode(),
            f"{good}Content-Length: x\r\n\r\n".encode(),
            b"SETUP " + b"a" * 30_000,
            b"\r\n\r\n\r\n\r\n",
            f"SETUP {camera.url} RTSP/1.0\r\nTransport: RTP/AVP/TCP;interleaved=0-999\r\n\r\n".encode(),
            f"SETUP {camera.url} RTSP/1.0\r\nTransport: RTP/AVP;multicast;client_port=1-99999\r\n\r\n".encode(),
            f"PLAY {camera.url} RTSP/1.0\r\nCSeq: 1\r\nSession: other\r\n\r\n".encode(),
            b"PLAY rtsp://[ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", camera.port), timeout=10) as stranger:
                try:
                    stranger.sendall(junk)
                    stranger.shutdown(socket.SHUT_WR)
                    reply = stranger.recv(4096)
                except ConnectionError:  # thrown out while it still spoke
                    continue
                assert not reply or reply[:12] in (b"RTSP/1.0 400", b"RTSP/1.0 461", b"RTSP/1.0 454", b"RTSP/1.0 404")
        reading.more(10)
        assert {frame.epoch for frame in reading.frames} == {0}


def test_pictures_go_to_the_machine_that_asked_whatever_it_asks(clips: list[str]) -> None:
    with (
        FakeCamera(clips[:1]) as camera,
        socket.create_connection(("127.0.0.1", camera.port)) as asking,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
    ):
        own.bind(("127.0.0.1", 0))
        port = own.getsockname()[1]
        play(asking, camera, f"RTP/AVP;unicast;destination=192.0.2.1;client_port={port}-{port}")
        own.settimeout(10)
        assert own.recv(2048)[0] == 0x80


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_listens_on_an_address_of_ip_version_6(clips: list[str], transport: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with FakeCamera(clips[:1], host="::1") as camera:
        assert camera.url == f"rtsp://[::1]:{camera.port}/cam"
        assert next(read(camera.url, "gate", options(transport), fail_fast=True)).size == (96, 160)


def test_a_viewer_for_whom_there_are_no_ports_is_told_so(camera: FakeCamera) -> None:
    with socket.create_connection(("127.0.0.1", camera.port), timeout=10) as asking:
        asking.sendall(f"OPTIONS {camera.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        asking.recv(4096)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))  # no socket can be opened any more
        try:
            transport = "Transport: RTP/AVP;unicast;client_port=5000-5001"
            asking.sendall(f"SETUP {camera.url}/track0 RTSP/1.0\r\nCSeq: 2\r\n{transport}\r\n\r\n".encode())
            assert asking.recv(4096).startswith(b"RTSP/1.0 503 ")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_script_lets_faults_come_and_go(clips: list[str]) -> None:
    steps = (Step(0.5, Command("refuse"), 0.5), Step(1.5, Command("kick")))
    quick = SourceOptions(open_timeout_s=2.0, stall_timeout_s=1.5)
    with FakeCamera(clips[:1], script=Script(steps, repeat_s=3.0)) as camera, Reading(camera.url, quick) as reading:
        reading.until(lambda: len({frame.epoch for frame in reading.frames}) >= 3)
    assert {"refused", "ended"} <= {state.code for state in reading.states}


def test_a_port_that_is_taken_is_told_and_nothing_is_left_running(clips: list[str]) -> None:
    before = threading.active_count()
    with FakeCamera(clips[:1]) as camera:
        with pytest.raises(PublishError, match=f"127.0.0.1:{camera.port}: cannot be listened on"):
            FakeCamera(clips[:1], port=camera.port)
        camera.close()
    assert threading.active_count() == before


def test_opening_and_closing_leaves_no_descriptor(camera: FakeCamera) -> None:
    def look(transport: str) -> None:
        next(read(camera.url, "gate", options(transport)))

    look("udp")
    wait_for(lambda: camera.viewers == 0)
    descriptors = len(os.listdir("/proc/self/fd"))
    for transport in ("udp", "tcp", "udp"):
        look(transport)
    wait_for(lambda: camera.viewers == 0)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_probe_measures_it(camera: FakeCamera) -> None:
    report = probe(camera.url, 2.0, PATIENT)
    assert (report.codec, report.size, report.gop, report.announced_fps) == ("h264", (96, 160), 5, 15.0)
    assert report.measured_fps == pytest.approx(15, rel=0.4)


def test_the_command_obeys_lines_and_ends_at_sigterm(clips: list[str], tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("geheim\nnot this\n")
    command = [sys.executable, "-m", "argos", "fakecam", clips[0], "--port", "0", "--user", "joe"]
    with subprocess.Popen(
        [*command, "--password-file", str(password)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            word, url = process.stdout.readline().split()
            assert word == "READY"
            assert "joe" not in url
            with Reading(url.replace("rtsp://", "rtsp://joe:geheim@")) as reading:
                reading.more()
                process.stdin.write("dance\nkick\n")
                process.stdin.flush()
                reading.until(lambda: reading.frames[-1].epoch == 1)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "argos: unknown fault 'dance'" in errors
    assert "geheim" not in errors


def test_a_clip_that_is_not_there_starts_nothing(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(SourceError, match="no such file"):
        FakeCamera([str(tmp_path / "none.mp4")])
    assert threading.active_count() == before


def test_rendered_people_walk_for_ever() -> None:
    with FakeCamera(["fake://people?n=1&seed=1&size=64x48&fps=15&frames=15"]) as camera, Reading(camera.url) as reading:
        reading.until(lambda: len(reading.frames) >= 20)
    assert reading.frames[0].size == (48, 64)
