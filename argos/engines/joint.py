"""Both tasks on one run of the encoder, where the two networks were trained on the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from argos.engines.core import Core, same_weights
from argos.engines.dense import MOST_PEOPLE, InstanceSegmenter, Outputs, SemanticSegmenter, to_unit_floats
from argos.engines.deployed import Deployed
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
        outputs: computes what both need, where that is not left to torch.
    """

    unet: UNetLite
    instances: InstanceSegmenter
    outputs: Outputs | None = None

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
        if self.outputs is not None:
            logits, output = self.outputs(pixels)
            assert logits is not None
            assert output is not None
        else:
            device = next(self.unet.parameters()).device
            maps = self.unet.backbone(to_unit_floats(pixels, device) * 2 - 1)
            logits = F.interpolate(self.unet.decoder(maps), scale_factor=2, mode="bilinear")
            output = self.instances.network.heads(maps.for_detection)
        people = people_of(
            self.instances.network,
            output,
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
    if not same_weights(semantic.network.backbone, instances.network.backbone):
        return None
    outputs = None
    if isinstance(semantic.outputs, Deployed):
        outputs = semantic.outputs.also(Core(semantic.network, instances.network))
    return JointSegmenter(semantic.network, instances, outputs)
