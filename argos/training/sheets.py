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
from argos.packing.limits import SemanticLimits, person_mask, semantic_limits
from argos.training.measure import HALF
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
        return semantic_finder(network, semantic_limits(card.thresholds))
    if card.task == "proposal":
        return proposal_finder(network, card.thresholds["threshold"])
    return instance_finder(network, card.thresholds["score_threshold"], card.thresholds["nms"])


def semantic_finder(network: nn.Module, limits: SemanticLimits = HALF) -> Finder:
    """The person mask of a network with one score per pixel."""
    score = semantic_scorer(network, AUTO_SIDE)
    return lambda image: person_mask(score(image), limits)


def proposal_finder(network: nn.Module, threshold: float) -> Finder:
    """The proposed cells of a QU-Net, grown as regions are."""
    propose = region_proposer(network, threshold)

    def covered(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        cells = propose(image).view(np.uint8)
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST), np.bool_)

    return covered


def instance_finder(network: nn.Module, score_threshold: float, nms: float) -> Finder:
    """The masks of all people whom an SSD-ISB finds."""
    assert isinstance(network, SSDISB)
    segmenter = InstanceSegmenter(network, score_threshold, nms)

    def united(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        factor = AUTO_SIDE / max(image.shape[:2])
        pixels = cv2.resize(image, (round(image.shape[1] * factor), round(image.shape[0] * factor)))
        people = segmenter.instances(np.ascontiguousarray(pixels, np.uint8)[None])[0]
        mask = people.union().view(np.uint8)
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.bool_)

    return united


def held_sheet(find: Finder, held: Sequence[Photo], proposer: bool = False) -> NDArray[np.uint8]:
    """What a training draws at each evaluation: a dozen of its held photos, the same ones in the same places.

    Args:
        find: of the network as it is now.
        held: photos to choose from, spread over all of them.
        proposer: as for ``judged``.
    """
    return sheet_of([judged(find, photo, proposer) for photo in dozen_of(held)], columns=4)


def dozen_of(photos: Sequence[Photo]) -> list[Photo]:
    """Up to twelve photos, at equal distances."""
    return [photos[place * len(photos) // 12] for place in range(12)] if len(photos) > 12 else list(photos)


def judge(find: Finder, photos: Sequence[Photo], proposer: bool) -> list[Judged]:
    """Score every photo, the worst first."""
    return sorted((judged(find, photo, proposer) for photo in photos), key=lambda one: one.score)


@torch.inference_mode()
def judged(find: Finder, photo: Photo, proposer: bool) -> Judged:
    """Score a photo; a proposer by what it covers."""
    found, valid = find(photo.image), photo.ids != IGNORE
    person = (photo.ids > 0) & valid
    if not person.any():
        score = 1 - float((found & valid).mean())
    elif proposer:
        score = float((found & person).sum() / person.sum())
    else:
        score = float((found & person).sum() / ((found & valid) | person).sum())
    return Judged(photo, found, score)


def sheet_of(shown: Sequence[Judged], columns: int = 6, width: int = 1800) -> NDArray[np.uint8]:
    """Draw judged photos, in their order, ``(H, width, 3)`` uint8 RGB; of none ``H`` is 0."""
    if not shown:
        return np.zeros((0, width, 3), np.uint8)
    return contact_sheet(
        [painted(one) for one in shown], [f"{one.score:.2f} {one.photo.name}" for one in shown], columns, width
    )


def painted(one: Judged) -> NDArray[np.uint8]:
    """A photo under the colours of what was found in it, ``(H, W, 3)`` uint8."""
    ids, found = one.photo.ids, one.found
    person = (ids > 0) & (ids != IGNORE)
    picture = one.photo.image.copy()
    for where, colour in (
        (found & person, FOUND),
        (found & (ids == 0), FALSE),
        (~found & person, MISSED),
        (ids == IGNORE, NOT_JUDGED),
    ):
        picture[where] = (picture[where] * 0.45 + np.asarray(colour) * 0.55).astype(np.uint8)
    return picture
