"""The plain form of masked execution: every layer dense, its output multiplied by the mask of active blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from argos.engines.block_functions import LAYERS
from argos.engines.block_grid import BLOCK, block_grid
from argos.engines.fold import fold_batch_norm


def masked_dense(network: nn.Module, image: Tensor, active: NDArray[np.bool_], block: int = BLOCK) -> Any:
    """Run a network densely with the meaning of ``SparseNetwork``; slow, the reference for exactness.

    Batch normalisations are folded into the convolutions before them. Then the output of every convolution,
    transposed convolution, batch normalisation that is left, 2-D pooling (not a global one) and interpolation is
    multiplied by the mask of the active blocks at its size. All else runs on the masked maps as it is.

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
    """Multiplies the results of layers by the mask."""

    def __init__(self, active: NDArray[np.bool_], block: int) -> None:
        super().__init__()
        self.active = active
        self.block = block

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func not in LAYERS:
            return out
        grid = block_grid(self.active, (out.shape[2], out.shape[3]), self.block)
        return out * torch.from_numpy(grid.mask()).to(out.device, out.dtype)
