"""Annotated photos as one plain type, from COCO JSON with id masks, from boxes only, from CamVid and from bare folders.

An id mask says for every pixel: 0 background, 1..253 one person each, 254 people not told apart, 255 ignore.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.errors import ArgosError

log = logging.getLogger(__name__)

CROWD, IGNORE = 254, 255
Box = tuple[float, float, float, float]
CAMVID_PEDESTRIAN, CAMVID_BICYCLIST, CAMVID_UNLABELLED = 9, 10, 11


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


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a picture as ``(H, W, 3)`` uint8 RGB.

    Raises:
        ArgosError: the file is missing or no picture.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ArgosError(f"{path}: not a readable picture")
    return np.ascontiguousarray(pixels[:, :, ::-1])


def load_instances(folder: Path, annotations: str, max_side: int = 512, complete_only: bool = True) -> list[Photo]:
    """Photos with person masks, from a COCO JSON (RLE or polygons) beside ``images/``.

    A photo with ``complete: false`` is left out unless ``complete_only`` is off: unmarked people would be learnt as
    background, but the marked ones can be cut out.
    """
    document = _read_json(folder / annotations)
    by_image = _annotations_by_image(document)
    photos = []
    for entry in document["images"]:
        if complete_only and not entry.get("complete", True):
            continue
        image = read_rgb(folder / "images" / entry["file_name"])
        rows, columns = image.shape[:2]
        ids = np.zeros((rows, columns), np.uint8)
        boxes: list[Box] = []
        ignore: list[Box] = []
        box_ids: list[int] = []
        for annotation in sorted(by_image[entry["id"]], key=lambda a: -float(a["area"])):
            x, y, w, h = annotation["bbox"]
            mask = _decode(annotation["segmentation"], (rows, columns))
            if annotation["iscrowd"]:
                ids[mask & (ids == 0)] = CROWD if entry.get("kind") == "semantic" else IGNORE
                ignore.append((x, y, x + w, y + h))
            else:
                ids[mask] = len(boxes) + 1
                box_ids.append(len(boxes) + 1)
                boxes.append((x, y, x + w, y + h))
        source = entry.get("source") or entry["file_name"].split("_")[0]
        photos.append(_photo(image, ids, boxes, box_ids, ignore, source, entry["file_name"], max_side))
    return photos


def load_boxes(folder: Path, annotations: str, max_side: int = 416) -> list[Photo]:
    """Photos with person boxes only, from a COCO JSON beside ``images/``."""
    document = _read_json(folder / annotations)
    by_image = _annotations_by_image(document)
    photos = []
    for entry in document["images"]:
        image = read_rgb(folder / "images" / entry["file_name"])
        ids = np.zeros(image.shape[:2], np.uint8)
        boxes: list[Box] = []
        ignore: list[Box] = []
        for annotation in by_image[entry["id"]]:
            x, y, w, h = annotation["bbox"]
            (ignore if annotation["iscrowd"] else boxes).append((x, y, x + w, y + h))
            ids[max(0, int(y)) : int(np.ceil(y + h)), max(0, int(x)) : int(np.ceil(x + w))] = IGNORE
        photos.append(
            _photo(image, ids, boxes, [0] * len(boxes), ignore, entry["source"], entry["file_name"], max_side)
        )
    return photos


def load_camvid(folder: Path) -> list[Photo]:
    """CamVid frames: pedestrians as people not told apart, bicyclists and unlabelled pixels ignored."""
    photos = []
    for path in sorted((folder / "images").iterdir()):
        label_path = folder / "labels" / f"{path.stem}.png"
        labels = cv2.imread(str(label_path), cv2.IMREAD_UNCHANGED)
        if labels is None:
            raise ArgosError(f"{label_path}: not a readable label picture")
        ids = np.zeros(labels.shape[:2], np.uint8)
        ids[labels == CAMVID_PEDESTRIAN] = CROWD
        ids[(labels == CAMVID_BICYCLIST) | (labels == CAMVID_UNLABELLED)] = IGNORE
        photos.append(_photo(read_rgb(path), ids, [], [], [], "camvid", path.name, 512, boxes_known=False))
    return photos


def load_backgrounds(folder: Path, max_side: int = 512) -> list[Photo]:
    """Photos without people."""
    photos = []
    for path in sorted(folder.glob("*.jpg")):
        image = read_rgb(path)
        photos.append(_photo(image, np.zeros(image.shape[:2], np.uint8), [], [], [], "background", path.name, max_side))
    return photos


def load_cutouts(folder: Path) -> list[NDArray[np.uint8]]:
    """Cut-out people, each ``(h, w, 4)`` uint8 RGBA."""
    cutouts = []
    for path in sorted(folder.glob("*.png")):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.ndim != 3 or pixels.shape[2] != 4:
            raise ArgosError(f"{path}: expected a PNG with transparency")
        cutouts.append(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA))
    return cutouts


def cut_people(photos: Iterable[Photo], min_height: int = 96) -> list[NDArray[np.uint8]]:
    """Cut every separately marked, tall enough person out of photos, as RGBA pictures of its box."""
    people = []
    for photo in photos:
        for (x0, y0, x1, y1), number in zip(photo.boxes.astype(int).tolist(), photo.box_ids.tolist(), strict=True):
            if number == 0 or y1 - y0 < min_height or x1 - x0 < 16:
                continue
            x0, y0 = max(x0, 0), max(y0, 0)
            alpha = np.where(photo.ids[y0:y1, x0:x1] == number, 255, 0).astype(np.uint8)
            if alpha.mean() < 40:  # less than 16 % of its box: cut off by others
                continue
            people.append(np.dstack([photo.image[y0:y1, x0:x1], cv2.GaussianBlur(alpha, (3, 3), 0)]))
    return people


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ArgosError(f"{path}: cannot read the annotations ({error})") from error
    missing = {"images", "annotations"} - set(document)
    if missing:
        raise ArgosError(f"{path}: not a COCO file, no {' and '.join(sorted(missing))}")
    return dict(document)


def _annotations_by_image(document: dict[str, Any]) -> dict[int, list[dict[str, Any]]]:
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in document["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    return by_image


def _decode(segmentation: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    from pycocotools import mask as rle

    if isinstance(segmentation, list):
        encoded = rle.merge(rle.frPyObjects(segmentation, *shape))
    elif isinstance(segmentation["counts"], list):
        encoded = rle.frPyObjects(segmentation, *shape)
    else:
        encoded = segmentation
    return np.asarray(rle.decode(encoded), np.bool_)


def _photo(
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
    """Shrink to ``max_side`` and pack as arrays."""
    scale = min(1.0, max_side / max(image.shape[:2]))
    if scale < 1.0:
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        ids = np.asarray(cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return Photo(
        image,
        ids,
        np.asarray(boxes, np.float32).reshape(-1, 4) * np.float32(scale),
        np.asarray(box_ids, np.uint8),
        np.asarray(ignore, np.float32).reshape(-1, 4) * np.float32(scale),
        source,
        name,
        boxes_known and not (ids == CROWD).any(),
    )
