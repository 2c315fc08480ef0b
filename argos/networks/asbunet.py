"""ASBU-Net (LogiNet): squeeze-and-expand encoder with parallel atrous convolutions, and long connects.

Reference:
    Bansal et al., Atrous Space Bender U-Net (ASBU-Net/LogiNet).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.conv import ACTIVATIONS, ConvNormActivation, initialize_he, pad_to_multiple

RATES = (3, 4, 5, 4, 3, 2, 1)
"""Rates 1 to 5 of the text, in unit steps, with the most linear growth of the receptive field."""

POOL_BEFORE = (0, 3, 5)
"""Encoder layers (counted from 0) that a 2x2 max pool precedes: after conv1, ASBL3 and ASBL5."""


@dataclass(frozen=True, slots=True)
class ASBUWidths:
    """Numbers of filters.

    Attributes:
        conv1: of the first convolution.
        squeeze: of ASBL1 to ASBL7.
        expand: filters of the 1x1, 3x3 and atrous branch, in multiples of the squeeze filters.
        skips: of the 1x1 convolutions on the skips at 1/2, 1/4 and 1/8.
        long_squeeze: squeeze filters of the long-connect layers at 1/2, 1/4 and 1/8.
        project: filters of a 1x1 convolution on the deep map before it is enlarged; ``None`` for none.
        last: of the 1x1 convolution before the classes.
        bias: convolutions have a bias besides the batch normalisation.
    """

    conv1: int
    squeeze: tuple[int, int, int, int, int, int, int]
    expand: tuple[int, int, int]
    skips: tuple[int, int, int]
    long_squeeze: tuple[int, int, int]
    project: int | None
    last: int
    bias: bool


SQUEEZENET_FILTERS = (16, 16, 32, 32, 48, 48, 64)

# All three have 1,656,385 variables, as published; the paper's own widths cannot be told apart from its text.
WIDTHS: dict[str, ASBUWidths] = {
    "A": ASBUWidths(64, SQUEEZENET_FILTERS, (2, 3, 3), (24, 32, 96), (16, 16, 32), None, 32, False),
    "B": ASBUWidths(64, SQUEEZENET_FILTERS, (2, 3, 3), (16, 16, 16), (16, 32, 64), 16, 64, False),
    "C": ASBUWidths(64, (16, 32, 32, 48, 48, 64, 64), (1, 2, 2), (64, 96, 128), (16, 32, 48), None, 32, True),
}


class ASBLayer(nn.Module):
    """Squeeze by a 3x3 convolution, then expand by a 1x1, a 3x3 and an atrous 3x3 convolution side by side."""

    def __init__(
        self, in_channels: int, squeeze: int, expand: tuple[int, int, int], rate: int, bias: bool, activation: str
    ) -> None:
        super().__init__()
        e1, se, ase = (squeeze * multiple for multiple in expand)
        self.out_channels = e1 + se + ase
        self.squeeze = ConvNormActivation(in_channels, squeeze, 3, bias=bias, activation=activation)
        self.expand1 = ConvNormActivation(squeeze, e1, 1, bias=bias, activation=activation)
        self.expand3 = ConvNormActivation(squeeze, se, 3, bias=bias, activation=activation)
        self.atrous = ConvNormActivation(squeeze, ase, 3, dilation=rate, bias=bias, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, floating."""
        x = self.squeeze(x)
        return torch.cat((self.expand1(x), self.expand3(x), self.atrous(x)), 1)


