"""Measures on labelled photos: overlap of the person mask by source, and coverage and area of proposals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.training.photos import IGNORE, Photo

Scorer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Picture ``(H, W, 3)`` uint8 -> person score ``(H, W)`` in 0..1."""


def iou_by_source(score: Scorer, photos: Sequence[Photo], threshold: float = 0.5) -> dict[str, float]:
    """Intersection over union of all person pixels of each source, ignored pixels left out.

    A source without people (``background``) gives the share of its photos in which hardly anybody is seen: fewer
    than 0.1 % of the pixels.
    """
    overlap: dict[str, int] = defaultdict(int)
    union: dict[str, int] = defaultdict(int)
    empty: list[bool] = []
    for photo in photos:
        found = score(photo.image) >= threshold
        if photo.source == "background":
            empty.append(float(found.mean()) < 1e-3)
            continue
        valid = photo.ids != IGNORE
        person = (photo.ids > 0) & valid
        overlap[photo.source] += int((found & person).sum())
        union[photo.source] += int(((found & valid) | person).sum())
    measures = {f"iou_{source}": overlap[source] / max(1, union[source]) for source in sorted(union)}
    if empty:
        measures["empty_ok"] = float(np.mean(empty))
    return measures


def coverage(score: Scorer, photos: Sequence[Photo], threshold: float, dilation: int) -> dict[str, float]:
    """QU-Net's measures (thesis, section 3.5): people covered, person pixels covered, area proposed.

    Args:
        score: proposer; its score map may be coarser than the picture.
        photos: with id masks.
        threshold: score from which a cell is proposed.
        dilation: radius in cells by which proposals grow.

    Returns:
        ``people_covered`` (share of people at least 99 % inside), ``pixels_covered``, ``area`` (proposed share of the
        frame), ``area_true`` (share of the frame that is person, dilated by the same amount).
    """
    kernel = np.ones((2 * dilation + 1, 2 * dilation + 1), np.uint8)
    people = covered_people = pixels = covered_pixels = 0
    areas, true_areas = [], []
    for photo in photos:
        cells = score(photo.image) >= threshold
        grown = cv2.dilate(cells.astype(np.uint8), kernel)
        rows, columns = photo.ids.shape
        proposed = cv2.resize(grown, (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
        person = (photo.ids > 0) & (photo.ids < IGNORE)
        pixels += int(person.sum())
        covered_pixels += int((person & proposed).sum())
        areas.append(float(proposed.mean()))
        truth = cv2.resize(person.astype(np.uint8), cells.shape[::-1], interpolation=cv2.INTER_AREA)
        true_areas.append(float(cv2.dilate(truth, kernel).mean()))
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
