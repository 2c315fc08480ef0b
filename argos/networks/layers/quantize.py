"""Quantisers of QU-Net: sign weights, activations as integer codes, straight-through gradients.

A *code* is an activation on a fixed grid, kept as a float tensor that holds integers ``0 .. 2**bits - 1``; it stands
for the value ``code * span / (2**bits - 1)``. Sums of codes times +-1 weights stay below 2**24, so float32 computes
them without rounding and an integer engine gives the same numbers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

PUBLISHED_SPAN = 10.0
"""The thesis divides every activation by 10 before it is cut to 0..1."""

DEPLOYED_SPAN = 4.0
"""Largest value of a code of 2 bits or more. What enters is batch normalised, so 4 cuts off less than 0.01 % of a
normal distribution, and a 4-bit step is 0.27 (with 10 it is 0.67: three codes would hold nearly everything)."""

DEPLOYED_BINARY_SPAN = 1.0
"""The same for 1-bit codes, which are 1 from half the span on: 0.5, which about three of ten normal values exceed."""


def levels(bits: int) -> int:
    """Return the largest code of ``bits`` bits, ``2**bits - 1``."""
    return int(2**bits - 1)


def span(bits: int, published: bool = False) -> float:
    """Return the value that the largest code of ``bits`` bits stands for."""
    if published:
        return PUBLISHED_SPAN
    return DEPLOYED_BINARY_SPAN if bits == 1 else DEPLOYED_SPAN


def weight_scale(weight: Tensor) -> Tensor:
    """Mean magnitude of a layer's weights: a scalar tensor, without gradient.

    Reference:
        Zhou et al., DoReFa-Net, arXiv:1606.06160; QU-Net thesis, Eq. 3.1.
    """
    return weight.detach().abs().mean().clamp_min(1e-8)


class _SignWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return torch.where(weight >= 0, 1.0, -1.0).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (scale,) = ctx.saved_tensors
        return gradient / scale, None


def sign_weights(weight: Tensor, scale: Tensor) -> Tensor:
    """Binarise weights to ``{-1, +1}``; the scale is left to the caller, who applies it after the convolution.

    ``scale * sign_weights(weight, scale)`` has the value ``sign(w) * mean|w|`` and the identity as its gradient.

    Args:
        weight: any shape, floating.
        scale: ``()``, from ``weight_scale``.

    Returns:
        Shape and type of ``weight``, exactly -1 or +1 (0 becomes +1).

    Reference:
        QU-Net thesis, Eq. 3.1 and 3.2.
    """
    return _SignWeights.apply(weight, scale)  # type: ignore[no-any-return]


def power_above(x: Tensor) -> Tensor:
    """Smallest power of two above ``x``, float64, at least 2**-60, by what every exported format has (no frexp)."""
    x = x.clamp_min(2.0**-61)
    power = torch.exp2(torch.floor(torch.log2(x)) + 1)
    power = torch.where(power > x, power, power * 2)  # the logarithm may be off by a rounding at a power of two
    return torch.where(power * 0.5 > x, power * 0.5, power)


def exact_affine(scale: Tensor, offset: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Round an affine step so that float32 takes sums to codes without rounding on the way.

    Of one channel, both get multiples of ``2**(x - 24)``, the smallest power of two ``2**x`` being above
    ``largest + 1 + |offset|``. For whole ``n`` below ``2**24``, ``n * scale + offset`` is then exact in float32, fused
    or not, wherever it is not cut off: every engine rounds the same number to the same code.

    Args:
        scale, offset: any shape, float64; ``codes = clamp(round(sums * scale + offset), 0, largest)``.
        largest: code, ``2**bits - 1``.

    Returns:
        Scale and offset, float32.
    """
    grid = power_above(largest + 1 + offset.abs()) * 2.0**-24
    scale = (scale / grid).round().clamp(-(2.0**24), 2.0**24) * grid
    return scale.float(), ((offset / grid).round() * grid).float()


