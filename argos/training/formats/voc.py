"""Pascal VOC: boxes in XML, and for some photos the outlines of every object.

Reference:
    Everingham et al., The PASCAL Visual Object Classes Challenge 2012 Development Kit, sections 7 and 8.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from argos.errors import DataError
from argos.training.formats.files import PhotoFiles
from argos.training.formats.labels import box_of
from argos.training.photos import CROWD, IGNORE, Box, Photo, read_rgb, shrunk_photo, touched

PERSON_COLOUR, VOID_COLOUR = (192, 128, 128), (224, 224, 192)
"""Class 15 and the border of objects in the palette of the label pictures, RGB."""


def voc_photos(root: Path, split: str = "train", category: str = "person", max_side: int = 512) -> PhotoFiles:
    """Photos of ``ImageSets/Main/SPLIT.txt``; where there are outlines (``SegmentationClass/``) they are used.

    Args:
        root: ``VOC2007/`` or ``VOC2012/``, with ``JPEGImages/`` and ``Annotations/``.
        split: name of a list.
        category: name of the objects; outlines are read for ``person`` only.
        max_side: larger photos are shrunk to this.

    Raises:
        DataError: the list or a file is missing, the list is empty, or a file of boxes is wrong.
    """
    lists = root / "ImageSets" / "Main" / f"{split}.txt"
    try:
        lines = [line.strip() for line in lists.read_text("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{lists}: not a text ({error})") from error
    except OSError as error:
        have = ", ".join(sorted(path.stem for path in lists.parent.glob("*.txt") if "_" not in path.stem)) or "none"
        raise DataError(f"{lists}: no such list of photos (lists here: {have})") from error
    if not lines:
        raise DataError(f"{lists}: names no photos")
    decoders = []
    for line in lines:
        name = re.sub(r"\s+(-1|0|1)$", "", line)  # lists of one class say of each photo whether it is there
        name = line if (root / "JPEGImages" / f"{line}.jpg").is_file() else name
        picture = root / "JPEGImages" / f"{name}.jpg"
        if not picture.is_file():
            raise DataError(f"{picture}: missing, {lists} names it")
        boxes, ignore = _boxes(root / "Annotations" / f"{name}.xml", category)
        outlines = root / "SegmentationClass" / f"{name}.png"
        if category == "person" and outlines.is_file():
            decoders.append(partial(_outlined, picture, outlines, max_side))
        else:
            decoders.append(partial(_boxed, picture, boxes, ignore, max_side))
    return PhotoFiles(decoders)


def _boxes(path: Path, category: str) -> tuple[list[Box], list[Box]]:
    """People, and those who are marked ``difficult``: not to be learnt."""
    boxes: list[Box] = []
    ignore: list[Box] = []
    try:
        for thing in ElementTree.parse(path).getroot().iter("object"):
            if thing.findtext("name") != category:
                continue
            corners = [float(thing.findtext(f"bndbox/{key}") or "none") for key in ("xmin", "ymin", "xmax", "ymax")]
            if not (corners[0] <= corners[2] and corners[1] <= corners[3]):  # nor is NaN
                raise ValueError(f"xmin, ymin, xmax, ymax should rise, got {corners}")
            box = (corners[0] - 1, corners[1] - 1, corners[2], corners[3])  # VOC counts pixels from 1, both included
            (ignore if thing.findtext("difficult") == "1" else boxes).append(box)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path}: cannot read the boxes ({error})") from error
    return boxes, ignore


def _boxed(picture: Path, boxes: list[Box], ignore: list[Box], max_side: int) -> Photo:
    image = read_rgb(picture)
    ids = np.zeros(image.shape[:2], np.uint8)
    for box in (*boxes, *ignore):
        ids[touched(box)] = IGNORE
    return shrunk_photo(image, ids, boxes, [0] * len(boxes), ignore, "voc", picture.name, max_side)


def _outlined(picture: Path, outlines: Path, max_side: int) -> Photo:
    classes = read_rgb(outlines)
    image = read_rgb(picture, (classes.shape[0], classes.shape[1]))
    objects = read_rgb(outlines.parent.parent / "SegmentationObject" / outlines.name).astype(np.int32)
    if not image.shape == classes.shape == objects.shape:
        raise DataError(f"{outlines}: another size than {picture}")
    ids = np.zeros(image.shape[:2], np.uint8)
    ids[_is(classes, VOID_COLOUR)] = IGNORE
    person = _is(classes, PERSON_COLOUR)
    colours = objects @ np.array([1 << 16, 1 << 8, 1])
    numbers: list[int] = []
    boxes: list[Box] = []
    for number, colour in enumerate(np.unique(colours[person])[: CROWD - 1].tolist(), start=1):
        own = person & (colours == colour)
        ids[own] = number
        numbers.append(number)
        boxes.append(box_of(own))
    return shrunk_photo(image, ids, boxes, numbers, [], "voc", picture.name, max_side)


def _is(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((picture == np.array(colour, np.uint8)).all(2), np.bool_)
