"""QU-Net: a U-Net with 1-bit weights and 8/1/4-bit activations that proposes regions.

Two arithmetics share the layers. *Deployed* (the default) keeps every activation between two layers as integer codes
(``layers.quantize``), from the uint8 image to the last convolution, so that an integer engine computes the same
numbers. *Published* quantises what enters each convolution with the thesis' ``clamp(x / 10, 0, 1)`` and lets
pooling, skips and interpolation run on floats.

Reference:
    Varma, QU-Net: A Lightweight U-Net based Region Proposal System, 2021, chapter 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.conv import pad_to_multiple
from argos.networks.layers.quantize import (
    levels,
    quantize,
    reduce_bits,
    saturate,
    sign_weights,
    span,
    upsample_codes,
    weight_scale,
)

WIDTHS = (64, 32, 16, 8)
LAST_BITS = 8
"""Bits of what enters the last, full-precision convolution in the deployed arithmetic: it is stored as uint8 too."""


@dataclass(frozen=True, slots=True)
class BitPlan:
    """Activation bits of the three groups of layers; ``None`` leaves a group (its weights too) in full precision.

    Attributes:
        initial: ``inc``, ``down1`` and ``down2``.
        middle: ``down3`` and ``down4``.
        decoder: ``up1`` to ``up4``.
    """

    initial: int | None = 8
    middle: int | None = 1
    decoder: int | None = 4

    def __post_init__(self) -> None:
        for name in ("initial", "middle", "decoder"):
            bits = getattr(self, name)
            if bits is not None and bits not in range(1, 9):
                raise ValueError(f"bits.{name} must be 1 to 8 or None (full precision), got {bits!r}")


FULL_PRECISION = BitPlan(None, None, None)


class BinaryConv2d(nn.Conv2d):
    """3x3 convolution of codes with the signs of its weights; gives the plain integer sums.

    The scale of the weights, the bias, the gate and the batch normalisation follow as one affine step
    (``QuantizedUnit.affine``). ``bits`` tells how many bits the codes have.
    """

    def __init__(self, in_channels: int, out_channels: int, bits: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.bits = bits

    def forward(self, codes: Tensor) -> Tensor:
        signs = sign_weights(self.weight, weight_scale(self.weight))
        return F.conv2d(codes, signs, padding=1)


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
        return torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))


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

        Uses the running statistics, as inference does: ``codes = clamp(round(sums * scale + offset))``.

        Args:
            gate: ``(N, C_out)``, from the squeeze-excite block.
        """
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None and self.conv.bias is not None
        slope = self.gain() * norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        scale = (self.step() * weight_scale(self.conv.weight)) * gate * slope
        offset = (gate * self.conv.bias - norm.running_mean) * slope + self.gain() * norm.bias
        return scale, offset

    def forward(self, x: Tensor) -> Tensor:
        if self.published:
            gate = self.gate(x.mean((2, 3)))
            sums = self.conv(quantize(x, self.conv.bits, published=True))
        else:
            gate = self.gate(x.mean((2, 3)) * self.step())
            sums = self.conv(x)
        if self.training:
            assert self.conv.bias is not None
            scale = (self.step() * weight_scale(self.conv.weight)) * gate
            gated = torch.addcmul(per_channel(gate * self.conv.bias), sums, per_channel(scale))
            y = normalize(gated, self.norm, self.gain())
        else:
            scale, offset = self.affine(gate)
            y = torch.addcmul(per_channel(offset), sums, per_channel(scale))
        return F.relu(y) if self.stored is None else saturate(y, self.stored)


def per_channel(x: Tensor) -> Tensor:
    """``(N, C)`` -> ``(N, C, 1, 1)``."""
    return x[:, :, None, None]


def normalize(x: Tensor, norm: nn.BatchNorm2d, gain: float) -> Tensor:
    """Batch normalisation in training, with its result multiplied by ``gain`` at no extra pass over ``x``."""
    assert norm.num_batches_tracked is not None and norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    return F.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight * gain, norm.bias * gain, True, norm.momentum, norm.eps
    )


