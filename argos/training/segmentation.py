"""What ASBU-Net and QU-Net minimise, and how they are asked for a score map."""

from __future__ import annotations

from collections.abc import Mapping

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
from argos.training.stream import Batch
from argos.types import Frame

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
    """Difference of QU-Net's two logits, ``(N, H, W)``, on uint8 views ``(N, 3, H, W)``."""
    logits: Tensor = network(images.to(memory_format=torch.channels_last))
    return logits[:, 1] - logits[:, 0]


def mask_loss(logits: Tensor, ids: Tensor, positive_weight: float) -> Mapping[str, Tensor]:
    """Weighted BCE and dice of log odds ``(N, H, W)`` against id masks of that shape; ignored pixels do not count."""
    person, valid = person_targets(ids)
    return {
        "bce": 2 * weighted_bce(logits, person, valid, positive_weight),
        "dice": 0.5 * dice_loss(logits, person, valid),
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