def exact_weights(weight: Tensor, bias: Tensor, largest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Round the weights of a convolution so that float32 sums its products with codes without rounding, in any order.

    Args:
        weight: ``(C_out, C_in, 1, 1)``, floating.
        bias: ``(C_out,)``, floating.
        largest: code that enters.

    Returns:
        ``(C_out, C_in, 1, 1)`` and ``(C_out,)``, whole numbers, and the grid ``(C_out,)`` that both are to be
        multiplied by, a power of two; all float64.
    """
    weight, bias = weight.detach().double(), bias.detach().double()
    # a bit is left for what rounding adds
    grid = power_above(largest * weight.abs().sum((1, 2, 3)) + bias.abs()) * 2.0**-23
    return (weight / grid[:, None, None, None]).round(), (bias / grid).round(), grid


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.round_()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient


def round_ste_(x: Tensor) -> Tensor:
    """Round to the nearest integer in place, halves to even; the gradient passes unchanged."""
    if torch.compiler.is_compiling():  # it knows no function in place; the sum rounds nothing: both have x's grid
        return x + (x.round() - x).detach()
    return _Round.apply(x)  # type: ignore[no-any-return]


def saturate(x: Tensor, bits: int) -> Tensor:
    """Make codes from values that are already in steps of the grid: cut to ``0 .. 2**bits - 1``, then round.

    This is the ReLU of a quantised layer and its quantiser in one; the gradient passes strictly inside the cut.

    Reference:
        QU-Net thesis, Eq. 3.3 and 3.4.
    """
    return round_ste_(F.hardtanh(x, 0.0, float(levels(bits))))


def quantize(x: Tensor, bits: int, published: bool = False) -> Tensor:
    """Make codes of ``bits`` bits from values: ``round(levels * clamp(x / span, 0, 1))``, straight-through inside."""
    return round_ste_((x * (levels(bits) / span(bits, published))).clamp(0.0, float(levels(bits))))


class _Threshold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, step: float) -> Tensor:
        ctx.save_for_backward(codes)
        ctx.step = step
        return (codes * step).round_().clamp_(max=1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (codes,) = ctx.saved_tensors
        inside = torch.ops.aten.hardtanh_backward(gradient, codes, 0.0, 1.0 / ctx.step)
        return inside.mul_(ctx.step), None


class _Shift(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, shift: int, slope: float) -> Tensor:
        ctx.slope = slope
        return (codes * 2.0**-shift).floor_()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return gradient * ctx.slope, None, None


def binary_threshold(bits: int) -> int:
    """Return the smallest ``bits``-bit code that becomes 1 when it is reduced to one bit: value 0.5, rounded up."""
    half = 0.5 * DEPLOYED_BINARY_SPAN * levels(bits) / DEPLOYED_SPAN
    return int(-(-half // 1))


def reduce_bits(codes: Tensor, bits: int, wanted: int) -> Tensor:
    """Reduce codes of the deployed grid to fewer bits: a shift, or for one bit a comparison.

    Args:
        codes: integers ``0 .. 2**bits - 1`` in any shape.
        bits: bits of ``codes``.
        wanted: bits of the result, at most ``bits``.

    Returns:
        ``codes >> (bits - wanted)``, or ``codes >= binary_threshold(bits)`` where ``wanted`` is 1. The gradient is
        that of the straight line through both grids; for one bit it passes below the span of 1-bit codes only.

    Raises:
        ValueError: if ``wanted`` is more than ``bits``.
    """
    if wanted > bits:
        raise ValueError(f"cannot make {wanted}-bit codes from {bits}-bit codes; wanted must be at most {bits}")
    if wanted == bits:
        return codes
    if wanted == 1:
        return _Threshold.apply(codes, DEPLOYED_SPAN / (DEPLOYED_BINARY_SPAN * levels(bits)))  # type: ignore[no-any-return]
    return _Shift.apply(codes, bits - wanted, levels(wanted) / levels(bits))  # type: ignore[no-any-return]


class _RoundHalfUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.add_(0.5).floor_()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient


def upsample_codes(codes: Tensor) -> Tensor:
    """Double height and width by half-pixel bilinear interpolation in integers: ``(9a + 3b + 3c + d + 8) >> 4``.

    Args:
        codes: ``(N, C, H, W)``, integers.

    Returns:
        ``(N, C, 2H, 2W)``, integers on the same grid; the gradient is that of bilinear interpolation.
    """
    x = F.interpolate(codes, scale_factor=2, mode="bilinear", align_corners=False)
    if torch.compiler.is_compiling():  # see round_ste_
        return x + ((x + 0.5).floor() - x).detach()
    return _RoundHalfUp.apply(x)  # type: ignore[no-any-return]
