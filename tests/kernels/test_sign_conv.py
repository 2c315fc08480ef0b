"""Words of codes and convolutions of them, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.kernels.sign_conv import bit_weights, bits, convolve_rows, quads


def drawn(height: int, width: int, channels: int, most: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, most + 1, (height, width, channels)).astype(np.uint8)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 200), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_bits_are_those_of_numpy(height: int, width: int, channels: int, seed: int) -> None:
    codes = drawn(height, width, channels, 1, seed)
    padded = np.pad(codes, ((0, 0), (0, 0), (0, -channels % 64)))
    assert np.array_equal(bits(codes), np.packbits(padded, 2, "little").view(np.uint64))


@pytest.mark.parametrize("channels", [1, 3, 4, 8, 21])
def test_quads_hold_four_codes_each_and_zeros_after_the_last(channels: int) -> None:
    codes = drawn(5, 7, channels, 255)
    found = quads(codes)
    assert found.shape == (5, 7, -(-channels // 4))
    assert np.array_equal(found.view(np.uint8), np.pad(codes, ((0, 0), (0, 0), (0, -channels % 4))))


@pytest.mark.parametrize(("channels", "width"), [(64, 12), (96, 5), (1500, 33), (64, 3000)])
def test_rows_equal_numpy_and_others_stay(channels: int, width: int) -> None:
    """Maps of one strip, of several, and of rows that are larger than one."""
    codes = drawn(9, width, channels, 1)
    signs = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (20, channels, 3, 3))
    scale, offset = np.full(20, 0.5, np.float32), np.arange(20, dtype=np.float32) * 8
    padded = np.pad(codes, ((1, 1), (1, 1), (0, 0))).astype(np.int32)
    sums = sum(
        padded[dy : dy + 9, dx : dx + width] @ signs[:, :, dy, dx].T.astype(np.int32)
        for dy in range(3)
        for dx in range(3)
    )
    expected = np.clip(np.rint(sums * scale + offset), 0, 200)
    out = np.full((9, width, 20), 77, np.uint8)
    convolve_rows(bits(codes), bit_weights(signs), scale, offset, 0, 200, 2, 7, out)
    assert np.array_equal(out[2:7], expected[2:7])
    assert (out[:2] == 77).all()
    assert (out[7:] == 77).all()
