"""What ASBU-Net and QU-Net minimise, and how they are asked for a score map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.dense import SemanticSegmenter, network_size
from argos.engines.segmenter import Semantic
from argos.packing.pack import resized
from argos.propose.qunet import QUNetProposer
from argos.propose.regions import grow
from argos.training.losses import dice_loss, person_targets, weighted_bce
from argos.training.measure import Proposer, Scorer
from argos.training.photos import IGNORE, Photo
from argos.training.stream import Batch
from argos.types import Frame, RegionMask

LEAST_AREA = 0.0002
"""Default of ``regions.min_area``."""

PEOPLE_WEIGHT = 2.0
"""Of people in the loss of QU-Net: a miss costs more than a wider region."""

DILATION = 4
"""Default of ``regions.dilation``. Measured on the validation photos, growing each component by 15 % of its size takes
half as much area again for the same people covered."""


def asbunet_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Weighted BCE and dice on the single logit of ASBU-Net."""
    images = batch.images.to(memory_format=torch.channels_last).float().div_(255)
    return mask_loss(network(images)[:, 0], batch.ids, positive_weight=1.5)


def qunet_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """The same on the log odds of QU-Net."""
    return mask_loss(log_odds(network, batch.images), batch.ids, PEOPLE_WEIGHT)


def log_odds(network: nn.Module, images: Tensor) -> Tensor:
    """Difference of QU-Net's two logits, ``(N, H, W)`` float32, on uint8 views ``(N, 3, H, W)``."""
    logits: Tensor = network(images.to(memory_format=torch.channels_last)).float()
    return logits[:, 1] - logits[:, 0]


def mask_loss(logits: Tensor, ids: Tensor, positive_weight: float) -> Mapping[str, Tensor]:
    """Weighted BCE and dice of log odds ``(N, H, W)`` against id masks of that shape; ignored pixels do not count."""
    person, valid = person_targets(ids)
    return {
        "bce": 2 * weighted_bce(logits, person, valid, positive_weight),
        "dice": 0.5 * dice_loss(logits, person, valid),
    }


def covered_within(network: nn.Module, photos: Sequence[Photo], factor: float = 1.6) -> dict[str, float]:
    """How much of the people is covered where the area proposed is ``factor`` times that of people grown as much.

    The measure of ``coverage`` at another threshold: the least of 1/200 to 199/200 at which the area stays within;
    where it does at none, nothing is covered. People and proposals are grown by ``DILATION`` cells of the grid.

    Args:
        network: QU-Net, in evaluation mode.
        photos: with id masks; areas are means of their shares.
        factor: 1 or more.

    Returns:
        ``pixels_covered_within`` (share of the person pixels), ``threshold_within`` and ``area_grown`` (people grown).
    """
    proposer = QUNetProposer(network)
    thresholds = np.arange(1, 200) / 200
    covered, areas, pixels, grown = np.zeros(len(thresholds)), np.zeros(len(thresholds)), 0, 0.0
    for photo in photos:
        scores = proposer(Frame(np.ascontiguousarray(photo.image), "photo", 0, 0.0)).scores
        person = (photo.ids > 0) & (photo.ids < IGNORE)
        # pixels of people in each cell: a cell of a proposal covers them all
        counts = cv2.resize(person.astype(np.float32), scores.shape[::-1], interpolation=cv2.INTER_AREA)
        counts *= person.sum() / max(1e-9, float(counts.sum()))
        size = photo.image.shape[0], photo.image.shape[1]
        grown += float(grow(RegionMask(counts, counts > 0, size), dilation=DILATION, min_area=0.0).mask.mean())
        pixels += int(person.sum())
        for n, threshold in enumerate(thresholds.tolist()):
            proposed = grow(RegionMask(scores, scores >= threshold, size), dilation=DILATION, min_area=LEAST_AREA).mask
            covered[n] += counts[proposed].sum()
            areas[n] += proposed.mean()
    within = np.flatnonzero(areas <= factor * grown)
    return {
        "pixels_covered_within": float(covered[within[0]]) / max(1, pixels) if len(within) else 0.0,
        "threshold_within": float(thresholds[within[0]]) if len(within) else 1.0,
        "area_grown": grown / max(1, len(photos)),
    }


def semantic_scorer(network: nn.Module, long_side: int) -> Scorer:
    """A function from picture to person scores, as the line computes them on a full frame.

    Args:
        network: ASBU-Net or any other with one logit per pixel, in evaluation mode.
        long_side: network pixels of the picture's long side.
    """
    return scorer(SemanticSegmenter(network), long_side)


def scorer(segmenter: Semantic, long_side: int) -> Scorer:
    """``semantic_scorer`` of any segmenter."""

    def score(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = image.shape[:2]
        size = network_size((rows, columns), long_side / max(rows, columns), segmenter.size)
        scores = segmenter.scores(np.ascontiguousarray(resized(image, size)[None]))[0]
        return np.asarray(cv2.resize(scores, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)

    return score


def region_proposer(network: nn.Module, threshold: float) -> Proposer:
    """A function from picture to proposed cells, as the line proposes them by default.

    Args:
        network: QU-Net, in evaluation mode.
        threshold: probability from which a cell is proposed.
    """
    proposer = QUNetProposer(network, threshold=threshold)

    def propose(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        mask = proposer(Frame(np.ascontiguousarray(image), "photo", 0, 0.0))
        return grow(mask, dilation=DILATION, min_area=LEAST_AREA).mask

    return propose
