from __future__ import annotations

import socket
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from reading import PATIENT, Reading
from rtsp import RtspCamera

from argos.errors import SourceError
from argos.sources.options import SourceOptions
from argos.sources.probe import probe
from argos.sources.read import read

pytestmark = [pytest.mark.rtsp, pytest.mark.timeout(120)]

StartCamera = Callable[..., RtspCamera]


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_frames_arrive_and_stop_ends_them(rtsp_camera: StartCamera, codec: str) -> None:
    with Reading(rtsp_camera("--size", "320x192", "--codec", codec).url) as reading:
        reading.until(lambda: len(reading.frames) >= 30)
    frames = reading.frames
    assert {(f.size, f.clock, f.epoch, f.camera) for f in frames} == {((192, 320), "arrival", 0, "gate")}
    assert [f.index for f in frames] == list(range(len(frames)))
    assert all(a.pts_s < b.pts_s for a, b in pairwise(frames))
    assert frames[29].pts_s - frames[0].pts_s == pytest.approx(29 / 15, rel=0.3)
    assert time.time_ns() - frames[0].captured_ns < 60e9
    assert [s.state for s in reading.states] == ["connecting", "up", "ended"]


def test_a_kick_and_a_restart_are_survived_with_new_epochs(rtsp_camera: StartCamera) -> None:
    camera = rtsp_camera("--size", "320x192")
    with Reading(camera.url) as reading:
        reading.until(lambda: len(reading.frames) >= 5)
        camera.send("kick")
        reading.until(lambda: reading.frames[-1].epoch == 1)
        camera.kill()
        reading.until(lambda: [s.code for s in reading.states[-1:]] == ["refused"])
        camera.start()
        reading.until(lambda: reading.frames[-1].epoch == 2)
    indices = [f.index for f in reading.frames]
    assert indices[0] == 0
    assert indices == sorted(set(indices)), "they go on; a picture that came damaged has one of its own"
    up = [s.epoch for s in reading.states if s.state == "up"]
    assert up == [0, 1, 2]
    assert {s.code for s in reading.states if s.state == "lost"} >= {"ended", "refused"}


def test_a_stalled_camera_is_noticed_and_recovers(rtsp_camera: StartCamera) -> None:
    camera = rtsp_camera("--size", "320x192")
    with Reading(camera.url) as reading:
        reading.until(lambda: len(reading.frames) >= 5)
        camera.send("stall")
        reading.until(lambda: any(s.state == "stalled" and s.code == "timeout" for s in reading.states))
        camera.send("resume")
        reading.until(lambda: reading.frames[-1].epoch == 1)
    stalled = next(s for s in reading.states if s.state == "stalled")
    assert "no picture for 3 s" in stalled.message


def test_a_clock_set_back_does_not_turn_time_back(rtsp_camera: StartCamera) -> None:
    camera = rtsp_camera("--size", "320x192")
    with Reading(camera.url) as reading:
        reading.until(lambda: len(reading.frames) >= 10)
        camera.send("jump -5")
        reading.until(lambda: any(a.pts > b.pts for a, b in pairwise(reading.frames)))
        last = len(reading.frames)
        reading.until(lambda: len(reading.frames) >= last + 10)
    epoch = [f for f in reading.frames if f.epoch == 0]
    assert all(a.pts_s <= b.pts_s for a, b in pairwise(epoch))
    assert epoch[-1].pts_s - epoch[0].pts_s > 0.5 * len(epoch) / 15


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_a_password_opens_and_a_wrong_one_is_named_without_it(rtsp_camera: StartCamera, auth: str) -> None:
    camera = rtsp_camera("--size", "320x192", "--user", "joe", "--password", "geheim", "--auth", auth)
    with Reading(camera.url) as reading:
        reading.until(lambda: len(reading.frames) >= 1)
    with Reading(camera.url.replace("geheim", "falsch")) as reading:
        reading.until(lambda: [s.state for s in reading.states[-1:]] == ["lost"])
    state = reading.states[1]
    assert state.code == "unauthorized"
    assert "user or password refused" in state.message
    assert not any(word in repr(reading.states) for word in ("joe", "falsch", "geheim"))


def test_a_closed_port_fails_fast_without_the_credentials() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SourceError) as caught:
            next(read(f"rtsp://joe:geheim@127.0.0.1:{port}/cam", "gate", PATIENT, fail_fast=True))
    assert caught.value.code == "refused"
    assert str(caught.value).startswith(f"camera 'gate': rtsp://***@127.0.0.1:{port}/cam: connection refused")
    assert caught.value.__context__ is None


def test_a_transport_the_camera_lacks_is_named(rtsp_camera: StartCamera) -> None:
    camera = rtsp_camera("--size", "320x192", "--transport", "tcp")
    options = SourceOptions(transport="udp", open_timeout_s=6.0)
    with pytest.raises(SourceError, match="does not offer transport 'udp'") as caught:
        next(read(camera.url, "gate", options, fail_fast=True))
    assert caught.value.code == "unsupported"


def test_probe_measures_rate_and_key_frames(rtsp_camera: StartCamera) -> None:
    camera = rtsp_camera("--size", "320x192", "--gop", "8", "--user", "joe", "--password", "geheim")
    report = probe(camera.url, 2.0, PATIENT)
    assert (report.codec, report.size, report.live, report.clock) == ("h264", (192, 320), True, "arrival")
    assert report.gop == 8
    assert report.measured_fps == pytest.approx(15, rel=0.4)
    assert report.first_frame_s is not None
    assert "geheim" not in repr(report)
