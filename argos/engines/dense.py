"""Run a network on whole pictures: pixels in, scores or people out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.fold import fold_batch_norm
from argos.networks.finite import checked
from argos.networks.ssd_decode import people_of
from argos.networks.ssd_isb import SSDISB, SSDOutput
from argos.types import Instances, Size

GRID = 32
"""Network inputs are multiples of this, so that no network has to pad."""


AUTO_SIDE = 640
"""Network pixels of a frame's long side where the configuration leaves the scale open."""

MOST_PEOPLE = 200
"""In one picture, which may be a canvas of several cameras; what a frame keeps is decided after stitching."""


def to_unit_floats(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """``(B, H, W, 3)`` uint8 -> ``(B, 3, H, W)`` float32 in 0..1, channels-last; the one conversion of the line."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)


Outputs = Callable[[NDArray[np.uint8]], tuple[Tensor | None, SSDOutput | None]]
"""What the networks say of ``(B, H, W, 3)`` uint8, B at least 1: logits ``(B, 1, H, W)`` of the task ``semantic``, and
the output of the detector; None for a task that is off."""

Network = TypeVar("Network", bound=nn.Module)


def for_inference(network: Network) -> Network:
    """A copy whose batch normalisations are folded into the convolutions; equal but for rounding, a tenth faster."""
    device = next(network.parameters()).device
    folded = fold_batch_norm(network, torch.zeros(1, 3, 2 * GRID, 2 * GRID, device=device))
    folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return cast(Network, folded)


def network_size(frame_size: Size, scale: float, largest: Size | None = None) -> Size:
    """Size of a whole frame at ``scale`` network pixels per frame pixel, rounded to the grid of the networks.

    Args:
        frame_size: of the frame.
        scale: network pixels per frame pixel.
        largest: of what a network takes: a frame that is larger at ``scale`` is shrunk until it fits; None: any size.
    """
    height, width = frame_size
    size = max(GRID, round(height * scale / GRID) * GRID), max(GRID, round(width * scale / GRID) * GRID)
    if largest is None or (size[0] <= largest[0] and size[1] <= largest[1]):
        return size
    fit = min(largest[0] / height, largest[1] / width)
    return min(largest[0], max(1, round(height * fit))), min(largest[1], max(1, round(width * fit)))


def auto_scale(frame_size: Size, largest: Size | None = None) -> float:
    """Network pixels per frame pixel where the configuration leaves them open.

    The long side becomes ``AUTO_SIDE``, or as long as ``largest`` allows where a network takes one size only.
    """
    if largest is None:
        return AUTO_SIDE / max(frame_size)
    across = largest[1] / frame_size[1]
    return across if network_size(frame_size, across)[0] <= largest[0] else largest[0] / frame_size[0]


@dataclass(frozen=True, slots=True, eq=False)
class SemanticSegmenter:
    """Person or not, by ASBU-Net or any network with one logit per pixel.

    Attributes:
        network: ``(B, 3, H, W)`` floats in 0..1 -> ``(B, 1, H, W)`` logits; in evaluation mode.
        outputs: computes its logits, where that is not left to torch.
    """

    network: nn.Module
    outputs: Outputs | None = None

    @property
    def size(self) -> Size | None:
        """It takes any size."""
        return None

    @torch.inference_mode()
    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of a person, ``(B, H, W)`` float32 in 0..1, for ``(B, H, W, 3)`` uint8."""
        if not len(pixels):
            return np.zeros(pixels.shape[:3], np.float32)
        logits = None if self.outputs is None else self.outputs(pixels)[0]
        if logits is None:
            logits = self.network(to_unit_floats(pixels, device_of(self.network)))
        scores = checked(torch.sigmoid(logits[:, 0]).float(), "semantic")
        return np.asarray(scores.cpu().numpy(), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class InstanceSegmenter:
    """People one by one, by SSD-ISB.

    Attributes:
        network: in evaluation mode.
        score_threshold: least score of a person.
        nms: greatest IoU of two people.
        outputs: computes what its backbone and heads say, where that is not left to torch; its branches are.
    """

    network: SSDISB
    score_threshold: float
    nms: float
    outputs: Outputs | None = None

    @property
    def size(self) -> Size | None:
        """It takes any size."""
        return None

    def instances(self, pixels: NDArray[np.uint8]) -> list[Instances]:
        """People of each picture of ``(B, H, W, 3)`` uint8, best first, in pixels of the picture."""
        return self.read(self.look(pixels), (pixels.shape[1], pixels.shape[2])) if len(pixels) else []

    def look(self, pixels: NDArray[np.uint8]) -> SSDOutput:
        """The first part of ``instances``: the output of the detector, for one picture or more."""
        output = None if self.outputs is None else self.outputs(pixels)[1]
        if output is not None:
            return output
        with torch.inference_mode():
            found: SSDOutput = self.network(to_unit_floats(pixels, device_of(self.network)))
        return found

    def read(self, output: SSDOutput, size: Size) -> list[Instances]:
        """The second part: the people in the output for pictures of a size, with their masks."""
        return people_of(
            self.network,
            output,
            size,
            score_threshold=self.score_threshold,
            nms_iou=self.nms,
            max_people=MOST_PEOPLE,
        )


def device_of(network: nn.Module) -> torch.device:
    """Where a network runs."""
    return next(network.parameters()).device
