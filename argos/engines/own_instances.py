"""People one by one, by a network that is not ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.dense import MOST_PEOPLE
from argos.engines.own_network import OwnNetwork, output_of
from argos.engines.own_semantic import ROUNDED, fits
from argos.engines.segmenter import Instancewise, Takes
from argos.errors import WeightsError
from argos.networks.finite import checked
from argos.networks.ssd_boxes import nms
from argos.networks.ssd_decode import fit_mask
from argos.types import Instances, Size, no_instances, some_of

KEY = "engine.models.instances"


@dataclass(frozen=True, slots=True)
class InstancesGives:
    """What an instance network gives for one picture: N people, in outputs with or without a leading axis of 1.

    Attributes:
        boxes: name or position of ``(N, 4)``, (x0, y0, x1, y1) in pixels of the picture.
        scores: of ``(N,)`` in 0..1.
        labels: of ``(N,)`` numbers of classes; asked for only where ``person`` is given.
        masks: of ``(N, h, w)`` or ``(N, 1, h, w)``.
        cover: what a mask covers, the whole picture or its box.
        meaning: of the masks: person from probability 0.5, or from logit 0.
        person: labels that are person; None: all.
    """

    boxes: str | int = "boxes"
    scores: str | int = "scores"
    labels: str | int = "labels"
    masks: str | int = "masks"
    cover: Literal["picture", "box"] = "picture"
    meaning: Literal["probabilities", "logits"] = "probabilities"
    person: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OwnInstances:
    """An ``Instancewise`` segmenter around a network from anywhere.

    Attributes:
        network: ready to run; it gets one picture at a time.
        takes, gives: its pictures and its outputs.
        score_threshold: least score of a person.
        nms: greatest IoU of two people.
    """

    network: OwnNetwork
    takes: Takes
    gives: InstancesGives
    score_threshold: float
    nms: float

    @property
    def size(self) -> Size | None:
        """(height, width) of the only pictures it takes; None: any."""
        return self.takes.size

    @torch.inference_mode()
    def instances(self, pixels: NDArray[np.uint8]) -> list[Instances]:
        """People of each picture of ``(B, H, W, 3)`` uint8, best first, in pixels of the picture.

        Raises:
            WeightsError: the network fails, or gives something else than ``gives`` says.
        """
        size = (pixels.shape[1], pixels.shape[2])
        return [self.decoded(self.network.run(self.prepared(one[None])), size) for one in pixels]

    def prepared(self, pixels: NDArray[np.uint8]) -> Tensor:
        """``(1, H, W, 3)`` uint8 -> what the network takes."""
        return self.network.pictures(torch.from_numpy(pixels).permute(0, 3, 1, 2), self.takes)

    def decoded(self, outputs: Mapping[str, Any], size: Size) -> Instances:
        """What the network gave for one picture of ``size`` -> its people.

        Raises:
            WeightsError: an output is missing or has another shape; NaN, or scores outside of 0..1.
        """
        boxes = self._of(outputs, "boxes", self.gives.boxes, 4)
        scores = checked(self._of(outputs, "scores", self.gives.scores).float(), "instance")
        masks = self._of(outputs, "masks", self.gives.masks)
        masks = masks[:, 0] if masks.ndim == 4 and masks.shape[1] == 1 else masks
        boxes = checked(boxes.float(), "instance")
        filled = self.takes.padded(size)
        given = {"boxes": boxes, "scores": scores, "masks": masks}
        if self.gives.person is not None:
            given["labels"] = self._of(outputs, "labels", self.gives.labels)
        axes = {"boxes": 2, "scores": 1, "masks": 3, "labels": 1}
        if len({len(value) for value in given.values()}) != 1 or any(given[n].ndim != axes[n] for n in given):
            told = ", ".join(f"{what} {'x'.join(map(str, value.shape))}" for what, value in given.items())
            raise WeightsError(
                f"{self.network.name}: gives {told}; expected one of each per person, masks NxHxW or Nx1xHxW"
            )
        if not ((scores >= -ROUNDED) & (scores <= 1 + ROUNDED)).all():
            raise WeightsError(
                f"{self.network.name}: gives scores of {float(scores.min()):g} to {float(scores.max()):g}, expected "
                f"values in 0..1; {KEY}.output.scores says which output"
            )
        good = scores >= self.score_threshold
        if self.gives.person is not None:
            labels = given["labels"].float().round().long()
            good &= torch.isin(labels, torch.tensor(self.gives.person, device=labels.device))
        if self.gives.cover == "picture" and len(masks) and not fits(filled, (masks.shape[1], masks.shape[2]), None):
            raise WeightsError(
                f"{self.network.name}: gives masks of {masks.shape[1]}x{masks.shape[2]} for a picture of "
                f"{filled[0]}x{filled[1]}; if they are those of the boxes, set {KEY}.output.cover: box"
            )
        kept = good.nonzero()[:, 0].numpy(force=True)
        where, sure = boxes[kept].float().numpy(force=True), scores[kept].float().numpy(force=True)
        kept = kept[nms(where, sure, np.zeros(len(kept), np.int64), self.nms)][:MOST_PEOPLE]
        people = [
            (float(scores[k].clamp(0, 1)), found)
            for k in kept.tolist()
            if (found := self._person(boxes[k], checked(masks[k].float(), "instance"), size, filled)) is not None
        ]
        if not people:
            return no_instances(size)
        return Instances(
            np.array([box for _, (box, _) in people], np.int32),
            np.array([score for score, _ in people], np.float32),
            np.zeros(len(people), np.int32),
            tuple(mask for _, (_, mask) in people),
            size,
        )

    def _of(self, outputs: Mapping[str, Any], what: str, asked: str | int, last: int | None = None) -> Tensor:
        """One output without its leading axis of 1."""
        found = output_of(outputs, asked, self.network.name, f"{KEY}.output.{what}")
        if not found.ndim:
            raise WeightsError(
                f"{self.network.name}: gives one number as {what}, expected an axis for the people, also where there "
                f"is one; {KEY}.output.{what} says which output"
            )
        axes = 2 if what == "boxes" else 1
        if what == "masks":
            single = len(found) == 1 and (found.ndim == 5 or (found.ndim == 4 and found.shape[1] != 1))
        else:
            single = len(found) == 1 and found.ndim == axes + 1
        found = found[0] if single else found
        if last is not None and (found.ndim != 2 or found.shape[1] != last):
            raise WeightsError(
                f"{self.network.name}: gives {what} of {'x'.join(map(str, found.shape))}, expected Nx{last}, "
                f"(x0, y0, x1, y1) in pixels; {KEY}.output.{what} says which output"
            )
        return found

    def _person(
        self, box: Tensor, mask: Tensor, size: Size, filled: Size
    ) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]] | None:
        """Box and mask of somebody in pixels of the picture; None where nothing is left inside it."""
        limit = box.new_tensor([size[1], size[0], size[1], size[0]])
        inside = torch.minimum(box.clamp(min=0), limit)
        if bool((inside[2:] - inside[:2] < 1).any()):
            return None
        odds = mask - 0.5 if self.gives.meaning == "probabilities" else mask
        if self.gives.cover == "box":
            return fit_mask(odds.cpu().numpy(), box.cpu().numpy(), inside.cpu().numpy(), 0, size)
        if odds.shape != filled:
            odds = F.interpolate(odds[None, None], filled, mode="bilinear")[0, 0]
        x0, y0 = (int(side) for side in inside[:2].floor())
        x1, y1 = (int(side) for side in inside[2:].ceil())
        own = np.asarray((odds[y0:y1, x0:x1] > 0).cpu().numpy(), np.bool_)
        return ((x0, y0, x1, y1), own) if own.any() else None


@dataclass(frozen=True, slots=True, eq=False)
class GivenInstances:
    """A segmenter of the user's own code, held to the limits of the cameras.

    Attributes:
        segmenter: as it was given.
        score_threshold: least score of a person.
        nms: what the cameras ask for; the segmenter has its own.
    """

    segmenter: Instancewise
    score_threshold: float
    nms: float

    @property
    def size(self) -> Size | None:
        """(height, width) of the only pictures it takes; None: any."""
        return self.segmenter.size

    def instances(self, pixels: NDArray[np.uint8]) -> list[Instances]:
        """People of each picture of ``(B, H, W, 3)`` uint8 with at least the least score.

        Raises:
            WeightsError: they are not those of so many pictures of this size.
        """
        given = self.segmenter.instances(pixels)
        name = f"{type(self.segmenter).__name__}.instances"
        people = list(given) if isinstance(given, Iterable) else []
        if len(people) != len(pixels) or not all(isinstance(found, Instances) for found in people):
            told = ", ".join(type(found).__name__ for found in people)
            raise WeightsError(
                f"{name}: gives a {type(given).__name__} of {told or 'nothing'} for {len(pixels)} pictures, expected "
                "a list of argos.types.Instances, one for each"
            )
        for found in people:
            _check(found, (pixels.shape[1], pixels.shape[2]), name)
        return [some_of(found, np.flatnonzero(found.scores >= self.score_threshold)) for found in people]


def _check(found: Instances, size: Size, name: str) -> None:
    """Refuse people who are not those of a picture of ``size``."""
    if found.size != size:
        raise WeightsError(
            f"{name}: gives people of a picture of {found.size[0]}x{found.size[1]}, expected those of "
            f"{size[0]}x{size[1]}"
        )
    boxes, most = found.boxes, (size[1], size[0], size[1], size[0])
    wrong = np.flatnonzero(((boxes < 0) | (boxes > most)).any(axis=1))
    if len(wrong):
        raise WeightsError(
            f"{name}: gives the box {boxes[wrong[0]].tolist()} for a picture of {size[0]}x{size[1]}, expected "
            "(x0, y0, x1, y1) inside it"
        )
    if not ((found.scores >= 0) & (found.scores <= 1)).all():
        raise WeightsError(f"{name}: gives the scores {found.scores.tolist()}, expected values in 0..1")


def try_out(segmenter: OwnInstances, size: Size) -> None:
    """Run once on a grey picture, as ``own_semantic.try_out``.

    Raises:
        WeightsError: as ``instances``.
    """
    segmenter.instances(np.full((1, *(segmenter.size or size), 3), 114, np.uint8))
