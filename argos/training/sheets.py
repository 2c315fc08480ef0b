"""Contact sheets of a model's best and worst photos: green found, red false, blue missed, grey not judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from argos.drawing.contact_sheet import contact_sheet
from argos.engines.dense import AUTO_SIDE, InstanceSegmenter
from argos.engines.weights import Card
from argos.networks.ssd_isb import SSDISB
from argos.packing.limits import person_mask, semantic_limits
from argos.training.photos import IGNORE, Photo
from argos.training.segmentation import region_proposer, semantic_scorer

FOUND, FALSE, MISSED, NOT_JUDGED = (40, 200, 60), (230, 50, 40), (60, 90, 240), (128, 128, 128)

Finder = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]
"""Picture ``(H, W, 3)`` uint8 -> where the model sees people, ``(H, W)`` bool."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One photo and what a model found in it.

    Attributes:
        score: IoU of the found and the true pixels, 0..1; for a photo without people 1 minus the false share; for a
            proposer the share of the person pixels that it covers.
    """

    photo: Photo
    found: NDArray[np.bool_]
    score: float


def finder_of(network: nn.Module, card: Card) -> Finder:
    """How a model of any task says where people are, as the line runs it at long side 640."""
    if card.task == "semantic":
        score = semantic_scorer(network, AUTO_SIDE)
        limits = semantic_limits(card.thresholds)
        return lambda image: person_mask(score(image), limits)
    if card.task == "proposal":
        propose = region_proposer(network, card.thresholds["threshold"])

        def covered(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
            cells = propose(image).view(np.uint8)
            size = (image.shape[1], image.shape[0])
            return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST), np.bool_)

        return covered
    assert isinstance(network, SSDISB)
    segmenter = InstanceSegmenter(network, card.thresholds["score_threshold"], card.thresholds["nms"])

    def united(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        factor = AUTO_SIDE / max(image.shape[:2])
        pixels = cv2.resize(image, (round(image.shape[1] * factor), round(image.shape[0] * factor)))
        people = segmenter.instances(np.ascontiguousarray(pixels, np.uint8)[None])[0]
        mask = people.union().view(np.uint8)
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.bool_)

    return united


@torch.inference_mode()
def judge(find: Finder, photos: Sequence[Photo], proposer: bool) -> list[Judged]:
    """Score every photo, the worst first."""
    judged = []
    for photo in photos:
        found, valid = find(photo.image), photo.ids != IGNORE
        person = (photo.ids > 0) & valid
        if not person.any():
            score = 1 - float((found & valid).mean())
        elif proposer:
            score = float((found & person).sum() / person.sum())
        else:
            score = float((found & person).sum() / ((found & valid) | person).sum())
        judged.append(Judged(photo, found, score))
    return sorted(judged, key=lambda one: one.score)


def sheet_of(judged: Sequence[Judged], columns: int = 6, width: int = 1800) -> NDArray[np.uint8]:
    """Draw judged photos, in their order, ``(H, width, 3)`` uint8 RGB."""
    return contact_sheet(
        [painted(one) for one in judged], [f"{one.score:.2f} {one.photo.name}" for one in judged], columns, width
    )


def painted(judged: Judged) -> NDArray[np.uint8]:
    """A photo under the colours of what was found in it, ``(H, W, 3)`` uint8."""
    ids, found = judged.photo.ids, judged.found
    person = (ids > 0) & (ids != IGNORE)
    picture = judged.photo.image.copy()
    for where, colour in (
        (found & person, FOUND),
        (found & (ids == 0), FALSE),
        (~found & person, MISSED),
        (ids == IGNORE, NOT_JUDGED),
    ):
        picture[where] = (picture[where] * 0.45 + np.asarray(colour) * 0.55).astype(np.uint8)
    return picture
