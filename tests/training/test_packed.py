"""A packed copy holds what the trainer reads, smaller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from argos.cli import main
from argos.errors import DataError, PublishError
from argos.training import datasets
from argos.training.packed import is_packed, read_cutouts, read_packed, write_packed
from argos.training.photos import Photo


def photo(people: bool) -> Photo:
    ids = np.zeros((120, 200), np.uint8)
    ids[20:100, 40:80] = 1 if people else 0
    ids[:10] = 255 if people else 0
    boxes = np.asarray([[40, 20, 80, 100]] if people else np.zeros((0, 4)), np.float32)
    image = np.full((120, 200, 3), (200, 80, 40), np.uint8)
    ignore = np.asarray([[0, 0, 200, 10]] if people else np.zeros((0, 4)), np.float32)
    return Photo(image, ids, boxes, np.ones(len(boxes), np.uint8), ignore, "ccp" if people else "background", "one.jpg")


def test_a_copy_says_the_same_in_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "RENDERED_PEOPLE", 2)
    groups = {group: [photo(group != "backgrounds")] * 2 for group in datasets.GROUPS}
    cutout = np.zeros((50, 20, 4), np.uint8)
    cutout[10:40, 5:15] = (10, 200, 30, 255)
    seen: list[tuple[int, int]] = []
    copy = tmp_path / "copy"
    street = photo(True)
    street.ids[30:40] = 9
    streets = {"train": [street], "val": [street]}
    size = write_packed(groups, [cutout], streets, copy, max_side=100, quality=90, progress=lambda *n: seen.append(n))
    assert seen[-1] == (14, 14)
    assert size == sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
    one, two = read_packed(copy, "masks")
    assert one.image.shape == two.image.shape == (60, 100, 3)
    assert np.abs(one.image.astype(int) - (200, 80, 40)).max() < 8, "colours keep their order"
    assert one.boxes.tolist() == [[20, 10, 40, 50]]
    assert one.ignore.tolist() == [[0, 0, 100, 5]]
    assert (one.ids[10:50, 20:40] == 1).all()
    assert (one.ids[:5] == 255).all()
    assert (one.source, one.name, one.boxes_known) == ("ccp", "one.jpg", True)
    (person,) = read_cutouts(copy)
    assert (person[:, :, 3] == cutout[:, :, 3]).mean() > 0.98
    assert np.abs(person[20, 10].astype(int) - cutout[20, 10]).max() < 12
    everything = datasets.training_photos(copy)
    assert [len(everything.masks), len(everything.boxes), len(everything.backgrounds)] == [2, 2, 1]
    assert [len(everything.streets), everything.streets[0].source] == [1, "camvid"]
    classes = datasets.class_photos(copy)[0].ids
    assert (classes[16:19, :] == 9).all()
    assert (classes[25:45, 22:38] == 1).all()
    assert (classes[:4] == 255).all()
    assert (everything.streets[0].ids[16:19, 22:38] == 254).all(), "pedestrians are not told apart"
    assert len(everything.people) == 1 + 2, "people of 40 px are too small to be cut out"
    assert [p.source for p in datasets.validation_photos(copy)] == ["ccp", "ccp", "background"]


def test_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PublishError, match="is not empty; name a new folder, or remove"):
        write_packed({}, [], {}, tmp_path, max_side=100, quality=90)
    assert not is_packed(tmp_path)
    (tmp_path / "persons").mkdir()
    monkeypatch.setenv("ARGOS_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "photos_of", lambda folder, group: pytest.fail("minutes are lost"))
    assert main(["data", "pack", str(tmp_path)]) == 6
    (tmp_path / "persons").rmdir()
    with pytest.raises(DataError, match="not the index of a packed copy"):
        read_packed(tmp_path, "masks")
    with pytest.raises(DataError, match="no training data here"):
        datasets.data_folder()
