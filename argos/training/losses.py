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


def inverse_frequency_loss(logits: Tensor, person: Tensor, valid: Tensor, scales: tuple[float, float]) -> Tensor:
    """Cross-entropy and scaled dice of two classes, as QU-Net was trained; a scalar.

    Args:
        logits: ``(N, 2, H, W)``, background and person.
        person, valid: ``(N, H, W)`` of 0 and 1.
        scales: of the dice of background and person.

    Reference:
        Varma 2021, Eq. 3.5: the weight of a class is the inverse of the number of its pixels. Printed, the dice
        coefficient is added; here, what is missing of it is.
    """
    counts = torch.stack([(valid * (1 - person)).sum(), (valid * person).sum()])
    weight = torch.where(counts > 0, counts.sum() / (2 * counts.clamp(min=1)), torch.zeros_like(counts))
    entropy = F.cross_entropy(logits, person.long(), weight=weight, reduction="none")
    pixel_weight = weight[person.long()]
    loss = (entropy * valid).sum() / (pixel_weight * valid).sum().clamp(min=1e-6)
    probability = logits.softmax(1) * valid[:, None]
    truth = torch.stack([1 - person, person], 1) * valid[:, None]
    overlap = (probability * truth).sum((0, 2, 3))
    dice = (2 * overlap + 1) / (probability.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    return loss + (torch.tensor(scales, device=dice.device) * (1 - dice)).sum()


def class_weights(shares: Tensor, gamma: float = 1.10) -> Tensor:
    """Weights of classes by their share of the pixels: rare ones weigh more, but none more than ``1 / ln(gamma)``.

    Args:
        shares: ``(C,)``, sum 1.
        gamma: 1.10 in ESSNet's thesis, 1.02 in ENet.

    Reference:
        Vallurupalli 2022, Eq. 3.8; Paszke et al., ENet, section 5.2.
    """
    return 1 / torch.log(gamma + shares)
