"""Numba kernels that compute a layer straight from tapes: depthwise convolution, max pooling, interpolation.

Tapes and their starts are those of ``kernels.tapes``. Each kernel writes the blocks of ``out_starts`` on the tape
``out``, ``(rows of a block, columns, channels)``; pixels of a block beyond the border of the map become zero.
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
def _nine(
    out: NDArray[np.float32],
    o: int,
    n: int,
    x: NDArray[np.float32],
    at: NDArray[np.uint64],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    low: float,
    high: float,
) -> None:
    """All of a 3x3 kernel at once: ``out`` is written once, and not read.

    Args:
        at: ``(9,)``, where the pixels begin.
    """
    a, b, c, d, e, f, g, h, i = at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8]
    nn = n + n
    n3 = nn + n
    for k in range(n):
        upper = x[a + k] * weight[k] + x[b + k] * weight[n + k] + x[c + k] * weight[nn + k]
        w = n3 + k
        middle = x[d + k] * weight[w] + x[e + k] * weight[w + n] + x[f + k] * weight[w + nn]
        w = w + n3
        lower = x[g + k] * weight[w] + x[h + k] * weight[w + n] + x[i + k] * weight[w + nn]
        value = bias[k] + upper + middle + lower
        value = low if value < low else value  # NaN stays NaN
        out[o + k] = high if value > high else value


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
def _add_scaled(out: NDArray[np.float32], o: int, n: int, x: NDArray[np.float32], a: int, scale: float) -> None:
    for k in range(n):
        out[o + k] += scale * x[a + k]


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
def _rows(
    y0: int, dilation: int, block: int, height: int, width: int, bands: NDArray[np.int64], firsts: NDArray[np.int64]
) -> bool:
    """Find the rows that a kernel reads: their rows of blocks (-1 outside of the map) and first pixels on the tape.

    Returns:
        Whether all are on the map.
    """
    whole = True
    for ty in range(len(bands)):
        y = y0 + ty * dilation
        if y < 0 or y >= height:
            bands[ty], whole = -1, False
        else:
            bands[ty], firsts[ty] = y // block, (y % block) * width
    return whole


@njit(cache=True, nogil=True)
def _all_there(
    places: NDArray[np.int64],
    bands: NDArray[np.int64],
    firsts: NDArray[np.int64],
    channels: int,
    x0: int,
    dilation: int,
    at: NDArray[np.uint64],
) -> bool:
    """Find the nine pixels of a 3x3 kernel inside of the map; false if one of them is inactive."""
    for ty in range(3):
        row, first = places[bands[ty]], firsts[ty]
        for tx in range(3):
            place = row[x0 + tx * dilation]
            if place < 0:
                return False
            at[3 * ty + tx] = np.uint64((first + place) * channels)
    return True


@njit(cache=True, nogil=True)
def depthwise(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    out_starts: NDArray[np.int64],
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
        out_starts: of the output.
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
    nine, three = weight.shape[0] == weight.shape[1] == 3, weight.shape[1] == 3
    at = np.empty(9, np.uint64)
    bands, firsts = np.empty(weight.shape[0], np.int64), np.empty(weight.shape[0], np.int64)
    for i in range(out_starts.shape[0]):
        for r in range(out_block[0]):
            y0 = (i * out_block[0] + r) * stride[0] - before[0]
            whole = _rows(y0, dilation[0], block[0], size[0], width, bands, firsts)
            for j in range(out_starts.shape[1]):
                if out_starts[i, j] < 0:
                    continue
                for k in range(out_block[1]):
                    o = np.uint64((r * out.shape[1] + out_starts[i, j] + k) * channels)
                    x0 = j * out_block[1] + k
                    if i * out_block[0] + r >= out_size[0] or x0 >= out_size[1]:
                        _fill(flat, o, n, np.float32(0))
                        continue
                    x0 = x0 * stride[1] - before[1]
                    inside = x0 >= 0 and x0 + (weight.shape[1] - 1) * dilation[1] < size[1]
                    if nine and whole and inside and _all_there(places, bands, firsts, channels, x0, dilation[1], at):
                        _nine(flat, o, n, line, at, taps, bias, low, high)
                        continue
                    for c in range(n):
                        flat[o + c] = bias[c]
                    for ty in range(weight.shape[0]):
                        if bands[ty] < 0:
                            continue
                        row, first = places[bands[ty]], firsts[ty]
                        w = np.uint64(ty * weight.shape[1] * channels)
                        if three and inside:
                            a, b, c = row[x0], row[x0 + dilation[1]], row[x0 + 2 * dilation[1]]
                            if a >= 0 and b >= 0 and c >= 0:
                                a, b, c = (first + a) * channels, (first + b) * channels, (first + c) * channels
                                _add_three(flat, o, n, line, np.uint64(a), np.uint64(b), np.uint64(c), taps, w)
                                continue
                        for tx in range(weight.shape[1]):
                            x = x0 + tx * dilation[1]
                            if x >= 0 and x < size[1] and row[x] >= 0:
                                a = (first + row[x]) * channels
                                _add_one(flat, o, n, line, np.uint64(a), taps, w + np.uint64(tx) * n)
                    for c in range(n):
                        value = flat[o + c]
                        value = low if value < low else value  # NaN stays NaN
                        flat[o + c] = high if value > high else value


@njit(cache=True, nogil=True)
def max_pool(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    out_starts: NDArray[np.int64],
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
    bands, firsts = np.empty(kernel[0], np.int64), np.empty(kernel[0], np.int64)
    for i in range(out_starts.shape[0]):
        for r in range(out_block[0]):
            y0 = (i * out_block[0] + r) * stride[0] - before[0]
            _rows(y0, dilation[0], block[0], size[0], width, bands, firsts)
            for j in range(out_starts.shape[1]):
                if out_starts[i, j] < 0:
                    continue
                for k in range(out_block[1]):
                    o = np.uint64((r * out.shape[1] + out_starts[i, j] + k) * channels)
                    x0 = j * out_block[1] + k
                    if i * out_block[0] + r >= out_size[0] or x0 >= out_size[1]:
                        _fill(flat, o, n, np.float32(0))
                        continue
                    _fill(flat, o, n, np.float32(-np.inf))
                    x0 = x0 * stride[1] - before[1]
                    for ty in range(kernel[0]):
                        if bands[ty] < 0:
                            continue
                        row, first = places[bands[ty]], firsts[ty]
                        for tx in range(kernel[1]):
                            x = x0 + tx * dilation[1]
                            if x < 0 or x >= size[1]:
                                continue
                            if row[x] >= 0:
                                _larger(flat, o, n, line, np.uint64((first + row[x]) * channels))
                            else:
                                _larger(flat, o, n, zeros, zero)


@njit(cache=True, nogil=True)
def interpolate(
    source: NDArray[np.float32],
    starts: NDArray[np.int64],
    block: tuple[int, int],
    size: tuple[int, int],
    out_starts: NDArray[np.int64],
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
        out_starts: of the output.
        out_block, out_size: block and size of the output.
        rows, columns: ``(h, 2)`` and ``(w, 2)`` input rows and columns; twice the same to take one.
        row_weights, column_weights: ``(h, 2)`` and ``(w, 2)``, how much of each.
        out: written.
    """
    channels, width = source.shape[2], source.shape[1]
    line, flat = source.reshape(source.size), out.reshape(out.size)
    n = np.uint64(channels)
    places = _places(starts, block, size)
    for i in range(out_starts.shape[0]):
        for r in range(out_block[0]):
            y = i * out_block[0] + r
            inside = y < out_size[0]
            y0, y1 = (rows[y, 0], rows[y, 1]) if inside else (0, 0)
            up, down = (row_weights[y, 0], row_weights[y, 1]) if inside else (np.float32(0), np.float32(0))
            above, below = (y0 % block[0]) * width, (y1 % block[0]) * width
            upper, lower = places[y0 // block[0]], places[y1 // block[0]]
            for j in range(out_starts.shape[1]):
                if out_starts[i, j] < 0:
                    continue
                for k in range(out_block[1]):
                    o = np.uint64((r * out.shape[1] + out_starts[i, j] + k) * channels)
                    x = j * out_block[1] + k
                    if not inside or x >= out_size[1]:
                        _fill(flat, o, n, np.float32(0))
                        continue
                    left, right = column_weights[x, 0], column_weights[x, 1]
                    a = upper[columns[x, 0]]
                    if right == 0 and down == 0 and a >= 0:  # one pixel is taken as it is
                        at = np.uint64((above + a) * channels)
                        for e in range(n):
                            flat[o + e] = line[at + e]
                        continue
                    b, c, d = upper[columns[x, 1]], lower[columns[x, 0]], lower[columns[x, 1]]
                    u, v, w, z = up * left, up * right, down * left, down * right
                    at, bt = np.uint64((above + a) * channels), np.uint64((above + b) * channels)
                    ct, dt = np.uint64((below + c) * channels), np.uint64((below + d) * channels)
                    if a >= 0 and b >= 0 and c >= 0 and d >= 0:
                        _mix(flat, o, n, line, at, bt, ct, dt, u, v, w, z)
                        continue
                    _fill(flat, o, n, np.float32(0))  # no other pixel for one that is missing: 0 times NaN is NaN
                    for place, start, scale in ((a, at, u), (b, bt, v), (c, ct, w), (d, dt, z)):
                        if place >= 0:
                            _add_scaled(flat, o, n, line, start, scale)
