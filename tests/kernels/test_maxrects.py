"""The table of free rectangles; where rectangles come to lie is tested in ``tests/packing/test_place.py``."""

from __future__ import annotations

import numpy as np
import pytest

from argos.kernels.maxrects import _with_room


@pytest.mark.parametrize("count", [0, 1, 5, 8])
def test_there_is_room_for_every_free_rectangle_to_be_cut_in_four(count: int) -> None:
    """A kernel writes beyond the end of an array without a word."""
    free = np.arange(48, dtype=np.int64).reshape(8, 6)
    larger, spare = _with_room(free, count, np.empty_like(free))
    assert larger.shape == spare.shape
    assert len(larger) >= 4 * count + 4
    np.testing.assert_array_equal(larger[:count], free[:count])
