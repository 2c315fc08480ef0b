"""Losses of SSD-ISB: boxes and classes by matched anchors, masks by cropped truth.

Reference:
    Liu et al., SSD, arXiv:1512.02325, section 2.2; Kolhatkar 2020, section 3.2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from argos.networks.backbones.mobilenet_v1 import Features
from argos.networks.ssd_boxes import BACKGROUND, IGNORED, crop, encode, iou, match
from argos.networks.ssd_isb import SSDISB, BranchMasks, SSDOutput


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known about one training image.

    Attributes:
        boxes: ``(M, 4)`` float32, pixels of the network's input, sides at least one pixel.
        labels: ``(M,)`` int64, class of each box; 0 is the first class, not the background.
        ignore: ``(K, 4)`` float32, areas where the detector is neither praised nor blamed.
        masks: ``(M, H, W)`` bool; all False for a box whose mask is unknown. None where only boxes are known.

    Raises:
        ValueError: lengths or shapes disagree.
    """

    boxes: Tensor
    labels: Tensor
    ignore: Tensor
    masks: Tensor | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4) or self.ignore.shape != (len(self.ignore), 4) or self.labels.shape != (n,):
            raise ValueError(
                f"Truth: boxes {tuple(self.boxes.shape)}, labels {tuple(self.labels.shape)}, "
                f"ignore {tuple(self.ignore.shape)}; expected (M, 4), (M,), (K, 4)"
            )
        if self.masks is not None and (self.masks.ndim != 3 or len(self.masks) != n):
            raise ValueError(f"Truth: masks {tuple(self.masks.shape)}; expected ({n}, H, W)")


class MultiboxLoss(NamedTuple):
    """The two losses of the detector, scalars; the published weight of both is 1."""

    box: Tensor
    label: Tensor


def multibox_loss(
    output: SSDOutput,
    truths: Sequence[Truth],
    *,
    match_threshold: float = 0.5,
    negative_ratio: float = 3.0,
    min_negatives: int = 8,
) -> MultiboxLoss:
    """Smooth L1 of the matched anchors and cross entropy with hard negative mining.

    Both are sums over anchors divided by the number of matched anchors of the batch.

    Args:
        output: of the network for N images.
        truths: N of them.
        match_threshold: least IoU of an anchor and its truth; the best anchor of a truth needs none.
        negative_ratio: background anchors per matched anchor, the worst ones of each image.
        min_negatives: background anchors of an image at least, so that empty images teach something.
    """
    anchors = output.anchors
    matched = torch.stack([match(anchors, t.boxes, t.ignore, match_threshold) for t in truths])  # (N, A)
    positive, total = matched >= 0, (matched >= 0).sum().clamp(min=1)
    box, entropy = _box_and_entropy(output, truths, matched)
    negative = hard_negatives(entropy.detach(), matched, negative_ratio, min_negatives)
    label = entropy[positive | negative].sum() / total
    return MultiboxLoss(box / total, label)


def focal_multibox_loss(
    output: SSDOutput,
    truths: Sequence[Truth],
    *,
    match_threshold: float = 0.4,
    neutral_above: float = 0.3,
    gamma: float = 2.0,
    positive_share: float = 0.4,
) -> MultiboxLoss:
    """Smooth L1 and focal loss over every anchor: the form for training from scratch.

    Hard negative mining picks the neighbours of the people, which a network that knows nothing yet cannot tell from
    them; here easy and hard anchors all count, each by how wrong it is, and anchors between background and match take
    no part.

    Args:
        output: of the network for N images.
        truths: N of them.
        match_threshold: least IoU of an anchor and its truth; the best anchor of a truth needs none.
        neutral_above: unmatched anchors with a larger IoU with some truth take no part.
        gamma: how fast well classified anchors lose weight.
        positive_share: weight of matched anchors in 0..1, the rest for the background.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002, equation 5.
    """
    anchors = output.anchors
    labels = []
    for truth in truths:
        matched = match(anchors, truth.boxes, truth.ignore, match_threshold)
        if len(truth.boxes):
            near = iou(anchors, truth.boxes).amax(dim=1) > neutral_above
            matched = torch.where((matched == BACKGROUND) & near, IGNORED, matched)
        labels.append(matched)
    matched = torch.stack(labels)  # (N, A)
    positive, total = matched >= 0, (matched >= 0).sum().clamp(min=1)
    box, entropy = _box_and_entropy(output, truths, matched)
    weight = torch.where(positive, positive_share, 1 - positive_share) * (1 - torch.exp(-entropy)) ** gamma
    weight = weight * (matched != IGNORED)
    return MultiboxLoss(box / total, (weight * entropy).sum() / total)


def _box_and_entropy(output: SSDOutput, truths: Sequence[Truth], matched: Tensor) -> tuple[Tensor, Tensor]:
    """Smooth L1 summed over the matched anchors, a scalar, and the cross entropy of every anchor, ``(N, A)``."""
    positive = matched >= 0
    pairs = list(zip(truths, matched, positive, strict=True))
    wanted = torch.cat([encode(t.boxes[m[p]], output.anchors[p]) for t, m, p in pairs])
    box = F.smooth_l1_loss(output.deltas[positive], wanted, reduction="sum")
    classes = torch.zeros_like(matched)
    classes[positive] = torch.cat([t.labels[m[p]] for t, m, p in pairs]) + 1
    entropy = F.cross_entropy(output.logits.flatten(0, 1), classes.flatten(), reduction="none")
    return box, entropy.view_as(classes)


