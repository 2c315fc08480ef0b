"""SqueezeNet 1.1, the feature extractor of the FCN models, with its taps at 1/8 and 1/16."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.backbones.features import check_output_stride

STEM = 64

# (squeeze, filters of each expansion) of fire2 to fire9
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))

POOL_BEFORE = (0, 2, 4)
"""Fire modules (counted from 0) that a 3x3 max pool precedes: fire2, fire4 and fire6."""

SKIP_POOL = 2  # "pool3", before fire4; the skip to 1/8 is taken behind it


class SqueezeFeatures(NamedTuple):
    """Maps of the backbone.

    Attributes:
        stride8: ``(N, 128, H/8, W/8)`` floats, never negative, behind the pool after fire3.
        stride16: ``(N, 512, H/16, W/16)`` floats, never negative, output of fire9.
    """

    stride8: Tensor
    stride16: Tensor


class Fire(nn.Module):
    """Squeeze by a 1x1 convolution, then expand by a 1x1 and a 3x3 side by side; biases, no normalisation.

    Reference:
        Iandola et al., SqueezeNet, arXiv:1602.07360, Figure 1.
    """

    def __init__(self, in_channels: int, squeeze: int, expand: int, dilation: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3 = nn.Conv2d(squeeze, expand, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, 2 * expand, H, W)``, floating."""
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat((self.expand1(x), self.expand3(x)), 1))


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 without its classifier; 722,496 parameters.

    The RT-Seg thesis prints the table of version 1.0, but both of its counts are those of 1.1.

    Args:
        output_stride: 16, or 8, where the stride of the last pool becomes a dilation.

    Raises:
        ValueError: another output stride.

    Reference:
        Iandola et al., SqueezeNet, arXiv:1602.07360; the authors' release of version 1.1.
    """

    channels = (128, 512)

    def __init__(self, output_stride: int = 16) -> None:
        super().__init__()
        check_output_stride(output_stride, (8, 16))
        self.dilation = 16 // output_stride  # of all behind the last pool
        self.conv1 = nn.Conv2d(3, STEM, 3, stride=2, padding=1)
        self.fires = nn.ModuleList()
        channels = STEM
        for number, (squeeze, expand) in enumerate(FIRES):
            rate = self.dilation if number >= POOL_BEFORE[-1] else 1
            self.fires.append(Fire(channels, squeeze, expand, rate))
            channels = 2 * expand

    def forward(self, image: Tensor) -> SqueezeFeatures:
        """Run the backbone on ``(N, 3, H, W)`` floats, best in -1..1."""
        x = F.relu(self.conv1(image))  # (N, 64, H/2, W/2)
        skip = x
        for number, fire in enumerate(self.fires):
            if number in POOL_BEFORE:
                kept = self.dilation > 1 and number == POOL_BEFORE[-1]
                x = F.max_pool2d(x, 3, stride=1 if kept else 2, padding=1)  # H/4, H/8, H/16
            if number == SKIP_POOL:
                skip = x
            x = fire(x)
        return SqueezeFeatures(skip, x)
