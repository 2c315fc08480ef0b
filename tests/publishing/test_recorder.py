"""Recording to MP4: times, sizes, and what is left when something goes wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from argos.errors import PublishError
from argos.publishing.recorder import VideoWriter


def picture(height: int, width: int, colour: tuple[int, int, int] = (200, 40, 90)) -> NDArray[np.uint8]:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def decoded(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        return [(frame.time or 0.0, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_pictures_keep_their_irregular_times_and_colours(tmp_path: Path) -> None:
    times = [7.0, 7.04, 7.5, 7.51, 12.0]
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for n, pts_s in enumerate(times):
            writer.write(picture(48, 64, (40 * n, 200, 90)), pts_s)
    frames = decoded(tmp_path / "clip.mp4")
    assert [time for time, _ in frames] == pytest.approx([t - 7.0 for t in times], abs=1e-4)
    for n, (_, pixels) in enumerate(frames):
        assert abs(pixels.reshape(-1, 3).mean(axis=0) - [40 * n, 200, 90]).max() < 12
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_closed_file_is_an_ordinary_h264_mp4(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        for n in range(30):
            writer.write(picture(48, 64), n / 10)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.frames == 30
        assert float(container.duration or 0) / av.time_base == pytest.approx(3.0, abs=0.1)


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    image = picture(35, 51, (0, 0, 0))
    image[:, 40:] = 250
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.write(image, 0.0)
    ((_, pixels),) = decoded(tmp_path / "clip.mp4")
    assert pixels.shape == (36, 52, 3)
    assert pixels[:, 51].min() > 220
    assert pixels[35, :38].max() < 40


def test_picture_of_another_size_is_fitted_into_the_first(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as writer:
        writer.write(picture(64, 64), 0.0)
        writer.write(picture(32, 128, (250, 250, 250)), 0.1)  # becomes 16 rows in the middle
    pixels = decoded(tmp_path / "clip.mp4")[1][1]
    assert pixels.shape == (64, 64, 3)
    assert pixels[26:38].min() > 200
    assert max(pixels[:20].max(), pixels[44:].max()) < 50


def test_time_that_runs_backward_goes_on_at_the_expected_rate(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as writer:
        for pts_s in (100.0, 100.5, 100.5, 3.0, 3.2):
            writer.write(picture(32, 32), pts_s)
    times = [time for time, _ in decoded(tmp_path / "clip.mp4")]
    assert times == pytest.approx([0.0, 0.5, 0.6, 0.7, 0.9], abs=1e-3)


@pytest.mark.parametrize(("leap_s", "after_s"), [(3599.0, 3599.5), (3601.0, 0.6), (100_000.0, 0.6)])
def test_a_leap_of_more_than_an_hour_is_none_of_the_video(tmp_path: Path, leap_s: float, after_s: float) -> None:
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as writer:
        for pts_s in (0.0, 0.5, 0.5 + leap_s, 0.7 + leap_s, 1.1 + leap_s):
            writer.write(picture(32, 32), pts_s)
    times = [time for time, _ in decoded(tmp_path / "clip.mp4")]
    assert times == pytest.approx([0.0, 0.5, after_s, after_s + 0.2, after_s + 0.6], abs=1e-3)


def test_target_appears_on_closing_and_replaces_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"old")
    writer = VideoWriter(target)
    writer.write(picture(32, 32), 0.0)
    assert target.read_bytes() == b"old"
    writer.close()
    writer.close()
    assert len(decoded(target)) == 1


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_failure_elsewhere_leaves_a_finished_file(tmp_path: Path) -> None:
    def fail_elsewhere() -> None:
        with VideoWriter(tmp_path / "clip.mp4") as writer:
            writer.write(picture(32, 32), 0.0)
            raise KeyError("elsewhere")

    with pytest.raises(KeyError, match="elsewhere"):
        fail_elsewhere()
    assert len(decoded(tmp_path / "clip.mp4")) == 1


def test_killed_process_leaves_a_file_that_plays(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, numpy as np\n"
        "from argos.publishing.recorder import VideoWriter\n"
        "writer = VideoWriter(sys.argv[1])\n"
        "for n in range(100):\n"
        "    writer.write(np.full((48, 64, 3), n, np.uint8), n / 25)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "clip.mp4")], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".clip.mp4.part"]
    frames = decoded(tmp_path / ".clip.mp4.part")
    assert len(frames) >= 50  # of 100; the last second and what the encoder held are lost
    assert frames[40][0] == pytest.approx(1.6, abs=1e-3)


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"gone/clip\.mp4: cannot write the video \(No such file or directory\)"):
        VideoWriter(tmp_path / "gone" / "clip.mp4")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_full_disk_is_named_once(tmp_path: Path) -> None:
    (tmp_path / ".clip.mp4.part").symlink_to("/dev/full")

    def record_noise() -> None:
        random = np.random.default_rng(0)
        with VideoWriter(tmp_path / "clip.mp4") as writer:
            for n in range(100):
                writer.write(random.integers(0, 256, (96, 128, 3), dtype=np.uint8), n / 25)

    with pytest.raises(PublishError, match=r"clip\.mp4: cannot write the video \(No space left on device\)"):
        record_noise()
    assert not (tmp_path / "clip.mp4").exists()
