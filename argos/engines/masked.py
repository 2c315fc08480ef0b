"""The plain form of masked execution: every layer dense, its output multiplied by the mask of active blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from argos.engines.block_functions import LAYERS, becomes_map, changed
from argos.engines.block_grid import BLOCK, block_grid
from argos.engines.fold import fold_batch_norm, tensors_in


def masked_dense(network: nn.Module, image: Tensor, active: NDArray[np.bool_], block: int = BLOCK) -> Any:
    """Run a network densely with the meaning of ``SparseNetwork``; slow, the reference for exactness.

    Batch normalisations are folded into the convolutions before them. Then the output of every convolution,
    transposed convolution, batch normalisation that is left, 2-D pooling (not a global one) and interpolation is
    multiplied by the mask of the active blocks at its size, and so is what activations, sums, products and
    concatenations make of such maps, and what a function changes in place. All else runs on the masked maps as it is.

    Args:
        network: any; left as it is.
        image: ``(1, C, H, W)``.
        active: ``(H, W)``.
        block: side of a block in pixels of the image.

    Returns:
        What the network's ``forward`` returns.
    """
    network = fold_batch_norm(network, image).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode(), _Masking(active, block):
        return network(image.contiguous(memory_format=torch.channels_last))


class _Masking(TorchFunctionMode):
    """Multiplies maps by the mask."""

    def __init__(self, active: NDArray[np.bool_], block: int) -> None:
        super().__init__()
        self.active = active
        self.block = block
        self.maps: dict[int, Tensor] = {}  # held so that no id comes twice

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        maps = [x for x in tensors_in([args, kwargs]) if id(x) in self.maps]
        for x in changed(func, args, kwargs):
            if id(x) in self.maps:
                x.masked_fill_(~self._mask(x), 0)
        is_map = becomes_map(func, (*args, *kwargs.values()), maps, out)
        if is_map or (func in LAYERS and isinstance(out, Tensor) and out.ndim == 4):
            out = torch.where(self._mask(out), out, 0)  # no product: a quotient may be infinite outside
        if is_map:
            self.maps[id(out)] = out
        return out

    def _mask(self, x: Tensor) -> Tensor:
        """Pixels of a map in active blocks, ``(h, w)``."""
        return torch.from_numpy(block_grid(self.active, (x.shape[2], x.shape[3]), self.block).mask()).to(x.device)
