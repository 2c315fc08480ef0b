"""Label pictures: one number or colour per pixel. Cityscapes, CamVid, Pascal VOC, and folders of masks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.errors import DataError
from argos.training.formats.files import PhotoFiles
from argos.training.photos import CROWD, IGNORE, Box, Photo, read_pixels, read_rgb, shrunk_photo

CITYSCAPES_PERSON, CITYSCAPES_RIDER, CITYSCAPES_VOID = 24, 25, 3
"""Label ids; 0 to 3 are unlabelled, the car with the camera, the border and what lies outside."""

CAMVID_PEDESTRIAN, CAMVID_BICYCLIST, CAMVID_UNLABELLED = 9, 10, 11
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def cityscapes_photos(root: Path, split: str = "train", max_side: int = 1024) -> PhotoFiles:
    """``leftImg8bit/SPLIT/CITY/*_leftImg8bit.png`` with ``gtFine/.../*_gtFine_instanceIds.png``.

    Persons and riders are people; groups that are not told apart are ignored.

    Raises:
        DataError: there are none, or a label picture is missing.
    """
    pairs = []
    for path in _pictures(root / "leftImg8bit" / split, "*/*_leftImg8bit.png"):
        stem = path.name.removesuffix("_leftImg8bit.png")
        pairs.append((path, root / "gtFine" / split / path.parent.name / f"{stem}_gtFine_instanceIds.png"))

    def ids_of(label: Path) -> tuple[NDArray[np.uint8], bool]:
        labels = _labels(label).astype(np.int32)
        ids = np.zeros(labels.shape, np.uint8)
        ids[(labels <= CITYSCAPES_VOID) | np.isin(labels, (CITYSCAPES_PERSON, CITYSCAPES_RIDER))] = IGNORE
        people = np.isin(labels // 1000, (CITYSCAPES_PERSON, CITYSCAPES_RIDER))
        for number, value in enumerate(np.unique(labels[people]).tolist(), start=1):
            ids[labels == value] = min(number, CROWD)
        return ids, True

    return _files(pairs, ids_of, "cityscapes", max_side)


def camvid_photos(folder: Path, labels: str = "person", max_side: int = 512) -> PhotoFiles:
    """``images/*`` with ``labels/*.png`` of 11 classes.

    Args:
        folder: of one split.
        labels: ``person``: pedestrians not told apart, bicyclists ignored. ``classes``: the ids are the numbers of the
            classes, for networks with several. Unlabelled pixels are ignored either way.
        max_side: larger photos are shrunk to this.

    Raises:
        DataError: as above.
    """
    if labels not in ("person", "classes"):
        raise DataError(f"labels should be person or classes, got {labels!r}")
    pairs = [(path, folder / "labels" / f"{path.stem}.png") for path in _pictures(folder / "images")]

    def ids_of(label: Path) -> tuple[NDArray[np.uint8], bool]:
        values = _labels(label)
        if beyond := sorted({*np.unique(values).tolist()} - {*range(CAMVID_UNLABELLED + 1), IGNORE}):
            raise DataError(f"{label}: label {beyond[0]}; there are 0 to {CAMVID_UNLABELLED - 1}, and "
                            f"{CAMVID_UNLABELLED} for what is not labelled")  # fmt: skip
        if labels == "classes":
            return np.where(values == CAMVID_UNLABELLED, IGNORE, values).astype(np.uint8), False
        ids = np.zeros(values.shape, np.uint8)
        ids[values == CAMVID_PEDESTRIAN] = CROWD
        ids[(values == CAMVID_BICYCLIST) | (values >= CAMVID_UNLABELLED)] = IGNORE
        return ids, False

    return _files(pairs, ids_of, "camvid", max_side)


def folder_photos(images: Path, masks: Path | None = None, ids: Path | None = None, max_side: int = 512) -> PhotoFiles:
    """A folder of pictures, and one of pictures with the same names that say where people are.

    Args:
        images: the pictures.
        masks: black and white (0 and 1, or 0 and 255): people not told apart.
        ids: id masks as in ``Photo``. With neither there are no people in the pictures.
        max_side: larger photos are shrunk to this.

    Raises:
        DataError: as above.
    """
    if masks is not None and ids is not None:
        raise DataError(f"{images}: masks={masks} and ids={ids} are given; it is one of the two")
    found = list(_pictures(images))
    source = images.name
    if masks is None and ids is None:
        return PhotoFiles([partial(_empty, path, max_side) for path in found])
    folder = masks or ids
    assert folder is not None
    pairs = [(path, _beside(folder, path.stem)) for path in found]

    def of_mask(label: Path) -> tuple[NDArray[np.uint8], bool]:
        values = _labels(label)
        highest = int(values.max(initial=0))
        white = next(white for white in (1, 255, 65535) if highest <= white)
        if 0 < highest <= white / 2:
            raise DataError(f"{label}: goes up to {highest}; a mask is 0 and 1, or 0 and {white} (for ids say ?ids=)")
        return np.where(values > white / 2, CROWD, 0).astype(np.uint8), False

    def of_ids(label: Path) -> tuple[NDArray[np.uint8], bool]:
        values = _labels(label)
        if values.max(initial=0) > IGNORE:
            raise DataError(f"{label}: goes up to {values.max()}; ids end at 253, 254 is a crowd and 255 ignored")
        return values.astype(np.uint8), True

    return _files(pairs, of_mask if masks is not None else of_ids, source, max_side)


def _files(
    pairs: list[tuple[Path, Path]],
    ids_of: Callable[[Path], tuple[NDArray[np.uint8], bool]],
    source: str,
    max_side: int,
) -> PhotoFiles:
    missing = [str(label) for _, label in pairs if not label.is_file()]
    if missing:
        raise DataError(f"{len(missing)} of {len(pairs)} label pictures are missing, the first is {missing[0]}")
    return PhotoFiles([partial(_labelled, image, label, ids_of, source, max_side) for image, label in pairs])


def _labelled(
    path: Path,
    label: Path,
    ids_of: Callable[[Path], tuple[NDArray[np.uint8], bool]],
    source: str,
    max_side: int,
) -> Photo:
    ids, told_apart = ids_of(label)
    image = read_rgb(path, (ids.shape[0], ids.shape[1]))
    if ids.shape != image.shape[:2]:
        raise DataError(f"{label}: {ids.shape[1]}x{ids.shape[0]} for a picture of {image.shape[1]}x{image.shape[0]}")
    numbers = [int(n) for n in np.unique(ids) if 0 < n < CROWD] if told_apart else []
    boxes = [box_of(ids == n) for n in numbers]
    return shrunk_photo(image, ids, boxes, numbers, [], source, path.name, max_side, boxes_known=told_apart)


def _empty(path: Path, max_side: int) -> Photo:
    image = read_rgb(path)
    return shrunk_photo(image, np.zeros(image.shape[:2], np.uint8), [], [], [], "background", path.name, max_side)


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Smallest box ``x0, y0, x1, y1`` around the marked pixels; there is at least one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _labels(path: Path) -> NDArray[np.integer]:
    """One number per pixel: of grey pictures their levels, of palettes with colours the indices.

    A palette of greys holds the levels of a grey picture that some tool has made smaller.
    """
    labels = read_pixels(path)
    if labels.ndim == 2:
        return labels
    if not (labels[:, :, :1] == labels[:, :, :3]).all():
        indices = palette_indices(path.read_bytes())
        if indices is None:
            raise DataError(f"{path}: a colour picture; labels should have one number per pixel")
        return indices
    if labels.shape[2] == 4 and not (labels[:, :, 3] == np.iinfo(labels.dtype).max).all():
        raise DataError(f"{path}: has transparent pixels; save the labels without transparency")
    return np.asarray(labels[:, :, 0])


def palette_indices(data: bytes) -> NDArray[np.uint8] | None:
    """Indices of a PNG with a palette, ``(H, W)``; None where it has none.

    OpenCV gives the colours only: its palette is replaced by one in which colour ``n`` is grey ``n``.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[25] != 3:
        return None
    ramp = bytes(np.repeat(np.arange(1 << data[24], dtype=np.uint8), 3))
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = ramp if kind == b"PLTE" else data[at + 8 : at + 8 + length]
        if kind != b"tRNS":
            check = zlib.crc32(kind + body).to_bytes(4, "big")
            parts.append(len(body).to_bytes(4, "big") + kind + body + check)
        at += 12 + length
    grey = cv2.imdecode(np.frombuffer(b"".join(parts), np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if grey is None else np.asarray(grey, np.uint8)


def _pictures(folder: Path, pattern: str = "*") -> Iterable[Path]:
    found = sorted(path for path in folder.glob(pattern) if path.suffix.lower() in PICTURES)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if not found:
        raise DataError(f"{folder}: no pictures here ({pattern} ending in {', '.join(PICTURES)})")
    return found


def _beside(folder: Path, stem: str) -> Path:
    return next((folder / f"{stem}{suffix}" for suffix in PICTURES if (folder / f"{stem}{suffix}").is_file()),
                folder / f"{stem}.png")  # fmt: skip
