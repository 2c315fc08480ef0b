"""The convolutions of QU-Net with all that belongs to each: gate, batch normalisation, saturation."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.quantize import (
    exact_affine,
    levels,
    quantize,
    saturate,
    sign_weights,
    span,
    weight_scale,
)


class BinaryConv2d(nn.Conv2d):
    """3x3 convolution of codes with the signs of its weights; gives the plain integer sums.

    The scale of the weights, the bias, the gate and the batch normalisation follow as one affine step
    (``QuantizedUnit.affine``). ``bits`` tells how many bits the codes have.
    """

    def __init__(self, in_channels: int, out_channels: int, bits: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.bits = bits

    def forward(self, codes: Tensor) -> Tensor:
        """Codes ``(N, C_in, H, W)``, floating, to sums ``(N, C_out, H, W)`` of them with signs, without bias.

        Where a training computes products in bfloat16 (autocast) codes and signs are exact still, and what is lost
        is digits of the sums.
        """
        signs = sign_weights(self.weight, weight_scale(self.weight))
        sums = F.conv2d(codes, signs, padding=1)
        return sums.float() if sums.dtype == torch.bfloat16 else sums


class SqueezeExcite(nn.Module):
    """Gate of a convolution from the mean of its input: ``(N, C_in)`` -> ``(N, C_out)`` in 0..1.

    Reference:
        Hu et al., Squeeze-and-Excitation Networks, arXiv:1709.01507; QU-Net thesis, figure 3.4.
    """

    def __init__(self, in_channels: int, out_channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(4, in_channels // reduction)
        self.squeeze = nn.Linear(in_channels, hidden)
        self.excite = nn.Linear(hidden, out_channels)
        # Means of codes are small and positive: a hidden unit that starts below zero would stay there on every image.
        nn.init.constant_(self.squeeze.bias, 0.25)

    def forward(self, pooled: Tensor) -> Tensor:
        """Means ``(N, C_in)``, floating, to gates ``(N, C_out)``, 0..1."""
        hidden = F.relu(_linear(pooled, self.squeeze))
        return torch.sigmoid(_linear(hidden, self.excite))


def _linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply a layer in the type of ``x``, which may be wider than its own."""
    return F.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))


