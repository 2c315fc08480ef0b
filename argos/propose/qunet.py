"""Proposals by QU-Net: a person probability for each cell of a coarse grid over the frame."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.graphed import GraphedNetwork
from argos.engines.integer_qunet import IntegerQUNet, is_integer
from argos.networks.finite import checked
from argos.types import Frame, RegionMask, Size

MULTIPLE = 16
"""QU-Net halves its input four times."""

USUAL_SHAPE: Size = (720, 1280)
"""Of the frame that the network is tried on when it is loaded; frames of another shape cost some ms once."""


class QUNetProposer:
    """Says where people are on a grid of one cell per network pixel.

    Args:
        network: QU-Net with two classes, 1 is person; it is moved to ``device`` and set to evaluation.
        size: long side of the network's input in pixels, a multiple of 16.
        threshold: cells with at least this probability are proposed.
        device: torch device.
        integer: run the network in integers where that is possible, on a CPU: the same scores, several times as fast.
            On a GPU: as a recorded graph. The network is copied as it is now; without this it may go on learning.

    Raises:
        ValueError: ``size`` is not a positive multiple of 16.

    Reference:
        The QU-Net thesis runs it at 320x320; here the frame keeps its shape as far as multiples of 16 allow.
    """

    def __init__(
        self,
        network: nn.Module,
        size: int = 320,
        threshold: float = 0.5,
        device: str = "cpu",
        integer: bool = True,
    ) -> None:
        if size < MULTIPLE or size % MULTIPLE:
            raise ValueError(f"size should be a positive multiple of {MULTIPLE}, got {size}")
        network = network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.network: Callable[[Tensor], Tensor] = network
        if integer and torch.device(device).type == "cuda":
            # TF32, torch's default there, holds codes and their sums exactly, the last weights to a part in a thousand
            self.network = GraphedNetwork(network)
        elif integer and torch.device(device).type == "cpu" and is_integer(network):
            self.network = IntegerQUNet(network)
        self.size = size
        self.threshold = threshold
        self.device = device
        self._scores(np.zeros((*grid_size(USUAL_SHAPE, size), 3), np.uint8))  # kernels are compiled, primitives made

    def __call__(self, frame: Frame, small: NDArray[np.uint8] | None = None) -> RegionMask:
        """Propose the cells of a frame that show people.

        Args:
            frame: picture of any size.
            small: its picture on the grid, see ``shrunk``, where that is at hand.

        Returns:
            Scores and mask on the grid ``grid_size(frame.size, self.size)``.
        """
        scores = self._scores(shrunk(frame, self.size) if small is None else small)
        return RegionMask(scores, scores >= self.threshold, frame.size)

    def _scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Person probability of each pixel, ``(H, W)`` float32."""
        with torch.inference_mode():
            # a view of (H, W, 3) as (1, 3, H, W) has the layout of channels_last already: no copy
            image = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self.device)
            logits = self.network(image).float().contiguous()  # softmax rounds by layout, which the engine may choose
            probability = checked(logits.softmax(dim=1)[0, 1], "proposal")  # (H, W)
            scores: NDArray[np.float32] = probability.contiguous().cpu().numpy()
        return scores


def grid_size(frame_size: Size, size: int) -> Size:
    """The frame scaled so that its long side is ``size``, the short side rounded to a multiple of 16 (at least 16)."""
    height, width = frame_size
    short = max(round(min(height, width) * size / max(height, width) / MULTIPLE), 1) * MULTIPLE
    return (short, size) if height < width else (size, short)


def shrunk(frame: Frame, size: int) -> NDArray[np.uint8]:
    """The picture of a frame on the grid of a proposer of this size, ``(h, w, 3)``."""
    height, width = grid_size(frame.size, size)
    # linear: averaging costs eight times as much, more than decoding the frame
    return np.asarray(cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
