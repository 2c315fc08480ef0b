"""Atrous spatial pyramid pooling by separable convolutions, and the block that ends a DeepLab head.

Reference:
    Xiao et al., Dual ASPP for Lightweight Semantic Segmentation on High-Resolution Image, Figures 2 and 3; Chen et al.,
    DeepLabV3+, arXiv:1802.02611.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.conv_norm import PooledNorm, conv_norm

DROPOUT = 0.1


def separable(in_channels: int, out_channels: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and 1x1 convolution, each with batch normalisation and ReLU.

    ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, floating.
    """
    return nn.Sequential(
        conv_norm(in_channels, in_channels, 3, dilation=dilation, groups=in_channels),
        conv_norm(in_channels, out_channels),
    )


def classify(in_channels: int, hidden: int, num_classes: int) -> nn.Sequential:
    """The "3x3 convolution block": two separable convolutions, then a 1x1 convolution with bias.

    ``(N, in_channels, H, W)`` to logits ``(N, num_classes, H, W)``, floating.

    Reference:
        Dual ASPP, Figure 3: two depthwise and three 1x1 convolutions.
    """
    return nn.Sequential(separable(in_channels, hidden), separable(hidden, hidden), nn.Conv2d(hidden, num_classes, 1))


class ASPP(nn.Module):
    """A 1x1 convolution, three separable atrous ones and a global pool side by side, then a 1x1 convolution.

    Args:
        in_channels: of the map.
        out_channels: of each branch and of the result.
        rates: of the three atrous convolutions.

    Reference:
        Dual ASPP, Figure 2 and Eq. 2; DeepLabV3+, Figure 2.
    """

    def __init__(self, in_channels: int, out_channels: int, rates: tuple[int, int, int]) -> None:
        super().__init__()
        self.point = conv_norm(in_channels, out_channels)
        self.atrous = nn.ModuleList(separable(in_channels, out_channels, rate) for rate in rates)
        self.pooled = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pooled_norm = PooledNorm(out_channels)
        self.project = conv_norm(5 * out_channels, out_channels)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, floating."""
        mean = F.relu(self.pooled_norm(self.pooled(F.adaptive_avg_pool2d(x, 1))))  # (N, out_channels, 1, 1)
        branches = [self.point(x), *(branch(x) for branch in self.atrous), mean.expand(-1, -1, *x.shape[-2:])]
        return self.dropout(self.project(torch.cat(branches, 1)))  # type: ignore[no-any-return]
