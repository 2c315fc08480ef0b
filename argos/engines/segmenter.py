"""What may stand in the deep place, behind the region proposals, and which pictures a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from argos.types import Instances, Size

PADDING = 114
"""Grey that fills a picture up to the stride of a network; the grey of empty canvas."""


class Segmenter(Protocol):
    """A network that follows the region proposals: ours, one of the user's, or any object with these members.

    It is given canvases of packed regions, whole frames, or frames with the rest blanked, and knows nothing of that.
    """

    @property
    def size(self) -> Size | None:
        """(height, width) of the only pictures it takes; None: any with sides that are multiples of 32."""
        ...


class Semantic(Segmenter, Protocol):
    """A segmenter of the task ``semantic``."""

    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of a person, ``(B, H, W)`` float32 in 0..1, for ``(B, H, W, 3)`` uint8 RGB; B may be 0."""
        ...


class Instancewise(Segmenter, Protocol):
    """A segmenter of the task ``instances``."""

    def instances(self, pixels: NDArray[np.uint8]) -> list[Instances]:
        """People of each picture of ``(B, H, W, 3)`` uint8 RGB, best first, in pixels of the picture; B may be 0."""
        ...


@dataclass(frozen=True, slots=True)
class Takes:
    """The pictures that a network takes: ``(value / 255 * (white - black) + black - mean) / std`` of each colour.

    Attributes:
        size: (height, width) of the only pictures it takes; None: any.
        stride: sides are multiples of it, where any size is taken. Smaller pictures are filled up with grey at the
            right and the bottom, and what the network says about that is cut off.
        range: what black and white become, before mean and std.
        mean, std: per colour, in the order of ``order``.
        order: of the colours.
    """

    size: Size | None = None
    stride: int = 32
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    order: Literal["rgb", "bgr"] = "rgb"

    def padded(self, size: Size) -> Size:
        """The size of a picture of ``size`` once it is filled up.

        Raises:
            ValueError: it is larger than what the network takes.
        """
        if self.size is not None:
            if size[0] > self.size[0] or size[1] > self.size[1]:
                raise ValueError(f"pictures should be at most {self.size[0]}x{self.size[1]}, got {size[0]}x{size[1]}")
            return self.size
        return -(-size[0] // self.stride) * self.stride, -(-size[1] // self.stride) * self.stride

    def filled(self, pixels: Tensor) -> Tensor:
        """``(B, 3, H, W)`` filled up at the right and the bottom; its colours in the order of the network."""
        size = (pixels.shape[2], pixels.shape[3])
        height, width = self.padded(size)
        if (height, width) != size:
            pixels = F.pad(pixels, (0, width - size[1], 0, height - size[0]), value=PADDING)
        return pixels.flip(1) if self.order == "bgr" else pixels

    def normalised(self, pixels: Tensor) -> Tensor:
        """``(B, 3, H, W)`` uint8 or floats 0..255, as ``filled`` gives them -> float32 as the network takes them."""
        black, white = self.range
        std = torch.tensor(self.std, device=pixels.device)
        gain = (white - black) / 255 / std
        shift = (black - torch.tensor(self.mean, device=pixels.device)) / std
        return pixels.float() * gain[:, None, None] + shift[:, None, None]
