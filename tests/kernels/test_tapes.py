from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.kernels.tapes import (
    compact_starts,
    fill_tape,
    mark_needed,
    move_blocks,
    place_runs,
    spread,
    windows_to_tape,
)

LOW, HIGH = np.float32(-np.inf), np.float32(np.inf)

grids = st.tuples(st.integers(1, 5), st.integers(1, 7))
sides = st.tuples(st.integers(1, 4), st.integers(1, 4))
seeds = st.integers(0, 2**32 - 1)


def drawn(grid: tuple[int, int], block: tuple[int, int], seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A map whose last blocks are cut off, and active blocks; the map is zero in the others."""
    rng = np.random.default_rng(seed)
    active = rng.random(grid) < 0.5
    size = [grid[n] * block[n] - int(rng.integers(block[n])) for n in (0, 1)]
    pixels = rng.random((size[0], size[1], 3), np.float32) + 1
    inside = np.kron(active, np.ones(block, np.bool_))[: size[0], : size[1]]
    return np.where(inside[..., None], pixels, 0).astype(np.float32), active


def tape_of(
    pixels: NDArray[np.float32], active: NDArray[np.bool_], block: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The plain form of a tape without gaps; NaN beyond the border."""
    starts, width = compact_starts(active, block[1])
    tape = np.full((block[0], width, pixels.shape[2]), np.nan, np.float32)
    for i, j in np.argwhere(active):
        piece = pixels[i * block[0] : (i + 1) * block[0], j * block[1] : (j + 1) * block[1]]
        tape[: piece.shape[0], starts[i, j] : starts[i, j] + piece.shape[1]] = piece
    return tape, starts


@settings(max_examples=100, deadline=None)
@given(grids, sides, seeds)
def test_spread_undoes_a_tape(grid: tuple[int, int], block: tuple[int, int], seed: int) -> None:
    pixels, active = drawn(grid, block, seed)
    tape, starts = tape_of(pixels, active, block)
    out = np.full_like(pixels, np.nan)
    spread(tape, starts, block, out, clear=True)
    np.testing.assert_array_equal(out, pixels)
    over = np.full_like(pixels, 7.0)
    spread(tape, starts, block, over, clear=False)
    inside = np.repeat(np.repeat(active, block[0], axis=0), block[1], axis=1)[: pixels.shape[0], : pixels.shape[1]]
    np.testing.assert_array_equal(over, np.where(inside[:, :, None], pixels, 7.0))


@settings(max_examples=100, deadline=None)
@given(
    grids,
    sides,
    seeds,
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.booleans(),
)
def test_runs_hold_what_a_convolution_reads(
    grid: tuple[int, int],
    block: tuple[int, int],
    seed: int,
    before: tuple[int, int],
    reach: tuple[int, int],
    shared: bool,
) -> None:
    pixels, active = drawn(grid, block, seed)
    tape, starts = tape_of(pixels, active, block)
    size = (pixels.shape[0], pixels.shape[1])
    before = (min(before[0], reach[0]), min(before[1], reach[1]))
    runs, placed, width = place_runs(active, block, 1, before, reach, shared)
    rows = block[0] + reach[0]
    filled = np.full((rows, width + reach[1] + 2, 5), np.nan, np.float32)
    for channel in (0, 2):  # two parts, which overlap in one channel
        fill_tape(tape, starts, block, size, LOW, HIGH, runs, block, (1, 1), before, reach[1], rows, 1, channel, filled)
    around = [(6, 6 + grid[n] * block[n]) for n in (0, 1)]
    padded = np.pad(pixels, (*around, (0, 0)))
    for i, j in np.argwhere(active):
        y, x = 6 + i * block[0] - before[0], 6 + j * block[1] - before[1]
        column = placed[i, j]
        expected = padded[y : y + rows, x : x + block[1] + reach[1]]
        found = filled[:, column : column + block[1] + reach[1]]
        np.testing.assert_array_equal(found[..., 2:], expected)
        np.testing.assert_array_equal(found[..., :2], expected[..., :2])
    assert np.isfinite(filled).all()
    assert (placed >= 0).sum() == active.sum()
    if shared:
        assert width <= place_runs(active, block, 1, before, reach, False)[2]


def test_neighbours_share_a_halo_of_zeros_and_keep_a_short_distance() -> None:
    active = np.array([[1, 1, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], np.bool_)
    _, apart, _ = place_runs(active, (2, 2), 1, (1, 1), (2, 2), False)
    _, close, width = place_runs(active, (2, 2), 1, (1, 1), (2, 2), True)
    assert apart[active].tolist() == [0, 2, 6, 10]
    assert close[active].tolist() == [0, 2, 5, 8]
    assert width == 10
    near = np.array([[1, 0, 1]], np.bool_)
    assert place_runs(near, (1, 1), 1, (2, 2), (4, 4), True)[1].tolist() == [[0, -1, 2]]


def test_blocks_move_between_tapes_within_limits() -> None:
    pixels, active = drawn((3, 4), (2, 2), 1)
    tape, starts = tape_of(pixels, active, (2, 2))
    fewer = active.copy()
    fewer[tuple(np.argwhere(active)[0])] = False
    out_starts, width = compact_starts(fewer, 2)
    out = np.full((2, width, 4), 9, np.float32)
    move_blocks(tape, starts, (2, 2), np.float32(0), np.float32(1.5), out_starts, 1, out)
    for i, j in np.argwhere(fewer):
        expected = tape[:, starts[i, j] : starts[i, j] + 2].clip(0, 1.5)
        np.testing.assert_array_equal(out[:, out_starts[i, j] : out_starts[i, j] + 2, 1:], expected)
    assert (out[..., 0] == 9).all()


def test_windows_lie_side_by_side() -> None:
    windows = np.random.default_rng(0).random((3, 5, 6, 2), np.float32)
    offsets = np.array([[0, 0], [2, 3], [1, 1]])
    tape = np.empty((2, 9, 2), np.float32)
    windows_to_tape(windows, offsets, (2, 3), tape)
    for n, (y, x) in enumerate(offsets):
        np.testing.assert_array_equal(tape[:, 3 * n : 3 * n + 3], windows[n, y : y + 2, x : x + 3])


def test_needed_blocks_are_those_that_are_read() -> None:
    needed = np.zeros((4, 4), np.bool_)
    needed[1, 3] = True
    rows = np.array([[-1, 3], [1, 5], [3, 7], [5, 9]])
    inputs = np.zeros((4, 4), np.bool_)
    mark_needed(needed, rows, rows, (2, 2), inputs)
    assert np.argwhere(inputs).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3], [2, 2], [2, 3]]
