"""What ASBU-Net and QU-Net minimise, and how they are asked for a score map."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.training.fit import Batch
from argos.training.losses import dice_loss, person_targets, weighted_bce
from argos.training.measure import Scorer


def asbunet_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Weighted BCE and dice on the single logit of ASBU-Net."""
    images = batch.images.to(memory_format=torch.channels_last).float().div_(255)
    return _mask_loss(network(images)[:, 0], batch.ids, positive_weight=1.5)


def qunet_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """The same on the difference of QU-Net's two logits; people weigh more: a miss costs more than a wider region."""
    logits = network(batch.images.to(memory_format=torch.channels_last))
    return _mask_loss(logits[:, 1] - logits[:, 0], batch.ids, positive_weight=3.0)


def _mask_loss(logits: Tensor, ids: Tensor, positive_weight: float) -> Mapping[str, Tensor]:
    person, valid = person_targets(ids)
    return {
        "bce": 2 * weighted_bce(logits, person, valid, positive_weight),
        "dice": 0.5 * dice_loss(logits, person, valid),
    }


def scorer(network: nn.Module, long_side: int) -> Scorer:
    """A function from picture to person scores, the picture's long side brought to ``long_side`` network pixels."""
    return partial(_score, network, long_side)


@torch.inference_mode()
def _score(network: nn.Module, long_side: int, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows, columns = image.shape[:2]
    scale = long_side / max(rows, columns)
    size = (max(16, round(columns * scale / 16) * 16), max(16, round(rows * scale / 16) * 16))
    how = cv2.INTER_AREA if scale < 0.7 else cv2.INTER_LINEAR
    pixels = torch.from_numpy(np.ascontiguousarray(cv2.resize(image, size, interpolation=how)))
    batch = pixels.permute(2, 0, 1)[None]
    if _takes_unit_floats(network):
        score = torch.sigmoid(network(batch.float() / 255)[0, 0])
    else:
        score = torch.softmax(network(batch)[0], 0)[1]
    return np.asarray(cv2.resize(score.float().numpy(), (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)


def _takes_unit_floats(network: nn.Module) -> bool:
    return type(network).__name__ == "ASBUNet"
