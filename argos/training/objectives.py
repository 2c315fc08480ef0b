"""What a network is trained for: the loss and the figures, by the name that a recipe file gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.errors import DataError
from argos.networks.dynamic import DynamicUNet
from argos.networks.essnet import EncoderDecoder
from argos.networks.qunet import QUNet
from argos.networks.ssd_isb import SSDISB
from argos.training.bands import banded_jaccard
from argos.training.class_sheets import class_sheet, judged_classes
from argos.training.detection import evaluate_ssdisb, truths_of
from argos.training.fit import Draw, Evaluate, Loss
from argos.training.losses import class_weights, dice_loss, inverse_frequency_loss, person_targets, weighted_bce
from argos.training.losses_ssd import detector_losses, mask_loss, multibox_loss, near_mask_loss
from argos.training.measure import class_figures, coverage, iou_by_source
from argos.training.photos import IGNORE, Photo
from argos.training.segmentation import region_proposer, semantic_scorer
from argos.training.sheets import dozen_of, held_sheet, instance_finder, proposal_finder, semantic_finder
from argos.training.stream import Batch

Name = Literal[
    "person", "person_published", "person_budget", "proposal", "proposal_published",
    "instances", "instances_published", "branches", "classes", "classes_encoder",
]  # fmt: skip

EVALUATED_SIDE = 384
"""Network pixels of the long side of a photo in the evaluations of a training."""

COUNTED_PHOTOS = 200
"""From which the shares of the classes are counted, at even distances: data sets follow each other."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Loss, figures and sheet; ``wrapped`` is the network that learns, the given one or one around it."""

    wrapped: nn.Module
    loss: Loss
    evaluate: Evaluate
    draw: Draw


def objective(name: Name, network: nn.Module, photos: Sequence[Photo], held: Sequence[Photo]) -> Objective:
    """Loss and figures of a training.

    Args:
        name: ``person`` (weighted BCE and dice), ``person_published`` (ASBU-Net: weighted BCE alone, judged by its own
            Jaccard index),
            ``person_budget`` (as ``person``, and the budget of dynamic convolutions), ``proposal``,
            ``proposal_published`` (QU-Net: Eq. 3.5), ``instances`` (focal loss, gradients into the encoder),
            ``instances_published`` (SSD-ISB: hard negatives, masks on true boxes, x30 for one branch and x150 for
            several), ``branches`` (of SSD-ISB the branches alone, the detector stays as it is), ``classes``
            (cross-entropy with bounded class weights), ``classes_encoder`` (the same on the encoder of an ERFNet or
            ESSNet alone, on labels of an eighth of the size).
        network: to be trained.
        photos: to learn from; for classes the ids are their numbers.
        held: to measure on.

    Raises:
        DataError: the network does not fit, or nobody is in the photos to measure on.
    """
    if not name.startswith("classes") and all(photo.source == "background" for photo in held):
        raise DataError("validation: the photos are of nobody; name some with people, and where they are, as well")
    match name:
        case "person":
            return Objective(network, person_loss(0.5), lambda n: _person_figures(n, held), _person_sheet(held))
        case "person_published":
            return Objective(network, person_loss(0.0), lambda n: _banded_figures(n, held), _person_sheet(held))
        case "person_budget":
            _expect(network, DynamicUNet, name)
            return Objective(network, budget_loss, lambda n: _person_figures(n, held), _person_sheet(held))
        case "proposal" | "proposal_published":
            _expect(network, QUNet, name)
            loss = proposal_loss if name == "proposal" else published_proposal_loss
            people = [photo for photo in held if photo.source != "background"]
            return Objective(network, loss, lambda n: _coverage_figures(n, people), proposal_sheet(people))
        case "instances" | "instances_published" | "branches":
            _expect(network, SSDISB, name)
            assert isinstance(network, SSDISB)
            if name == "branches":
                network.requires_grad_(False)
                network.branches.requires_grad_(True)
            losses = {
                "instances": instances_loss,
                "instances_published": published_instances_loss,
                "branches": branches_loss,
            }
            return Objective(
                network,
                losses[name],
                lambda n: _instance_figures(n, held),
                lambda n: held_sheet(instance_finder(n, 0.5, 0.5), held),
            )
        case "classes" | "classes_encoder":
            classes = getattr(network, "num_classes", None)
            if not isinstance(classes, int) or classes < 2:
                raise DataError(f"objective {name}: the network should have num_classes of 2 or more, got {classes!r}")
            entropy = classes_loss(class_weights(class_shares(photos, classes)))
            if name == "classes":
                return Objective(
                    network, entropy, lambda n: class_figures(n, held, classes), _class_sheet(held, classes)
                )
            _expect(network, EncoderDecoder, name)
            assert isinstance(network, EncoderDecoder)
            wrapped = EncoderAlone(network)
            return Objective(wrapped, entropy, lambda n: class_figures(n, held, classes), _class_sheet(held, classes))


