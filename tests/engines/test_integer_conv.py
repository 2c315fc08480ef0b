from __future__ import annotations

import logging

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from argos.engines import integer_conv
from argos.engines.integer_conv import ROUTES, Convolution, check_route, choose_route, float_route
from argos.networks.layers.quantize import exact_affine


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_is_exact_here(name: str) -> None:
    assert check_route(ROUTES[name]) == ""


@given(
    st.sampled_from(list(ROUTES)), st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(1, 24),
    st.sampled_from([1, 4, 8]), st.sampled_from([1, 4, 8]), st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_routes_equal_float64_on_any_shape(
    name: str, c_in: int, c_out: int, height: int, width: int, bits: int, stored: int, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    largest = 2**stored - 1
    codes = torch.randint(0, 2**bits, (1, height, width, c_in), generator=random, dtype=torch.uint8)
    codes = codes.permute(0, 3, 1, 2)
    signs = torch.randint(0, 2, (c_out, c_in, 3, 3), generator=random, dtype=torch.int8) * 2 - 1
    scale = torch.randn(c_out, generator=random).double() * largest / (2**bits * (9 * c_in) ** 0.5)
    offset = torch.randn(c_out, generator=random).double() * largest
    s, b = exact_affine(scale, offset, largest)
    sums = F.conv2d(codes.double(), signs.double(), padding=1)
    exact = (sums * s[:, None, None].double() + b[:, None, None].double()).clamp(0, largest).round()
    found = ROUTES[name](signs, largest)(codes, s, b)
    assert found.dtype == torch.uint8
    assert torch.equal(found.double(), exact)


def off_by_one(signs: Tensor, largest: int) -> Convolution:
    exact = float_route(signs, largest)

    def convolve(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        result = exact(codes, scale, offset)
        result[0, 0, 1, 1] ^= 1
        return result

    return convolve


def absent(signs: Tensor, largest: int) -> Convolution:
    raise NotImplementedError("torch.ops.onednn has no int8 convolution")


def test_route_that_is_wrong_or_missing_is_passed_over_and_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose_route({"wrong": off_by_one, "absent": absent, "float": float_route}) == "float"
    wrong, missing = (record.getMessage() for record in caplog.records)
    assert "by wrong on this machine: 1 of 3024 codes are wrong" in wrong
    assert "by absent on this machine: NotImplementedError: torch.ops.onednn has no int8 convolution" in missing


def test_torch_without_the_operator_runs_in_float(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_conv, "OPERATORS", ("qconv_of_another_time",))
    assert "has no int8 convolution" in check_route(ROUTES["onednn"])
    assert choose_route(ROUTES) == "float"
