"""EfficientNet-Lite0: inverted residuals without squeeze-excitation, whose ImageNet weights are freely licensed.

Reference:
    Tan and Le, EfficientNet, arXiv:1905.11946, Table 1; the Lite form of its authors drops squeeze-excitation, takes
    ReLU6 for swish and keeps the stem at 32 filters.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn as nn
from torch import Tensor

from argos.networks.backbones.efficientnet import efficientnet_blocks
from argos.networks.backbones.inverted_residual import EPS, InvertedResidual
from argos.networks.backbones.mobilenet_v1 import Features
from argos.networks.layers.conv_norm import conv_norm


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


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its 1280-filter head and classifier; 2,958,848 parameters."""

    def __init__(self) -> None:
        super().__init__()
        stem, shapes = efficientnet_blocks("B0")
        self.stem = conv_norm(3, stem, 3, stride=2, activation=nn.ReLU6, eps=EPS)
        self.blocks = nn.ModuleList(InvertedResidual(shape, nn.ReLU6) for shape in shapes)
        self.halving = tuple(number for number, shape in enumerate(shapes) if shape.stride == 2)

    def forward(self, image: Tensor) -> Pyramid:
        """Run the backbone on ``(N, 3, H, W)`` floats in -1..1."""
        x = self.stem(image)  # (N, 32, H/2, W/2)
        narrow: list[Tensor] = []
        wide: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            before = x
            x, expanded = block(x)
            if number in self.halving:
                narrow.append(before)
                wide.append(expanded)
        maps = [*narrow, x, *wide[2:]]
        return Pyramid(*maps)
