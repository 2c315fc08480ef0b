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
from dataclasses import dataclass, field
from typing import Any

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


GROUPS = {
    "initial": ("inc", "down1", "down2"),
    "middle": ("down3", "down4"),
    "decoder": ("up1", "up2", "up3", "up4"),
}
"""Stages of each group; a stage is two layers."""

LAYERS = {f"{stage}.{n}": group for group, stages in GROUPS.items() for stage in stages for n in (0, 1)}
"""The 18 layers by the names that they have in the network, and the group of each."""


@dataclass(frozen=True, slots=True)
class BitPlan:
    """Bits of the activations that layers take; ``None`` leaves them (and their weights) in full precision.

    Attributes:
        initial: of ``inc``, ``down1`` and ``down2``.
        middle: of ``down3`` and ``down4``.
        decoder: of ``up1`` to ``up4``.
        layers: of single layers, by a name of ``LAYERS``, where they differ from their group.
    """

    initial: int | None = 8
    middle: int | None = 1
    decoder: int | None = 4
    layers: Mapping[str, int | None] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for layer in self.layers:
            if layer not in LAYERS:
                raise ValueError(f"bits.layers must have names of {', '.join(LAYERS)}, got {layer!r}")
        of_layers = {f"layers.{layer}": bits for layer, bits in self.layers.items()}
        for name, bits in ({group: getattr(self, group) for group in GROUPS} | of_layers).items():
            if bits is not None and bits not in range(1, 9):
                raise ValueError(f"bits.{name} must be 1 to 8 or None (full precision), got {bits!r}")

    def of(self, layer: str) -> int | None:
        """Bits of one layer."""
        return self.layers.get(layer, self._group(layer))

    def every(self) -> dict[str, int | None]:
        """Bits of each layer."""
        return {layer: self.of(layer) for layer in LAYERS}

    def changed(self, layer: str, bits: int | None) -> BitPlan:
        """The same plan with other bits in one layer."""
        layers = {**self.layers, layer: bits}
        return BitPlan(
            self.initial, self.middle, self.decoder, {k: b for k, b in layers.items() if b != self._group(k)}
        )

    def _group(self, layer: str) -> int | None:
        bits: int | None = getattr(self, LAYERS[layer])
        return bits


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
        self.channels = channels
        self.bits = bits
        self.se_reduction = se_reduction
        self.published = published
        self.dct = BlockDCT() if dct else None
        of = bits.of
        self.stored = tuple(
            None if published else stored_bits(group, takers)
            for group, takers in (
                (of("inc.1"), (of("down1.0"), of("up4.0"))),
                (of("down1.1"), (of("down2.0"), of("up3.0"))),
                (of("down2.1"), (of("down3.0"), of("up2.0"))),
                (of("down3.1"), (of("down4.0"), of("up1.0"))),
                (of("up1.0"), (of("up1.0"),)),  # one layer takes it
            )
        )
        last_stored = None if published or of("up4.1") is None else LAST_BITS

        def stage(name: str, c_in: int, c_middle: int, c_out: int, stored: int | None) -> nn.Sequential:
            first, second = of(f"{name}.0"), of(f"{name}.1")
            stored = None if published else stored
            return nn.Sequential(
                unit(c_in, c_middle, first, None if published else second, se_reduction, published),
                unit(c_middle, c_out, second, stored, se_reduction, published),
            )

        c1, c2, c3, c4, c5 = channels
        self.inc = stage("inc", 192 if dct else 3, c1, c1, self.stored[0])
        self.down1 = stage("down1", c1, c2, c2, self.stored[1])
        self.down2 = stage("down2", c2, c3, c3, self.stored[2])
        self.down3 = stage("down3", c3, c4, c4, self.stored[3])
        self.down4 = stage("down4", c4, c5, c5, self.stored[4])
        self.up1 = stage("up1", c4 + c5, c4, c4 // 2, of("up2.0"))
        self.up2 = stage("up2", c3 + c4 // 2, c3, c3 // 2, of("up3.0"))
        self.up3 = stage("up3", c2 + c3 // 2, c2, c2 // 2, of("up4.0"))
        self.up4 = stage("up4", c1 + c2 // 2, c1, c1, last_stored)
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
        x2 = self.down1(self.pool(x1, 0, "down1.0"))  # half of it
        x3 = self.down2(self.pool(x2, 1, "down2.0"))  # a quarter
        x4 = self.down3(self.pool(x3, 2, "down3.0"))  # an eighth
        x5 = self.down4(self.pool(x4, 3, "down4.0"))  # a sixteenth
        x = self.up1(self.merge(x4, 3, x5, "up1.0"))  # (N, C4/2), an eighth
        x = self.up2(self.merge(x3, 2, x, "up2.0"))  # (N, C3/2), a quarter
        x = self.up3(self.merge(x2, 1, x, "up3.0"))  # (N, C2/2), half
        x = self.up4(self.merge(x1, 0, x, "up4.0"))  # (N, C1)
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
        bits = self.bits.of("inc.0")
        if self.published or bits is None:
            image = image * (1 / 255)
            return image if self.dct is None else self.dct(image)
        return image_codes(image, bits) if self.dct is None else dct_codes(self.dct(image), bits)

    def pool(self, x: Tensor, stage: int, taker: str) -> Tensor:
        """Halve the map of an encoder ``stage``, and bring it to what the layer ``taker`` takes."""
        return take(F.max_pool2d(x, 2), self.stored[stage], None if self.published else self.bits.of(taker))

    def merge(self, skip: Tensor, stage: int, deep: Tensor, taker: str) -> Tensor:
        """Double the deep map and put the skip of encoder ``stage`` before it, both as the layer ``taker`` takes them.

        The padding is for the DCT variant, whose maps have odd sizes (5 -> 2 -> 4 + 1).
        """
        bits = None if self.published else self.bits.of(taker)
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
    bits: BitPlan | Mapping[str, Any] = BitPlan(),
    se_reduction: int = 16,
    dct: bool = False,
    published: bool = False,
) -> QUNet:
    """Build a QU-Net.

    Args:
        width: channels of the first stage: 64 as published; 32, 16 and 8 for real time.
        num_classes: 2 as published, background and region.
        bits: activation bits of the three groups and of single layers, as a plan or, in a card, as a mapping of its
            names; a group left out has its published bits. ``FULL_PRECISION`` gives the plain U-Net.
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
        names = (*GROUPS, "layers")
        if not set(bits) <= set(names):
            raise ValueError(f"bits must have no other keys than {names}, got {sorted(bits)}")
        bits = BitPlan(**bits)
    channels = (width, 2 * width, 4 * width, 8 * width, 8 * width)
    return QUNet(channels, num_classes, bits, se_reduction, dct, published)


def with_bits(network: QUNet, bits: BitPlan) -> QUNet:
    """Build the same QU-Net with another bit plan and the same weights.

    Its running statistics are those of the old activations: measure them anew (``training.fit.recalibrate``) or train
    on before it is judged.

    Raises:
        ValueError: a layer is in full precision in one plan only: it has other weights there.
    """
    for layer, wanted in bits.every().items():
        if (wanted is None) != (network.bits.of(layer) is None):
            raise ValueError(f"bits of {layer} must {'not ' if wanted is None else ''}be None, as in the network")
    dct, published = network.dct is not None, network.published
    other = QUNet(network.channels, network.num_classes, bits, network.se_reduction, dct, published)
    other.load_state_dict(network.state_dict())
    return other.to(next(network.parameters()).device).train(network.training)


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
