"""QU-Net: a U-Net with 1-bit weights and 8/1/4-bit activations that proposes regions.

Two arithmetics share the layers. *Deployed* (the default) keeps every activation between two layers as integer codes
(``layers.quantize``), from the uint8 image to the last convolution. In evaluation its gates, scales and last weights
are on grids on which float32 rounds nothing, so that an integer engine computes the same numbers. *Published*
quantises what enters each convolution with the thesis' ``clamp(x / 10, 0, 1)`` and lets pooling, skips and
interpolation run on floats.

Reference:
    Varma, QU-Net: A Lightweight U-Net based Region Proposal System, 2021, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.binary import FloatUnit, QuantizedUnit
from argos.networks.layers.conv import pad_to_multiple
from argos.networks.layers.dct import BlockDCT, dct_codes, image_codes
from argos.networks.layers.quantize import exact_weights, levels, quantize, reduce_bits, span, upsample_codes

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
        self.last_takes_codes = last_stored is not None
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
        x = F.conv2d(x, *self.last_weights())  # (N, num_classes)
        if self.dct is not None:
            x = F.interpolate(x, scale_factor=8, mode="bilinear", align_corners=self.published)
        return x[:, :, :height, :width]

    def last_weights(self) -> tuple[Tensor, Tensor]:
        """Weights and bias of the last convolution for the codes that it takes; in evaluation its sums are exact."""
        assert self.out.bias is not None
        if self.training or not self.last_takes_codes:
            return self.out.weight * self.last_step, self.out.bias
        weight, bias, grid = self.exact_last_weights()
        return (weight * grid[:, None, None, None]).float(), (bias * grid).float()

    def exact_last_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """The weights of the last convolution as whole numbers and their grid: see ``exact_weights``."""
        assert self.out.bias is not None
        return exact_weights(self.out.weight.double() * self.last_step, self.out.bias, levels(LAST_BITS))

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
    return max([*needs, group or 1]) if len(needs) == len(takers) else None


def take(x: Tensor, stored: int | None, bits: int | None) -> Tensor:
    """Bring a stored map to the ``bits`` that a layer takes (``None``: as it is)."""
    if bits is None:
        return x
    return quantize(x, bits) if stored is None else reduce_bits(x, stored, bits)


def qunet(
    width: int = 64,
    num_classes: int = 2,
    bits: BitPlan | Mapping[str, int | None] = BitPlan(),
    se_reduction: int = 16,
    dct: bool = False,
    published: bool = False,
) -> QUNet:
    """Build a QU-Net.

    Args:
        width: channels of the first stage: 64 as published; 32, 16 and 8 for real time.
        num_classes: 2 as published, background and region.
        bits: activation bits of the three groups, as a plan or, in a card, as a mapping of its names; a group left out
            has its published bits. ``FULL_PRECISION`` gives the plain U-Net.
        se_reduction: squeeze-excite hidden width is ``max(4, C_in // se_reduction)``.
        dct: take an 8x8 block DCT of the image; the map is made at 1/8 and enlarged.
        published: the thesis' arithmetic instead of the deployed one. Drawn at random, its middle group is silent and
            gets no gradient: a 1-bit activation needs a value of 5, which hardly one in a million reaches.

    Raises:
        ValueError: if ``width`` is not one of ``WIDTHS``, another number is not positive, or ``bits`` names no group.
    """
    if width not in WIDTHS:
        raise ValueError(f"width must be one of {WIDTHS}, got {width!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if se_reduction < 1:
        raise ValueError(f"se_reduction must be at least 1, got {se_reduction}")
    if not isinstance(bits, BitPlan):
        groups = ("initial", "middle", "decoder")
        if not set(bits) <= set(groups):
            raise ValueError(f"bits must have no other keys than {groups}, got {sorted(bits)}")
        bits = BitPlan(**bits)
    channels = (width, 2 * width, 4 * width, 8 * width, 8 * width)
    return QUNet(channels, num_classes, bits, se_reduction, dct, published)


def unet(width: int = 64, num_classes: int = 2, dct: bool = False, published: bool = False) -> QUNet:
    """Build the full-precision U-Net that QU-Net quantises.

    Two 3x3 convolutions with bias, batch normalisation and ReLU a level, 2x2 max pools, bilinear upsampling.

    Args:
        width: channels of the first stage: 64 as published; 32, 16 and 8.
        num_classes: 2 as published.
        dct: see ``qunet``.
        published: enlarge with corners aligned, as the thesis; no count changes.

    Raises:
        ValueError: as ``qunet``.

    Reference:
        Varma 2021, Table 4.1, first row.
    """
    return qunet(width, num_classes, FULL_PRECISION, dct=dct, published=published)
