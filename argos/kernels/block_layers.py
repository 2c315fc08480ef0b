"""Numba kernels that compute a layer straight from tapes: depthwise convolution, max pooling, interpolation.

Tapes and their starts are those of ``kernels.tapes``. Each kernel writes a tape without gaps, ``out``: the active
blocks of ``active`` in order, ``(rows of a block, columns, channels)``; pixels beyond the border of the map are zero.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _add_one(
    out: NDArray[np.float32], o: int, n: int, x: NDArray[np.float32], a: int, weight: NDArray[np.float32], w: int
) -> None:
    """``out += x * weight``; ``o``, ``a`` and ``w`` tell where each begins, all flat.

    Offsets and ``n`` are unsigned here and below: with signed ones Numba's check for negative indices costs 8x.
    """
    for k in range(n):
        out[o + k] += x[a + k] * weight[w + k]


@njit(cache=True, nogil=True)
def _add_three(
    out: NDArray[np.float32],
    o: int,
    n: int,
    x: NDArray[np.float32],
    a: int,
    b: int,
    c: int,
    weight: NDArray[np.float32],
    w: int,
) -> None:
    """Three pixels times three rows of weights at once: fewer loads and stores of ``out``."""
    for k in range(n):
        out[o + k] += x[a + k] * weight[w + k] + x[b + k] * weight[w + n + k] + x[c + k] * weight[w + n + n + k]


@njit(cache=True, nogil=True)
def _larger(out: NDArray[np.float32], o: int, n: int, x: NDArray[np.float32], a: int) -> None:
    for k in range(n):
        out[o + k] = max(out[o + k], x[a + k])


@njit(cache=True, nogil=True)
def _mix(
    out: NDArray[np.float32],
    o: int,
    n: int,
    x: NDArray[np.float32],
    a: int,
    b: int,
    c: int,
    d: int,
    u: float,
    v: float,
    w: float,
    z: float,
) -> None:
    """``u a + v b + w c + z d``."""
    for k in range(n):
        out[o + k] = (u * x[a + k] + v * x[b + k]) + (w * x[c + k] + z * x[d + k])


@njit(cache=True, nogil=True)
def _fill(out: NDArray[np.float32], o: int, n: int, value: float) -> None:
    for k in range(n):
        out[o + k] = value


@njit(cache=True, nogil=True)
def _places(starts: NDArray[np.int64], block: tuple[int, int], size: tuple[int, int]) -> NDArray[np.int64]:
    """``(grid rows, W)``: column on the tape of every column of the map, -1 in inactive blocks."""
    places = np.empty((starts.shape[0], size[1]), np.int64)
    for i in range(starts.shape[0]):
        for x in range(size[1]):
            start = starts[i, x // block[1]]
            places[i, x] = start + x % block[1] if start >= 0 else -1
    return places


@njit(cache=True, nogil=True)
def depthwise(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    active: NDArray[np.bool_],
    out_block: tuple[int, int],
    out_size: tuple[int, int],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    stride: tuple[int, int],
    before: tuple[int, int],
    dilation: tuple[int, int],
    low: float,
    high: float,
    out: NDArray[np.float32],
) -> None:
    """Convolve each channel by itself.

    Args:
        source, starts, block, size: the input.
        active: grid of the output.
        out_block, out_size: block and size of the output.
        weight: ``(kernel height, kernel width, C)``.
        bias: ``(C,)``.
        stride, before, dilation: of the convolution; ``before`` is its padding.
        low, high: the output is limited to; float32.
        out: written.
    """
    channels, width = source.shape[2], source.shape[1]
    line, flat, taps = source.reshape(source.size), out.reshape(out.size), weight.reshape(weight.size)
    n = np.uint64(channels)
    places = _places(starts, block, size)
    three = weight.shape[1] == 3
    column = 0
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            if not active[i, j]:
                continue
            for r in range(out_block[0]):
                y0 = (i * out_block[0] + r) * stride[0] - before[0]
                for k in range(out_block[1]):
                    o = np.uint64((r * out.shape[1] + column + k) * channels)
                    x0 = j * out_block[1] + k
                    if i * out_block[0] + r >= out_size[0] or x0 >= out_size[1]:
                        _fill(flat, o, n, np.float32(0))
                        continue
                    for c in range(n):
                        flat[o + c] = bias[c]
                    x0 = x0 * stride[1] - before[1]
                    for ty in range(weight.shape[0]):
                        y = y0 + ty * dilation[0]
                        if y < 0 or y >= size[0]:
                            continue
                        first, row = (y % block[0]) * width, places[y // block[0]]
                        w = np.uint64(ty * weight.shape[1] * channels)
                        if three and x0 >= 0 and x0 + 2 * dilation[1] < size[1]:
                            a, b, c = row[x0], row[x0 + dilation[1]], row[x0 + 2 * dilation[1]]
                            if a >= 0 and b >= 0 and c >= 0:
                                at = np.uint64((first + a) * channels)
                                bt = np.uint64((first + b) * channels)
                                ct = np.uint64((first + c) * channels)
                                _add_three(flat, o, n, line, at, bt, ct, taps, w)
                                continue
                        for tx in range(weight.shape[1]):
                            x = x0 + tx * dilation[1]
                            if x >= 0 and x < size[1] and row[x] >= 0:
                                at = np.uint64((first + row[x]) * channels)
                                _add_one(flat, o, n, line, at, taps, w + np.uint64(tx) * n)
                    for c in range(n):
                        flat[o + c] = min(max(flat[o + c], low), high)
            column += out_block[1]


@njit(cache=True, nogil=True)
def max_pool(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    active: NDArray[np.bool_],
    out_block: tuple[int, int],
    out_size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    before: tuple[int, int],
    dilation: tuple[int, int],
    out: NDArray[np.float32],
) -> None:
    """Largest value of each window; what lies outside of the map does not count, inactive blocks count as zero.

    Args: those of ``depthwise``, with the size of the window for the weights.
    """
    channels, width = source.shape[2], source.shape[1]
    line, flat, zeros = source.reshape(source.size), out.reshape(out.size), np.zeros(channels, np.float32)
    n, zero = np.uint64(channels), np.uint64(0)
    places = _places(starts, block, size)
    column = 0
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            if not active[i, j]:
                continue
            for r in range(out_block[0]):
                y0 = (i * out_block[0] + r) * stride[0] - before[0]
                for k in range(out_block[1]):
                    o = np.uint64((r * out.shape[1] + column + k) * channels)
                    x0 = j * out_block[1] + k
                    if i * out_block[0] + r >= out_size[0] or x0 >= out_size[1]:
                        _fill(flat, o, n, np.float32(0))
                        continue
                    _fill(flat, o, n, np.float32(-np.inf))
                    x0 = x0 * stride[1] - before[1]
                    for ty in range(kernel[0]):
                        y = y0 + ty * dilation[0]
                        if y < 0 or y >= size[0]:
                            continue
                        first, row = (y % block[0]) * width, places[y // block[0]]
                        for tx in range(kernel[1]):
                            x = x0 + tx * dilation[1]
                            if x < 0 or x >= size[1]:
                                continue
                            if row[x] >= 0:
                                _larger(flat, o, n, line, np.uint64((first + row[x]) * channels))
                            else:
                                _larger(flat, o, n, zeros, zero)
            column += out_block[1]


@njit(cache=True, nogil=True)
def interpolate(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    active: NDArray[np.bool_],
    out_block: tuple[int, int],
    out_size: tuple[int, int],
    rows: NDArray[np.int64],
    row_weights: NDArray[np.float32],
    columns: NDArray[np.int64],
    column_weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Mix two rows and two columns of the input for each pixel of the output.

    Args:
        source, starts, block, size: the input.
        active: grid of the output.
        out_block, out_size: block and size of the output.
        rows, columns: ``(h, 2)`` and ``(w, 2)`` input rows and columns; twice the same to take one.
        row_weights, column_weights: ``(h, 2)`` and ``(w, 2)``, how much of each.
        out: written.
    """
    channels, width = source.shape[2], source.shape[1]
    line, flat = source.reshape(source.size), out.reshape(out.size)
    n = np.uint64(channels)
    places = _places(starts, block, size)
    column = 0
    for i in range(active.shape[0]):
        for j in range(active.shape[1]):
            if not active[i, j]:
                continue
            for r in range(out_block[0]):
                y = i * out_block[0] + r
                for k in range(out_block[1]):
                    o = np.uint64((r * out.shape[1] + column + k) * channels)
                    x = j * out_block[1] + k
                    if y >= out_size[0] or x >= out_size[1]:
                        _fill(flat, o, n, np.float32(0))
                        continue
                    above, below = (rows[y, 0] % block[0]) * width, (rows[y, 1] % block[0]) * width
                    upper, lower = places[rows[y, 0] // block[0]], places[rows[y, 1] // block[0]]
                    a, b = upper[columns[x, 0]], upper[columns[x, 1]]
                    c, d = lower[columns[x, 0]], lower[columns[x, 1]]
                    left, right = column_weights[x, 0], column_weights[x, 1]
                    up, down = row_weights[y, 0], row_weights[y, 1]
                    if right == 0 and down == 0 and a >= 0:  # one pixel is taken as it is
                        at = np.uint64((above + a) * channels)
                        for e in range(n):
                            flat[o + e] = line[at + e]
                        continue
                    u, v = up * left if a >= 0 else np.float32(0), up * right if b >= 0 else np.float32(0)
                    w, z = down * left if c >= 0 else np.float32(0), down * right if d >= 0 else np.float32(0)
                    at = np.uint64((above + max(a, 0)) * channels)  # a weight of 0 takes any pixel
                    bt = np.uint64((above + max(b, 0)) * channels)
                    ct = np.uint64((below + max(c, 0)) * channels)
                    dt = np.uint64((below + max(d, 0)) * channels)
                    _mix(flat, o, n, line, at, bt, ct, dt, u, v, w, z)
            column += out_block[1]
