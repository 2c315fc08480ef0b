from __future__ import annotations

import numpy as np
import pytest
import torch

from argos.networks.layers import quantize as q
from argos.networks.layers.binary import pass_and_pool, scale_channels


def test_signs_are_one_and_minus_one_and_zero_counts_as_plus_one() -> None:
    weight = torch.tensor([-0.3, 0.0, 2.0])
    assert q.sign_weights(weight, q.weight_scale(weight)).tolist() == [-1.0, 1.0, 1.0]


def test_scaled_signs_have_the_value_and_the_gradient_of_equations_3_1_and_3_2() -> None:
    weight = torch.tensor([-0.5, 0.25, 1.5], requires_grad=True)
    scale = q.weight_scale(weight)
    scaled = scale * q.sign_weights(weight, scale)
    assert scaled.tolist() == [-0.75, 0.75, 0.75]
    scaled.backward(torch.tensor([1.0, 2.0, -3.0]))
    torch.testing.assert_close(weight.grad, torch.tensor([1.0, 2.0, -3.0]))


def test_weights_that_are_all_zero_give_a_finite_gradient() -> None:
    weight = torch.zeros(4, requires_grad=True)
    q.sign_weights(weight, q.weight_scale(weight)).sum().backward()
    assert torch.isfinite(weight.grad).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("published", [False, True])
def test_codes_stand_for_the_value_of_equation_3_3(bits: int, published: bool) -> None:
    x = torch.linspace(-1, 12, 997)
    span = q.span(bits, published)
    expected = np.round(np.clip(x.numpy() / span, 0, 1) * (2**bits - 1))
    codes = q.quantize(x, bits, published).numpy()
    assert np.abs(codes - expected).max() <= 1  # a tie may fall either way after another order of the products
    assert (codes != expected).mean() < 0.01
    assert codes.min() == 0
    assert codes.max() == 2**bits - 1


def test_quantizer_passes_the_gradient_inside_its_range_only() -> None:
    x = torch.tensor([-0.1, 0.4, 3.9, 4.1], requires_grad=True)
    q.quantize(x, 4).sum().backward()
    assert x.grad.tolist() == [0.0, 3.75, 3.75, 0.0]


def test_saturate_cuts_and_rounds_halves_to_even() -> None:
    x = torch.tensor([-3.0, 0.5, 1.5, 7.2, 99.0], requires_grad=True)
    codes = q.saturate(x, 4)
    assert codes.tolist() == [0.0, 0.0, 2.0, 7.0, 15.0]
    codes.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_eight_bits_become_four_by_a_shift() -> None:
    codes = torch.arange(256.0, requires_grad=True)
    reduced = q.reduce_bits(codes, 8, 4)
    assert reduced.tolist() == [c >> 4 for c in range(256)]
    reduced.sum().backward()
    torch.testing.assert_close(codes.grad, torch.full((256,), 15 / 255))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_one_bit_is_set_from_the_threshold_on(bits: int) -> None:
    codes = torch.arange(2.0**bits)
    expected = [float(c >= q.binary_threshold(bits)) for c in range(2**bits)]
    assert q.reduce_bits(codes, bits, 1).tolist() == expected
    assert q.binary_threshold(bits) * q.span(bits) / q.levels(bits) >= 0.5


def test_one_bit_passes_the_gradient_where_the_value_is_below_one() -> None:
    codes = torch.tensor([0.0, 1.0, 63.0, 64.0, 255.0], requires_grad=True)
    q.reduce_bits(codes, 8, 1).sum().backward()
    step = 4 / 255
    torch.testing.assert_close(codes.grad, torch.tensor([0.0, step, step, 0.0, 0.0]))


def test_more_bits_cannot_be_made_from_fewer() -> None:
    with pytest.raises(ValueError, match="at most 4"):
        q.reduce_bits(torch.zeros(3), 4, 8)


def test_upsampling_equals_the_integer_formula() -> None:
    codes = torch.randint(0, 16, (2, 3, 5, 7), generator=torch.Generator().manual_seed(1))
    edge = np.pad(codes.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    h, w = codes.shape[2:]
    expected = np.zeros((2, 3, 2 * h, 2 * w), np.int64)
    for y in range(2 * h):
        for x in range(2 * w):
            i, j = y // 2 + 1, x // 2 + 1
            k, m = (i + 1 if y % 2 else i - 1), (j + 1 if x % 2 else j - 1)
            total = 9 * edge[..., i, j] + 3 * edge[..., k, j] + 3 * edge[..., i, m] + edge[..., k, m]
            expected[..., y, x] = (total + 8) >> 4
    assert (q.upsample_codes(codes.float()).numpy() == expected).all()


@pytest.mark.parametrize("channels", [5, 70])
def test_scale_channels_has_the_gradients_of_the_plain_expression(channels: int) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, channels, 4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    scale = torch.randn(3, channels, generator=generator, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(3, channels, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, channels, 4, 6, generator=generator, dtype=torch.float64)
    plain = x * scale[:, :, None, None] + offset[:, :, None, None]
    fast = scale_channels(x, scale, offset)
    torch.testing.assert_close(fast, plain)
    inputs = (x, scale, offset)
    expected = torch.autograd.grad((plain * weight).sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad((fast * weight).sum(), inputs), expected)


def test_pass_and_pool_adds_the_gradient_of_the_mean() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(4, 3, 3, 3, dtype=torch.float64)

    def loss(passed: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(passed, kernel).square().sum() + (pooled**3).sum() * 100

    expected = torch.autograd.grad(loss(x, x.mean((2, 3))), x)
    torch.testing.assert_close(torch.autograd.grad(loss(*pass_and_pool(x)), x), expected)
