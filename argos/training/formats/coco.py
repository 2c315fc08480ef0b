"""COCO JSON: people with polygons or RLE, with boxes only, and crowds.

Reference:
    https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argos.errors import DataError
from argos.training.formats.coco_check import category_ids, check_annotation, check_segmentation, read_document
from argos.training.formats.files import PhotoFiles
from argos.training.photos import CROWD, IGNORE, Box, Photo, read_rgb, shrunk_photo, touched


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
        DataError: the file is no COCO file, an annotation is wrong, a picture is missing, or there are none.
    """
    document = read_document(annotations)
    wanted = category_ids(annotations, document, category)
    folder = annotations.parent / "images" if images is None else images
    entries = [entry for entry in document["images"] if entry.get("complete", True) or not complete_only]
    if not entries:
        raise DataError(f"{annotations}: no pictures to use, {len(document['images'])} images are in it"
                        f"{', all of them complete: false' if document['images'] else ''}")  # fmt: skip
    missing = [entry["file_name"] for entry in entries if not (folder / entry["file_name"]).is_file()]
    if missing:
        raise DataError(f"{annotations}: {len(missing)} of {len(entries)} pictures are not in {folder}, the first is "
                         f"{missing[0]}")  # fmt: skip
    by_image: dict[int | str, list[dict[str, Any]]] = defaultdict(list)
    known = {entry["id"]: entry for entry in document["images"]}
    for annotation in document["annotations"]:
        check_annotation(annotations, annotation, known)
        if annotation["category_id"] in wanted:
            check_segmentation(annotations, annotation, known[annotation["image_id"]])
            by_image[annotation["image_id"]].append(annotation)
    return PhotoFiles([partial(_decode, folder, entry, by_image[entry["id"]], max_side) for entry in entries])


def _decode(folder: Path, entry: dict[str, Any], annotations: list[dict[str, Any]], max_side: int) -> Photo:
    path = folder / entry["file_name"]
    given = entry.get("height"), entry.get("width")
    image = read_rgb(path, (int(given[0]), int(given[1])) if given[0] and given[1] else None)
    rows, columns = image.shape[:2]
    said = given[0] or rows, given[1] or columns
    if said != (rows, columns):
        raise DataError(f"{path}: {columns}x{rows} pixels, where its annotations are for {said[1]}x{said[0]}")
    ids = np.zeros((rows, columns), np.uint8)
    boxes: list[Box] = []
    ignore: list[Box] = []
    box_ids: list[int] = []
    for annotation in sorted(annotations, key=_area, reverse=True):  # smaller people are in front
        x, y, w, h = annotation["bbox"]
        box, number, crowd = (x, y, x + w, y + h), len(boxes) + 1, annotation.get("iscrowd")
        shape = _drawable(annotation.get("segmentation"))
        if not shape:
            inside = ids[touched(box)]
            inside[inside == 0] = IGNORE
            number = 0
        else:
            try:
                mask = _mask(shape, (rows, columns))
            except Exception as error:  # pycocotools raises what it likes
                raise DataError(f"{path}: annotation {annotation.get('id', '?')}: segmentation: {error}") from error
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
    return float(annotation.get("area") or annotation["bbox"][2] * annotation["bbox"][3])


def _drawable(segmentation: Any) -> Any:
    """A segmentation without outlines of less than three points: none holds a pixel, and two mean a box."""
    if not isinstance(segmentation, list):
        return segmentation
    return [polygon for polygon in segmentation if len(polygon) >= 6]


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
