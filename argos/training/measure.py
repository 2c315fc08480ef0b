"""Measures on labelled photos: overlap of the person mask by source, and coverage and area of proposals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from argos.errors import DataError
from argos.packing.limits import SemanticLimits, person_mask
from argos.training.photos import IGNORE, Photo

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Picture ``(H, W, 3)`` uint8 -> person score ``(H, W)`` in 0..1."""

Proposer = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]
"""Picture ``(H, W, 3)`` uint8 -> proposed cells ``(h, w)`` of a grid over the whole picture."""


HALF = SemanticLimits(0.5)


def iou_by_source(score: Scorer, photos: Sequence[Photo], limits: SemanticLimits = HALF) -> dict[str, float]:
    """Intersection over union of all person pixels of each source, ignored pixels left out.

    The sources without people (``background``, or a clip of an empty room) give together ``empty_ok``, the share of
    their photos in which hardly anybody is seen: fewer than 0.1 % of the pixels.
    """
    people: dict[str, int] = defaultdict(int)
    overlap: dict[str, int] = defaultdict(int)
    union: dict[str, int] = defaultdict(int)
    quiet: dict[str, list[bool]] = defaultdict(list)
    for photo in photos:
        valid = photo.ids != IGNORE
        found = person_mask(score(photo.image), limits) & valid
        person = (photo.ids > 0) & valid
        people[photo.source] += int(person.sum())
        overlap[photo.source] += int((found & person).sum())
        union[photo.source] += int((found | person).sum())
        quiet[photo.source].append(float(found.mean()) < 1e-3)
    measures = {f"iou_{source}": overlap[source] / union[source] for source in sorted(people) if people[source]}
    empty = [ok for source in quiet if not people[source] for ok in quiet[source]]
    if empty:
        measures["empty_ok"] = float(np.mean(empty))
    return measures


def coverage(propose: Proposer, photos: Sequence[Photo]) -> dict[str, float]:
    """QU-Net's measures (thesis, section 3.5): people covered, person pixels covered, area proposed.

    Args:
        propose: picture -> proposed cells, dilated, as the line uses them.
        photos: with id masks.

    Returns:
        ``people_covered`` (share of people at least 99 % inside), ``pixels_covered``, ``area`` (proposed share of the
        frame) and ``area_true`` (share of the frame that is person).
    """
    people = covered_people = pixels = covered_pixels = 0
    areas, true_areas = [], []
    for photo in photos:
        rows, columns = photo.ids.shape
        cells = propose(photo.image).view(np.uint8)
        proposed = cv2.resize(cells, (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
        person = (photo.ids > 0) & (photo.ids < IGNORE)
        pixels += int(person.sum())
        covered_pixels += int((person & proposed).sum())
        areas.append(float(proposed.mean()))
        true_areas.append(float(person.mean()))
        for number in photo.box_ids.tolist():
            own = photo.ids == number
            if number and own.any():
                people += 1
                covered_people += bool((own & proposed).sum() >= 0.99 * own.sum())
    return {
        "people_covered": covered_people / max(1, people),
        "pixels_covered": covered_pixels / max(1, pixels),
        "area": float(np.mean(areas)),
        "area_true": float(np.mean(true_areas)),
    }


@torch.inference_mode()
def class_map(network: nn.Module, picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The class of every pixel of a picture ``(H, W, 3)`` uint8, ``(H, W)`` int64."""
    rows, columns = picture.shape[:2]
    device = next(network.parameters()).device
    image = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 255
    logits = network(F.pad(image, (0, -columns % 8, 0, -rows % 8)))
    size = (rows + -rows % 8, columns + -columns % 8)
    logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)[..., :rows, :columns]
    return np.asarray(logits.argmax(1)[0].cpu().numpy(), np.int64)


def class_figures(network: nn.Module, held: Sequence[Photo], classes: int) -> dict[str, float]:
    """Mean IoU of the classes that occur, and that of each; at the size of the photos.

    Args:
        network: with logits of several classes, in evaluation mode.
        held: photos whose ids are the numbers of classes.
        classes: how many there are.

    Raises:
        DataError: a label is no class of the network.
    """
    confusion = np.zeros((classes, classes), np.int64)
    for photo in held:
        confusion += confusion_of(class_map(network, photo.image), photo, classes)
    return class_ious(confusion)


def confusion_of(found: NDArray[np.int64], photo: Photo, classes: int) -> NDArray[np.int64]:
    """How many labelled pixels of each class (rows) were found to be each class, ``(classes, classes)``.

    Args:
        found: ``(H, W)``, the class of each pixel.
        photo: its ids are the numbers of classes.
        classes: how many there are.

    Raises:
        DataError: a label is no class of the network.
    """
    known = photo.ids != IGNORE
    if int(photo.ids[known].max(initial=0)) >= classes:
        raise DataError(
            f"{photo.name}: label {photo.ids[known].max()}, and the network has {classes} classes; those of CamVid are "
            "read by camvid:FOLDER?labels=classes"
        )
    pairs = photo.ids[known].astype(np.int64) * classes + found[known]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def class_ious(confusion: NDArray[np.int64]) -> dict[str, float]:
    """Mean IoU of the classes that occur, 0 where none does, and that of each."""
    hits = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hits
    ious = {f"iou_{n}": float(hits[n] / union[n]) for n in range(len(confusion)) if confusion[n].any()}
    return {"miou": float(np.mean(list(ious.values() or [0.0]))), **ious}


BOUNDARY_TOLERANCE = 0.0075
"""Of the diagonal: how far a found boundary may lie from the true one."""


def boundary_f(score: Scorer, photos: Sequence[Photo], limits: SemanticLimits = HALF) -> float:
    """F measure of the outlines, the mean over the photos that show a person.

    Reference:
        Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013, section 3.
    """
    measures = []
    for photo in photos:
        valid = photo.ids != IGNORE
        true = (photo.ids > 0) & valid
        if not true.any():
            continue
        found = person_mask(score(photo.image), limits) & valid
        reach = max(1, round(BOUNDARY_TOLERANCE * float(np.hypot(*photo.ids.shape))))
        outlines = [_outline(mask) for mask in (found, true)]
        near = [_grown(outline, reach) for outline in outlines]
        precision = (outlines[0] & near[1]).sum() / max(1, outlines[0].sum())
        recall = (outlines[1] & near[0]).sum() / max(1, outlines[1].sum())
        measures.append(float(2 * precision * recall / max(precision + recall, 1e-9)))
    return float(np.mean(measures)) if measures else 0.0


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the mask that touch a pixel outside of it; the border of the picture is no outline."""
    eroded = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8))  # beyond the border counts as inside
    return np.asarray(mask & (eroded == 0), np.bool_)


def _grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x * x + y * y <= reach * reach).view(np.uint8)  # OpenCV's ellipse reaches farther along rows than columns
    return np.asarray(cv2.dilate(mask.view(np.uint8), disk), np.bool_)
