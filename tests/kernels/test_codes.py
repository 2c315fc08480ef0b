"""The kernels of the integer QU-Net against torch's forms that training uses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.kernels.codes import channel_sums, classify, merge, pool, requantization
from argos.networks.layers.binary import QuantizedUnit, exact_mean
from argos.networks.layers.quantize import (
    binary_threshold,
    exact_weights,
    levels,
    reduce_bits,
    upsample_codes,
)

sizes = st.integers(1, 9)
channels = st.sampled_from([8, 16, 24])


def codes_of(seed: int, height: int, width: int, channels: int, bits: int) -> NDArray[np.uint8]:
    codes = np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels), dtype=np.uint8)
    codes[: height // 3] = 2**bits - 1
    return codes


def tensor_of(codes: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(codes).permute(2, 0, 1)[None].float()


def array_of(tensor: torch.Tensor) -> NDArray[np.uint8]:
    return tensor[0].permute(1, 2, 0).to(torch.uint8).numpy()


def reduction_of(bits: int, wanted: int) -> tuple[int, int]:
    return (0, binary_threshold(bits)) if wanted == 1 < bits else (bits - wanted, 0)


@given(st.integers(0, 99), sizes, sizes, st.sampled_from([1, 3, 16]))
@settings(max_examples=25, deadline=None)
def test_sums_are_those_of_the_channels(seed: int, height: int, width: int, channels: int) -> None:
    codes = codes_of(seed, height, width, channels, 8)
    np.testing.assert_array_equal(channel_sums(codes), codes.sum((0, 1), dtype=np.int64))


@pytest.mark.parametrize("height", [256, 257, 258, 514, 600])
def test_sums_of_tall_bright_maps_do_not_overflow(height: int) -> None:
    codes = np.full((height, 2, 8), 255, np.uint8)
    assert channel_sums(codes).tolist() == [height * 2 * 255] * 8
    half = np.empty((height // 2 // 2, 1, 8), np.uint8)
    assert pool(codes[: height // 2 // 2 * 2], 0, 0, half).tolist() == [len(half) * 255] * 8


@given(st.integers(0, 99), sizes, sizes, channels, st.sampled_from([(8, 8), (8, 1), (4, 1), (4, 3), (1, 1), (8, 5)]))
@settings(max_examples=40, deadline=None)
def test_pool_is_the_reduced_largest_of_four(
    seed: int, height: int, width: int, channels: int, bits: tuple[int, int]
) -> None:
    codes = codes_of(seed, 2 * height, 2 * width, channels, bits[0])
    half = np.empty((height, width, channels), np.uint8)
    sums = pool(codes, *reduction_of(*bits), half)
    expected = array_of(reduce_bits(F.max_pool2d(tensor_of(codes), 2), *bits))
    np.testing.assert_array_equal(half, expected)
    np.testing.assert_array_equal(sums, expected.sum((0, 1), dtype=np.int64))


@given(st.integers(0, 99), sizes, sizes, channels, channels, st.sampled_from([(8, 4), (8, 1), (4, 4), (8, 8), (5, 2)]))
@settings(max_examples=40, deadline=None)
def test_merge_is_reduced_skip_then_interpolated_map(
    seed: int, height: int, width: int, first: int, second: int, bits: tuple[int, int]
) -> None:
    skip = codes_of(seed, 2 * height, 2 * width, first, bits[0])
    deep = codes_of(seed + 1, height, width, second, bits[1])
    merged = np.empty((2 * height, 2 * width, first + second), np.uint8)
    sums = merge(skip, deep, *reduction_of(*bits), merged)
    expected = torch.cat((reduce_bits(tensor_of(skip), *bits), upsample_codes(tensor_of(deep))), 1)
    np.testing.assert_array_equal(merged, array_of(expected))
    np.testing.assert_array_equal(sums, array_of(expected).sum((0, 1), dtype=np.int64))


@pytest.mark.parametrize("stored", [1, 4, 8])
def test_requantization_equals_that_of_the_network(stored: int) -> None:
    torch.manual_seed(stored)
    unit = QuantizedUnit(24, 17, 4, stored, 8, published=False).eval()
    unit.norm.weight.data.uniform_(-2, 2)
    unit.norm.bias.data.uniform_(-3, 3)
    unit.norm.running_mean.uniform_(-30, 30)
    unit.norm.running_var.uniform_(0.01, 100)
    unit.gate.excite.weight.data.mul_(4)
    codes = codes_of(3, 11, 13, 24, 4)
    with torch.no_grad():
        gate = unit.gate(exact_mean(tensor_of(codes)) * unit.step())
        expected = torch.cat(unit.affine(gate)).numpy()
        gates = (unit.gate.squeeze.weight, unit.gate.squeeze.bias, unit.gate.excite.weight, unit.gate.excite.bias)
        parts = [part.double().numpy() for part in (*gates, *unit.affine_parts())]
    found = requantization(channel_sums(codes), unit.step() / (11 * 13), *parts, levels(stored))
    assert gate.std() > 0.05
    np.testing.assert_array_equal(found, expected)


def test_classify_equals_a_float_convolution_in_any_order_of_sums() -> None:
    random = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(3, 16, 1, 1, generator=random), torch.randn(3, generator=random)
    codes = codes_of(5, 12, 14, 16, 8)
    whole, start, grid = exact_weights(weight, bias, 255)
    arrays = (whole[:, :, 0, 0].numpy().astype(np.int32), start.numpy().astype(np.int32), grid.numpy())
    found = classify(codes, *arrays, 11, 9)
    image, scaled = tensor_of(codes), (whole * grid[:, None, None, None]).float()
    for order in (torch.arange(16), torch.randperm(16, generator=random)):
        logits = F.conv2d(image[:, order], scaled[:, order], (start * grid).float())
        np.testing.assert_array_equal(found, logits[0, :, :11, :9].numpy())
    plain = F.conv2d(image.double(), weight.double(), bias.double())[0, :, :11, :9].numpy()
    assert np.abs(found - plain).max() < 16 * 255 * grid.max()  # half a step of the grid for each product, and the bias