class BlockDCT(nn.Module):
    """8x8 block DCT-II of each colour channel: ``(N, 3, H, W)`` -> ``(N, 192, H/8, W/8)``; nothing is learned.

    Channel ``64 * colour + 8 * v + u`` holds vertical frequency ``v`` and horizontal frequency ``u``.

    Reference:
        Xu et al., Learning in the Frequency Domain, arXiv:2002.12416; QU-Net thesis, section 4.2.2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", dct_basis(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        basis: Tensor = self.basis  # type: ignore[assignment]
        return F.conv2d(image, basis.to(image.dtype), stride=8, groups=3)


def dct_basis() -> Tensor:
    """Orthonormal 8x8 DCT-II for three colours, as weights ``(192, 1, 8, 8)`` of a grouped convolution."""
    n = torch.arange(8, dtype=torch.float64)
    rows = torch.cos(math.pi / 8 * (n[None, :] + 0.5) * n[:, None]) * math.sqrt(2 / 8)
    rows[0] /= math.sqrt(2)
    return torch.einsum("vy,ux->vuyx", rows, rows).reshape(64, 1, 8, 8).repeat(3, 1, 1, 1).float()


def dct_codes(coefficients: Tensor, bits: int) -> Tensor:
    """Put DCT coefficients of an image in 0..255 on the grid of ``bits`` bits.

    The mean (0 to 2040) is divided by 8; the others are halved and moved to the middle of 0..255, which cuts them at
    +-256: the codes have no sign, and larger ones are rare in pictures.
    """
    slope = coefficients.new_full((64,), 0.5)
    offset = coefficients.new_full((64,), 128.0)
    slope[0], offset[0] = 1 / 8, 0.0
    scaled = torch.addcmul(offset.repeat(3)[:, None, None], coefficients, slope.repeat(3)[:, None, None])
    return image_codes(scaled.round_().clamp_(0, 255), bits)


def image_codes(image: Tensor, bits: int) -> Tensor:
    """Reduce an image of integers 0..255 to ``bits`` bits by a shift."""
    return image if bits == 8 else (image * 2.0 ** (bits - 8)).floor_()


class QUNet(nn.Module):
    """The network; see ``qunet`` for the arguments.

    Attributes:
        bits: the bit plan.
        stored: bits of the codes that the five encoder stages give, ``None`` where they give values.
    """

    def __init__(self, channels: tuple[int, ...], num_classes: int, bits: BitPlan, se_reduction: int, dct: bool,
                 published: bool) -> None:  # fmt: skip
        super().__init__()
        self.num_classes = num_classes
        self.bits = bits
        self.published = published
        self.dct = BlockDCT() if dct else None
        groups = (bits.initial, bits.initial, bits.initial, bits.middle, bits.middle)
        self.stored = tuple(
            None if published else stored_bits(group, takers)
            for group, takers in zip(
                groups,
                (
                    (bits.initial, bits.decoder),
                    (bits.initial, bits.decoder),
                    (bits.middle, bits.decoder),
                    (bits.middle, bits.decoder),
                    (bits.decoder,),
                ),
                strict=True,
            )
        )
        decoder_stored = None if published else bits.decoder
        last_stored = None if published or bits.decoder is None else LAST_BITS

        def stage(c_in: int, c_middle: int, c_out: int, group: int | None, stored: int | None) -> nn.Sequential:
            between = None if published else group
            return nn.Sequential(
                unit(c_in, c_middle, group, between, se_reduction, published),
                unit(c_middle, c_out, group, stored, se_reduction, published),
            )

        c1, c2, c3, c4, c5 = channels
        self.inc = stage(192 if dct else 3, c1, c1, bits.initial, self.stored[0])
        self.down1 = stage(c1, c2, c2, bits.initial, self.stored[1])
        self.down2 = stage(c2, c3, c3, bits.initial, self.stored[2])
        self.down3 = stage(c3, c4, c4, bits.middle, self.stored[3])
        self.down4 = stage(c4, c5, c5, bits.middle, self.stored[4])
        self.up1 = stage(c4 + c5, c4, c4 // 2, bits.decoder, decoder_stored)
        self.up2 = stage(c3 + c4 // 2, c3, c3 // 2, bits.decoder, decoder_stored)
        self.up3 = stage(c2 + c3 // 2, c2, c2 // 2, bits.decoder, decoder_stored)
        self.up4 = stage(c1 + c2 // 2, c1, c1, bits.decoder, last_stored)
        self.last_step = 1.0 if last_stored is None else span(last_stored) / levels(last_stored)
        self.out = nn.Conv2d(c1, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Segment pictures.

        Args:
            image: ``(N, 3, H, W)``, uint8, or floating with values 0..255; any H and W.

        Returns:
            Logits ``(N, num_classes, H, W)``, floating.
        """
        height, width = image.shape[-2:]
        image = image.float() if not image.is_floating_point() else image
        # the maps of the DCT are padded where they are odd, but the deepest needs a pixel: 8 * 2**4
        image = pad_to_multiple(image, 16) if self.dct is None else pad_to_multiple(image, 8, minimum=128)
        x1 = self.inc(self.take_image(image))  # (N, C1, H, W), with the DCT (N, C1, H/8, W/8)
        x2 = self.down1(self.pool(x1, 0, self.bits.initial))  # half of it
        x3 = self.down2(self.pool(x2, 1, self.bits.initial))  # a quarter
        x4 = self.down3(self.pool(x3, 2, self.bits.middle))  # an eighth
        x5 = self.down4(self.pool(x4, 3, self.bits.middle))  # a sixteenth
        x = self.up1(self.merge(x4, 3, x5))  # (N, C4/2), an eighth
        x = self.up2(self.merge(x3, 2, x))  # (N, C3/2), a quarter
        x = self.up3(self.merge(x2, 1, x))  # (N, C2/2), half
        x = self.up4(self.merge(x1, 0, x))  # (N, C1)
        x = F.conv2d(x, self.out.weight * self.last_step, self.out.bias)  # (N, num_classes)
        if self.dct is not None:
            x = F.interpolate(x, scale_factor=8, mode="bilinear", align_corners=self.published)
        return x[:, :, :height, :width]

    def take_image(self, image: Tensor) -> Tensor:
        """Turn an image in 0..255 into what the first convolution takes."""
        bits = self.bits.initial
        if self.published or bits is None:
            image = image * (1 / 255)
            return image if self.dct is None else self.dct(image)
        return image_codes(image, bits) if self.dct is None else dct_codes(self.dct(image), bits)

    def pool(self, x: Tensor, stage: int, bits: int | None) -> Tensor:
        """Halve an encoder map, and bring it to what the next stage takes."""
        return take(F.max_pool2d(x, 2), self.stored[stage], None if self.published else bits)

    def merge(self, skip: Tensor, stage: int, deep: Tensor) -> Tensor:
        """Double the deep map and put the skip of encoder ``stage`` before it.

        The padding is for the DCT variant, whose maps have odd sizes (5 -> 2 -> 4 + 1).
        """
        bits = None if self.published else self.bits.decoder
        skip = take(skip, self.stored[stage], bits)
        if bits is not None:
            deep = upsample_codes(deep)
        else:
            deep = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=self.published)
        bottom, right = skip.shape[2] - deep.shape[2], skip.shape[3] - deep.shape[3]
        if bottom or right:
            deep = F.pad(deep, (0, right, 0, bottom))
        return torch.cat((skip, deep), 1)


