from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import number_of, numbered

from argos.errors import SourceError
from argos.sources.images import list_images
from argos.sources.options import SourceOptions
from argos.sources.read import frame_count, read


def write_image(path: Path, n: int, height: int = 60, width: int = 90) -> None:
    assert cv2.imwrite(str(path), numbered(n, height, width)[..., ::-1])


def test_a_directory_is_read_in_natural_order_as_rgb(tmp_path: Path) -> None:
    for n in (0, 2, 10, 11, 1):
        write_image(tmp_path / f"frame{n}.png", n)
    write_image(tmp_path / ".hidden.png", 5)
    (tmp_path / "notes.txt").write_text("x")
    frames = list(read(str(tmp_path), "cam", SourceOptions(fps=1)))
    assert [number_of(frame.pixels) for frame in frames] == [0, 1, 2, 10, 11]
    assert frames[0].pixels[0, 0].tolist() == [230, 20, 20]
    assert [frame.pts_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert frame_count(str(tmp_path)) == 5


def test_a_pattern_and_a_single_image(tmp_path: Path) -> None:
    write_image(tmp_path / "a1.png", 1)
    write_image(tmp_path / "a2.jpg", 2, 50, 70)
    write_image(tmp_path / "b3.png", 3)
    assert [number_of(f.pixels) for f in read(str(tmp_path / "a*"), "cam")] == [1, 2]
    assert [f.size for f in read(str(tmp_path / "a2.jpg"), "cam")] == [(50, 70)]


def test_a_name_with_brackets_is_a_file(tmp_path: Path) -> None:
    write_image(tmp_path / "a[1].png", 7)
    assert [number_of(f.pixels) for f in read(str(tmp_path / "a[1].png"), "cam")] == [7]


def test_a_pattern_below_a_folder_with_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "[cam1]" / "day").mkdir(parents=True)
    write_image(tmp_path / "[cam1]" / "a.png", 7)
    write_image(tmp_path / "[cam1]" / "day" / "b.png", 8)
    assert [number_of(f.pixels) for f in read(str(tmp_path / "[cam1]" / "*.png"), "cam")] == [7]
    assert [number_of(f.pixels) for f in read(str(tmp_path / "[cam1]" / "**" / "*.png"), "cam")] == [7, 8]
    monkeypatch.chdir(tmp_path)
    assert list_images("*/*.png") == ["[cam1]/a.png"]


def test_a_url_of_a_file_is_percent_encoded(tmp_path: Path) -> None:
    write_image(tmp_path / "front door.png", 7)
    assert [number_of(f.pixels) for f in read(f"file://{tmp_path}/front%20door.png", "cam")] == [7]
    write_image(tmp_path / "50%20.png", 8)  # a path is taken as it is
    assert [number_of(f.pixels) for f in read(str(tmp_path / "50%20.png"), "cam")] == [8]


def test_sixteen_bit_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    deep = np.full((20, 30), 0x8040, np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), deep)
    assert cv2.imwrite(str(tmp_path / "b.png"), np.full((20, 30, 4), (10, 20, 200, 0), np.uint8))
    grey, clear = read(str(tmp_path), "cam")
    assert grey.pixels[0, 0].tolist() == [128, 128, 128]
    assert clear.pixels[0, 0].tolist() == [200, 20, 10]


def test_a_directory_without_images_names_the_suffixes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(
        SourceError, match=r"no images in it, looked for \.bmp \.jpeg .*\.png.*check the path"
    ) as caught:
        next(read(str(tmp_path), "cam"))
    assert caught.value.code == "no_images"


def test_a_directory_of_videos_asks_for_the_videos(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match="name the videos themselves"):
        next(read(str(tmp_path), "cam"))


@pytest.mark.parametrize("name", ["gone.png", "gone/*.png"])
def test_missing_images_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=re.escape(str(tmp_path / name))) as caught:
        next(read(str(tmp_path / name), "cam"))
    assert caught.value.code in ("not_found", "no_images")


def test_an_image_that_is_too_large_is_named_after_all_others_were_read(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.pgm"), np.zeros((8193, 8193), np.uint8))
    write_image(tmp_path / "b.png", 2)
    frames = []
    with pytest.raises(SourceError, match=r"1 of 2 images, first .*a\.pgm, .* more than 67108864 pixels; make it"):
        frames.extend(read(str(tmp_path), "cam", SourceOptions(isolate="process")))
    assert [(f.index, number_of(f.pixels)) for f in frames] == [(1, 2)]


def test_of_pages_and_animations_the_first_is_read_and_that_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pages = [numbered(n, 60, 90)[..., ::-1] for n in (4, 5, 6)]
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    write_image(tmp_path / "b.tif", 2)
    assert [number_of(f.pixels) for f in read(str(tmp_path), "cam")] == [4, 2]
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path / 'a.tif'}: holds several pictures, only the first is read; make a video or single images of it"
    ]


def test_a_broken_image_is_named_after_all_others_were_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_bytes(b"\x89PNG nothing")
    write_image(tmp_path / "c.png", 3)
    frames = []
    with pytest.raises(SourceError, match=r"1 of 3 images, first .*b\.png, cannot be decoded.*replace or remove"):
        frames.extend(read(str(tmp_path), "cam"))
    assert [(f.index, number_of(f.pixels)) for f in frames] == [(0, 1), (2, 3)]
