"""Segmentation losses on logits with ignored pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def person_targets(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Split an id mask (``photos``) into target and validity.

    Args:
        ids: ``(N, H, W)`` uint8.

    Returns:
        ``(person, valid)``, each ``(N, H, W)`` float32 of 0 and 1.
    """
    return ((ids > 0) & (ids < 255)).float(), (ids < 255).float()


def weighted_bce(logits: Tensor, person: Tensor, valid: Tensor, positive_weight: float) -> Tensor:
    """Binary cross-entropy over valid pixels, people weighted by ``positive_weight``; a scalar.

    The weighted form of ASBU-Net's training (Bansal et al., section on training) and the first part of eq. 3.5 of the
    QU-Net thesis with a fixed instead of an inverse-frequency weight.
    """
    loss = F.binary_cross_entropy_with_logits(logits, person, reduction="none")
    weight = valid * (1 + (positive_weight - 1) * person)
    return (loss * weight).sum() / weight.sum().clamp(min=1)


def dice_loss(logits: Tensor, person: Tensor, valid: Tensor) -> Tensor:
    """``1 - dice`` averaged over the pictures that show a person; a scalar.

    Eq. 3.5 of the QU-Net thesis as corrected in the project's notes: printed, it adds the coefficient itself.
    """
    probability = torch.sigmoid(logits) * valid
    person = person * valid
    overlap = (probability * person).sum((1, 2))
    dice = (2 * overlap + 1) / (probability.sum((1, 2)) + person.sum((1, 2)) + 1)
    shown = (person.sum((1, 2)) > 0).float()
    return ((1 - dice) * shown).sum() / shown.sum().clamp(min=1)
