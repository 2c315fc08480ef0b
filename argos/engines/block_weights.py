"""Weights of the layers on blocks, as they are read there; those of the network are laid out once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")


class BlockWeights:
    """What a network's weights are turned into, by the weight.

    Args:
        own: the network's weights, which do not change. What it computes during a pass is laid out each time.
    """

    def __init__(self, own: Iterable[Tensor] = ()) -> None:
        self._own = {id(weight): weight for weight in own}  # held so that no id comes twice
        self._laid: dict[int, object] = {}

    def across(self, weight: Tensor) -> Tensor:
        """``(C_out, C_in, 1, 1)`` as ``(C_in, C_out)``, contiguous: products with a few rows take a tenth less time."""
        return self._once(weight, lambda: weight.flatten(1).t().contiguous())

    def taps(self, weight: Tensor) -> NDArray[np.float32]:
        """``(C, 1, height, width)`` as ``(height, width, C)``, as ``kernels.block_layers.depthwise`` reads it."""
        return self._once(weight, lambda: weight[:, 0].permute(1, 2, 0).contiguous().detach().numpy())

    def _once(self, weight: Tensor, lay: Callable[[], T]) -> T:
        if id(weight) not in self._own:
            return lay()
        if id(weight) not in self._laid:
            self._laid[id(weight)] = lay()
        return self._laid[id(weight)]  # type: ignore[return-value]  # one weight is laid out in one way


def pointwise(tape: Tensor, weight: Tensor, bias: Tensor | None, weights: BlockWeights) -> Tensor:
    """Multiply each pixel of a tape ``(1, rows, columns, C_in)`` by a weight ``(C_out, C_in, 1, 1)``."""
    pixels, across = tape.view(-1, tape.shape[3]), weights.across(weight)
    out = torch.mm(pixels, across) if bias is None else torch.addmm(bias, pixels, across)
    return out.view(*tape.shape[:3], len(weight))
