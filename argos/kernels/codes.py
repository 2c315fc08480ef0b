"""Numba kernels of the integer QU-Net: sums, pooling, merging and gates of maps of 8-bit codes.

Maps are ``(H, W, C)`` uint8, C-contiguous: the memory of a channels-last tensor of one picture. Where pixels are moved,
C is a multiple of 8 and they travel as 64-bit words. Rows are worked on as flat vectors, which LLVM vectorises whatever
C is; loops over the channels of one pixel are too short for it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

ROWS_PER_PART = 257
"""So many codes of 255 fit into uint16: 257 * 255 = 65,535."""


@njit(cache=True, nogil=True)
def _add_row(part: NDArray[np.uint16], row: NDArray[np.uint8]) -> None:
    for i in range(len(part)):
        part[i] += row[i]


@njit(cache=True, nogil=True)
def _close_part(part: NDArray[np.uint16], sums: NDArray[np.int64]) -> None:
    """Add a row of column sums ``(W * C,)`` to the sums of the channels, and clear it."""
    channels = len(sums)
    for x in range(len(part) // channels):
        for c in range(channels):
            sums[c] += part[x * channels + c]
    part[:] = 0


@njit(cache=True, nogil=True)
def _reduce_row(row: NDArray[np.uint8], shift: int, threshold: int) -> None:
    """Reduce codes in place as ``layers.quantize.reduce_bits`` does: a comparison where ``threshold`` is not 0.

    Both in the width of what they work on, five times as fast: a plain integer widens every code to 64 bits.
    """
    if threshold > 0:
        least = np.uint8(threshold)
        for i in range(len(row)):
            row[i] = row[i] >= least
    elif shift > 0:
        words, by = row.view(np.uint64), np.uint64(shift)
        kept = np.uint64(0x0101010101010101) * np.uint64(255 >> shift)  # what comes in from the next code is not
        for i in range(len(words)):
            words[i] = (words[i] >> by) & kept


@njit(cache=True, nogil=True)
def _spread(to: NDArray[np.uint64], source: NDArray[np.uint64], to_step: int, step: int, count: int) -> None:
    """Copy every ``step``-th word to every ``to_step``-th."""
    # unsigned, and 1.5 times as fast: a plain index is looked at on each access, whether it counts from the end
    i, j = np.uint64(0), np.uint64(0)
    for _ in range(count):
        to[i] = source[j]
        i += np.uint64(to_step)
        j += np.uint64(step)


@njit(cache=True, nogil=True)
def channel_sums(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sum every channel of a map ``(H, W, C)``, any C: ``(C,)``."""
    height, width, channels = codes.shape
    rows = codes.reshape(height, width * channels)
    sums = np.zeros(channels, np.int64)
    part = np.zeros(width * channels, np.uint16)
    for y in range(height):
        _add_row(part, rows[y])
        if y % ROWS_PER_PART == ROWS_PER_PART - 1 or y == height - 1:
            _close_part(part, sums)
    return sums


