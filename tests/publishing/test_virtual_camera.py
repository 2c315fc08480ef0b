"""What a virtual camera gets: plain pixels of one size. The device itself needs a module of the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from argos.errors import PublishError
from argos.publishing.virtual_camera import VirtualCamera


def grey(height: int, width: int, level: int) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_every_picture_has_the_even_size_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "pixels"
    camera = VirtualCamera(str(path), form="rawvideo")
    camera.write(grey(37, 65, 120))
    camera.write(grey(80, 160, 200))
    camera.close()
    pictures = np.fromfile(path, np.uint8).reshape(2, 36 * 64 * 3 // 2)  # 4:2:0
    luma = pictures[:, : 36 * 64].reshape(2, 36, 64)
    assert luma.std(axis=(1, 2))[0] == 0
    assert 110 < luma[0, 0, 0] < 130
    assert luma[1, 18, 32] > 180  # fitted as a whole, between black bars
    assert luma[1, 0].max() < 20


@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_what_is_no_device_is_refused_with_a_remedy(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "video10"
    if kind == "file":
        path.touch()
    with pytest.raises(PublishError, match="modprobe v4l2loopback"):
        VirtualCamera(str(path))


def test_a_device_that_takes_no_pictures_is_named() -> None:
    camera = VirtualCamera(os.devnull)  # a device, but none for video
    with pytest.raises(PublishError, match=f"{os.devnull}: takes no pictures"):
        camera.write(grey(36, 64, 0))
    camera.close()
