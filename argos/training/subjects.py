"""What of the photos an experiment is about: one person at a time, people of some shapes, or some classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from argos.networks.fcn_crops import CROP_SIZES, crop_image, widen_boxes
from argos.networks.ssd_boxes import encompassing
from argos.networks.ssd_branches import SINGLE_SHAPE, STRIDE
from argos.training.photos import CROWD, IGNORE, Photo

Shapes = Literal["all", "matching"]

LEAST_HEIGHT = 40
"""Pixels of a person that is cropped: smaller ones would be enlarged more than eightfold."""

THESIS_SIDE = 640
"""Network pixels of the longer side of a photo, where shapes are counted in cells."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Exactly one of the three is given.

    Attributes:
        crops: margin of crops of single persons, as a share of the crop on every side. Classes 0 background, 1 person
            (thesis of Kolhatkar, section 4.3).
        shapes: photos with a person that fills one of the shapes of Single-Shape, in cells of the map at 1/32. ``all``
            of the people in them are learnt, or only the ``matching`` ones, the others ignored (section 5.2.1).
        classes: numbers of the classes that count as people not told apart; everything else is background.
    """

    crops: float | None = None
    shapes: Shapes | None = None
    classes: tuple[int, ...] | None = None


def of_subject(photos: Sequence[Photo], subject: Subject) -> list[Photo]:
    """Photos of a subject."""
    if subject.crops is not None:
        return [crop for photo in photos for crop in person_crops(photo, subject.crops)]
    if subject.classes is not None:
        return [of_classes(photo, subject.classes) for photo in photos]
    return [found for photo in photos if (found := of_shapes(photo, subject.shapes == "matching")) is not None]


def person_crops(photo: Photo, margin: float) -> list[Photo]:
    """A crop of 320x192 pixels of each person who is marked and tall enough; the others in it are background."""
    tall = (photo.boxes[:, 3] - photo.boxes[:, 1] >= LEAST_HEIGHT) & (photo.box_ids > 0)
    if not tall.any():
        return []
    boxes = widen_boxes(torch.from_numpy(photo.boxes[tall]), margin)
    image = torch.from_numpy(np.ascontiguousarray(photo.image)).permute(2, 0, 1).float()
    pictures = crop_image(image, boxes, CROP_SIZES[0]).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    none, nobody = np.zeros((0, 4), np.float32), np.zeros(0, np.uint8)
    crops = []
    for picture, box, number in zip(pictures, boxes.tolist(), photo.box_ids[tall].tolist(), strict=True):
        ids = np.where(photo.ids == IGNORE, IGNORE, photo.ids == number).astype(np.uint8)
        name = f"{photo.name} {number}"
        crops.append(Photo(picture, _crop_ids(ids, box, CROP_SIZES[0]), none, nobody, none, photo.source, name, False))
    return crops


def _crop_ids(ids: NDArray[np.uint8], box: Sequence[float], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The labels of a crop; what lies beyond the photo is ignored."""
    x0, y0, x1, y1 = box
    scale_x, scale_y = (x1 - x0) / size[1], (y1 - y0) / size[0]
    to_photo = np.array([[scale_x, 0, x0 + 0.5 * scale_x - 0.5], [0, scale_y, y0 + 0.5 * scale_y - 0.5]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(ids, to_photo, (size[1], size[0]), flags=flags, borderValue=IGNORE), np.uint8)


def of_classes(photo: Photo, classes: Sequence[int]) -> Photo:
    """The same photo with some of its classes as people not told apart."""
    ids = np.where(np.isin(photo.ids, classes), CROWD, 0)
    return replace(photo, ids=np.where(photo.ids == IGNORE, IGNORE, ids).astype(np.uint8), boxes_known=False)


def of_shapes(photo: Photo, matching: bool) -> Photo | None:
    """The photo if somebody in it fills a shape of Single-Shape; None if nobody does.

    Args:
        photo: with people told apart.
        matching: ignore the people of other shapes.
    """
    if not photo.boxes_known or not len(photo.boxes):
        return None
    scale = THESIS_SIDE / max(photo.image.shape[:2])
    height, width = (int(np.ceil(side * scale / STRIDE)) * STRIDE for side in photo.image.shape[:2])
    around = encompassing(torch.from_numpy(photo.boxes * np.float32(scale)), STRIDE, height, width).numpy()
    cells = ((around[:, 2:] - around[:, :2]) / STRIDE).round().astype(int)
    shapes = {(shape.width, shape.height) for shape in SINGLE_SHAPE}
    fits = np.array([tuple(cell) in shapes for cell in cells.tolist()])
    if not fits.any():
        return None
    if not matching:
        return photo
    others = photo.box_ids[~fits & (photo.box_ids > 0)]
    return replace(
        photo,
        ids=np.where(np.isin(photo.ids, others), IGNORE, photo.ids).astype(np.uint8),
        boxes=photo.boxes[fits],
        box_ids=photo.box_ids[fits],
        ignore=np.concatenate([photo.ignore, photo.boxes[~fits]]),
    )
