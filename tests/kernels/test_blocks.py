from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.kernels.blocks import active_blocks, clear_blocks, gather

sides = st.integers(1, 13)
sizes = st.tuples(sides, sides)
small = st.tuples(st.integers(1, 4), st.integers(1, 4))
seeds = st.integers(0, 2**32 - 1)


def plain_active_blocks(
    active: NDArray[np.bool_], strides: tuple[float, float], size: tuple[int, int], block: tuple[int, int]
) -> NDArray[np.bool_]:
    def interval(index: int, axis: int) -> slice:
        image, last = active.shape[axis], -(-size[axis] // block[axis]) - 1
        start = min(image - 1, math.floor(index * block[axis] * strides[axis]))
        end = image if index == last else math.ceil((index + 1) * block[axis] * strides[axis])
        return slice(start, max(start + 1, end) if index == last else end)

    rows, columns = -(-size[0] // block[0]), -(-size[1] // block[1])
    return np.array(
        [[active[interval(i, 0), interval(j, 1)].any() for j in range(columns)] for i in range(rows)], np.bool_
    )


@settings(deadline=None)  # the first example compiles the kernel
@given(sizes, sizes, small, st.sampled_from([0.5, 1.0, 2.0, 1.5, 4.0]), seeds)
def test_active_blocks_equal_slicing_the_mask(
    image: tuple[int, int], size: tuple[int, int], block: tuple[int, int], stride: float, seed: int
) -> None:
    active = np.random.default_rng(seed).random(image) < 0.2
    grid = active_blocks(active, (stride, stride), size, block)
    expected = plain_active_blocks(active, (stride, stride), size, block)
    np.testing.assert_array_equal(grid, expected)


def test_a_pixel_activates_its_own_block_alone() -> None:
    active = np.zeros((64, 96), np.bool_)
    active[31, 32] = True
    grid = active_blocks(active, (2.0, 2.0), (32, 48), (8, 8))
    assert np.argwhere(grid).tolist() == [[1, 2]]


def test_rows_that_a_network_padded_are_active_with_the_last_row_of_the_image() -> None:
    active = np.zeros((20, 16), np.bool_)
    active[19, 3] = True
    grid = active_blocks(active, (1.0, 1.0), (32, 16), (4, 4))  # padded from 20 to 32 rows
    assert np.argwhere(grid).tolist() == [[4, 0], [5, 0], [6, 0], [7, 0]]


def plain_gather(
    image: NDArray[np.float32], corner: tuple[int, int], rows: list[int], columns: list[int]
) -> NDArray[np.float32]:
    padded = np.pad(image, ((40, 40), (40, 40), (0, 0)))
    picked = padded[np.ix_([corner[0] + 40 + y for y in rows], [corner[1] + 40 + x for x in columns])]
    return np.asarray(picked, np.float32)


@settings(deadline=None)  # the first example compiles the kernel
@given(sizes, st.integers(1, 5), small, small, small, seeds)
def test_gather_equals_indexing_the_padded_image(
    size: tuple[int, int],
    channels: int,
    taps: tuple[int, int],
    run: tuple[int, int],
    step: tuple[int, int],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((*size, channels), np.float32)
    corners = rng.integers(-20, 20, (5, 2))
    windows = np.full((5, taps[0] * run[0], taps[1] * run[1], channels), np.nan, np.float32)
    gather(image, corners, taps, run, step, windows)
    rows, columns = ([t * step[n] + r for t in range(taps[n]) for r in range(run[n])] for n in (0, 1))
    for window, corner in zip(windows, corners, strict=True):
        np.testing.assert_array_equal(window, plain_gather(image, tuple(corner), rows, columns))


@settings(max_examples=30, deadline=None)
@given(sizes, small, seeds)
def test_clear_blocks_multiplies_by_the_mask(size: tuple[int, int], block: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((*size, 3), np.float32)
    grid = rng.random((-(-size[0] // block[0]), -(-size[1] // block[1]))) < 0.5
    mask = np.kron(grid, np.ones(block, np.bool_))[: size[0], : size[1], None]
    expected = image * mask
    clear_blocks(image, grid, block)
    np.testing.assert_array_equal(image, expected)
