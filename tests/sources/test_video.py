from __future__ import annotations

import gc
import logging
import re
import threading
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import number_of, write_sound, write_video

from argos.errors import SourceError
from argos.sources.options import SourceOptions, SourceState
from argos.sources.read import frame_count, read
from argos.sources.stream import packets
from argos.types import Frame


def frames_until_error(path: Path) -> tuple[list[Frame], SourceError]:
    frames: list[Frame] = []
    with pytest.raises(SourceError) as caught:
        frames.extend(read(str(path), "cam"))
    return frames, caught.value


def is_red(pixel: np.ndarray) -> bool:
    return bool(pixel[0] > 180 and pixel[1] < 80 and pixel[2] < 80)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "size"),
    [
        ("a.mp4", "libx264", "yuv420p", (180, 320)),
        ("a.mp4", "libx264", "yuv420p10le", (180, 320)),
        ("a.mp4", "libx264", "yuv444p", (181, 321)),
        ("a.avi", "mpeg4", "yuv420p", (180, 320)),
        ("a.mkv", "ffv1", "yuv422p10le", (61, 35)),
        ("a.mkv", "ffv1", "bgr0", (48, 854)),
        ("a.mov", "mjpeg", "yuvj420p", (180, 320)),
    ],
)
def test_every_frame_comes_once_in_order(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt, size=size)
    frames = list(read(str(path), "cam"))
    assert [number_of(frame.pixels) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert {frame.size for frame in frames} == {size}
    assert all(is_red(frame.pixels[1, 1]) and frame.pixels.flags.c_contiguous for frame in frames)
    np.testing.assert_allclose([frame.pts_s for frame in frames], np.arange(30) / 15, atol=0.002)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray16le"])
def test_grey_pictures_of_any_depth_become_rgb(tmp_path: Path, pix_fmt: str) -> None:
    path = write_video(tmp_path / "a.mkv", 10, codec="ffv1", pix_fmt=pix_fmt, size=(60, 80))
    frames = list(read(str(path), "cam"))
    assert [number_of(frame.pixels) for frame in frames] == list(range(10))
    assert all((np.ptp(frame.pixels, axis=2) == 0).all() for frame in frames)


def test_a_frame_knows_its_camera_time_and_clock(tmp_path: Path) -> None:
    before_ns = time.time_ns()
    frame = list(read(str(write_video(tmp_path / "a.mp4")), "gate"))[3]
    assert (frame.camera, frame.clock, frame.epoch, frame.index) == ("gate", "file", 0, 3)
    assert frame.pts is not None
    assert frame.pts * frame.time_base[0] / frame.time_base[1] == pytest.approx(3 / 15) == pytest.approx(frame.pts_s)
    assert before_ns <= frame.captured_ns <= time.time_ns()


@pytest.mark.parametrize(
    ("rotation", "corner", "size"),
    [(0, (1, 1), (64, 96)), (90, (-2, 1), (96, 64)), (-90, (1, -2), (96, 64)), (180, (-2, -2), (64, 96))],
)
def test_rotation_metadata_turns_the_picture_upright(
    tmp_path: Path, rotation: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    # -90 is what a phone held upright writes: the picture is to be turned with the clock
    path = write_video(tmp_path / "a.mp4", 3, size=(64, 96), rotation=rotation)
    for frame in read(str(path), "cam"):
        assert frame.size == size
        assert is_red(frame.pixels[corner])


@pytest.mark.parametrize(
    ("rotation", "corner", "size"),
    [(0, (1, -2), (64, 96)), (90, (-2, -2), (96, 64)), (-90, (1, 1), (96, 64)), (180, (-2, 1), (64, 96))],
)
def test_mirrored_pictures_are_shown_as_their_file_says(
    tmp_path: Path, rotation: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    path = write_video(tmp_path / "a.mp4", 3, size=(64, 96), rotation=rotation, mirrored=True)
    for frame in read(str(path), "cam"):
        assert frame.size == size
        assert frame.pixels.flags.c_contiguous
        assert is_red(frame.pixels[corner])


def test_pictures_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 20, size=(64, 96), rotation=90)
    gc.collect()
    gc.disable()
    try:
        count = sum(1 for _ in read(str(path), "cam"))
        waiting = sum(type(each) is av.VideoFrame for each in gc.get_objects())
    finally:
        gc.enable()
    assert count == 20
    assert waiting <= 2


def test_pictures_of_an_avi_that_are_not_in_order_of_decoding_are_spaced_evenly(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 20, codec="libx264")  # with B-frames
    frames = list(read(str(path), "cam"))
    assert [number_of(frame.pixels) for frame in frames] == list(range(20))
    np.testing.assert_allclose(np.diff([frame.pts_s for frame in frames]), 1 / 15, atol=1e-6)


def test_variable_frame_rate_keeps_its_own_times(tmp_path: Path) -> None:
    ticks_ms = [0, 40, 80, 400, 410, 1000, 2500, 2520]
    path = write_video(tmp_path / "a.mkv", len(ticks_ms), ticks_ms=ticks_ms)
    frames = list(read(str(path), "cam"))
    assert [number_of(frame.pixels) for frame in frames] == list(range(8))
    np.testing.assert_allclose([frame.pts_s * 1000 for frame in frames], ticks_ms, atol=1)


def test_frames_without_times_are_spaced_evenly(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.h264", 20, form="h264")
    frames = list(read(str(path), "cam"))
    assert [number_of(frame.pixels) for frame in frames] == list(range(20))
    assert all(frame.pts is None for frame in frames)
    steps = [b.pts_s - a.pts_s for a, b in pairwise(frames)]
    assert min(steps) > 0
    assert max(steps) == pytest.approx(min(steps))


def test_joined_recordings_change_size_and_never_go_back_in_time(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.ts", 20, size=(90, 160))
    large = write_video(tmp_path / "b.ts", 25, size=(180, 320))
    joined = tmp_path / "c.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes() + small.read_bytes())
    frames = list(read(str(joined), "cam"))
    assert [number_of(frame.pixels) for frame in frames] == [*range(20), *range(25), *range(20)]
    assert [frame.size for frame in frames] == [(90, 160)] * 20 + [(180, 320)] * 25 + [(90, 160)] * 20
    steps = [b.pts_s - a.pts_s for a, b in pairwise(frames)]
    assert min(steps) >= 0
    assert frames[-1].pts_s - frames[0].pts_s == pytest.approx(64 / 15, abs=0.15)


def test_truncated_file_gives_what_decodes_then_names_how_many_of_how_many(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40, noise=True, movflags="faststart")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    frames, error = frames_until_error(path)
    assert 5 < len(frames) < 35
    assert [number_of(frame.pixels) for frame in frames] == list(range(len(frames)))
    assert error.code == "ended_early"
    assert f"{path}: ended early: {len(frames)} of 40 frames" in str(error)
    assert "\n" not in str(error)
    assert error.exit_code == 3


def test_a_last_picture_that_is_shown_for_long_ends_no_file_early(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(write_video(tmp_path / "a.mp4", 10))) as whole, av.open(str(path), "w") as container:
        (stream,) = whole.streams.video
        copy = container.add_stream_from_template(stream)
        taken = [packet for packet in whole.demux(stream) if packet.size]
        last = max(taken, key=lambda packet: packet.pts)
        last.duration = round(5 / last.time_base)
        for packet in taken:
            packet.stream = copy
            container.mux(packet)
    assert len(list(read(str(path), "cam"))) == 10


def test_truncated_matroska_is_said_to_end_early(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", 40, noise=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    frames, error = frames_until_error(path)
    assert 3 < len(frames) < 35
    assert error.code == "ended_early"
    assert f"{len(frames)} frames" in str(error)


def test_file_cut_before_its_index_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise=True)  # the index comes last
    path.write_bytes(path.read_bytes()[:-4000])
    frames, error = frames_until_error(path)
    assert (frames, error.code) == ([], "not_a_video")
    assert "cut off before its index" in str(error)


def test_damaged_frames_of_a_file_are_kept_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.mp4", 40, noise=True, movflags="faststart")
    data = bytearray(path.read_bytes())
    for at in np.random.default_rng(3).integers(len(data) // 3, len(data) - 2000, 60):
        data[at] ^= 0x55
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING, "argos"):
        frames = list(read(str(path), "cam"))
    assert len(frames) >= 35
    kept = re.search(r"(\d+) damaged packets lost, (\d+) damaged frames kept", caplog.text)
    assert kept is not None
    assert len(frames) + int(kept[1]) == 40
    assert int(kept[2]) > 0


@pytest.mark.parametrize("content", [b"", b"people walk by\n" * 200, bytes(range(256)) * 50])
def test_a_file_that_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    frames, error = frames_until_error(path)
    assert (frames, error.code) == ([], "not_a_video")
    assert str(error).startswith(f"{path}: not a video")


def test_a_text_file_is_not_shown_as_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("people walk by\n" * 200)
    _, error = frames_until_error(path)
    assert error.code == "not_a_video"


def test_audio_only_file_has_no_video_stream(tmp_path: Path) -> None:
    _, error = frames_until_error(write_sound(tmp_path / "a.mp4"))
    assert error.code == "no_video"
    assert "has no video stream (only audio)" in str(error)


def test_missing_file_names_path_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=re.escape(f"gone.mp4: no such file (looked in {tmp_path})")) as caught:
        next(read("gone.mp4", "cam"))
    assert caught.value.code == "not_found"


def test_a_name_with_a_colon_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", 3).rename(tmp_path / "12:30 gate.mp4")
    assert len(list(read("12:30 gate.mp4", "cam"))) == 3


@pytest.mark.parametrize(("fps", "kept"), [(5.0, [0, 3, 6, 9, 12]), (15.0, list(range(15))), (100.0, list(range(15)))])
def test_frames_are_thinned_out_by_time_and_still_counted(tmp_path: Path, fps: float, kept: list[int]) -> None:
    path = write_video(tmp_path / "a.mp4", 15)
    frames = list(read(str(path), "cam", SourceOptions(fps=fps)))
    assert [frame.index for frame in frames] == kept == [number_of(frame.pixels) for frame in frames]


def test_states_of_a_file_and_its_announced_length(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 12)
    states: list[SourceState] = []
    assert len(list(read(str(path), "cam", on_state=states.append))) == frame_count(str(path)) == 12
    assert [(s.state, s.code) for s in states] == [("connecting", ""), ("up", ""), ("ended", "")]
    assert frame_count(str(tmp_path / "gone.mp4")) is None


def test_stop_ends_a_file(tmp_path: Path) -> None:
    stop = threading.Event()
    frames = read(str(write_video(tmp_path / "a.mp4")), "cam", stop=stop)
    assert len(list(islice(frames, 4))) == 4
    stop.set()
    assert list(frames) == []


def test_packets_of_streams_that_begin_late_are_left_out() -> None:
    class Late:
        """As PyAV's container: the iteration fails at a packet of a stream that was not there at the opening."""

        def __init__(self) -> None:
            self.left = [1, None, 2, None, None, 3]

        def demux(self, _: object) -> Iterator[int]:
            while self.left:
                packet = self.left.pop(0)
                if packet is None:
                    raise IndexError("list index out of range")
                yield packet

    assert list(packets(Late(), None)) == [1, 2, 3]  # type: ignore[arg-type, comparison-overlap]
