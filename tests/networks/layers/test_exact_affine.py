from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.networks.layers.quantize import exact_affine

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.sampled_from([1, 3, 15, 255]), numbers, numbers, st.integers(-(2**24) + 1, 2**24 - 1), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_float32_rounds_nothing_that_is_not_cut_off(
    largest: int, scale: float, offset: float, number: int, code: int
) -> None:
    near_a_code = round((min(code, largest) - 0.5 - offset) / scale) if abs(scale) > 1e-9 else number
    s, b = exact_affine(torch.tensor(scale).double(), torch.tensor(offset).double(), largest)
    for n in (number, max(-(2**24) + 1, min(2**24 - 1, near_a_code))):
        exact = (n * s.double() + b.double()).clamp(0, largest).round()
        assert (torch.tensor(float(n)) * s + b).clamp(0, largest).round() == exact
        fused = (n * s.double() + b.double()).float()  # one rounding, as a fused multiply-add
        assert fused.clamp(0, largest).round() == exact


@given(
    st.sampled_from([1, 15, 255]), st.floats(0.02, 10), st.booleans(), st.floats(-200, 200), st.integers(-1000, 1000)
)
@settings(max_examples=200, deadline=None)
def test_codes_move_by_one_at_most(largest: int, scale: float, negative: bool, offset: float, number: int) -> None:
    scale = -scale if negative else scale
    s, b = exact_affine(torch.tensor(scale).double(), torch.tensor(offset).double(), largest)
    for n in (number, round((number % (largest + 1) - offset) / scale)):
        wanted = round(min(max(n * scale + offset, 0), largest))
        assert abs(float((n * s + b).clamp(0, largest).round()) - wanted) <= 1