class LongConnect(nn.Module):
    """Enlarge the deep map two times, put the skip beside it, and blend both by an ASB layer of rate 1."""

    def __init__(
        self, deep: int, skip: int, skip_filters: int, squeeze: int, widths: ASBUWidths, activation: str
    ) -> None:
        super().__init__()
        bias = widths.bias
        self.skip = ConvNormActivation(skip, skip_filters, 1, bias=bias, activation=activation)
        self.project: nn.Module = nn.Identity()
        if widths.project is not None:
            self.project = ConvNormActivation(deep, widths.project, 1, bias=bias, activation=activation)
            deep = widths.project
        self.blend = ASBLayer(deep + skip_filters, squeeze, widths.expand, 1, bias, activation)
        self.out_channels = self.blend.out_channels

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Join two maps.

        Args:
            deep: ``(N, deep, H, W)``, floating.
            skip: ``(N, skip, 2H, 2W)``, floating.

        Returns:
            ``(N, out_channels, 2H, 2W)``.
        """
        deep = F.interpolate(self.project(deep), scale_factor=2, mode="bilinear", align_corners=False)
        return self.blend(torch.cat((deep, self.skip(skip)), 1))  # type: ignore[no-any-return]


class ASBUNet(nn.Module):
    """The network; see ``asbunet`` for the arguments."""

    def __init__(
        self, widths: ASBUWidths, num_classes: int, rates: tuple[int, ...], output_stride: int, activation: str
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.output_stride = output_stride
        self.conv1 = ConvNormActivation(3, widths.conv1, 3, stride=2, bias=widths.bias, activation=activation)
        self.encoder = nn.ModuleList()
        channels = [widths.conv1]
        for squeeze, rate in zip(widths.squeeze, rates, strict=True):
            layer = ASBLayer(channels[-1], squeeze, widths.expand, rate, widths.bias, activation)
            self.encoder.append(layer)
            channels.append(layer.out_channels)
        # ASBL5 is already at the deepest scale when the pool after it is left out: no long connect from it.
        sources = {2: channels[0], 4: channels[3]} | ({8: channels[5]} if output_stride == 16 else {})
        self.decoder = nn.ModuleDict()
        deep = channels[-1]
        for position, (scale, skip) in reversed(list(enumerate(sources.items()))):
            block = LongConnect(deep, skip, widths.skips[position], widths.long_squeeze[position], widths, activation)
            self.decoder[str(scale)] = block
            deep = block.out_channels
        self.last = ConvNormActivation(deep, widths.last, 1, bias=widths.bias, activation=activation)
        self.classes = nn.Conv2d(widths.last, num_classes, 3, padding=1)
        initialize_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Segment pictures.

        Args:
            image: ``(N, 3, H, W)``, floating, 0..1; any H and W.

        Returns:
            Logits ``(N, num_classes, H, W)``; the sigmoid of the paper is left to the loss and the caller.
        """
        return self.decode(self.encode(image), image.shape[-2:])

    def encode(self, image: Tensor) -> list[Tensor]:
        """The last map of each scale: 1/2, 1/4, 1/8 and, with output stride 16, 1/16 of the padded image."""
        x = self.conv1(pad_to_multiple(image, self.output_stride))  # (N, 64, H/2, W/2)
        maps = [x]
        pools = POOL_BEFORE if self.output_stride == 16 else POOL_BEFORE[:2]
        for index, layer in enumerate(self.encoder):
            if index in pools:  # H/4 before ASBL1, H/8 before ASBL4, H/16 before ASBL6
                maps.append(F.max_pool2d(x, 2))
                x = maps[-1]
            maps[-1] = x = layer(x)
        return maps

    def decode(self, maps: list[Tensor], size: tuple[int, ...]) -> Tensor:
        """Logits ``(N, num_classes, *size)`` from the maps of ``encode``; ``size`` is that of the image."""
        height, width = size
        x = maps[-1]
        for connect, skip in zip(self.decoder.values(), reversed(maps[:-1]), strict=True):  # from the deepest
            x = connect(x, skip)
        x = self.classes(self.last(x))  # (N, num_classes, H/2, W/2)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return x[:, :, :height, :width]


def receptive_fields(rates: tuple[int, ...] = RATES) -> tuple[int, ...]:
    """Receptive field in pixels after each of the seven ASB layers, on the path of the atrous convolutions.

    Reference:
        ASBU-Net paper, Eq. 2: 1 + sum of (kernel - 1) times the strides before.
    """
    field, jump = 1 + 2, 2  # conv1: 3x3, stride 2
    fields = []
    for index, rate in enumerate(rates):
        if index in POOL_BEFORE:
            field, jump = field + jump, 2 * jump
        field += 2 * jump + 2 * rate * jump  # squeeze 3x3; an atrous 3x3 spans 2 * rate + 1
        fields.append(field)
    return tuple(fields)


def asbunet(
    num_classes: int = 1,
    rates: tuple[int, ...] = RATES,
    output_stride: int = 16,
    activation: str = "relu",
    specification: str = "C",
) -> ASBUNet:
    """Build an ASBU-Net.

    Args:
        num_classes: 1 as published.
        rates: dilation of ASBL1 to ASBL7.
        output_stride: 16, or 8 for the small variant without the pool after ASBL5.
        activation: ``relu`` or ``swish``.
        specification: widths ``A``, ``B`` or ``C``; each has the published number of variables.

    Raises:
        ValueError: for any other value.
    """
    if specification not in WIDTHS:
        raise ValueError(f"specification must be one of {sorted(WIDTHS)}, got {specification!r}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}")
    if output_stride not in (8, 16):
        raise ValueError(f"output_stride must be 16 or 8, got {output_stride!r}")
    if len(rates) != 7 or min(rates) < 1:
        raise ValueError(f"rates must be seven positive integers, got {rates!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    return ASBUNet(WIDTHS[specification], num_classes, tuple(rates), output_stride, activation)
