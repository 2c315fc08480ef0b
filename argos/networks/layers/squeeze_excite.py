"""Squeeze-and-excite by 1x1 convolutions, in the forms of EfficientNet and of MobileNetV3."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.conv_norm import PooledNorm


class BiasedExcite(nn.Module):
    """Pool, 1x1 with bias, activation, 1x1 with bias, gate.

    Args:
        channels: of the map that is scaled.
        hidden: filters between the two convolutions.
        hard: ReLU and hard sigmoid, as in MobileNetV3; otherwise swish and sigmoid, as in EfficientNet.

    Reference:
        Hu et al., Squeeze-and-Excitation Networks, arXiv:1709.01507, Figure 2; Tan and Le, arXiv:1905.11946; Howard et
        al., Searching for MobileNetV3, arXiv:1905.02244, Figure 4.
    """

    def __init__(self, channels: int, hidden: int, hard: bool = False) -> None:
        super().__init__()
        self.hard = hard
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape, floating."""
        hidden = self.squeeze(F.adaptive_avg_pool2d(x, 1))  # (N, hidden, 1, 1)
        gate: Tensor = self.excite(F.relu(hidden) if self.hard else F.silu(hidden))  # (N, channels, 1, 1)
        return x * (F.hardsigmoid(gate) if self.hard else gate.sigmoid())


class NormedExcite(nn.Module):
    """Gate of MobileNetV3 as Dual ASPP counts it: pool, 1x1, BN, ReLU, 1x1, BN, hard sigmoid; no bias.

    Args:
        channels: of the map that is scaled.
        hidden: filters between the two convolutions.

    Reference:
        Howard et al., Searching for MobileNetV3, arXiv:1905.02244, Figure 4.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.squeeze_norm = PooledNorm(hidden)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=False)
        self.excite_norm = PooledNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to the same shape, floating."""
        hidden = F.relu(self.squeeze_norm(self.squeeze(F.adaptive_avg_pool2d(x, 1))))  # (N, hidden, 1, 1)
        return x * F.hardsigmoid(self.excite_norm(self.excite(hidden)))
