"""A map of which only the active blocks exist, in the shape of a tensor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_grid import BlockGrid
from argos.kernels.blocks import clear_blocks
from argos.kernels.tapes import compact_starts, move_blocks, spread
from argos.types import Size

Source = tuple[NDArray[np.float32], NDArray[np.int64], Size, Size]
"""Tape, starts, block and size of a map, as the kernels read them."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The active blocks of a map, see ``kernels.tapes``.

    Attributes:
        tape: ``(1, rows of a block, columns, C)``, contiguous.
        starts: of the blocks on the tape.
        grid: which blocks are active.
        node: the step of the pass that made the map.
    """

    tape: Tensor
    starts: NDArray[np.int64]
    grid: BlockGrid
    node: int


class BlockMap(Tensor):
    """What a network sees as a map ``(1, C, H, W)``; its blocks are in ``blocks``, and it has no other memory.

    It lives only inside of a forward pass, where a ``TorchFunctionMode`` computes whatever is asked of it.
    """

    blocks: Blocks

    @staticmethod
    def __new__(cls, blocks: Blocks) -> BlockMap:
        """Make a map of blocks; its shape, type and device are those of a dense map."""
        shape = (1, blocks.tape.shape[3], *blocks.grid.size)
        made: BlockMap = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, shape, dtype=blocks.tape.dtype, device=blocks.tape.device
        )
        return made

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Refuse: everything a map can do is decided one level higher."""
        raise NotImplementedError(f"{func} on the blocks of a map")


def source_of(x: Tensor) -> Source:
    """A map ``(1, C, H, W)`` as kernels read it; a dense one is the tape of one block."""
    if isinstance(x, BlockMap):
        blocks = x.blocks
        return blocks.tape[0].numpy(), blocks.starts, blocks.grid.block, blocks.grid.size
    size = (x.shape[2], x.shape[3])
    return x.permute(0, 2, 3, 1).contiguous()[0].numpy(), np.zeros((1, 1), np.int64), size, size


def dense(x: BlockMap) -> Tensor:
    """The whole map, channels last, zero in inactive blocks."""
    pixels, starts, block, size = source_of(x)
    out = torch.empty((1, *size, pixels.shape[2]))
    spread(pixels, starts, block, out[0].numpy())
    return out.permute(0, 3, 1, 2)  # a view of (h, w, C)[None] would have strides that torch takes for channels first


def whole(value: Any) -> Any:
    """The same value with dense maps, also in nested sequences, mappings and dataclasses."""
    if isinstance(value, BlockMap):
        return dense(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(whole, value))
    if isinstance(value, tuple | list):
        return type(value)(map(whole, value))
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: whole(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


def on_grid(maps: list[BlockMap], grid: BlockGrid, node: int) -> BlockMap:
    """Put the channels of maps of one size behind each other; only the blocks of ``grid`` are kept."""
    starts, width = compact_starts(grid.active, grid.block[1])
    out = torch.empty((1, grid.block[0], width, sum(x.shape[1] for x in maps)))
    tape, channel = out[0].numpy(), 0
    for x in maps:
        pixels, old_starts, block, _ = source_of(x)
        move_blocks(pixels, old_starts, block, starts, channel, tape)
        channel += pixels.shape[2]
    return BlockMap(Blocks(out, starts, grid, node))


def masked(out: Tensor, grid: BlockGrid) -> Tensor:
    """Set the inactive blocks of a dense map to zero, in place where the memory allows."""
    if len(grid.corners) == grid.active.size:
        return out
    if out.dtype != torch.float32 or out.device.type != "cpu":
        return out * torch.from_numpy(grid.mask()).to(out.device, out.dtype)
    out = out.contiguous(memory_format=torch.channels_last)
    clear_blocks(out[0].permute(1, 2, 0).numpy(), grid.active, grid.block)
    return out
