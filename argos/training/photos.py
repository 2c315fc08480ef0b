"""Annotated photos as one plain type; ``formats`` reads them.

An id mask says for every pixel: 0 background, 1..253 one person each, 254 people not told apart, 255 ignore.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.errors import DataError

log = logging.getLogger(__name__)

CROWD, IGNORE = 254, 255
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One annotated photo.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB.
        ids: ``(H, W)`` uint8 id mask; where only boxes are known the insides of the boxes are 255.
        boxes: ``(N, 4)`` float32, people, pixels.
        box_ids: ``(N,)`` uint8, the value of each person in ``ids``; 0 where the person has a box only.
        ignore: ``(K, 4)`` float32, boxes of which nothing is known.
        source: name of the data source (``ccp``, ``hsd``, ``coco``, ``voc07``, ...).
        name: file name.
        boxes_known: False where people are marked but not told apart, so that a detector must not learn from it.
    """

    image: NDArray[np.uint8]
    ids: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    box_ids: NDArray[np.uint8]
    ignore: NDArray[np.float32]
    source: str
    name: str
    boxes_known: bool = True


def read_rgb(path: Path, annotated: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read a picture as ``(H, W, 3)`` uint8 RGB, turned as its EXIF data say: as it is seen.

    Args:
        path: of the file.
        annotated: ``(height, width)`` for which its annotations are; where that is the size of the picture before it is
            turned, some tool has marked people in that, and it is not turned.

    Raises:
        DataError: the file is missing, no picture, or ends before the picture does.
    """
    pixels = read_pixels(path, cv2.IMREAD_COLOR)
    if annotated is not None and pixels.shape[:2] != annotated and pixels.shape[1::-1] == annotated:
        stored = read_pixels(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        pixels = stored if stored.shape[:2] == annotated else pixels
    return np.ascontiguousarray(pixels[:, :, ::-1])


def read_pixels(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> NDArray[Any]:
    """Read a picture as OpenCV gives it; of half a JPEG that would be a picture with a grey lower half.

    Args:
        path: of the file.
        flags: of ``cv2.imdecode``.

    Raises:
        DataError: as ``read_rgb``.
    """
    try:
        data = path.read_bytes()
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except cv2.error:  # larger than OpenCV allows
        pixels = None
    if ends_early(data):
        raise DataError(f"{path}: ends before the picture does")
    if pixels is None:
        raise DataError(f"{path}: not a readable picture")
    return np.asarray(pixels)


MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In a JPEG: a byte of 255 in the coded pixels is followed by 0 or by the number of a restart."""


def ends_early(data: bytes) -> bool:
    """Whether a file is a JPEG without the marker of its end; that of a thumbnail inside of a segment is another."""
    if not data.startswith(b"\xff\xd8"):
        return False
    at = 2
    while (found := MARKER.search(data, at)) is not None:
        at = found.end()
        if data[at - 1] == 0xD9:
            return False
        at += int.from_bytes(data[at : at + 2], "big")  # the length of the segment
    return True


def load_cutouts(folder: Path, pattern: str = "*.png") -> list[NDArray[np.uint8]]:
    """Cut-out people, each ``(h, w, 4)`` uint8 RGBA; what is none is named, counted and left out.

    Raises:
        DataError: none of the files can be used.
    """
    cutouts: list[NDArray[np.uint8]] = []
    paths = sorted(folder.glob(pattern))
    for number, path in enumerate(paths, start=1):
        try:
            pixels = read_pixels(path)
            if pixels.ndim != 3 or pixels.shape[2] != 4:
                raise DataError(f"{path}: not a picture with transparency")
        except DataError as error:
            log.warning("%s; left out (%d of %d so far)", error, number - len(cutouts), len(paths))
            continue
        cutouts.append(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), np.uint8))
    if paths and not cutouts:
        raise DataError(f"{folder}: none of the {len(paths)} cut-outs can be read; the log names them")
    return cutouts


def cut_people(photos: Iterable[Photo]) -> list[NDArray[np.uint8]]:
    """Cut every separately marked person of at least 96x16 pixels out of photos, as RGBA pictures of its box."""
    people = []
    for photo in photos:
        for (x0, y0, x1, y1), number in zip(photo.boxes.astype(int).tolist(), photo.box_ids.tolist(), strict=True):
            if number == 0 or y1 - y0 < 96 or x1 - x0 < 16:
                continue
            x0, y0 = max(x0, 0), max(y0, 0)
            alpha = np.where(photo.ids[y0:y1, x0:x1] == number, 255, 0).astype(np.uint8)
            if alpha.mean() < 40:  # less than 16 % of its box: cut off by others
                continue
            people.append(np.dstack([photo.image[y0:y1, x0:x1], cv2.GaussianBlur(alpha, (3, 3), 0)]))
    return people


def touched(box: Box) -> tuple[slice, slice]:
    """Rows and columns of a picture that a box touches, wherever it lies: none of those beyond its edges."""
    x0, y0, x1, y1 = (max(0.0, value) for value in box)
    return slice(int(y0), math.ceil(y1)), slice(int(x0), math.ceil(x1))


def shrunk_photo(
    image: NDArray[np.uint8],
    ids: NDArray[np.uint8],
    boxes: list[Box],
    box_ids: list[int],
    ignore: list[Box],
    source: str,
    name: str,
    max_side: int,
    boxes_known: bool = True,
) -> Photo:
    """A photo of lists, its longer side shrunk to ``max_side``; people not told apart make its boxes unknown.

    Boxes end at the edges of the picture; who lies beyond them is nobody.
    """
    scale = min(1.0, max_side / max(image.shape[:2]))
    if scale < 1.0:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        ids = np.asarray(cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    edges = np.array([*image.shape[1::-1]] * 2, np.float32)
    people, unknown = (
        np.clip(np.asarray(some, np.float32).reshape(-1, 4) * np.float32(scale), 0, edges) for some in (boxes, ignore)
    )
    seen, known = ((some[:, 2:] > some[:, :2]).all(1) for some in (people, unknown))
    return Photo(
        image,
        ids,
        people[seen],
        np.asarray(box_ids, np.uint8)[seen],
        unknown[known],
        source,
        name,
        boxes_known and not (ids == CROWD).any(),
    )
