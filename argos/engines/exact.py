"""Which blocks every layer has to compute so that the active blocks of the outputs are those of the whole network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argos.engines.block_grid import BlockGrid
from argos.engines.block_map import BlockMap
from argos.engines.block_pass import Pass, Step
from argos.engines.fold import tensors_in
from argos.kernels.tapes import mark_needed


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
