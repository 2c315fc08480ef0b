"""Which blocks of which map are active: the semantics that the sparse engine and its dense twin share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argos.kernels.blocks import active_blocks
from argos.kernels.tapes import compact_starts
from argos.types import Size

BLOCK = 16
"""Default side of a block in pixels of the image.

One grid serves every stride up to 16: a block has 16 / stride pixels of the map, one pixel at stride 16 and beyond.
Blocks of 16 pixels grow three or four people who fill 10 % of 352x640 to about 15 %, blocks of 32 to about 20 %.
"""

PADDING_LIMIT = 64
"""Most image pixels a network may add or lose at the right and lower border; it tells apart padding from scaling."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockGrid:
    """The active blocks of one map.

    Attributes:
        active: ``(ceil(h / block), ceil(w / block))`` bool.
        block: ``(height, width)`` of a block in pixels of the map; the last ones may be smaller.
        size: ``(h, w)`` of the map.
        corners: ``(N, 2)`` int64, row and column of the first pixel of each active block.
        starts, columns: of a tape of the active blocks without gaps, see ``kernels.tapes``.
    """

    active: NDArray[np.bool_]
    block: Size
    size: Size
    corners: NDArray[np.int64]
    starts: NDArray[np.int64]
    columns: int

    @staticmethod
    def of(active: NDArray[np.bool_], block: Size, size: Size) -> BlockGrid:
        """From the first three."""
        corners = np.argwhere(active) * np.array(block)
        return BlockGrid(active, block, size, corners, *compact_starts(active, block[1]))

    def mask(self) -> NDArray[np.bool_]:
        """``(h, w)`` bool, the pixels in active blocks."""
        rows = np.repeat(self.active, self.block[0], axis=0)[: self.size[0]]
        return np.repeat(rows, self.block[1], axis=1)[:, : self.size[1]]


def block_grid(
    active: NDArray[np.bool_],
    size: Size,
    block: int = BLOCK,
    known: dict[tuple[float, float, int, int], NDArray[np.bool_]] | None = None,
) -> BlockGrid:
    """Lay blocks over a map and find the active ones: those with any active pixel of the image under them.

    Map and image share their top left corner; the stride is the power of two that fits their sizes, so that a
    network may pad at the right and below, else the ratio of the sizes.

    Args:
        active: ``(H, W)``, on the image.
        size: of the map.
        block: side of a block in pixels of the image; at least one pixel of the map.
        known: the blocks of ``active`` by their size on the image and their numbers; looked up and added to.
    """
    down, across = _stride(active.shape[0], size[0]), _stride(active.shape[1], size[1])
    sides = max(1, round(block / down)), max(1, round(block / across))
    key = (sides[0] * down, sides[1] * across, -(-size[0] // sides[0]), -(-size[1] // sides[1]))
    if known is None:
        known = {}
    if key not in known:
        known[key] = active_blocks(active, (down, across), size, sides)
    blocks = known[key]
    return BlockGrid.of(blocks, sides, size)


def _stride(image: int, cells: int) -> float:
    """Image pixels per pixel of the map, along one axis.

    First the power of two of which the last pixel of the map has a part: of maps of a few pixels the ratio of the sizes
    is far from it.
    """
    whole = 2.0 ** math.ceil(math.log2(image / cells))
    if math.ceil(image / whole) == cells:
        return whole
    power = 2.0 ** round(math.log2(image / cells))
    return power if abs(cells * power - image) < max(power, PADDING_LIMIT) else image / cells
