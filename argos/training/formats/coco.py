"""COCO JSON: people with polygons or RLE, with boxes only, and crowds.

Reference:
    https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argos.errors import DataError
from argos.training.formats.files import PhotoFiles
from argos.training.photos import CROWD, IGNORE, Box, Photo, read_rgb, shrunk_photo


def coco_photos(
    annotations: Path,
    images: Path | None = None,
    category: str = "person",
    max_side: int = 512,
    complete_only: bool = True,
) -> PhotoFiles:
    """Photos of a COCO file; all of the annotations are checked now, the pictures are decoded later.

    Three keys that COCO does not have are read where an image has them: ``source``; ``complete``: false where some
    people are not marked; ``kind``: ``semantic`` where its crowds are people that are not told apart, to be learnt by
    segmentation. Other crowds are ignored.

    Args:
        annotations: the JSON file.
        images: folder of the pictures; ``images/`` beside the file for ``None``.
        category: name of the category that is looked for.
        max_side: larger photos are shrunk to this.
        complete_only: leave out photos with ``complete: false``: people without a mark would be learnt as background.

    Raises:
        DataError: the file is no COCO file, an annotation is wrong, or a picture is missing.
    """
    document = _read(annotations)
    wanted = _category(annotations, document, category)
    folder = annotations.parent / "images" if images is None else images
    entries = [entry for entry in document["images"] if entry.get("complete", True) or not complete_only]
    missing = [entry["file_name"] for entry in entries if not (folder / entry["file_name"]).is_file()]
    if missing:
        raise DataError(f"{annotations}: {len(missing)} of {len(entries)} pictures are not in {folder}, the first is "
                         f"{missing[0]}")  # fmt: skip
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    known = {entry["id"] for entry in document["images"]}
    for annotation in document["annotations"]:
        _check(annotations, annotation, known)
        if annotation["category_id"] in wanted:
            by_image[annotation["image_id"]].append(annotation)
    return PhotoFiles([partial(_decode, folder, entry, by_image[entry["id"]], max_side) for entry in entries])


def _decode(folder: Path, entry: dict[str, Any], annotations: list[dict[str, Any]], max_side: int) -> Photo:
    image = read_rgb(folder / entry["file_name"])
    rows, columns = image.shape[:2]
    ids = np.zeros((rows, columns), np.uint8)
    boxes: list[Box] = []
    ignore: list[Box] = []
    box_ids: list[int] = []
    for annotation in sorted(annotations, key=_area, reverse=True):  # smaller people are in front
        x, y, w, h = annotation["bbox"]
        box, number, crowd = (x, y, x + w, y + h), len(boxes) + 1, annotation.get("iscrowd", 0)
        if not annotation.get("segmentation"):
            inside = ids[max(0, int(y)) : int(np.ceil(y + h)), max(0, int(x)) : int(np.ceil(x + w))]
            inside[inside == 0] = IGNORE
            number = 0
        else:
            mask = _mask(annotation["segmentation"], (rows, columns))
            if crowd or number >= CROWD:
                ids[mask & (ids == 0)] = CROWD if entry.get("kind") == "semantic" else IGNORE
                crowd = True
            else:
                ids[mask] = number
        if crowd:
            ignore.append(box)
        else:
            boxes.append(box)
            box_ids.append(number)
    source = entry.get("source") or folder.parent.name
    return shrunk_photo(image, ids, boxes, box_ids, ignore, source, entry["file_name"], max_side)


def _area(annotation: dict[str, Any]) -> float:
    return float(annotation.get("area", annotation["bbox"][2] * annotation["bbox"][3]))


def _mask(segmentation: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    from pycocotools import mask as rle

    if isinstance(segmentation, list):
        encoded = rle.merge(rle.frPyObjects(segmentation, *shape))
    elif isinstance(segmentation["counts"], list):
        encoded = rle.frPyObjects(segmentation, *shape)
    else:
        encoded = segmentation
    mask = np.asarray(rle.decode(encoded), np.bool_)
    if mask.shape != shape:
        raise DataError(f"a mask of {mask.shape[1]}x{mask.shape[0]} on a picture of {shape[1]}x{shape[0]}")
    return mask


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read the annotations ({error})") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: not a COCO file, it holds a {type(document).__name__} where an object is expected")
    missing = [key for key in ("images", "annotations") if not isinstance(document.get(key), list)]
    if missing:
        raise DataError(f"{path}: not a COCO file, no list of {' and '.join(missing)}")
    for number, entry in enumerate(document["images"]):
        if not isinstance(entry, dict) or "id" not in entry or not isinstance(entry.get("file_name"), str):
            raise DataError(f"{path}: images[{number}] should have an id and a file_name")
    return document


def _category(path: Path, document: dict[str, Any], name: str) -> set[int]:
    categories = document.get("categories", [])
    found = {entry["id"] for entry in categories if str(entry.get("name", "")).lower() == name.lower()}
    if not found:
        names = ", ".join(str(entry.get("name")) for entry in categories) or "none"
        raise DataError(f"{path}: no category {name!r}; there are: {names} (choose with ?class=NAME)")
    return found


def _check(path: Path, annotation: Any, images: set[int]) -> None:
    """Raise for an annotation that could only fail, or teach nonsense, in the middle of a training."""
    if not isinstance(annotation, dict):
        raise DataError(f"{path}: an annotation is {annotation!r}, an object is expected")
    where = f"{path}: annotation {annotation.get('id', '?')}"
    if annotation.get("image_id") not in images:
        raise DataError(f"{where}: image_id {annotation.get('image_id')!r} is not among the images")
    if not isinstance(annotation.get("category_id"), int):
        raise DataError(f"{where}: category_id should be a number, got {annotation.get('category_id')!r}")
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, (int, float)) for v in box):
        raise DataError(f"{where}: bbox should be [x, y, width, height], got {box!r}")
    if box[2] < 0 or box[3] < 0:
        raise DataError(f"{where}: bbox {box} has a negative size")