@njit(cache=True, nogil=True)
def pool(codes: NDArray[np.uint8], shift: int, threshold: int, half: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Halve a map by the largest of 2x2 codes, reduce its bits, and sum the channels of the result.

    Args:
        codes: ``(H, W, C)``, H and W even.
        shift: bits that are dropped.
        threshold: where not 0, codes become ``code >= threshold`` instead.
        half: ``(H / 2, W / 2, C)``, written.

    Returns:
        ``(C,)``, sums of the channels of ``half``.
    """
    height, width, channels = codes.shape
    n = width * channels
    rows = codes.reshape(height, n)
    out = half.reshape(height // 2, n // 2)
    largest = np.zeros(n, np.uint8)
    wide = np.zeros(n, np.uint8)
    # vectors of their own: an index that is a sum keeps a loop from being vectorised, and so does overlap
    right, words = largest[channels:], channels // 8
    source = wide.view(np.uint64)
    sums = np.zeros(channels, np.int64)
    part = np.zeros(n // 2, np.uint16)
    for y in range(height // 2):
        upper, lower, target = rows[2 * y], rows[2 * y + 1], out[y]
        for i in range(n):
            largest[i] = max(upper[i], lower[i])
        for i in range(len(right)):
            wide[i] = max(largest[i], right[i])
        moved = target.view(np.uint64)
        for k in range(words):
            _spread(moved[k:], source[k:], words, 2 * words, width // 2)
        _reduce_row(target, shift, threshold)
        _add_row(part, target)
        if y % ROWS_PER_PART == ROWS_PER_PART - 1 or y == height // 2 - 1:
            _close_part(part, sums)
    return sums


@njit(cache=True, nogil=True)
def merge(
    skip: NDArray[np.uint8], deep: NDArray[np.uint8], shift: int, threshold: int, merged: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Put a skip of fewer bits before a map of double size, pixel by pixel, and sum the channels of the result.

    The deep map is doubled by half-pixel bilinear interpolation, ``(9a + 3b + 3c + d + 8) >> 4``.

    Args:
        skip: ``(H, W, C)``, H and W even.
        deep: ``(H / 2, W / 2, D)``.
        shift: bits of the skip that are dropped.
        threshold: where not 0, codes of the skip become ``code >= threshold`` instead.
        merged: ``(H, W, C + D)``, written.

    Returns:
        ``(C + D,)``, sums of the channels of ``merged``.
    """
    height, width, first = skip.shape
    second = deep.shape[2]
    n = deep.shape[1] * second
    skips, deeps = skip.reshape(height, width * first), deep.reshape(deep.shape[0], n)
    out = merged.reshape(height, width * (first + second))
    skip_row = np.zeros(width * first, np.uint8)
    down = np.zeros(n + 2 * second, np.uint16)  # a row between rows, four times as large, its ends repeated
    before, here, after = down[:n], down[second : second + n], down[2 * second :]
    left, right = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    words, deep_words = first // 8, second // 8
    step = words + deep_words
    skip_from, left_from, right_from = skip_row.view(np.uint64), left.view(np.uint64), right.view(np.uint64)
    sums = np.zeros(first + second, np.int64)
    part = np.zeros(width * (first + second), np.uint16)
    for y in range(height):
        near, source_row = deeps[y // 2], skips[y]
        far = deeps[min(deep.shape[0] - 1, max(0, y // 2 - 1 + 2 * (y % 2)))]
        for i in range(n):
            here[i] = 3 * near[i] + far[i]
        for i in range(second):  # slices would take the compiler as long as all the rest
            before[i] = here[i]
        for i in range(n - second, n):
            after[i] = here[i]
        for i in range(n):
            left[i] = (3 * here[i] + before[i] + 8) >> 4
        for i in range(n):
            right[i] = (3 * here[i] + after[i] + 8) >> 4
        for i in range(len(skip_row)):
            skip_row[i] = source_row[i]
        _reduce_row(skip_row, shift, threshold)
        target = out[y].view(np.uint64)
        for k in range(words):
            _spread(target[k:], skip_from[k:], step, words, width)
        for k in range(deep_words):
            _spread(target[words + k :], left_from[k:], 2 * step, deep_words, width // 2)
            _spread(target[step + words + k :], right_from[k:], 2 * step, deep_words, width // 2)
        _add_row(part, out[y])
        if y % ROWS_PER_PART == ROWS_PER_PART - 1 or y == height - 1:
            _close_part(part, sums)
    return sums


@njit(cache=True, nogil=True)
def requantization(
    sums: NDArray[np.int64],
    step: float,
    squeeze: NDArray[np.float64],
    squeeze_bias: NDArray[np.float64],
    excite: NDArray[np.float64],
    excite_bias: NDArray[np.float64],
    factor: NDArray[np.float64],
    gated: NDArray[np.float64],
    fixed: NDArray[np.float64],
    largest: int,
) -> NDArray[np.float32]:
    """Scale and offset of each channel of a convolution: its gate, and all that follows it, as one affine step.

    In real numbers ``scale = factor * gate`` and ``offset = gated * gate + fixed``; both are then rounded to the grid
    of ``layers.quantize.exact_affine``.

    Args:
        sums: ``(C_in,)`` sums of the codes that enter.
        step: turns a sum into the mean that the gate takes.
        squeeze, squeeze_bias: ``(hidden, C_in)``, ``(hidden,)``, first layer of the gate.
        excite, excite_bias: ``(C_out, hidden)``, ``(C_out,)``, second layer.
        factor, gated, fixed: ``(C_out,)``.
        largest: code that leaves, ``2**bits - 1``.

    Returns:
        ``(2, C_out)``, scales and offsets.
    """
    hidden = np.zeros(len(squeeze_bias))
    for j in range(len(hidden)):
        value = squeeze_bias[j]
        for i in range(len(sums)):
            value += squeeze[j, i] * (sums[i] * step)
        hidden[j] = max(0.0, value)
    result = np.zeros((2, len(factor)), np.float32)
    for c in range(len(factor)):
        value = excite_bias[c]
        for j in range(len(hidden)):
            value += excite[c, j] * hidden[j]
        gate = 1.0 / (1.0 + math.exp(-value))
        offset = gated[c] * gate + fixed[c]
        _, exponent = math.frexp(largest + 1.0 + abs(offset))
        grid = math.ldexp(1.0, exponent - 24)
        result[0, c] = min(2.0**24, max(-(2.0**24), np.rint(factor[c] * gate / grid))) * grid
        result[1, c] = np.rint(offset / grid) * grid
    return result


@njit(cache=True, nogil=True)
def classify(
    codes: NDArray[np.uint8],
    weight: NDArray[np.int32],
    bias: NDArray[np.int32],
    grid: NDArray[np.float64],
    height: int,
    width: int,
) -> NDArray[np.float32]:
    """Convolve with a 1x1 kernel whose weights are whole numbers of ``grid``, and cut to a size.

    Args:
        codes: ``(H, W, C)``.
        weight: ``(K, C)``; no sum reaches 2**24 (``layers.quantize.exact_weights``).
        bias: ``(K,)``.
        grid: ``(K,)``, powers of two.
        height, width: of the result, at most H and W.

    Returns:
        ``(K, height, width)``.
    """
    channels = codes.shape[2]
    result = np.empty((len(weight), height, width), np.float32)
    for y in range(height):
        row = codes[y].reshape(-1)
        for k in range(len(weight)):
            line, step, start, to = weight[k], np.float32(grid[k]), bias[k], result[k, y]
            for x in range(width):
                pixel = row[x * channels : (x + 1) * channels]
                total = start
                for c in range(len(line)):
                    total += np.int32(pixel[c]) * line[c]
                to[x] = total * step
    return result
