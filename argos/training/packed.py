"""A small copy of the project's data in one folder: what a machine far away needs to train and to measure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.errors import DataError, PublishError
from argos.training.formats.files import PhotoFiles
from argos.training.formats.labels import CAMVID_UNLABELLED
from argos.training.photos import IGNORE, Photo, load_cutouts, read_pixels, read_rgb, shrunk_photo

INDEX = "photos.json"
"""What is in the folder; written last, so that a folder without it is no packed copy."""


def write_packed(
    groups: Mapping[str, Sequence[Photo]],
    cutouts: Sequence[NDArray[np.uint8]],
    camvid: Mapping[str, Sequence[Photo]],
    out: Path,
    *,
    max_side: int,
    quality: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> int:
    """Write photos and cut-outs.

    Args:
        groups: photos by role.
        cutouts: ``(h, w, 4)`` uint8 RGBA people.
        camvid: its photos by split, their ids the numbers of classes; they are laid out as CamVid is.
        out: a folder that is not there yet, or is empty.
        max_side: larger photos are shrunk to this.
        quality: of the JPEGs, 1 to 100.
        progress: called with the number of photos done and their number.

    Returns:
        Bytes written.

    Raises:
        PublishError: the folder holds something, or cannot be written.
    """
    check_empty(out)
    index: dict[str, list[dict[str, Any]]] = {}
    total, done = sum(map(len, (*groups.values(), *camvid.values()))), 0
    try:
        for split, streets in camvid.items():
            for name in ("images", "labels"):
                (out / "camvid" / split / name).mkdir(parents=True)
            for full in streets:
                photo, stem = shrunk(full, max_side), Path(full.name).stem
                image, label = (out / "camvid" / split / name / stem for name in ("images", "labels"))
                _write(image.with_suffix(".jpg"), photo.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
                classes = np.where(photo.ids == IGNORE, CAMVID_UNLABELLED, photo.ids).astype(np.uint8)
                _write(label.with_suffix(".png"), classes, [cv2.IMWRITE_PNG_COMPRESSION, 9])
                done += 1
                progress(done, total)
        for name in ("images", "ids", "cutouts"):
            (out / name).mkdir(parents=True, exist_ok=True)
        for group, photos in groups.items():
            index[group] = []
            for number, full in enumerate(photos):
                stem = f"{group}_{number:05d}"
                photo = shrunk(full, max_side)
                _write(out / "images" / f"{stem}.jpg", photo.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
                if photo.ids.any():
                    _write(out / "ids" / f"{stem}.png", photo.ids, [cv2.IMWRITE_PNG_COMPRESSION, 9])
                index[group].append({
                    "file": stem, "name": photo.name, "source": photo.source,
                    "boxes": np.round(photo.boxes, 2).tolist(), "box_ids": photo.box_ids.tolist(),
                    "ignore": np.round(photo.ignore, 2).tolist(), "boxes_known": photo.boxes_known,
                })  # fmt: skip
                done += 1
                progress(done, total)
        for number, cutout in enumerate(cutouts):
            pixels = cv2.cvtColor(cutout, cv2.COLOR_RGBA2BGRA)
            _write(out / "cutouts" / f"{number:04d}.webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 90])
        (out / INDEX).write_text(json.dumps(index))
    except OSError as error:
        raise PublishError(f"{out}: cannot be written ({error.strerror})") from error
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def check_empty(out: Path) -> None:
    """Raise ``PublishError`` where there is something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is a file"
        raise PublishError(f"{out}: {what}; name a new folder, or remove this one")


def read_packed(folder: Path, group: str) -> PhotoFiles:
    """The photos of one role.

    Raises:
        DataError: the folder is no packed copy, or has no such group.
    """
    try:
        index = json.loads((folder / INDEX).read_text())
        entries = index[group]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder / INDEX}: not the index of a packed copy with {group!r} ({error})") from error
    return PhotoFiles([partial(_read, folder, entry) for entry in entries])


def read_cutouts(folder: Path) -> list[NDArray[np.uint8]]:
    """The cut-out people, ``(h, w, 4)`` uint8 RGBA.

    Raises:
        DataError: none of them can be read.
    """
    return load_cutouts(folder / "cutouts", "*.webp")


def is_packed(folder: Path) -> bool:
    """Whether ``write_packed`` has finished there."""
    return (folder / INDEX).is_file()


def shrunk(photo: Photo, max_side: int) -> Photo:
    """The photo with its longer side at most ``max_side``."""
    lists: tuple[Any, Any, Any] = (photo.boxes.tolist(), photo.box_ids.tolist(), photo.ignore.tolist())
    return shrunk_photo(photo.image, photo.ids, *lists, photo.source, photo.name, max_side, photo.boxes_known)


def _read(folder: Path, entry: dict[str, Any]) -> Photo:
    image = read_rgb(folder / "images" / f"{entry['file']}.jpg")
    path = folder / "ids" / f"{entry['file']}.png"
    ids = read_pixels(path) if path.exists() else np.zeros(image.shape[:2], np.uint8)
    if ids.shape != image.shape[:2]:
        raise DataError(f"{path}: not the id mask of its photo")
    return Photo(
        image,
        np.asarray(ids, np.uint8),
        np.asarray(entry["boxes"], np.float32).reshape(-1, 4),
        np.asarray(entry["box_ids"], np.uint8),
        np.asarray(entry["ignore"], np.float32).reshape(-1, 4),
        entry["source"],
        entry["name"],
        entry["boxes_known"],
    )


def _write(path: Path, pixels: NDArray[np.uint8], options: list[int]) -> None:
    if not cv2.imwrite(str(path), pixels, options):
        raise PublishError(f"{path}: cannot be written")
