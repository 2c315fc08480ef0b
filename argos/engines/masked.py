"""The plain form of masked execution: every layer dense, its output multiplied by the mask of active blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.block_grid import BLOCK, block_grid
from argos.engines.fold import fold_batch_norm


def masked_dense(network: nn.Module, image: Tensor, active: NDArray[np.bool_], block: int = BLOCK) -> Any:
    """Run a network densely with the meaning of ``SparseNetwork``; slow, the reference for exactness.

    Batch normalisations are folded into the convolutions before them. Then the output of every convolution,
    transposed convolution and batch normalisation that is left is multiplied by the mask of the active blocks at
    its size. All else (activations, pooling, upsampling, concatenation, sums) runs on the masked maps as it is.

    Args:
        network: any; left as it is.
        image: ``(1, C, H, W)``.
        active: ``(H, W)``.
        block: side of a block in pixels of the image.

    Returns:
        What the network's ``forward`` returns.
    """
    network = fold_batch_norm(network, image).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def mask(layer: nn.Module, args: Any, out: Tensor) -> Tensor:
        grid = block_grid(active, (out.shape[2], out.shape[3]), block)
        return out * torch.from_numpy(grid.mask()).to(out.device, out.dtype)

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            layer.register_forward_hook(mask)
    with torch.inference_mode():
        return network(image.contiguous(memory_format=torch.channels_last))