def hard_negatives(entropy: Tensor, matched: Tensor, ratio: float, least: int) -> Tensor:
    """Background anchors that are classified worst.

    Args:
        entropy: ``(N, A)`` floats, loss of each anchor.
        matched: ``(N, A)`` int64 from ``ssd_boxes.match``.
        ratio: chosen anchors per matched anchor of the image.
        least: chosen anchors of an image at least, as far as there are background anchors.

    Returns:
        ``(N, A)`` bool.
    """
    background = matched == BACKGROUND
    wanted = ((matched >= 0).sum(dim=1) * ratio).long().clamp(min=least)
    order = entropy.masked_fill(~background, -torch.inf).argsort(dim=1, descending=True)
    rank = torch.empty_like(order)
    rank.scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
    return background & (rank < wanted[:, None])


def mask_loss(branches: Sequence[BranchMasks], truths: Sequence[Truth]) -> Tensor:
    """Mean over the boxes of the mean binary cross entropy of their masks, before any resizing to the image.

    The true mask is resized to the predicted one. Masks of boxes without a known mask are left out.

    Args:
        branches: of ``SSDISB.masks``, called with the boxes of ``truths`` or jittered copies of them in order.
        truths: one per image of the batch.

    Returns:
        A scalar, 0 (still on the graph where there is one) without any mask. The published weight is 30 for
        one branch and 150 for several.
    """
    losses: list[Tensor] = []
    for branch in branches:
        for image, truth in enumerate(truths):
            chosen = torch.nonzero(branch.image == image).squeeze(1)
            if truth.masks is None or not len(chosen):
                continue
            masks = truth.masks[branch.index[chosen]]
            known = masks.flatten(1).any(dim=1)
            chosen, masks = chosen[known], masks[known]
            labels = truth.labels[branch.index[chosen]]
            logits = branch.logits[chosen, labels]  # (M, h, w) of the class of each box
            target = resized_masks(masks, branch.boxes[chosen], (logits.shape[1], logits.shape[2]))
            losses.append(F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(1, 2)))
    if losses and sum(map(len, losses)):
        return torch.cat(losses).mean()
    return sum((branch.logits.sum() * 0 for branch in branches), torch.zeros(()))


def near_mask_loss(network: SSDISB, features: Features, truths: Sequence[Truth], side: int) -> Tensor:
    """Loss of the masks on true boxes a little off, as detected ones are; images are ``side`` pixels wide and high."""
    crops = [jitter_boxes(truth.boxes, 0.08).clamp(0, side) for truth in truths]
    return mask_loss(network.masks(features, crops), truths)


def detector_losses(network: SSDISB, output: SSDOutput, truths: Sequence[Truth], side: int) -> dict[str, Tensor]:
    """Focal loss over every anchor, and ``near_mask_loss``; weighted, to be summed."""
    boxes = focal_multibox_loss(output, truths)
    masks = near_mask_loss(network, output.features, truths, side)
    return {"box": 0.5 * boxes.box, "label": 2 * boxes.label, "mask": masks}


def anchor_crops(
    output: SSDOutput, truths: Sequence[Truth], match_threshold: float = 0.5
) -> tuple[list[Tensor], list[Truth]]:
    """Default anchors as crops of a training, each with the truth it matches: for ``SSDISB.masks`` and ``mask_loss``.

    The documented negative result of the thesis: several crops for each person, none of which holds it well. It did
    not converge there (AP 0.00); true boxes are the crops to train with.

    Returns:
        Boxes and truths of each image, of equal length.

    Reference:
        Kolhatkar 2020, section 3.1.4, Cropping from Default Anchor.
    """
    crops, repeated = [], []
    for truth in truths:
        matched = match(output.anchors, truth.boxes, truth.ignore, match_threshold)
        chosen = matched[matched >= 0]
        crops.append(output.anchors[matched >= 0])
        masks = None if truth.masks is None else truth.masks[chosen]
        repeated.append(Truth(truth.boxes[chosen], truth.labels[chosen], truth.ignore, masks))
    return crops, repeated


def resized_masks(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop a box of each ``(M, H, W)`` bool mask to ``(M, h, w)`` floats in 0..1, two samples per cell and axis."""
    samples = crop(
        masks[:, None].float(), 1, boxes, torch.arange(len(boxes), device=boxes.device), (2 * size[0], 2 * size[1])
    )
    return F.avg_pool2d(samples, 2).squeeze(1)


def jitter_boxes(boxes: Tensor, amount: float, generator: torch.Generator | None = None) -> Tensor:
    """Move each side of ``(M, 4)`` boxes by up to ``amount`` of the box, as an imperfect detector would."""
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.rand(boxes.shape, generator=generator).to(boxes) * 2 - 1
    return boxes + noise * amount * size
