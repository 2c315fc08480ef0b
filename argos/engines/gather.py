"""Gather-scatter runs of the two segmenters: one frame, its active pixels, results only there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_held import Held
from argos.engines.dense import MOST_PEOPLE, InstanceSegmenter, SemanticSegmenter, device_of, to_unit_floats
from argos.engines.sparse import Semantics, SparseNetwork
from argos.networks.finite import checked
from argos.networks.ssd_boxes import STRIDES
from argos.networks.ssd_decode import people_of
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
        inside = torch.from_numpy(active).to(self._device)
        scores = torch.where(inside, torch.sigmoid(logits[0, 0]), 0.0)
        return np.asarray(checked(scores, "semantic").cpu().numpy(), np.float32)


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
        network = self.segmenter.network
        output = self.sparse.forward(to_unit_floats(pixels[None], device_of(network)), active, held)
        # a masked logit is 0 for every class, which a softmax takes for an even bet
        idle = ~_anchor_activity(self.sparse, active, network.anchor_table)
        logits = output.logits.clone()
        logits[0, idle.to(logits.device), 0] = _SURELY_BACKGROUND
        return people_of(
            network,
            output._replace(logits=logits),
            (pixels.shape[0], pixels.shape[1]),
            score_threshold=self.segmenter.score_threshold,
            nms_iou=self.segmenter.nms,
            max_people=MOST_PEOPLE,
        )[0]


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
