"""The one point that stands for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Anchor = Literal["mask_bottom", "bottom_center", "center"]


def anchor_point(kind: Anchor, box: Sequence[int], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """``(x, y)`` in frame pixels.

    Args:
        kind: ``mask_bottom``, the middle of the lowest row of the mask, where a person stands; ``bottom_center`` or
            ``center`` of the box.
        box: ``(x0, y0, x1, y1)``.
        mask: ``(h, w)`` bool, of the box; an empty one has the bottom of its box.
    """
    x0, y0, x1, y1 = box
    middle = (x0 + x1) / 2
    if kind == "center":
        return middle, (y0 + y1) / 2
    rows = np.flatnonzero(mask.any(axis=1))
    if kind == "bottom_center" or not len(rows):
        return middle, float(y1)
    columns = np.flatnonzero(mask[rows[-1]])
    return x0 + (float(columns[0]) + float(columns[-1]) + 1) / 2, float(y0 + rows[-1] + 1)
