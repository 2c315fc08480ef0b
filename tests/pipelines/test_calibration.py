"""Which pictures quantise the networks, and when they count as others."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import number_of, write_video

from argos.errors import SourceError
from argos.pipelines import calibration
from argos.pipelines.calibration import calibration_of


def test_rendered_people_are_of_different_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "RENDERED", calibration.RENDERED[:2])
    images = calibration_of(None).images()
    assert [tuple(image.shape) for image in images] == [(1, 352, 640, 3)] * 2
    assert float((images[0].float() - images[1].float()).abs().mean()) > 20


@pytest.mark.parametrize(("frames", "wanted"), [(5, range(5)), (40, range(0, 40, 4)), (62, range(0, 62, 4))])
def test_frames_of_a_video_are_spread_over_it(frames: int, wanted: range, tmp_path: Path) -> None:
    images = calibration_of(str(write_video(tmp_path / "clip.mp4", frames))).images()
    assert len(images) <= calibration.MOST
    assert [number_of(image[0].numpy()) for image in images] == list(wanted)


def test_pictures_of_a_folder_have_the_size_that_the_networks_see(tmp_path: Path) -> None:
    for n, (height, width) in enumerate([(480, 640), (1000, 500)]):
        assert cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((height, width, 3), 40 * n, np.uint8))
    images = calibration_of(str(tmp_path)).images()
    assert [tuple(image.shape) for image in images] == [(1, 480, 640, 3), (1, 640, 320, 3)]


def test_other_pictures_have_another_name_and_the_same_have_the_same(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 3)
    names = [calibration_of(source).name for source in (None, None, str(path), str(path), "fake://people?seed=2")]
    assert names[0] == names[1]
    assert names[2] == names[3]
    assert len(set(names)) == 3
    os.utime(path, ns=(0, 0))
    assert calibration_of(str(path)).name not in names
    folder = calibration_of(str(tmp_path)).name
    write_video(tmp_path / "more.mp4", 3)
    assert calibration_of(str(tmp_path)).name != folder


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"engine.calibration: .*away.mp4"):
        calibration_of(str(tmp_path / "away.mp4")).images()
