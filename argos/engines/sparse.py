"""Gather-scatter: an unmodified network runs only on the active blocks of its input."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.block_conv import conv_blocks, conv_output_size, conv_transpose_blocks, transposed_output_size
from argos.engines.block_grid import BLOCK, BlockGrid, block_grid
from argos.engines.count_macs import layer_macs
from argos.engines.fold import fold_batch_norm, is_plain
from argos.kernels.blocks import clear_blocks
from argos.types import Size

DENSE_ABOVE = 0.4
"""Share of active blocks above which a layer runs densely and is masked.

Measured on one core, ASBU-Net at 352x640: the convolutions on blocks take 0.55 of the dense time at 15 %, 0.95 at
35 % and 1.5 at 68 % active blocks.
"""


@dataclass(frozen=True, slots=True)
class LayerRun:
    """How one call of one layer was executed.

    Attributes:
        name: of the layer in the network.
        mode: ``sparse``: its active blocks; ``dense``: all, then masked; ``skipped``: no block was active.
        reason: why.
        active: number of active blocks.
        blocks: number of blocks.
        executed_macs: multiply-accumulates computed, repeated and overlapping ones counted.
        dense_macs: those of the dense layer.
    """

    name: str
    mode: Literal["sparse", "dense", "skipped"]
    reason: str
    active: int
    blocks: int
    executed_macs: int
    dense_macs: int


@dataclass(slots=True, eq=False)
class _Pass:
    """One forward pass: its mask, the grids found so far, and what ran."""

    active: NDArray[np.bool_]
    block: int
    grids: dict[Size, BlockGrid] = field(default_factory=dict)
    layers: list[LayerRun] = field(default_factory=list)

    def grid(self, size: Size) -> BlockGrid:
        if size not in self.grids:
            self.grids[size] = block_grid(self.active, size, self.block)
        return self.grids[size]


class SparseNetwork:
    """A trained network that computes only the active blocks of its input.

    What it returns equals ``masked_dense``: the network in which the output of each convolution (with the batch
    normalisation after it) is multiplied by the mask of active blocks at its resolution. Near the edge of the mask
    this differs from the unmasked network, whose convolutions see more. Outside of the mask logits are 0, which a
    sigmoid takes for 0.5: leave those pixels out with ``active_mask``. An activation that is not 0 at 0 is not masked.

    One instance belongs to one thread. The network is copied; weights changed later are not seen.

    Args:
        network: takes ``(1, C, H, W)``; left as it is. Functional convolutions are run as they are.
        block: side of a block in pixels of the image.
        dense_above: share of active blocks, 0..1, above which a layer runs densely and is masked.

    Attributes:
        layers: how each layer was run in the last ``forward``.

    Reference:
        Ren et al., SBNet, arXiv:1801.02108; Verelst and Tuytelaars, Dynamic Convolutions, arXiv:1912.03203.
    """

    def __init__(self, network: nn.Module, block: int = BLOCK, dense_above: float = DENSE_ABOVE) -> None:
        self.layers: tuple[LayerRun, ...] = ()
        self.block = block
        self._dense_above = dense_above
        self._original = copy.deepcopy(network).eval()
        self._routed: nn.Module | None = None  # built at the first image: folding has to see a forward pass
        self._pass: _Pass | None = None

    @property
    def executed_macs(self) -> int:
        """Multiply-accumulates of the last ``forward``."""
        return sum(layer.executed_macs for layer in self.layers)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates that the dense network needs for the last image."""
        return sum(layer.dense_macs for layer in self.layers)

    def active_mask(self, active: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
        """Pixels of a map or output of the network that are computed, ``(h, w)`` of ``size``."""
        return block_grid(active, size, self.block).mask()

    @torch.inference_mode()
    def forward(self, image: Tensor, active: NDArray[np.bool_]) -> Any:
        """Run the network.

        Args:
            image: ``(1, C, H, W)``, as the network takes it.
            active: ``(H, W)`` bool.

        Returns:
            What the network's ``forward`` returns.

        Raises:
            ValueError: more than one image, or a mask of another shape or type.
        """
        if image.ndim != 4 or len(image) != 1:
            raise ValueError(f"image should be (1, C, H, W), got {tuple(image.shape)}")
        if active.dtype != np.bool_ or active.shape != image.shape[2:]:
            raise ValueError(f"active should be bool {tuple(image.shape[2:])}, got {active.dtype} {active.shape}")
        if self._routed is None:
            self._routed = self._route(image)
        self._pass = _Pass(np.ascontiguousarray(active), self.block)
        out = self._routed(image.contiguous(memory_format=torch.channels_last))
        self.layers, self._pass = tuple(self._pass.layers), None
        return out

    def _route(self, image: Tensor) -> nn.Module:
        """The folded copy, with the forward pass of its convolutions replaced."""
        network = fold_batch_norm(self._original, image)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, layer in network.named_modules():
            if is_plain(layer):
                layer.forward = partial(self._convolve, name, layer, layer.forward)
            elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
                layer.register_forward_hook(partial(self._mask_layer, name))
            elif isinstance(layer, nn.Linear):
                layer.register_forward_hook(partial(self._count_linear, name))
        return network

    def _convolve(
        self,
        name: str,
        conv: nn.Conv2d | nn.ConvTranspose2d,
        dense: Any,
        x: Tensor,
        output_size: list[int] | None = None,
    ) -> Tensor:
        """Forward pass of a convolution; only a transposed one takes ``output_size``."""
        now = self._now(name, x)
        transposed = isinstance(conv, nn.ConvTranspose2d)
        source = (x.shape[2], x.shape[3])
        if output_size is not None:
            target = (output_size[-2], output_size[-1])
        elif isinstance(conv, nn.ConvTranspose2d):
            target = transposed_output_size(conv, source)
        else:
            target = conv_output_size(conv, source)
        grid = now.grid(target)
        active, blocks = len(grid.corners), grid.active.size
        macs = (x.shape[1] if transposed else conv.out_channels) * conv.weight[0].numel()
        macs *= source[0] * source[1] if transposed else target[0] * target[1]
        if reason := self._why_dense(conv, x, active / blocks):
            out = dense(x) if output_size is None else dense(x, output_size)
            now.layers.append(LayerRun(name, "dense", reason, active, blocks, macs, macs))
            return _masked(out, grid)
        if not active:
            now.layers.append(LayerRun(name, "skipped", "no active block", 0, blocks, 0, macs))
            out = x.new_zeros((1, conv.out_channels, *target))
            return out.contiguous(memory_format=torch.channels_last)
        if isinstance(conv, nn.ConvTranspose2d):
            out, executed = conv_transpose_blocks(conv, x, grid)
        else:
            out, executed = conv_blocks(conv, x, grid)
        now.layers.append(LayerRun(name, "sparse", f"{active} of {blocks} blocks", active, blocks, executed, macs))
        return out

    def _why_dense(self, conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, share: float) -> str:
        """Why a layer cannot or should not run on blocks; empty if it should."""
        if conv.padding_mode != "zeros":
            return f"padding mode {conv.padding_mode}"
        if x.dtype != torch.float32 or x.device.type != "cpu":
            return f"{x.dtype} on {x.device}"
        return f"{share:.0%} of the blocks are active" if share > self._dense_above else ""

    def _mask_layer(self, name: str, layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
        """Mask a layer that runs as it is: a batch normalisation, or a convolution with its own ``forward``."""
        now = self._now(name, args[0])
        grid = now.grid((out.shape[2], out.shape[3]))
        if not isinstance(layer, nn.BatchNorm2d):
            macs = layer_macs(layer, args[0], out)
            reason = "forward of its own"
            now.layers.append(LayerRun(name, "dense", reason, len(grid.corners), grid.active.size, macs, macs))
        return _masked(out, grid)

    def _count_linear(self, name: str, layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        """Count a linear layer; it has no place in the image, so it is neither sparse nor masked."""
        macs = layer_macs(layer, args[0], out)
        assert self._pass is not None
        self._pass.layers.append(LayerRun(name, "dense", "linear layer", 0, 0, macs, macs))

    def _now(self, name: str, x: Tensor) -> _Pass:
        """The running pass, if the input of a layer is one map of the image."""
        assert self._pass is not None
        if len(x) != 1:
            raise ValueError(f"layer {name}: expected one map of the image, got a batch of {len(x)}")
        return self._pass


def _masked(out: Tensor, grid: BlockGrid) -> Tensor:
    """Set inactive blocks to zero, in place where the memory allows."""
    if len(grid.corners) == grid.active.size:
        return out
    if out.dtype != torch.float32 or out.device.type != "cpu":
        return out * torch.from_numpy(grid.mask()).to(out.device, out.dtype)
    out = out.contiguous(memory_format=torch.channels_last)
    clear_blocks(out[0].permute(1, 2, 0).numpy(), grid.active, grid.block)
    return out
