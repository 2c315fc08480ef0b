"""A map of which only the active blocks exist, in the shape of a tensor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_copy import NO_LIMITS, copied, empty, has_kernels
from argos.engines.block_grid import BlockGrid
from argos.kernels.blocks import clear_blocks
from argos.kernels.tapes import move_blocks, spread
from argos.types import Size

Layout = tuple[NDArray[np.int64], Size, Size]
"""Starts, block and size of a map, as the kernels read them."""


@dataclass(slots=True, eq=False)
class Blocks:
    """Some channels of the active blocks of a map, see ``kernels.tapes``. Tapes are not changed once they are read.

    Attributes:
        tape: ``(1, rows of a block, columns, C)``, contiguous.
        starts: of the blocks on the tape.
        grid: which blocks are active.
        limits: the values are those of the tape, limited to this range; an activation that waits for its reader.
        taken: another map holds the tape too.
        maker: number of the depthwise layer that made the tape, as long as nobody has read it.
        expected: limits that the tape already has, and that the next function has to ask for.
    """

    tape: Tensor
    starts: NDArray[np.int64]
    grid: BlockGrid
    limits: tuple[float, float] = NO_LIMITS
    taken: bool = False
    maker: int | None = None
    expected: tuple[float, float] | None = None

    def read(self) -> Blocks:
        """Note that the values are used as they are now.

        Raises:
            ValueError: an activation is missing that followed at the first image.
        """
        if self.expected:
            raise ValueError("the network takes other steps than at its first image")
        self.maker = None
        return self


class BlockMap(Tensor):
    """What a network sees as a map ``(1, C, H, W)``; it has no other memory than its parts.

    It lives only inside of a forward pass, where a ``TorchFunctionMode`` computes whatever is asked of it.

    Attributes:
        parts: one behind the other, as a concatenation leaves them; each has at least the blocks of ``grid``.
        grid: which blocks are active.
        node: the step of the pass that made the map.
    """

    parts: list[Blocks]
    grid: BlockGrid
    node: int

    @staticmethod
    def __new__(cls, parts: list[Blocks], grid: BlockGrid, node: int) -> BlockMap:
        """Make a map of blocks; its shape, type and device are those of a dense map."""
        first = parts[0].tape
        shape = (1, sum(part.tape.shape[3] for part in parts), *grid.size)
        made: BlockMap = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, shape, dtype=first.dtype, device=first.device
        )
        return made

    def __init__(self, parts: list[Blocks], grid: BlockGrid, node: int) -> None:
        self.parts = parts
        self.grid = grid
        self.node = node

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Refuse: everything a map can do is decided one level higher."""
        raise NotImplementedError(f"{func} on the blocks of a map")

    @property
    def blocks(self) -> Blocks:
        """All channels on one tape, nothing waiting."""
        if len(self.parts) > 1:
            self.parts = [joined(self.parts, self.grid)]
        self.parts = [settled(self.parts[0])]
        return self.parts[0]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Some channels of a map for a kernel.

    Attributes:
        pixels: ``(rows, columns, C)``, the tape.
        layout: of the tape.
        limits: of the values.
    """

    pixels: Tensor
    layout: Layout
    limits: tuple[float, float] = NO_LIMITS


def sources_of(x: Tensor) -> list[Source]:
    """The parts of a map ``(1, C, H, W)``; a dense one is the tape of one block."""
    if isinstance(x, BlockMap):
        return [source_of(part.read()) for part in x.parts]
    size = (x.shape[2], x.shape[3])
    return [Source(x.permute(0, 2, 3, 1).contiguous()[0], (np.zeros((1, 1), np.int64), size, size))]


def source_of(part: Blocks) -> Source:
    """Part of a map."""
    return Source(part.tape[0], (part.starts, part.grid.block, part.grid.size), part.limits)


def one_block(tape: Tensor, node: int) -> BlockMap:
    """A whole map ``(1, h, w, C)``, contiguous, as one block of its size; its memory is not written to."""
    size = (tape.shape[1], tape.shape[2])
    whole = BlockGrid.of(np.ones((1, 1), np.bool_), size, size)
    return BlockMap([Blocks(tape, whole.starts, whole, taken=True)], whole, node)


def dense(x: BlockMap) -> Tensor:
    """The whole map, channels last, zero in inactive blocks."""
    source = source_of(x.blocks)
    out = empty(x, 1, *x.grid.size, source.pixels.shape[2])
    spread_on(out[0], source, clear=True)
    return out.permute(0, 3, 1, 2)  # a view of (h, w, C)[None] would have strides that torch takes for channels first


def spread_on(out: Tensor, source: Source, clear: bool) -> None:
    """Write the active blocks of a tape to a map ``(H, W, C)``; the others become zero, or stay without ``clear``."""
    starts, block, _ = source.layout
    copied(
        lambda pixels, _, channel, whole: spread(pixels, starts, block, whole, clear),
        source.pixels,
        out,
        keep=not clear,
    )


def whole(value: Any, made: Callable[[BlockMap], Tensor] = dense) -> Any:
    """The same value with dense maps, as ``made`` makes them, also in nested sequences, mappings and dataclasses."""
    if isinstance(value, BlockMap):
        return made(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(whole(item, made) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(whole(item, made) for item in value)
    if isinstance(value, Mapping):
        return {key: whole(item, made) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: whole(getattr(value, field.name), made) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changes)
    return value


def settled(part: Blocks) -> Blocks:
    """Apply what waits; in place if nobody else holds the tape."""
    if part.read().limits == NO_LIMITS:
        return part
    tape = part.tape.clamp(*part.limits) if part.taken else part.tape.clamp_(*part.limits)
    part.tape, part.limits = tape, NO_LIMITS
    return part


def joined(parts: list[Blocks], grid: BlockGrid) -> Blocks:
    """Put the channels of parts behind each other on one tape; only the blocks of ``grid`` are kept."""
    starts = grid.starts
    channels = sum(part.tape.shape[3] for part in parts)
    out, channel = empty(parts[0].tape, 1, grid.block[0], grid.columns, channels), 0
    for part in parts:
        source = source_of(part.read())
        _move(out[0], source, channel, starts)
        channel += source.pixels.shape[2]
    return Blocks(out, starts, grid)


def _move(tape: Tensor, source: Source, channel: int, starts: NDArray[np.int64]) -> None:
    """``kernels.tapes.move_blocks``."""
    old_starts, block, _ = source.layout
    copied(
        lambda pixels, limits, first, target: move_blocks(pixels, old_starts, block, *limits, starts, first, target),
        source.pixels,
        tape,
        source.limits,
        channel,
    )


def masked(out: Tensor, grid: BlockGrid) -> Tensor:
    """Set the inactive blocks of a dense map to zero, in place where the memory allows."""
    if len(grid.corners) == grid.active.size:
        return out
    if not has_kernels(out):
        return out * torch.from_numpy(grid.mask()).to(out.device, out.dtype)
    out = out.contiguous(memory_format=torch.channels_last)
    clear_blocks(out[0].permute(1, 2, 0).numpy(), grid.active, grid.block)
    return out
