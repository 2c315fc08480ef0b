"""What is wrong in a COCO file, said before anything is learnt from it: file, id, key, value, and what was expected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from argos.errors import DataError

FARTHEST = 1e6
"""Pixels from the corner of a picture: farther out nothing is annotated, and pycocotools would draw the way there."""


def read_document(path: Path) -> dict[str, Any]:
    """Read a COCO file: its lists are there, and its images have ids of their own and names.

    Raises:
        DataError: with the first fault.
    """
    try:
        document = json.loads(path.read_text("utf-8-sig"))  # some tools begin a file with a mark
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot read the annotations ({error})") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: not a COCO file, it holds a {type(document).__name__} where an object is expected")
    missing = [key for key in ("images", "annotations") if not isinstance(document.get(key), list)]
    if missing:
        raise DataError(f"{path}: not a COCO file, no list of {' and '.join(missing)}")
    names: dict[int | str, str] = {}
    for number, entry in enumerate(document["images"]):
        if not isinstance(entry, dict) or "id" not in entry or not isinstance(entry.get("file_name"), str):
            raise DataError(f"{path}: images[{number}] should have an id and a file_name")
        key, name = entry["id"], entry["file_name"]
        if not _is_id(key):
            raise DataError(f"{path}: images[{number}] ({name}): id should be a number or a text, got {key!r}")
        if key in names:
            raise DataError(f"{path}: image {key}: two images have this id, {names[key]} and {name}")
        for side in ("width", "height"):
            if entry.get(side) is not None and not (_is_whole(entry[side]) and entry[side] > 0):
                raise DataError(f"{path}: image {key}: {side} should be pixels, 1 or more, got {entry[side]!r}")
        if not isinstance(entry.get("source") or "", str):
            raise DataError(f"{path}: image {key}: source should be a name, got {entry['source']!r}")
        if not isinstance(entry.get("complete", True), bool):
            raise DataError(f"{path}: image {key}: complete should be true or false, got {entry['complete']!r}")
        if entry.get("kind") not in (None, "instance", "semantic"):
            raise DataError(f"{path}: image {key}: kind should be instance or semantic, got {entry['kind']!r}")
        names[key] = name
    return document


def category_ids(path: Path, document: Mapping[str, Any], name: str) -> set[int]:
    """Ids of the categories called ``name``, in capitals or not.

    Raises:
        DataError: there are none, or a category is wrong.
    """
    categories = document.get("categories", [])
    if not isinstance(categories, list):
        raise DataError(f"{path}: categories should be a list of objects with id and name, got {categories!r}")
    for number, entry in enumerate(categories):
        if not isinstance(entry, dict) or not _is_whole(entry.get("id")) or not isinstance(entry.get("name"), str):
            raise DataError(
                f"{path}: categories[{number}] should be an object with a number as id and a name, got {entry!r}"
            )
    found = {entry["id"] for entry in categories if entry["name"].lower() == name.lower()}
    if not found:
        names = ", ".join(entry["name"] for entry in categories) or "none"
        raise DataError(f"{path}: no category {name!r}; there are: {names} (choose with ?class=NAME)")
    return found


def check_annotation(path: Path, annotation: Any, images: Mapping[int | str, Mapping[str, Any]]) -> None:
    """Check what every annotation has: ids, box, area and crowd.

    Args:
        path: of the file.
        annotation: one of its annotations.
        images: the images of the file by id.

    Raises:
        DataError: with the first fault.
    """
    if not isinstance(annotation, dict):
        raise DataError(f"{path}: an annotation is {annotation!r}, an object is expected")
    where = f"{path}: annotation {annotation.get('id', '?')}"
    image = annotation.get("image_id")
    if not _is_id(image) or image not in images:
        raise DataError(f"{where}: image_id {image!r} is not among the images")
    if not _is_whole(annotation.get("category_id")):
        raise DataError(f"{where}: category_id should be a number, got {annotation.get('category_id')!r}")
    box: Any = annotation.get("bbox")
    if not _are_numbers(box, 4):
        raise DataError(f"{where}: bbox should be [x, y, width, height], got {box!r}")
    if box[2] < 0 or box[3] < 0:
        raise DataError(f"{where}: bbox {box} has a negative size")
    area = annotation.get("area") or 0
    if not (type(area) in (int, float) and 0 <= area < inf):
        raise DataError(f"{where}: area should be a number of pixels, 0 or more, got {area!r}")
    if (annotation.get("iscrowd") or 0) not in (0, 1):
        raise DataError(f"{where}: iscrowd should be 0 or 1, got {annotation['iscrowd']!r}")


def check_segmentation(path: Path, annotation: Mapping[str, Any], image: Mapping[str, Any]) -> None:
    """Check the outlines or the RLE of an annotation; nothing of both is a person with a box only.

    Raises:
        DataError: with the first fault.
    """
    shape = annotation.get("segmentation")
    where = f"{path}: annotation {annotation.get('id', '?')}: segmentation"
    if isinstance(shape, dict) and shape:
        _check_rle(where, shape, image)
    elif isinstance(shape, list):
        for number, polygon in enumerate(shape):
            if not isinstance(polygon, list):
                raise DataError(f"{where} should be a list of polygons [[x, y, x, y, ...], ...], got {_short(shape)}")
            if not _are_numbers(polygon) or len(polygon) % 2:
                raise DataError(f"{where}[{number}] should be numbers x, y, x, y, ..., got {_short(polygon)}")
    elif shape:
        raise DataError(f"{where} should be a list of polygons or an RLE, got {_short(shape)}")


def _check_rle(where: str, shape: Mapping[str, Any], image: Mapping[str, Any]) -> None:
    size, counts = shape.get("size"), shape.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(_is_whole(side) and side > 0 for side in size):
        raise DataError(f"{where}.size should be [height, width] in pixels, got {size!r}")
    said = [image.get("height") or size[0], image.get("width") or size[1]]
    if size != said:
        raise DataError(f"{where}.size should be that of image {image['id']}, {said} (height, width), got {size}")
    if isinstance(counts, str):
        counts = run_lengths(counts)
    elif not isinstance(counts, list) or not all(_is_whole(count) for count in counts):
        raise DataError(f"{where}.counts should be run lengths or COCO's text of them, got {_short(counts)}")
    if counts is None or min(counts, default=-1) < 0 or sum(counts) != size[0] * size[1]:
        raise DataError(
            f"{where}.counts should be the lengths of runs that fill {size[0]}x{size[1]} pixels, "
            f"got {_short(shape['counts'])}"
        )


def run_lengths(text: str) -> list[int] | None:
    """Decode the counts of COCO's compressed RLE, or None where the text is none.

    Six bits a character, the highest for one that follows; from the fourth number on differences to the last but one.

    Reference:
        cocoapi, common/maskApi.c, rleFrString.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return None if shift else counts


def _is_whole(value: object) -> bool:
    """Whether it is a whole number; some tools write 1.0 for 1."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _is_id(value: object) -> bool:
    return _is_whole(value) or isinstance(value, str)


def _are_numbers(values: Any, count: int | None = None) -> bool:
    """Whether these are ``count`` numbers, or any count for None, in a list; NaN and infinity are none."""
    if not isinstance(values, list) or count not in (None, len(values)):
        return False
    return all(type(value) in (int, float) and -FARTHEST <= value <= FARTHEST for value in values)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