def person_loss(dice: float) -> Loss:
    """Weighted BCE and so much dice, on the one logit of a network or on the difference of its two."""

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        logits = network(batch.images.to(memory_format=torch.channels_last).float().div_(255))
        return _person_parts(logits, batch, dice)

    return loss


def budget_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """The loss of a person network that decides where it computes, and the square of how far it is off its budget.

    Reference:
        Verelst and Tuytelaars, arXiv:1912.03203, Eq. 6, without the bounds of single blocks.
    """
    assert isinstance(network, DynamicUNet)
    found = network.decide(batch.images.to(memory_format=torch.channels_last).float().div_(255))
    parts = _person_parts(found.logits, batch, 0.5)
    return parts if network.budget is None else {**parts, "budget": 10 * (found.share - network.budget) ** 2}


def _person_parts(logits: Tensor, batch: Batch, dice: float) -> dict[str, Tensor]:
    logits = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
    person, valid = person_targets(batch.ids)
    parts = {"bce": 2 * weighted_bce(logits, person, valid, positive_weight=1.5)}
    return parts | ({"dice": dice * dice_loss(logits, person, valid)} if dice else {})


def proposal_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """The same on QU-Net's uint8 input; people weigh double: a miss costs more than a wider region."""
    logits = network(batch.images.to(memory_format=torch.channels_last))
    person, valid = person_targets(batch.ids)
    difference = logits[:, 1] - logits[:, 0]
    return {
        "bce": 2 * weighted_bce(difference, person, valid, positive_weight=2.0),
        "dice": 0.5 * dice_loss(difference, person, valid),
    }


def published_proposal_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Eq. 3.5 of QU-Net's thesis; the scales of the dice are not printed, the person's is twice the background's."""
    logits = network(batch.images.to(memory_format=torch.channels_last))
    person, valid = person_targets(batch.ids)
    return {"roi": inverse_frequency_loss(logits, person, valid, scales=(0.5, 1.0))}


def instances_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Focal loss over every anchor; masks on true boxes a little off."""
    assert isinstance(network, SSDISB)
    output, truths = network(batch.images.float().div_(255)), truths_of(batch)
    return detector_losses(network, output, truths, batch.ids.shape[-1])


def branches_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """The masks of ``instances_loss`` on the features of a detector that does not learn."""
    assert isinstance(network, SSDISB)
    network.eval()  # its running statistics stay; branches have none
    with torch.no_grad():
        features = network(batch.images.float().div_(255)).features
    return {"mask": near_mask_loss(network, features, truths_of(batch), batch.ids.shape[-1])}


def published_instances_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """SSD's loss, and masks on true boxes, times 30 for one branch and 150 for several (thesis, section 3.2.1)."""
    assert isinstance(network, SSDISB)
    output, truths = network(batch.images.float().div_(255)), truths_of(batch)
    boxes = multibox_loss(output, truths)
    masks = mask_loss(network.masks(output.features, [t.boxes for t in truths]), truths)
    return {"box": boxes.box, "label": boxes.label, "mask": (30 if len(network.branches) == 1 else 150) * masks}


