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
        own: the network's weights. What it computes during a pass is laid out each time.
    """

    def __init__(self, own: Iterable[Tensor] = ()) -> None:
        self._own = {id(weight): weight for weight in own}  # held so that no id comes twice
        self._laid: dict[tuple[int, str], object] = {}

    def across(self, weight: Tensor) -> Tensor:
        """``(C_out, C_in, 1, 1)`` as ``(C_in, C_out)``, contiguous: products with a few rows take a tenth less time."""
        return self._once("across", weight, lambda: weight.flatten(1).t().contiguous())

    def taps(self, weight: Tensor) -> NDArray[np.float32]:
        """``(C, 1, height, width)`` as ``(height, width, C)``, as ``kernels.block_layers.depthwise`` reads it."""
        return self._once("taps", weight, lambda: weight[:, 0].permute(1, 2, 0).contiguous().detach().numpy())

    def written(self, tensor: Tensor) -> None:
        """Take a weight that the network writes to, itself or by another tensor of the same memory, for computed."""
        place = tensor.untyped_storage().data_ptr()
        for key, weight in list(self._own.items()):
            if weight is tensor or weight.untyped_storage().data_ptr() == place:
                del self._own[key]

    def _once(self, kind: str, weight: Tensor, lay: Callable[[], T]) -> T:
        if id(weight) not in self._own:
            return lay()
        key = id(weight), kind
        if key not in self._laid:
            self._laid[key] = lay()
        return self._laid[key]  # type: ignore[return-value]  # what the same function laid out


def pointwise(tape: Tensor, weight: Tensor, bias: Tensor | None, weights: BlockWeights) -> Tensor:
    """Multiply each pixel of a tape ``(1, rows, columns, C_in)`` by a weight ``(C_out, C_in, 1, 1)``."""
    pixels, across = tape.view(-1, tape.shape[3]), weights.across(weight)
    out = torch.mm(pixels, across) if bias is None else torch.addmm(bias, pixels, across)
    return out.view(*tape.shape[:3], len(weight))
