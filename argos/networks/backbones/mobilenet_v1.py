"""MobileNet-v1, the feature extractor of SSD-ISB and of the FCN models, with its taps at 1/8, 1/16 and 1/32."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn as nn
from torch import Tensor

# (filters at multiplier 1, stride) of the 13 separable blocks
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
TAPS = (5, 11, 13)  # blocks, counted from 1, whose outputs are returned
MIN_DEPTH = 16


class Features(NamedTuple):
    """Maps of the backbone.

    Attributes:
        stride8: ``(N, C8, H/8, W/8)`` floats, output of the 5th block.
        stride16: ``(N, C16, H/16, W/16)`` floats, output of the 11th block.
        stride32: ``(N, C32, H/32, W/32)`` floats, output of the 13th block.
    """

    stride8: Tensor
    stride16: Tensor
    stride32: Tensor


def scaled(filters: int, multiplier: float) -> int:
    """Number of filters after the depth multiplier, never below 16."""
    return max(int(filters * multiplier), MIN_DEPTH)


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU6; the size is divided by ``stride`` and rounded up."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=1e-3),
        nn.ReLU6(inplace=True),
    )


def separable(in_channels: int, out_channels: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and pointwise convolution, each with batch normalisation and ReLU6."""
    return nn.Sequential(
        conv_bn_relu(in_channels, in_channels, 3, stride, groups=in_channels, dilation=dilation),
        conv_bn_relu(in_channels, out_channels, 1),
    )


class MobileNetV1(nn.Module):
    """MobileNet-v1 without its classifier.

    Args:
        multiplier: depth multiplier; 1.0, 0.75 and 0.5 are published.
        output_stride: 32, or 16 or 8, where the last strides become dilations. The names of the taps
            are those of stride 32.
        last_rate: atrous rate of the last block, on top of the dilation that ``output_stride`` asks for.

    Raises:
        ValueError: another output stride, or a rate below 1.

    Reference:
        Howard et al., MobileNets, arXiv:1704.04861, Table 1; Kolhatkar, Real-Time Instance and Semantic
        Segmentation Using Deep Learning, 2020, section 3.2.
    """

    def __init__(self, multiplier: float = 1.0, output_stride: int = 32, last_rate: int = 1) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride should be 8, 16 or 32, got {output_stride}")
        if last_rate < 1:
            raise ValueError(f"last_rate should be at least 1, got {last_rate}")
        channels = scaled(32, multiplier)
        self.stem = conv_bn_relu(3, channels, 3, stride=2)
        self.blocks = nn.ModuleList()
        reached, dilation = 2, 1
        taps: list[int] = []
        for number, (filters, stride) in enumerate(BLOCKS, start=1):
            if reached * stride > output_stride:
                # this block keeps the rate of the maps before it, the blocks after it are dilated
                block_dilation, dilation, stride = dilation, dilation * stride, 1
            else:
                block_dilation, reached = dilation, reached * stride
            if number == len(BLOCKS):
                block_dilation *= last_rate
            self.blocks.append(separable(channels, scaled(filters, multiplier), stride, block_dilation))
            channels = scaled(filters, multiplier)
            if number in TAPS:
                taps.append(channels)
        self.channels = (taps[0], taps[1], taps[2])  # of the maps in Features

    def forward(self, image: Tensor) -> Features:
        """Run the backbone on ``(N, 3, H, W)`` floats, best in -1..1."""
        x = self.stem(image)  # (N, 32a, H/2, W/2)
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in TAPS:
                maps.append(x)
        return Features(maps[0], maps[1], maps[2])
