from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import pytest
from video_files import number_of, numbered, write_video

from argos.cli import main
from argos.errors import SourceError
from argos.sources.live import delay_s
from argos.sources.options import Reconnect, SourceOptions, SourceState
from argos.sources.probe import probe
from argos.sources.read import read

PATIENT = SourceOptions(open_timeout_s=10.0, stall_timeout_s=8.0)

Serve = Callable[[type[BaseHTTPRequestHandler] | partial], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts HTTP servers on loopback; returns ``host:port``."""
    servers: list[ThreadingHTTPServer] = []

    def start(handler: type[BaseHTTPRequestHandler] | partial) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.block_on_close = False
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class MjpegHandler(QuietHandler):
    """A camera at 20 fps that drops each connection after 30 pictures and wants a password at /locked."""

    pictures = 30

    def do_GET(self) -> None:
        if self.path.startswith("/locked"):
            self.send_error(401)
            return
        if not self.path.startswith("/cam"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for n in range(self.pictures):
            _, jpeg = cv2.imencode(".jpg", numbered(n, 120, 160)[..., ::-1])
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg.tobytes() + b"\r\n")
            time.sleep(0.05)


class SlowHandler(MjpegHandler):
    """Sends a few pictures and then keeps the connection without any."""

    pictures = 5

    def do_GET(self) -> None:
        super().do_GET()
        time.sleep(60)


def test_probe_describes_a_camera_that_ends_while_it_looks_and_says_so(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{serve(MjpegHandler)}/cam"
    assert main(["probe", url, "--seconds", "5"]) == 3
    said = capsys.readouterr()
    assert "160x120" in said.out
    assert re.search(r"^argos probe: http://.*/cam: .* after \d+ pictures in \d\.\d s; check network", said.err)


class SnapshotHandler(MjpegHandler):
    """Sends one picture, not a stream of them."""

    def do_GET(self) -> None:
        jpeg = cv2.imencode(".jpg", numbered(0, 120, 160))[1].tobytes()
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(jpeg)))
        self.end_headers()
        self.wfile.write(jpeg)


def test_who_tries_once_does_not_promise_to_connect_again(serve: Serve) -> None:
    url = f"http://{serve(SnapshotHandler)}/cam"
    with pytest.raises(SourceError, match=r"/cam: the stream ended; check network and camera$"):
        list(read(url, "cam", fail_fast=True))
    report = probe(url)
    assert report.code == "ended"
    assert report.error.endswith("/cam: the stream ended before its first picture; check that it is a stream, the "
                                 "network and the camera")  # fmt: skip


def test_probe_tells_that_a_camera_stalled_while_it_looked(serve: Serve) -> None:
    report = probe(f"http://{serve(SlowHandler)}/cam", 5.0, SourceOptions(stall_timeout_s=0.5))
    assert (report.code, report.size) == ("timeout", (120, 160))
    assert "no more pictures came after" in report.error


def test_mjpeg_frames_are_timed_by_arrival(serve: Serve) -> None:
    before_ns = time.time_ns()
    frames = list(islice(read(f"http://{serve(MjpegHandler)}/cam", "gate", PATIENT), 25))
    numbers = [number_of(frame.pixels) for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 25))
    assert {(frame.size, frame.clock, frame.epoch) for frame in frames} == {((120, 160), "arrival", 0)}
    assert all(a.pts_s <= b.pts_s for a, b in pairwise(frames))
    assert before_ns <= frames[0].captured_ns <= frames[-1].captured_ns <= time.time_ns()
    sent_s = 20 * 0.05  # 20 intervals at the camera's own pace, not the 1/25 s that the format makes up
    assert frames[24].pts_s - frames[4].pts_s >= 0.9 * sent_s


def test_a_dropped_stream_is_connected_again_with_the_next_epoch(serve: Serve) -> None:
    states: list[SourceState] = []
    frames = list(
        islice(read(f"http://joe:secret@{serve(MjpegHandler)}/cam", "gate", PATIENT, on_state=states.append), 65)
    )
    epochs = [frame.epoch for frame in frames]
    assert epochs == sorted(epochs)
    assert set(epochs) >= {0, 1, 2}
    assert [frame.index for frame in frames] == list(range(65))
    told = [(s.state, s.epoch) for s in states]
    assert told[:4] == [("connecting", 0), ("up", 0), ("lost", 0), ("up", 1)]
    assert "secret" not in repr(states)


def test_a_stream_that_falls_silent_is_stalled_and_stop_ends_it(serve: Serve) -> None:
    stop, states = threading.Event(), list[SourceState]()

    def on_state(state: SourceState) -> None:
        states.append(state)
        if state.state == "stalled":
            stop.set()

    options = SourceOptions(open_timeout_s=10.0, stall_timeout_s=1.0)
    frames = list(read(f"http://{serve(SlowHandler)}/cam", "gate", options, stop=stop, on_state=on_state))
    assert 1 <= len(frames) <= 5
    assert [(s.state, s.code) for s in states] == [
        ("connecting", ""),
        ("up", ""),
        ("stalled", "timeout"),
        ("ended", ""),
    ]


@pytest.mark.parametrize(("path", "code"), [("locked", "unauthorized"), ("nothing", "not_found")])
def test_refusals_have_their_codes(serve: Serve, path: str, code: str) -> None:
    address = serve(MjpegHandler)
    with pytest.raises(SourceError, match=r"camera 'gate': http://\*\*\*@127") as caught:
        next(read(f"http://joe:secret@{address}/{path}", "gate", PATIENT, fail_fast=True))
    assert caught.value.code == code
    # the password is not in the errors it came from either: those are printed with a traceback
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_stop_ends_a_long_wait_at_once(serve: Serve) -> None:
    stop, lost = threading.Event(), threading.Event()
    source = f"http://{serve(MjpegHandler)}/locked"

    def on_state(state: SourceState) -> None:
        if state.state == "lost":
            lost.set()

    reader = threading.Thread(target=lambda: list(read(source, "gate", PATIENT, stop=stop, on_state=on_state)))
    reader.start()
    assert lost.wait(20)
    stop.set()
    reader.join(5)  # a refused password waits 10 s for its next attempt
    assert not reader.is_alive()


def test_giving_up_after_attempts_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        source = f"http://127.0.0.1:{taken.getsockname()[1]}/cam"
        states: list[SourceState] = []
        options = SourceOptions(reconnect=Reconnect(initial_s=0.01, give_up_after=3))
        with pytest.raises(SourceError, match="connection refused") as caught:
            list(read(source, "gate", options, on_state=states.append))
    assert caught.value.code == "refused"
    assert [s.state for s in states] == ["connecting", "lost", "ended"]


def write_hls(playlist: Path) -> None:
    """Three segments of a second, and the line that says that no more will come."""
    with av.open(str(playlist), "w", format="hls", options={"hls_time": "1"}) as container:
        stream = container.add_stream("libx264", rate=15)
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = 120, 160, "yuv420p", 15
        stream.options = {"x264-params": "scenecut=0"}
        for n in range(45):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(n, 120, 160), format="rgb24")))
        container.mux(stream.encode())


def test_hls_is_read_as_live(serve: Serve, tmp_path: Path) -> None:
    playlist = tmp_path / "live.m3u8"
    write_hls(playlist)
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    address = serve(partial(QuietHandler, directory=str(tmp_path)))
    frames = list(islice(read(f"http://{address}/live.m3u8", "gate", PATIENT), 10))
    numbers = [number_of(frame.pixels) for frame in frames]
    assert numbers == list(range(30, 40))  # the newest segment first
    assert all(b.pts_s - a.pts_s == pytest.approx(1 / 15, abs=0.01) for a, b in pairwise(frames))


def test_hls_that_has_ended_is_shown_once_and_asked_for_more(serve: Serve, tmp_path: Path) -> None:
    playlist = tmp_path / "live.m3u8"
    write_hls(playlist)
    ended = playlist.read_text()
    source = f"http://{serve(partial(QuietHandler, directory=str(tmp_path)))}/live.m3u8"
    states: list[SourceState] = []
    options = replace(PATIENT, reconnect=Reconnect(initial_s=0.01, max_s=0.01, give_up_after=5))
    frames = read(source, "gate", options, on_state=states.append)
    assert [number_of(next(frames).pixels) for _ in range(45)] == list(range(45))
    with pytest.raises(SourceError, match="the stream ended"):
        next(frames)
    told = [(s.state, s.code) for s in states]
    assert told == [("connecting", ""), ("up", ""), ("lost", "ended"), ("ended", "ended")]

    def goes_on(state: SourceState) -> None:
        if state.state == "lost":
            playlist.write_text(ended.replace("#EXT-X-ENDLIST\n", ""))

    frames = read(source, "gate", options, on_state=goes_on)
    assert [next(frames).epoch for _ in range(50)] == [0] * 45 + [1] * 5


def test_a_video_file_behind_http_ends(serve: Serve, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", 12)
    address = serve(partial(QuietHandler, directory=str(tmp_path)))
    frames = list(read(f"http://{address}/clip.mp4", "cam"))
    assert [number_of(frame.pixels) for frame in frames] == list(range(12))
    with pytest.raises(SourceError, match="cannot be opened") as caught:
        next(read(f"http://{address}/gone.mp4", "cam"))
    assert caught.value.code == "not_found"


def test_waits_grow_to_their_limit() -> None:
    steady = Reconnect(initial_s=0.1, max_s=1.0, factor=2.0, jitter=0.0)
    assert [delay_s(steady, tries, 5.0) for tries in range(6)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1])
    assert delay_s(steady, 1000, 601.0) == 30.0
    assert delay_s(steady, 0, 0.0, permanent=True) == 10.0
    assert 0.8 <= delay_s(Reconnect(jitter=0.2), 9, 0.0) <= 1.2
