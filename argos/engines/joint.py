"""Both tasks on one run of the encoder, where the two networks were trained on the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from argos.engines.dense import MOST_PEOPLE, InstanceSegmenter, SemanticSegmenter, to_unit_floats
from argos.engines.segmenter import Instancewise, Semantic
from argos.networks.finite import checked
from argos.networks.ssd_decode import people_of
from argos.networks.unets import STRIDE, UNetLite
from argos.types import Instances


@dataclass(frozen=True, slots=True, eq=False)
class JointSegmenter:
    """Person mask and people of the same pictures, equal to what the two segmenters say one after the other.

    Attributes:
        unet: whose encoder is run.
        instances: whose network has an encoder of the same weights.
    """

    unet: UNetLite
    instances: InstanceSegmenter

    @torch.inference_mode()
    def segment(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], list[Instances]]:
        """Probability of a person ``(B, H, W)`` float32 and the people of each picture of ``(B, H, W, 3)`` uint8.

        Raises:
            ValueError: ``H`` or ``W`` is no multiple of 32.
        """
        count, height, width = pixels.shape[:3]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"sides of the pictures should be multiples of {STRIDE}, got {height}x{width}")
        if not count:
            return np.zeros((0, height, width), np.float32), []
        device = next(self.unet.parameters()).device
        maps = self.unet.backbone(to_unit_floats(pixels, device) * 2 - 1)
        logits = F.interpolate(self.unet.decoder(maps), scale_factor=2, mode="bilinear")
        people = people_of(
            self.instances.network,
            self.instances.network.heads(maps.for_detection),
            (height, width),
            score_threshold=self.instances.score_threshold,
            nms_iou=self.instances.nms,
            max_people=MOST_PEOPLE,
        )
        scores = checked(torch.sigmoid(logits[:, 0]).float(), "semantic")
        return np.asarray(scores.cpu().numpy(), np.float32), people


def joined(semantic: Semantic | None, instances: Instancewise | None) -> JointSegmenter | None:
    """One segmenter for both tasks if both are wanted and their networks share an encoder."""
    if not isinstance(semantic, SemanticSegmenter) or not isinstance(instances, InstanceSegmenter):
        return None
    if not isinstance(semantic.network, UNetLite):
        return None
    if not _same(semantic.network.backbone, instances.network.backbone):
        return None
    return JointSegmenter(semantic.network, instances)


def _same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules have the same weights under the same names."""
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(
        first[key].shape == second[key].shape and torch.equal(first[key], second[key]) for key in first
    )