def unit(
    c_in: int, c_out: int, bits: int | None, stored: int | None, se_reduction: int, published: bool
) -> FloatUnit | QuantizedUnit:
    """Make one convolution of the U-Net, in full precision where ``bits`` is ``None``."""
    if bits is None:
        return FloatUnit(c_in, c_out, stored)
    return QuantizedUnit(c_in, c_out, bits, stored, se_reduction, published)


def stored_bits(group: int | None, takers: tuple[int | None, ...]) -> int | None:
    """Return the bits in which a stage of ``group`` bits gives its map to layers that take ``takers`` bits.

    It is stored once, as fine as the finest needs; a layer in full precision needs the values.
    """
    needs = [bits for bits in takers if bits is not None]
    return max(needs + [group or 1]) if len(needs) == len(takers) else None


def take(x: Tensor, stored: int | None, bits: int | None) -> Tensor:
    """Bring a stored map to the ``bits`` that a layer takes (``None``: as it is)."""
    if bits is None:
        return x
    return quantize(x, bits) if stored is None else reduce_bits(x, stored, bits)


def qunet(
    width: int = 64,
    num_classes: int = 2,
    bits: BitPlan = BitPlan(),
    se_reduction: int = 16,
    dct: bool = False,
    published: bool = False,
) -> QUNet:
    """Build a QU-Net.

    Args:
        width: channels of the first stage: 64 as published; 32, 16 and 8 for real time.
        num_classes: 2 as published, background and region.
        bits: activation bits of the three groups; ``FULL_PRECISION`` gives the plain U-Net.
        se_reduction: squeeze-excite hidden width is ``max(4, C_in // se_reduction)``.
        dct: take an 8x8 block DCT of the image; the map is made at 1/8 and enlarged.
        published: the thesis' arithmetic instead of the deployed one.

    Raises:
        ValueError: if ``width`` is not one of ``WIDTHS``, or another number is not positive.
    """
    if width not in WIDTHS:
        raise ValueError(f"width must be one of {WIDTHS}, got {width!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if se_reduction < 1:
        raise ValueError(f"se_reduction must be at least 1, got {se_reduction}")
    channels = (width, 2 * width, 4 * width, 8 * width, 8 * width)
    return QUNet(channels, num_classes, bits, se_reduction, dct, published)
