"""Which blocks every layer has to compute so that the active blocks of the outputs are those of the whole network."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_grid import BlockGrid, block_grid
from argos.engines.block_map import BlockMap
from argos.engines.block_pass import Pass, Step
from argos.engines.fold import tensors_in
from argos.kernels.tapes import mark_needed
from argos.types import Size


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The steps of a network at one size of image.

    Attributes:
        steps: in the order in which their maps are made.
        costs: step and multiply-accumulates of each convolution.
        returned: steps whose maps are outputs.
        block: side of a block in pixels of the image.
    """

    steps: tuple[Step, ...]
    costs: tuple[tuple[int, int], ...]
    returned: frozenset[int]
    block: int

    @staticmethod
    def of(run: Pass, out: Any) -> Plan:
        """From a pass that noted its steps, and what it returned."""
        outputs = {x.node for x in tensors_in(out) if isinstance(x, BlockMap)}
        return Plan(tuple(run.steps or ()), tuple(run.costs), frozenset(outputs | set(run.returned)), run.block)

    def needed(self, active: NDArray[np.bool_]) -> list[BlockGrid]:
        """Blocks to compute in each step, ``active`` ``(H, W)`` being wanted of the outputs."""
        run = Pass(np.ascontiguousarray(active), self.block)
        laid = [run.mask_grid(step.size) for step in self.steps]
        grids = [
            grid.active.copy() if n in self.returned else np.zeros_like(grid.active) for n, grid in enumerate(laid)
        ]
        for n in reversed(range(len(self.steps))):
            for read in self.steps[n].reads:
                mark_needed(grids[n], read.rows, read.columns, laid[read.node].block, grids[read.node])
        return [BlockGrid.of(grid, old.block, old.size) for grid, old in zip(grids, laid, strict=True)]

    def share(self, needed: list[BlockGrid]) -> float:
        """Share of the multiply-accumulates of the whole network."""
        total = sum(macs for _, macs in self.costs)
        return sum(macs * float(needed[n].active.mean()) for n, macs in self.costs) / max(1, total)


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Maps of noise in place of those that leave the blocks, to see which pixels an output depends on.

    Attributes:
        half: ``(H, W)`` bool, pixels of the image by halves.
        block: side of a block in pixels of the image.
        other: the half whose noise is other than that of ``None``.
    """

    half: NDArray[np.bool_]
    block: int
    other: bool | None = None

    def map(self, x: BlockMap) -> Tensor:
        """Noise for a map, the same whenever the same step is asked for, but for the pixels of ``other``."""
        generator = torch.Generator().manual_seed(x.node)
        noise, more = (torch.randn(x.shape, generator=generator) for _ in range(2))
        if self.other is not None:
            noise = noise + more * torch.from_numpy(self.halves(x.grid.size) == self.other)
        return noise.to(x.device, x.dtype)

    def halves(self, size: Size) -> NDArray[np.bool_]:
        """``half`` for a map of a size."""
        return block_grid(self.half, size, self.block).mask()


def follows_pixels(run: Callable[[Noise], Any], image: Size, block: int, sizes: Collection[Size]) -> bool:
    """Whether each value of the outputs depends on one pixel of the maps that left the blocks, and lies where it does.

    Only then is a value that is made of computed pixels right. The blocks are halved by lot: what changes with either
    half depends on two pixels at least.

    Args:
        run: the network, which returns its outputs, with this noise.
        image: size.
        block: side of a block in pixels of the image.
        sizes: of maps; outputs of other sizes may have any order.
    """
    grid = -(-image[0] // block), -(-image[1] // block)
    cells = np.random.default_rng(0).permutation(grid[0] * grid[1]).reshape(grid) % 2 == 0
    half = np.repeat(np.repeat(cells, block, axis=0), block, axis=1)[: image[0], : image[1]]
    outputs = [
        [x.double().nan_to_num() for x in tensors_in(run(Noise(half, block, other)))] for other in (None, False, True)
    ]
    if len({tuple(x.shape for x in tensors) for tensors in outputs}) > 1:
        return False
    for before, *changed in zip(*outputs, strict=True):
        moved = [x != before for x in changed]
        if (moved[0] & moved[1]).any():
            return False
        size = before.shape[-2:]
        if before.ndim == 4 and tuple(size) in sizes:
            here = torch.from_numpy(Noise(half, block).halves(tuple(size))).to(before.device)
            if (moved[0] & here).any() or (moved[1] & ~here).any():
                return False
    return True
