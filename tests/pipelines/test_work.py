"""One frame on its way through the line."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from argos.packing.limits import SemanticLimits
from argos.pipelines.views import View
from argos.pipelines.work import Work
from argos.types import Frame, RegionMask

VIEW = View("gather", 0.5, 0, 0.0, 0, SemanticLimits(0.5), None, 1.0)


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 20)).map(lambda n: (16 * n[0], 16 * n[1])),
    st.tuples(st.integers(1, 12), st.integers(1, 20)).map(lambda n: (32 * n[0], 32 * n[1])),
    st.integers(1, 5),
    st.integers(0, 999),
)
def test_a_proposed_cell_is_active_however_few_pixels_the_networks_see(
    grid: tuple[int, int], size: tuple[int, int], cells: int, seed: int
) -> None:
    rng, mask = np.random.default_rng(seed), np.zeros(grid, np.bool_)
    rows, columns = rng.integers(0, grid[0], cells), rng.integers(0, grid[1], cells)
    mask[rows, columns] = True
    work = Work(Frame(np.zeros((*size, 3), np.uint8), "a", 0, 0.0), VIEW, 1.0)
    assert work.network_size == size
    work.mask = RegionMask(mask.astype(np.float32), mask, size)
    active = work.active(size)
    for row, column in zip(rows, columns, strict=True):
        y0, x0 = row * size[0] // grid[0], column * size[1] // grid[1]
        y1, x1 = -(-(row + 1) * size[0] // grid[0]), -(-(column + 1) * size[1] // grid[1])
        assert active[y0:y1, x0:x1].any()
    if size[0] >= grid[0] and size[1] >= grid[1]:
        assert not active.all() or mask.all()
