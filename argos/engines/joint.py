"""Both tasks on one run of the encoder, where the two networks were trained on the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.core import Core, same_weights
from argos.engines.dense import InstanceSegmenter, Outputs, SemanticSegmenter, to_unit_floats
from argos.engines.deployed import Deployed
from argos.engines.segmenter import Instancewise, Semantic
from argos.networks.finite import checked
from argos.networks.ssd_isb import SSDOutput
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

    def segment(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], list[Instances]]:
        """Probability of a person ``(B, H, W)`` float32 and the people of each picture of ``(B, H, W, 3)`` uint8.

        Raises:
            ValueError: ``H`` or ``W`` is no multiple of 32.
        """
        if not len(pixels):
            self._check(pixels)
            return np.zeros(pixels.shape[:3], np.float32), []
        return self.read(*self.look(pixels))

    @torch.inference_mode()
    def look(self, pixels: NDArray[np.uint8]) -> tuple[Tensor, SSDOutput]:
        """The first part of ``segment``: logits and the output of the detector, for one picture or more."""
        self._check(pixels)
        if self.outputs is not None:
            logits, output = self.outputs(pixels)
            assert logits is not None
            assert output is not None
            return logits, output
        device = next(self.unet.parameters()).device
        maps = self.unet.backbone(to_unit_floats(pixels, device) * 2 - 1)
        logits = F.interpolate(self.unet.decoder(maps), scale_factor=2, mode="bilinear")
        return logits, self.instances.network.heads(maps.for_detection)

    @torch.inference_mode()
    def read(self, logits: Tensor, output: SSDOutput) -> tuple[NDArray[np.float32], list[Instances]]:
        """The second part: what these say."""
        people = self.instances.read(output, (logits.shape[2], logits.shape[3]))
        scores = checked(torch.sigmoid(logits[:, 0]).float(), "semantic")
        return np.asarray(scores.cpu().numpy(), np.float32), people

    def _check(self, pixels: NDArray[np.uint8]) -> None:
        height, width = pixels.shape[1:3]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"sides of the pictures should be multiples of {STRIDE}, got {height}x{width}")


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
