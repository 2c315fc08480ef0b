"""Residual modules of ERFNet, ESSNet and WSPD-Net.

Every convolution has a bias, also before a batch normalisation, as in the public ERFNet.

Reference:
    Vallurupalli, On Designing Efficient Deep Neural Networks for Semantic Segmentation, 2022, sections 3.2 and 4.3;
    Romera et al., ERFNet, IEEE T-ITS 2018.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.grouping import GradualGroupConv2d, channel_shuffle

NORM_EPS = 1e-3
PARALLEL_RATES = (2, 4, 8, 16)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the epsilon and momentum of the thesis (section 3.4.1)."""
    return nn.BatchNorm2d(channels, eps=NORM_EPS, momentum=0.1)


def asymmetric(channels: int, kernel: int, dilation: int = 1) -> tuple[nn.Conv2d, nn.Conv2d]:
    """A ``kernel`` x 1 and a 1 x ``kernel`` convolution that keep the size."""
    reach = dilation * (kernel // 2)
    return (
        nn.Conv2d(channels, channels, (kernel, 1), padding=(reach, 0), dilation=(dilation, 1)),
        nn.Conv2d(channels, channels, (1, kernel), padding=(0, reach), dilation=(1, dilation)),
    )


class NonBottleneck1D(nn.Module):
    """Non-bt-1D: two 3x3 convolutions, each as a 3x1 and a 1x3, the second pair dilated, beside a shortcut.

    Args:
        channels: before and after; ``4 * kernel * channels ** 2`` weights.
        dilation: of the second pair.
        kernel: 3, or 5 for the 5x1 and 1x5 of WSPD-Net.
        dropout: share of channels that a training drops.

    Reference:
        ERFNet, Fig. 2c; thesis, Fig. 4.2.
    """

    def __init__(self, channels: int, dilation: int = 1, kernel: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        self.vertical1, self.horizontal1 = asymmetric(channels, kernel)
        self.norm1 = batch_norm(channels)
        self.vertical2, self.horizontal2 = asymmetric(channels, kernel, dilation)
        self.norm2 = batch_norm(channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape, floating."""
        y = self.horizontal1(F.relu(self.vertical1(x)))
        y = F.relu(self.norm1(y))
        y = self.horizontal2(F.relu(self.vertical2(y)))
        return F.relu(self.dropout(self.norm2(y)) + x)


class SeparableResidual(nn.Module):
    """D, DGC and DGCS: two depthwise 3x3 and 1x1 pairs beside a shortcut, the second depthwise one dilated.

    Args:
        channels: before and after; ``18 * channels + 2 * channels ** 2 / groups`` weights.
        dilation: of the second depthwise convolution.
        groups: of the 1x1 convolutions: 1 is D, more is DGC.
        shuffle: shuffle the channels after each 1x1 convolution: DGCS.
        gradual: train the 1x1 convolutions gradually from dense ones (``layers.grouping``).
        dropout: share of channels that a training drops.

    Raises:
        ValueError: ``groups`` does not divide ``channels``.

    Reference:
        Thesis, Fig. 3.4.
    """

    def __init__(
        self,
        channels: int,
        dilation: int = 1,
        groups: int = 1,
        shuffle: bool = False,
        gradual: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f"groups should divide the {channels} channels, got {groups}")
        self.shuffle_groups = groups if shuffle else 1

        def pointwise() -> nn.Conv2d:
            if gradual:
                return GradualGroupConv2d(channels, channels, groups)
            return nn.Conv2d(channels, channels, 1, groups=groups)

        self.depthwise1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1 = batch_norm(channels)
        self.pointwise1 = pointwise()
        self.norm2 = batch_norm(channels)
        self.depthwise2 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels)
        self.norm3 = batch_norm(channels)
        self.pointwise2 = pointwise()
        self.norm4 = batch_norm(channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape, floating."""
        y = self.pointwise1(self.norm1(self.depthwise1(x)))
        y = F.relu(self.norm2(self._shuffle(y)))
        y = self.pointwise2(self.norm3(self.depthwise2(y)))
        return F.relu(self.dropout(self.norm4(self._shuffle(y))) + x)

    def _shuffle(self, x: Tensor) -> Tensor:
        return x if self.shuffle_groups == 1 else channel_shuffle(x, self.shuffle_groups)


class ParallelDilated(nn.Module):
    """DWS-Dil: a 3x1 and a 1x3 convolution, then four dilated depthwise separable ones side by side; a shortcut.

    The figure is missing; each branch takes all channels and gives a quarter of them, which fits the published count.

    Reference:
        Thesis, section 4.3, Fig. 4.2.
    """

    def __init__(self, channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        narrow = channels // len(PARALLEL_RATES)
        self.vertical, self.horizontal = asymmetric(channels, 3)
        self.norm1 = batch_norm(channels)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate, groups=channels),
                batch_norm(channels),
                nn.Conv2d(channels, narrow, 1),
            )
            for rate in PARALLEL_RATES
        )
        self.norm2 = batch_norm(channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape, floating."""
        y = self.horizontal(F.relu(self.vertical(x)))
        y = F.relu(self.norm1(y))
        y = torch.cat([branch(y) for branch in self.branches], 1)
        return F.relu(self.dropout(self.norm2(y)) + x)
