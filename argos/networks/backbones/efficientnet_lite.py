"""EfficientNet-Lite0: inverted residuals without squeeze-excitation, whose ImageNet weights are freely licensed.

Reference:
    Tan and Le, EfficientNet, arXiv:1905.11946, Table 1; the Lite form of its authors drops squeeze-excitation, takes
    ReLU6 for swish and keeps the stem at 32 filters.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn as nn
from torch import Tensor

from argos.networks.backbones.mobilenet_v1 import Features

# (expansion, filters, blocks, stride, kernel) of the seven stages
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM = 32


class Pyramid(NamedTuple):
    """Maps of the backbone.

    Attributes:
        stride2: ``(N, 16, H/2, W/2)`` floats, the last narrow map of that size, and so on.
        stride4: ``(N, 24, H/4, W/4)``.
        stride8: ``(N, 40, H/8, W/8)``.
        stride16: ``(N, 112, H/16, W/16)``.
        stride32: ``(N, 320, H/32, W/32)``.
        wide8: ``(N, 240, H/8, W/8)``, the expansion from which the 1/16 maps are computed; never negative.
        wide16: ``(N, 672, H/16, W/16)``, likewise for 1/32.
    """

    stride2: Tensor
    stride4: Tensor
    stride8: Tensor
    stride16: Tensor
    stride32: Tensor
    wide8: Tensor
    wide16: Tensor

    @property
    def for_detection(self) -> Features:
        """Wide maps where there are some, as detectors on mobile networks take them."""
        return Features(self.wide8, self.wide16, self.stride32)


NARROW = (16, 24, 40, 112, 320)
"""Channels of ``stride2`` to ``stride32``."""

DETECTION_CHANNELS = (240, 672, 320)
"""Channels of ``Pyramid.for_detection``."""


def conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias and batch normalisation; the size is divided by ``stride`` and rounded up."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=1e-3, momentum=0.01),
    )


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; a shortcut where input and output are alike."""

    def __init__(self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.expand = conv_bn(in_channels, wide, 1) if expansion > 1 else None
        self.depthwise = conv_bn(wide, wide, kernel, stride, groups=wide)
        self.project = conv_bn(wide, out_channels, 1)
        self.activation = nn.ReLU6(inplace=True)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output and the expansion, ``(N, wide, H, W)``."""
        wide = x if self.expand is None else self.activation(self.expand(x))
        y = self.project(self.activation(self.depthwise(wide)))
        return (x + y if self.shortcut else y), wide


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its 1280-filter head and classifier; 2,958,848 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, STEM, 3, stride=2)
        self.activation = nn.ReLU6(inplace=True)
        self.blocks = nn.ModuleList()
        self.taps: list[int] = []  # the last block of each size
        channels = STEM
        for expansion, filters, count, stride, kernel in STAGES:
            if stride == 2:
                self.taps.append(len(self.blocks) - 1)
            for n in range(count):
                self.blocks.append(InvertedResidual(channels, filters, expansion, kernel, stride if n == 0 else 1))
                channels = filters
        self.taps.append(len(self.blocks) - 1)

    def forward(self, image: Tensor) -> Pyramid:
        """Run the backbone on ``(N, 3, H, W)`` floats in -1..1."""
        x = self.activation(self.stem(image))  # (N, 32, H/2, W/2)
        narrow: list[Tensor] = []
        wide: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x, expanded = block(x)
            if number - 1 in self.taps:
                wide.append(expanded)
            if number in self.taps:
                narrow.append(x)
        return Pyramid(*narrow, *wide[2:])