class FloatUnit(nn.Module):
    """3x3 convolution, batch normalisation and ReLU in full precision.

    Args:
        stored: bits of the codes it gives, or ``None`` for the values themselves.
    """

    def __init__(self, in_channels: int, out_channels: int, stored: int | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.stored = stored

    def forward(self, x: Tensor) -> Tensor:
        """Values ``(N, C_in, H, W)`` to values, or to codes of ``stored`` bits, ``(N, C_out, H, W)``, floating."""
        x = F.relu(self.norm(self.conv(x)))
        return x if self.stored is None else quantize(x, self.stored)


class QuantizedUnit(nn.Module):
    """Binary convolution, gate, batch normalisation and saturation.

    Args:
        bits: bits of the activations that the convolution takes.
        stored: bits of the codes it gives, or ``None`` for values.
        reduction: of the squeeze-excite block.
        published: take values and quantise them here, as the thesis does; else take codes of ``bits`` bits.
    """

    def __init__(
        self, in_channels: int, out_channels: int, bits: int, stored: int | None, reduction: int, published: bool
    ) -> None:
        super().__init__()
        self.conv = BinaryConv2d(in_channels, out_channels, bits)
        self.gate = SqueezeExcite(in_channels, out_channels, reduction)
        self.norm = nn.BatchNorm2d(out_channels)
        self.stored = stored
        self.published = published

    def step(self) -> float:
        """Value of one code that enters, in units of the span (1 for the thesis' ``a_o``): ``1 / (2**bits - 1)``."""
        return 1.0 / levels(self.conv.bits)

    def gain(self) -> float:
        """Codes per unit of value that leaves; 1 where values leave."""
        return 1.0 if self.stored is None else levels(self.stored) / span(self.stored)

    def affine(self, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and offset, each ``(N, C_out)``, that take integer sums to codes before saturation.

        Uses the running statistics, as inference does: ``codes = clamp(round(sums * scale + offset))``. Where codes
        leave, both are such that float32 computes this exactly (``layers.quantize.exact_affine``).

        Args:
            gate: ``(N, C_out)``, from the squeeze-excite block.
        """
        factor, gated, fixed = self.affine_parts()
        scale, offset = factor * gate.double(), gated * gate.double() + fixed
        if self.stored is None:
            return scale.float(), offset.float()
        return exact_affine(scale, offset, levels(self.stored))

    def affine_parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the gate does not change, each ``(C_out,)`` float64.

        ``scale = factor * gate`` and ``offset = gated * gate + fixed``.
        """
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert self.conv.bias is not None
        slope = self.gain() * norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
        factor = (self.step() * weight_scale(self.conv.weight.double())) * slope
        fixed = self.gain() * norm.bias.double() - norm.running_mean.double() * slope
        return factor, self.conv.bias.double() * slope, fixed

    def forward(self, x: Tensor) -> Tensor:
        """Run the unit.

        Args:
            x: ``(N, C_in, H, W)``, floating: codes of ``bits`` bits; values where ``published``.

        Returns:
            ``(N, C_out, H, W)``, floating: codes of ``stored`` bits, or values without it.
        """
        if self.training or self.published:
            x, pooled = pass_and_pool(x)
        else:
            pooled = exact_mean(x)
        if self.published:
            gate = self.gate(pooled)
            sums = self.conv(quantize(x, self.conv.bits, published=True))
        else:
            gate = self.gate(pooled * self.step())
            sums = self.conv(x)
        if self.training:
            assert self.conv.bias is not None
            scale = (self.step() * weight_scale(self.conv.weight)) * gate
            y = normalize(scale_channels(sums, scale, gate * self.conv.bias), self.norm, self.gain())
        else:
            scale, offset = self.affine(gate)
            y = scale_channels(sums, scale, offset)
        return F.relu(y) if self.stored is None else saturate(y, self.stored)


def per_channel(x: Tensor) -> Tensor:
    """``(N, C)`` -> ``(N, C, 1, 1)``."""
    return x[:, :, None, None]


class _PassAndPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.pixels = x.shape[2] * x.shape[3]
        return x.view_as(x), x.mean((2, 3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, pooled: Tensor) -> Tensor:  # type: ignore[override]
        # In place: nothing but the convolution took the map, and it made this gradient for nobody else. The plain
        # mean would write a map of its own and have it added: four passes over memory instead of two.
        return gradient.add_(per_channel(pooled / ctx.pixels))


def pass_and_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``x`` for one convolution, and its mean over the picture, ``(N, C)``, for the gate."""
    return _PassAndPool.apply(x)  # type: ignore[no-any-return]


PIXELS_PER_SUM = 65_536
"""So many codes of 255 sum to less than 2**24, which float32 holds exactly."""


def exact_mean(codes: Tensor) -> Tensor:
    """Mean of each map of codes ``(N, C, H, W)``, ``(N, C)`` float64: no sum on the way is rounded."""
    pixels = codes.flatten(2)
    sums = [part.sum(2).double() for part in pixels.split(PIXELS_PER_SUM, 2)]
    return torch.stack(sums).sum(0) / pixels.shape[2]


class _ScaleChannels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale)
        return torch.addcmul(per_channel(offset), x, per_channel(scale))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        x, scale = ctx.saved_tensors
        n, c = scale.shape
        # (N, HW, C), no copy with channels_last. The products are summed by a matrix product of which only the
        # diagonal is used: up to 64 channels that costs less than writing the products down.
        g = gradient.permute(0, 2, 3, 1).reshape(n, -1, c)
        if c <= 64:
            by_scale = torch.bmm(g.transpose(1, 2), x.permute(0, 2, 3, 1).reshape(n, -1, c)).diagonal(dim1=1, dim2=2)
        else:
            by_scale = (gradient * x).sum((2, 3))
        return gradient * per_channel(scale), by_scale, gradient.sum((2, 3))


def scale_channels(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Return ``x * scale + offset`` for ``x`` ``(N, C, H, W)`` and a scale and an offset ``(N, C)`` of each map."""
    return _ScaleChannels.apply(x, scale, offset)  # type: ignore[no-any-return]


def normalize(x: Tensor, norm: nn.BatchNorm2d, gain: float) -> Tensor:
    """Batch normalisation in training, with its result multiplied by ``gain`` at no extra pass over ``x``."""
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    return F.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight * gain, norm.bias * gain, True, norm.momentum, norm.eps
    )
