"""One forward pass on blocks: which blocks of which map are active, and what was computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_copy import empty, has_kernels
from argos.engines.block_grid import BlockGrid, block_grid
from argos.engines.block_held import Held
from argos.engines.block_map import BlockMap
from argos.engines.block_weights import BlockWeights
from argos.types import Size


@dataclass(frozen=True, slots=True)
class LayerRun:
    """How one call of one layer was executed.

    Attributes:
        name: of the layer in the network.
        mode: ``sparse``: its active blocks; ``dense``: the whole map; ``skipped``: no block was active.
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


class Scratch:
    """Memory that is used again: fresh memory costs a page fault for every 4 kB."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def take(self, like: Tensor, *shape: int) -> Tensor:
        """A contiguous tensor of the type and on the device of another; it holds anything, until the next call."""
        if not has_kernels(like):
            return empty(like, *shape)  # a GPU's memory is kept by torch
        count = math.prod(shape)
        if count > len(self._memory):
            self._memory = torch.empty(count + count // 4)
        return self._memory[:count].view(shape)


Ranges = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Input pixels, end exclusive, that each row and each column of blocks of an output reads: ``(grid rows, 2)``,
``(grid columns, 2)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One input of a step.

    Attributes:
        node: the step that made it.
        rows, columns: see ``Ranges``.
    """

    node: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A map that a pass made.

    Attributes:
        size: of the map.
        reads: its inputs.
    """

    size: Size
    reads: tuple[Read, ...]


@dataclass(slots=True, eq=False)
class Pass:
    """What one forward pass knows.

    Attributes:
        active: ``(H, W)`` bool, on the image.
        block: side of a block in pixels of the image.
        needed: grids of the maps in the order in which they are made; ``None``: those of ``active``.
        steps: where the steps of the pass are noted; ``None``: nowhere.
        layer: name of the module that runs.
        layers: what ran so far.
        costs: step and dense multiply-accumulates of each convolution.
        made: number of maps made so far.
        returned: steps whose maps left the blocks.
        scratch: memory for tapes that live for one layer.
        weights: as the layers read them.
        followed: limits that follow depthwise convolutions at once, by the number of the layer.
        held: what inactive blocks held before; ``None``: they count as zero.
    """

    active: NDArray[np.bool_]
    block: int
    needed: list[BlockGrid] | None = None
    steps: list[Step] | None = None
    layer: str = ""
    layers: list[LayerRun] = field(default_factory=list)
    costs: list[tuple[int, int]] = field(default_factory=list)
    made: int = 0
    returned: list[int] = field(default_factory=list)
    scratch: Scratch = field(default_factory=Scratch)
    weights: BlockWeights = field(default_factory=BlockWeights)
    followed: dict[int, tuple[float, float]] = field(default_factory=dict)
    held: Held | None = None
    _grids: dict[Size, BlockGrid] = field(default_factory=dict)
    _blocks: dict[tuple[float, float, int, int], NDArray[np.bool_]] = field(default_factory=dict)

    def mask_grid(self, size: Size) -> BlockGrid:
        """Blocks of a map of ``size`` with an active pixel of the image under them."""
        if size not in self._grids:
            self._grids[size] = block_grid(self.active, size, self.block, self._blocks)
        return self._grids[size]

    def around(self, x: BlockMap) -> BlockMap:
        """A map for a layer that reads beyond its own blocks."""
        return x if self.held is None else self.held.around(x)

    def next_map(
        self, size: Size, inputs: Sequence[Tensor], ranges: Callable[[BlockGrid], Ranges]
    ) -> tuple[BlockGrid, int]:
        """Begin a step.

        Args:
            size: of the map that will be made.
            inputs: maps it reads.
            ranges: where its blocks read them.

        Returns:
            The blocks to compute, and the number of the step.

        Raises:
            ValueError: the network does not take the same steps as when they were noted.
        """
        node = self.made
        self.made += 1
        if self.steps is not None:
            where = ranges(self.mask_grid(size))
            reads = tuple(Read(x.node, *where) for x in inputs if isinstance(x, BlockMap))
            self.steps.append(Step(size, reads))
        if self.needed is None:
            return self.mask_grid(size), node
        if node >= len(self.needed) or self.needed[node].size != size:
            raise ValueError(f"layer {self.layer}: the network takes other steps than at its first image")
        return self.needed[node], node

    def note(
        self,
        grid: BlockGrid,
        node: int,
        mode: Literal["sparse", "dense", "skipped"],
        reason: str,
        executed: int,
        macs: int,
    ) -> None:
        """Note a layer that ran."""
        active = len(grid.corners)
        self.costs.append((node, macs))
        self.layers.append(LayerRun(self.layer, mode, reason, active, grid.active.size, executed, macs))


def block_ranges(grid_cells: Size, block: Size, stride: Size, before: Size, reach: Size) -> Ranges:
    """Where the blocks of a convolution or a pool read.

    Args:
        grid_cells: rows and columns of the grid.
        block: of the output.
        stride, before: of the layer; ``before`` is its padding.
        reach: ``dilation * (kernel - 1)``.
    """
    ranges = []
    for n in (0, 1):
        first = np.arange(grid_cells[n], dtype=np.int64) * block[n] * stride[n] - before[n]
        ranges.append(np.stack([first, first + (block[n] - 1) * stride[n] + reach[n] + 1], axis=1))
    return ranges[0], ranges[1]
