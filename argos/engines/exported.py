"""Files of ``argos export`` in the deep place: what they take stands in them, and what they give is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.dense import MOST_PEOPLE
from argos.engines.own_network import OwnNetwork
from argos.engines.segmenter import Takes
from argos.engines.weights import MORE_THRESHOLDS, SHIPPED, THRESHOLDS, Task, load_network
from argos.errors import WeightsError
from argos.networks.backbones.mobilenet_v1 import Features
from argos.networks.ssd_decode import people_of
from argos.networks.ssd_isb import SSDISB, SSDOutput
from argos.types import Instances, Size


@dataclass(frozen=True, slots=True, eq=False)
class ExportedInstances:
    """An SSD-ISB whose backbone and heads run from a file; the branches, which run on boxes, from its weights.

    Attributes:
        network: the file.
        branches: the network that was exported.
        score_threshold: least score of a person.
        nms: greatest IoU of two people.
    """

    network: OwnNetwork
    branches: SSDISB
    score_threshold: float
    nms: float

    @property
    def size(self) -> Size | None:
        """(height, width) of the only pictures it takes."""
        return self.network.size

    @torch.inference_mode()
    def instances(self, pixels: NDArray[np.uint8]) -> list[Instances]:
        """People of each picture of ``(B, H, W, 3)`` uint8, best first, in pixels of the picture."""
        size = (pixels.shape[1], pixels.shape[2])
        people = []
        for one in torch.from_numpy(pixels).permute(0, 3, 1, 2).split(1):
            outputs = self.network.run(self.network.pictures(one, Takes(size=self.size)))
            people += people_of(
                self.branches,
                _ssd_output(self.network.name, list(outputs.values())),
                size,
                score_threshold=self.score_threshold,
                nms_iou=self.nms,
                max_people=MOST_PEOPLE,
            )
        return people


def _ssd_output(name: str, outputs: list[Tensor]) -> SSDOutput:
    if len(outputs) != 6:
        raise WeightsError(f"{name}: gives {len(outputs)} outputs, expected the six of an SSD-ISB; export it again")
    deltas, logits, anchors, *maps = outputs
    return SSDOutput(deltas, logits, anchors, Features(*maps))


def exported_thresholds(network: OwnNetwork, task: Task) -> dict[str, float] | None:
    """The thresholds inside a file of ``argos export``; None for networks of others.

    Raises:
        WeightsError: the file holds a model for another task.
    """
    if network.about is None:
        return None
    found = network.about.get("task")
    if found != task:
        raise WeightsError(
            f"{network.name}: a model for {found}, not for {task}; choose another under engine.models.{task}"
        )
    given = network.about.get("thresholds", {})
    return {key: float(given[key]) for key in (*THRESHOLDS[task], *MORE_THRESHOLDS[task]) if key in given}


def branches_of(network: OwnNetwork, weights: str | None) -> SSDISB:
    """The network that a file was exported from, whose branches the file lacks, on the CPU as what the file gives.

    Args:
        network: the file.
        weights: path of the model; None: the shipped one that the file names.

    Raises:
        WeightsError: it is another one.
    """
    assert network.about is not None
    identity = str(network.about.get("model"))
    if weights is None and not (SHIPPED / f"{identity.partition('@')[0]}.safetensors").is_file():
        raise WeightsError(
            f"{network.name}: was exported from {identity}, which is no shipped model, and the branches of the masks "
            "are not in it; set engine.models.instances.weights to the .safetensors file it was exported from"
        )
    model, card = load_network(weights or identity.partition("@")[0], "cpu", "instances")
    if card.identity != identity or not isinstance(model, SSDISB):
        raise WeightsError(
            f"{network.name}: was exported from {identity}, and the branches are those of {card.identity}; export it "
            "again, or set engine.models.instances.weights to the model it was exported from"
        )
    return model