def classes_loss(weights: Tensor) -> Loss:
    """Cross-entropy by class; where the logits are smaller than the labels, the labels are thinned out."""

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        logits = network(batch.images.to(memory_format=torch.channels_last).float().div_(255))
        factor = batch.ids.shape[-1] // logits.shape[-1]
        labels = batch.ids[:, factor // 2 :: factor, factor // 2 :: factor].long()
        weight = weights.to(logits.device)
        entropy = F.cross_entropy(logits, labels, weight=weight, ignore_index=IGNORE, reduction="sum")
        counted = weight[labels[labels != IGNORE]].sum()
        return {"entropy": entropy / counted.clamp(min=1e-6)}  # of a batch without labels the mean would be 0 / 0

    return loss


class EncoderAlone(nn.Module):
    """The encoder with a 1x1 convolution to the classes: what ESSNet's protocol trains first (section 3.4.2)."""

    def __init__(self, network: EncoderDecoder) -> None:
        super().__init__()
        self.num_classes = network.num_classes
        self.encoder = network.encoder
        self.classes = nn.Conv2d(128, network.num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in 0..1, sides divisible by 8, to logits ``(N, num_classes, H/8, W/8)``."""
        return self.classes(self.encoder(image))  # type: ignore[no-any-return]


def class_shares(photos: Sequence[Photo], classes: int) -> Tensor:
    """Share of each class among the labelled pixels, ``(classes,)`` float32.

    Raises:
        DataError: a label is no class of the network.
    """
    counts = np.zeros(256, np.int64)
    for i in np.linspace(0, len(photos) - 1, min(len(photos), COUNTED_PHOTOS)).astype(int):
        counts += np.bincount(photos[i].ids.ravel(), minlength=256)
    beyond = np.flatnonzero(counts[classes:IGNORE])
    if len(beyond):
        raise DataError(f"labels go up to {classes + int(beyond[-1])}, the network has {classes} classes")
    return torch.from_numpy(counts[:classes] / max(1, counts[:classes].sum())).float()


def _class_sheet(held: Sequence[Photo], classes: int) -> Draw:
    return lambda n: class_sheet([judged_classes(n, photo, classes) for photo in dozen_of(held)], classes)


def proposal_sheet(held: Sequence[Photo]) -> Draw:
    """What a QU-Net proposes and misses."""
    return lambda network: held_sheet(proposal_finder(network, 0.4), held, proposer=True)


def _person_sheet(held: Sequence[Photo]) -> Draw:
    return lambda network: held_sheet(semantic_finder(network), held)


def _person_figures(network: nn.Module, held: Sequence[Photo]) -> dict[str, float]:
    score = semantic_scorer(network, EVALUATED_SIDE)
    by_source = iou_by_source(score, held)
    ious = [value for key, value in by_source.items() if key.startswith("iou_")]
    return {"iou": float(np.mean(ious or [0.0])), **by_source, "banded_jaccard": banded_jaccard(score, held)}


def _banded_figures(network: nn.Module, held: Sequence[Photo]) -> dict[str, float]:
    """The same, ASBU-Net's own measure first: it is what its training is judged by."""
    figures = _person_figures(network, held)
    return {"banded_jaccard": figures["banded_jaccard"], **figures}


def _instance_figures(network: nn.Module, held: Sequence[Photo]) -> dict[str, float]:
    figures = evaluate_ssdisb(network, held, long_side=EVALUATED_SIDE)
    masks = {name: value for name, value in figures.items() if name.startswith("mask")}
    return masks | figures  # a mask needs its box: masks judge both


def _coverage_figures(network: nn.Module, people: Sequence[Photo]) -> dict[str, float]:
    figures = coverage(region_proposer(network, threshold=0.4), people)
    # what is covered counts for, what is proposed beyond people against it
    return {"covered_less_area": figures["pixels_covered"] - figures["area"], **figures}


def _expect(network: nn.Module, kind: type[nn.Module], name: str) -> None:
    if not isinstance(network, kind):
        raise DataError(f"objective {name}: is for a {kind.__name__}, the model is a {type(network).__name__}")
