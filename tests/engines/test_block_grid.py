from __future__ import annotations

import numpy as np
import pytest

from argos.engines.block_grid import block_grid


@pytest.mark.parametrize(
    ("image", "cells", "pixels"),
    [
        (352, 176, 8),  # stride 2
        (353, 177, 8),  # stride 2, rounded up
        (352, 350, 16),  # a convolution without padding
        (360, 368, 16),  # padded to a multiple of 16
        (360, 23, 1),  # and divided by 16
        (352, 11, 1),  # stride 32
        (48, 2, 1),  # padded to 64, stride 32
        (300, 100, 5),  # stride 3
        (100, 200, 32),  # a map larger than the image
        (352, 1, 1),  # global pooling
    ],
)
def test_blocks_keep_their_size_on_the_image(image: int, cells: int, pixels: int) -> None:
    active = np.zeros((image, 640), np.bool_)
    assert block_grid(active, (cells, 640), 16).block == (pixels, 16)


def test_padded_maps_stay_aligned_with_the_image() -> None:
    active = np.zeros((360, 640), np.bool_)
    active[320:336, 64:80] = True
    grid = block_grid(active, (23, 40), 16)  # padded to 368 rows, stride 16
    assert np.argwhere(grid.mask()).tolist() == [[20, 4]]


def test_mask_covers_every_active_pixel_and_corners_are_its_blocks() -> None:
    active = np.random.default_rng(3).random((75, 133)) < 0.002
    grid = block_grid(active, (75, 133), 16)
    mask = grid.mask()
    assert mask[active].all()
    assert 0 < mask.mean() < 1
    rebuilt = np.zeros_like(mask)
    for y, x in grid.corners:
        rebuilt[y : y + grid.block[0], x : x + grid.block[1]] = True
    np.testing.assert_array_equal(rebuilt, mask)


@pytest.mark.parametrize(("row", "cells"), [(0, [0]), (200, [0]), (300, [1])])
def test_a_map_of_two_pixels_is_that_of_its_stride(row: int, cells: list[int]) -> None:
    active = np.zeros((352, 640), np.bool_)
    active[row, 5] = True
    assert np.argwhere(block_grid(active, (2, 3), 16).mask())[:, 0].tolist() == cells  # stride 256, not 176
