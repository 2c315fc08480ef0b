from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from argos.engines import integer_conv
from argos.engines.integer_conv import (
    MOST_BITS,
    ROUTES,
    Convolution,
    candidates,
    check_route,
    float_route,
    instructions,
    is_exact,
)
from argos.networks.layers.quantize import exact_affine, levels

HERE = [name for name in ROUTES if name != "multiply-add" or "+avx2" in instructions()]


@pytest.mark.parametrize("name", HERE)
def test_every_route_is_exact_here(name: str) -> None:
    assert check_route(ROUTES[name], MOST_BITS[name]) == ""


def convolve(
    name: str, channels: tuple[int, int], size: tuple[int, int], taken: int, stored: int, seed: int
) -> tuple[Tensor, Tensor]:
    """What a route gives for codes drawn at random, and the same in float64."""
    random = torch.Generator().manual_seed(seed)
    (c_in, c_out), largest = channels, levels(stored)
    codes = torch.randint(0, 2**taken, (1, *size, c_in), generator=random, dtype=torch.uint8).permute(0, 3, 1, 2)
    signs = torch.randint(0, 2, (c_out, c_in, 3, 3), generator=random, dtype=torch.int8) * 2 - 1
    scale = torch.randn(c_out, generator=random).double() * largest / (2**taken * (9 * c_in) ** 0.5)
    offset = torch.randn(c_out, generator=random).double() * largest
    s, b = exact_affine(scale, offset, largest)
    sums = F.conv2d(codes.double(), signs.double(), padding=1)
    exact = (sums * s[:, None, None].double() + b[:, None, None].double()).clamp(0, largest).round()
    return ROUTES[name](signs, taken, stored)(codes, s, b), exact


@given(
    st.sampled_from(HERE), st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(1, 24),
    st.sampled_from([1, 4, 8]), st.sampled_from([1, 4, 8]), st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_routes_equal_float64_on_any_shape(
    name: str, c_in: int, c_out: int, height: int, width: int, taken: int, stored: int, seed: int
) -> None:
    found, exact = convolve(name, (c_in, c_out), (height, width), min(taken, MOST_BITS[name]), stored, seed)
    assert found.dtype == torch.uint8
    assert torch.equal(found.double(), exact)


@pytest.mark.parametrize("channels", [(3, 16), (16, 24), (24, 64), (64, 16), (128, 48), (200, 8)])
@pytest.mark.parametrize("name", HERE)
def test_routes_equal_float64_on_channels_of_the_network(name: str, channels: tuple[int, int]) -> None:
    """More channels than the steps that fit into 16 bits, whole and broken words and blocks."""
    for taken in (1, 4, 8):
        if taken <= MOST_BITS[name]:
            found, exact = convolve(name, channels, (11, 22), taken, 8, taken)
            assert torch.equal(found.double(), exact)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", HERE)
def test_largest_sums_do_not_saturate(name: str, sign: int) -> None:
    taken = MOST_BITS[name]
    codes = torch.full((1, 5, 6, 256), levels(taken), dtype=torch.uint8).permute(0, 3, 1, 2)
    signs = torch.full((16, 256, 3, 3), sign, dtype=torch.int8)
    most = 9 * 256 * levels(taken)
    scale, offset = exact_affine(torch.full((16,), sign * 200 / most).double(), torch.zeros(16).double(), 255)
    found = ROUTES[name](signs, taken, 8)(codes, scale, offset)
    assert (found[0, :, 1:-1, 1:-1] == round(most * abs(scale[0].item()))).all()
    assert found[0, 0, 0, 0] == round(most * abs(scale[0].item()) * 4 / 9)


@pytest.mark.parametrize("threads", [1, 3, 50])
@pytest.mark.parametrize("name", HERE)
def test_number_of_threads_changes_nothing(name: str, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, exact = convolve(name, (64, 16), (7, 9), 1, 4, 0)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found.double(), exact)


def off_by_one(signs: Tensor, taken: int, stored: int) -> Convolution:
    exact = float_route(signs, taken, stored)

    def convolve(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        result = exact(codes, scale, offset)
        result[0, 0, 1, 1] ^= 1
        return result

    return convolve


def absent(signs: Tensor, taken: int, stored: int) -> Convolution:
    raise NotImplementedError("torch.ops.onednn has no int8 convolution")


@pytest.mark.parametrize(
    ("route", "fault"),
    [
        (off_by_one, "1 of 3024 codes are wrong"),
        (absent, "NotImplementedError: torch.ops.onednn has no int8 convolution"),
    ],
)
def test_route_that_is_wrong_or_missing_is_no_candidate_and_named(
    route: integer_conv.Route, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(ROUTES, "onednn", route)
    is_exact.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert "onednn" not in candidates(8)
            assert candidates(8)[-1] == "float"  # the last resort
    finally:
        is_exact.cache_clear()
    (warning,) = caplog.records  # told once
    assert warning.getMessage() == f"QU-Net does not run by onednn on this machine: {fault}"


def test_torch_without_the_operator_has_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_conv, "OPERATORS", ("qconv_of_another_time",))
    assert "has no int8 convolution" in check_route(ROUTES["onednn"], 8)


PROCESSORS = {
    "amx": ("+avx2 +avx512vnni +amx-int8", ["onednn"], ["onednn"]),
    "vnni": ("+avx2 +avx512vnni", ["onednn", "popcount"], ["onednn"]),
    "avx2": ("+avx2 -avx512vnni", ["onednn", "popcount", "multiply-add"], ["onednn", "multiply-add"]),
    "another": ("+neon", ["onednn", "popcount", "float"], ["onednn", "float"]),
}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_candidates_are_what_may_win_on_a_processor(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, one_bit, more = PROCESSORS[processor]
    monkeypatch.setattr(integer_conv, "instructions", lambda: frozenset(features.split()))
    monkeypatch.setattr(integer_conv, "is_exact", lambda name: True)
    assert candidates(1) == one_bit
    assert candidates(2) == candidates(8) == more


AVX2 = "+avx2,+fma,-avx512f,-avx512bw,-avx512cd,-avx512dq,-avx512vl,-avx512vnni,-avxvnni,-avx512vpopcntdq,-amx-int8"


@pytest.mark.skipif("+avx2" not in instructions(), reason="the processor has no AVX2")
def test_all_routes_are_exact_on_a_processor_with_no_more_than_avx2() -> None:
    """Numba reads its limit once, so it has a process."""
    code = "from argos.engines.integer_conv import candidates; print(*candidates(1))"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "NUMBA_CPU_FEATURES": AVX2}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["onednn", "popcount", "multiply-add"]
