"""Numba kernels that move active blocks: from maps onto tapes, between tapes, and back.

A *tape* holds the active blocks of a map side by side: ``(rows of a block, columns, channels)`` float32, C-contiguous.
``starts`` ``(grid rows, grid columns)`` int64 tells the column of each block's first pixel, -1 for an inactive one;
columns that belong to no block, and pixels of a block beyond the map's border, hold anything. A whole map is the tape
of one block as large as itself.

Every kernel that reads a tape takes ``(source, starts, block, size)``: the tape, its starts, the size of a block and
of the map. What lies outside of the map or in an inactive block is zero.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True, inline="always")
def _copy(target: NDArray[np.float32], source: NDArray[np.float32]) -> None:
    """Copy one row. Two plain vectors and one index vectorise; `a[i:j] = b[k:l]` and 3-D indices are 2-8x slower."""
    for k in range(len(target)):
        target[k] = source[k]


@njit(cache=True, nogil=True, inline="always")
def _limited(value: float, low: float, high: float) -> float:
    """Limit a value; NaN stays NaN."""
    value = low if value < low else value
    return high if value > high else value


@njit(cache=True, nogil=True)
def _copy_limited(target: NDArray[np.float32], source: NDArray[np.float32], low: float, high: float) -> None:
    """Copy one row within limits."""
    for k in range(len(target)):
        target[k] = _limited(source[k], low, high)


@njit(cache=True, nogil=True)
def _any_active(active: NDArray[np.bool_], i0: int, i1: int, j0: int, j1: int) -> bool:
    """Whether a block of a rectangle of the grid is active; clipped at the border."""
    for i in range(max(0, i0), min(active.shape[0], i1)):
        for j in range(max(0, j0), min(active.shape[1], j1)):
            if active[i, j]:
                return True
    return False


@njit(cache=True, nogil=True)
def place_runs(
    active: NDArray[np.bool_],
    block: tuple[int, int],
    stride: int,
    before: tuple[int, int],
    reach: tuple[int, int],
    shared: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Lay the runs of active output blocks of a convolution on one tape, row of blocks after row of blocks.

    Each run gets the columns of the input that it reads, halo included, so that one convolution without padding
    computes all runs; the few output columns between two runs are waste. Runs of one row that read the same columns
    keep their distance on the map. Where the halos of two neighbours are zero anyhow they share them.

    Args:
        active: grid of the output.
        block: of the output.
        stride: of the convolution, across.
        before: rows and columns of padding before the map.
        reach: ``dilation * (kernel - 1)``, down and across.
        shared: stride 1, the input is zero outside of the same blocks, and ``before`` lies in ``0..reach``.

    Returns:
        ``(N, 4)`` runs: row of blocks, first block, block after the last, output column; the starts of the output;
        its columns.
    """
    rows, columns = active.shape
    runs = np.empty((active.size, 4), np.int64)
    starts = np.full((rows, columns), -1, np.int64)
    above, below = -(-before[0] // block[0]), -(-(reach[0] - before[0]) // block[0])
    left, right = -(-before[1] // block[1]), -(-(reach[1] - before[1]) // block[1])
    separator = max(before[1], reach[1] - before[1])
    count, width = 0, 0
    right_is_zero = False
    for i in range(rows):
        j = 0
        while j < columns:
            if not active[i, j]:
                j += 1
                continue
            first = j
            while j < columns and active[i, j]:
                j += 1
            column = 0
            if count:
                before_row, before_first, before_end, placed = runs[count - 1]
                pixels = (before_end - before_first) * block[1]
                column = placed + -(-((pixels - 1) * stride + reach[1] + 1) // stride)
                if shared and right_is_zero and not _any_active(active, i - above, i + below + 1, first - left, first):
                    column = placed + pixels + separator
                if before_row == i:
                    column = min(column, placed + (first - before_first) * block[1])
            if shared:
                right_is_zero = not _any_active(active, i - above, i + below + 1, j, j + right)
            runs[count] = (i, first, j, column)
            count += 1
            for k in range(first, j):
                starts[i, k] = column + (k - first) * block[1]
            width = column + (j - first) * block[1]
    return runs[:count], starts, width


@njit(cache=True, nogil=True)
def _fill_channels(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    low: float,
    high: float,
    runs: NDArray[np.int64],
    out_block: tuple[int, int],
    stride: tuple[int, int],
    before: tuple[int, int],
    reach: int,
    run: int,
    step: int,
    channel: int,
    tape: NDArray[np.float32],
) -> None:
    """``fill_tape`` where the input has fewer channels than the tape: pixel by pixel."""
    channels, width, full = source.shape[2], tape.shape[1], tape.shape[2]
    line, out = source.reshape(source.size), tape.reshape(tape.size)
    count = np.uint64(channels)  # unsigned offsets: with signed ones Numba's check for negative indices costs 8x
    for r in range(tape.shape[0]):
        written = 0
        for n in range(len(runs)):
            t0 = runs[n, 3] * stride[1]
            x0 = runs[n, 1] * out_block[1] * stride[1] - before[1]
            length = ((runs[n, 2] - runs[n, 1]) * out_block[1] - 1) * stride[1] + reach + 1
            y = runs[n, 0] * out_block[0] * stride[0] - before[0] + (r // run) * step + r % run
            inside = y >= 0 and y < size[0]
            first = (y % block[0]) * source.shape[1]
            y_block = y // block[0]
            t = min(written, t0)
            while t < t0 + length:
                x = x0 + t - t0
                until, place = t0 + length, -1  # up to where columns are alike, and where they are on the source
                if t < t0:
                    until = t0
                elif x < 0:
                    until = min(until, t0 - x0)
                elif x < size[1]:
                    j = x // block[1]
                    until = min(until, t0 - x0 + min((j + 1) * block[1], size[1]))
                    if inside and starts[y_block, j] >= 0:
                        place = first + starts[y_block, j] + x - j * block[1]
                for k in range(until - t):
                    to = np.uint64((r * width + t + k) * full + channel)
                    if place < 0:
                        for c in range(count):
                            out[to + c] = 0.0
                    else:
                        at = np.uint64((place + k) * channels)
                        for c in range(count):
                            out[to + c] = _limited(line[at + c], low, high)
                t = until
            written = max(written, t0 + length)
        for t in range(written, width):
            to = np.uint64((r * width + t) * full + channel)
            for c in range(count):
                out[to + c] = 0.0


@njit(cache=True, nogil=True)
def fill_tape(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    low: float,
    high: float,
    runs: NDArray[np.int64],
    out_block: tuple[int, int],
    stride: tuple[int, int],
    before: tuple[int, int],
    reach: int,
    run: int,
    step: int,
    channel: int,
    tape: NDArray[np.float32],
) -> None:
    """Copy what the runs of ``place_runs`` read, to some channels of a tape.

    Args:
        source, starts, block, size: the input.
        low, high: limits of its values, float32.
        runs: of the output.
        out_block: block of the output.
        stride: of the convolution.
        before: padding.
        reach: across.
        run, step: the rows of ``tape`` are groups of ``run`` rows whose starts lie ``step`` rows apart.
        channel: first channel of ``tape`` that is written.
        tape: ``(rows, columns, C)``, every column is written.
    """
    channels, width = source.shape[2], tape.shape[1]
    if channels < tape.shape[2]:
        _fill_channels(
            source, starts, block, size, low, high, runs, out_block, stride, before, reach, run, step, channel, tape
        )
        return
    lines = source.reshape(source.shape[0], source.shape[1] * channels)
    out = tape.reshape(tape.shape[0], width * channels)
    written = 0
    for n in range(len(runs)):
        band, first, end, column = runs[n]
        t0 = column * stride[1]
        x0 = first * out_block[1] * stride[1] - before[1]
        length = ((end - first) * out_block[1] - 1) * stride[1] + reach + 1
        y0 = band * out_block[0] * stride[0] - before[0]
        for r in range(tape.shape[0]):
            target = out[r]
            if t0 > written:
                target[written * channels : t0 * channels] = 0.0
            y = y0 + (r // run) * step + r % run
            if y < 0 or y >= size[0]:
                target[t0 * channels : (t0 + length) * channels] = 0.0
                continue
            line, row_starts = lines[y % block[0]], starts[y // block[0]]
            x, stop = x0, min(x0 + length, size[1])
            if x < 0:
                skipped = min(-x, length)
                target[t0 * channels : (t0 + skipped) * channels] = 0.0
                x += skipped
            while x < stop:
                j = x // block[1]
                until = min((j + 1) * block[1], stop)
                t = (t0 + x - x0) * channels
                count = (until - x) * channels
                if row_starts[j] < 0:
                    target[t : t + count] = 0.0
                else:
                    s = (row_starts[j] + x - j * block[1]) * channels
                    _copy_limited(target[t : t + count], line[s : s + count], low, high)
                x = until
            if x < x0 + length:
                target[(t0 + x - x0) * channels : (t0 + length) * channels] = 0.0
        written = max(written, t0 + length)
    if written < width:
        for r in range(tape.shape[0]):
            out[r, written * channels :] = 0.0


@njit(cache=True, nogil=True)
def compact_starts(active: NDArray[np.bool_], width: int) -> tuple[NDArray[np.int64], int]:
    """Starts of a tape without gaps, and its columns.

    Args:
        active: grid.
        width: columns of a block.
    """
    starts = np.full(active.shape, -1, np.int64)
    column = 0
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            if active[i, j]:
                starts[i, j] = column
                column += width
    return starts, column


@njit(cache=True, nogil=True)
def move_blocks(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    low: float,
    high: float,
    out_starts: NDArray[np.int64],
    channel: int,
    tape: NDArray[np.float32],
) -> None:
    """Copy the blocks of ``out_starts`` from one tape of the same grid to another, from channel ``channel`` on.

    Args:
        source, starts, block: the input.
        low, high: limits of its values, float32.
        out_starts: of ``tape``.
        channel: first channel of ``tape`` that is written.
        tape: ``(rows, columns, C)``, written in place.
    """
    channels, width = source.shape[2], tape.shape[2]
    line, out = source.reshape(source.size), tape.reshape(tape.size)
    count = np.uint64(channels)  # unsigned offsets: with signed ones Numba's check for negative indices costs 8x
    for i in range(starts.shape[0]):
        for j in range(starts.shape[1]):
            t = out_starts[i, j]
            if t < 0:
                continue
            for r in range(block[0]):
                for k in range(block[1]):
                    to = np.uint64((r * tape.shape[1] + t + k) * width + channel)
                    if starts[i, j] < 0:
                        for c in range(count):
                            out[to + c] = 0.0
                    else:
                        at = np.uint64((r * source.shape[1] + starts[i, j] + k) * channels)
                        for c in range(count):
                            out[to + c] = _limited(line[at + c], low, high)


@njit(cache=True, nogil=True)
def spread(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    out: NDArray[np.float32],
    clear: bool,
) -> None:
    """Write the active blocks of a tape to a map ``(H, W, C)``; the others become zero, or stay without ``clear``."""
    height, width, channels = out.shape
    lines = source.reshape(source.shape[0], source.shape[1] * channels)
    for y in range(height):
        row = out[y].reshape(width * channels)
        line, row_starts = lines[y % block[0]], starts[y // block[0]]
        for j in range(starts.shape[1]):
            t = j * block[1] * channels
            count = min(block[1], width - j * block[1]) * channels
            if row_starts[j] >= 0:
                s = row_starts[j] * channels
                _copy(row[t : t + count], line[s : s + count])
            elif clear:
                row[t : t + count] = 0.0


@njit(cache=True, nogil=True)
def windows_to_tape(
    windows: NDArray[np.float32], offsets: NDArray[np.int64], block: tuple[int, int], tape: NDArray[np.float32]
) -> None:
    """Lay a block of each window side by side.

    Args:
        windows: ``(N, h, w, C)``.
        offsets: ``(M, 2)``, M at most N, first row and column of each window that is copied.
        block: rows and columns that are copied.
        tape: ``(rows of a block, M * columns of a block, C)``, written.
    """
    for n in range(len(offsets)):
        y0, x0 = offsets[n]
        for r in range(block[0]):
            for k in range(block[1]):
                _copy(tape[r, n * block[1] + k], windows[n, y0 + r, x0 + k])


@njit(cache=True, nogil=True)
def mark_needed(
    needed: NDArray[np.bool_],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    block: tuple[int, int],
    inputs: NDArray[np.bool_],
) -> None:
    """Mark, in place, the blocks of an input that the needed blocks of an output read.

    Args:
        needed: grid of the output.
        rows, columns: ``(grid rows, 2)`` and ``(grid columns, 2)``: input pixels that a row or column of blocks reads,
            the end exclusive; may lie outside of the input.
        block: of the input.
        inputs: grid of the input, written.
    """
    for i in range(needed.shape[0]):
        i0, i1 = max(0, rows[i, 0] // block[0]), min(inputs.shape[0], -(-rows[i, 1] // block[0]))
        for j in range(needed.shape[1]):
            if needed[i, j]:
                j0, j1 = max(0, columns[j, 0] // block[1]), min(inputs.shape[1], -(-columns[j, 1] // block[1]))
                for y in range(i0, i1):
                    for x in range(j0, j1):
                        inputs[y, x] = True
