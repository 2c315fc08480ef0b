"""Gather-scatter runs of the segmenters: one frame, its active pixels, results only there."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.block_held import Held
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter, device_of, to_unit_floats
from argos.engines.joint import JointSegmenter
from argos.engines.sparse import Semantics, SparseNetwork
from argos.networks.finite import checked
from argos.networks.ssd_boxes import STRIDES
from argos.networks.ssd_isb import SSDOutput
from argos.types import Instances

_SURELY_BACKGROUND = 1e4


class SparseSemantic:
    """ASBU-Net on the active blocks only.

    Args:
        segmenter: whose network it is.
        semantics: of ``SparseNetwork``.

    Attributes:
        sparse: the wrapped network; its counters tell what was executed.
    """

    def __init__(self, segmenter: SemanticSegmenter, semantics: Semantics = "masked") -> None:
        self._device = device_of(segmenter.network)
        self.sparse = SparseNetwork(segmenter.network, semantics=semantics)

    def scores(
        self, pixels: NDArray[np.uint8], active: NDArray[np.bool_], held: Held | None = None
    ) -> NDArray[np.float32]:
        """Probability of a person, ``(H, W)`` float32, 0 outside of ``active`` ``(H, W)``; ``held`` of the camera."""
        logits = self.sparse.forward(to_unit_floats(pixels[None], self._device), active, held)
        return _scores(logits, active)


class SparseInstances:
    """SSD-ISB with its backbone and heads on the active blocks only; the branches run on the found boxes as always.

    Args:
        segmenter: whose network it is.
        semantics: of ``SparseNetwork``.

    Attributes:
        sparse: the wrapped network; its counters tell what was executed.
    """

    def __init__(self, segmenter: InstanceSegmenter, semantics: Semantics = "masked") -> None:
        self.segmenter = segmenter
        self.sparse = SparseNetwork(segmenter.network, semantics=semantics)

    @torch.inference_mode()
    def instances(self, pixels: NDArray[np.uint8], active: NDArray[np.bool_], held: Held | None = None) -> Instances:
        """People whose anchor cell was computed, in pixels of ``pixels`` ``(H, W, 3)``.

        Args:
            pixels: ``(H, W, 3)`` uint8.
            active: ``(H, W)`` bool.
            held: of the camera, see ``SparseNetwork``.
        """
        image = to_unit_floats(pixels[None], device_of(self.segmenter.network))
        return _people(self.segmenter, self.sparse.forward(image, active, held), self.sparse, active)


class SparseJoint:
    """Person mask and people on the active blocks only; the encoder that both share runs once.

    Args:
        joint: whose networks they are.
        semantics: of ``SparseNetwork``.

    Attributes:
        joint: as given; its limits may be changed.
        sparse: the wrapped networks; its counters tell what was executed.
    """

    def __init__(self, joint: JointSegmenter, semantics: Semantics = "masked") -> None:
        self.joint = joint
        self.sparse = SparseNetwork(_Both(joint), semantics=semantics)

    @torch.inference_mode()
    def segment(
        self, pixels: NDArray[np.uint8], active: NDArray[np.bool_], held: Held | None = None
    ) -> tuple[NDArray[np.float32], Instances]:
        """What ``SparseSemantic.scores`` and ``SparseInstances.instances`` give."""
        device = device_of(self.joint.unet)
        logits, output = self.sparse.forward(to_unit_floats(pixels[None], device), active, held)
        return _scores(logits, active), _people(self.joint.instances, output, self.sparse, active)


class _Both(nn.Module):
    def __init__(self, joint: JointSegmenter) -> None:
        super().__init__()
        self.unet, self.detector = joint.unet, joint.instances.network

    def forward(self, image: Tensor) -> tuple[Tensor, SSDOutput]:
        maps = self.unet.backbone(image * 2 - 1)
        logits = F.interpolate(self.unet.decoder(maps), scale_factor=2, mode="bilinear")
        return logits, self.detector.heads(maps.for_detection)


def _scores(logits: Tensor, active: NDArray[np.bool_]) -> NDArray[np.float32]:
    """``(1, 1, H, W)`` to probabilities ``(H, W)``, 0 outside of ``active``."""
    inside = torch.from_numpy(active).to(logits.device)
    scores = torch.where(inside, torch.sigmoid(logits[0, 0]), 0.0)
    return np.asarray(checked(scores, "semantic").cpu().numpy(), np.float32)


def _people(
    segmenter: InstanceSegmenter, output: SSDOutput, sparse: SparseNetwork, active: NDArray[np.bool_]
) -> Instances:
    """People whose anchor cell was computed."""
    # a masked logit is 0 for every class, which a softmax takes for an even bet
    idle = ~_anchor_activity(sparse, active, segmenter.network.anchor_table)
    logits = output.logits.clone()
    logits[0, idle.to(logits.device), 0] = _SURELY_BACKGROUND
    return segmenter.read(output._replace(logits=logits), (active.shape[0], active.shape[1]))[0]


def _anchor_activity(
    sparse: SparseNetwork, active: NDArray[np.bool_], table: tuple[tuple[tuple[float, float], ...], ...]
) -> Tensor:
    """Which anchors sit in a cell that was computed, ``(A,)`` bool, in the order of ``make_anchors``."""
    height, width = active.shape
    parts = []
    for stride, sizes in zip(STRIDES, table, strict=True):
        cells = torch.from_numpy(sparse.active_mask(active, (-(-height // stride), -(-width // stride))))
        parts.append(cells.reshape(-1, 1).expand(-1, len(sizes)).reshape(-1))
    return torch.cat(parts)
