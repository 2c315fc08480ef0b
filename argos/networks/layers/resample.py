"""Steps between the scales of ERFNet, ESSNet and WSPD-Net.

Each has two forms: the one of the text, which is trained, and the one whose operations the thesis counts in
chapter 3 (``published``).

Reference:
    Vallurupalli, On Designing Efficient Deep Neural Networks for Semantic Segmentation, 2022, section 3.2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.residual import batch_norm


class Downsampler(nn.Module):
    """Halve the size: a strided 3x3 convolution beside a 2x2 max pool, concatenated.

    Args:
        in_channels, out_channels: before and after; the convolution makes ``out_channels - in_channels``.
        published: a strided convolution of the full width, without the pool.

    Reference:
        Thesis, Fig. 3.4; Paszke et al., ENet, arXiv:1606.02147, Fig. 2a.
    """

    def __init__(self, in_channels: int, out_channels: int, published: bool = False) -> None:
        super().__init__()
        self.pooled = not published
        filters = out_channels - in_channels if self.pooled else out_channels
        self.conv = nn.Conv2d(in_channels, filters, 3, stride=2, padding=1)
        self.norm = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H/2, W/2)``; H and W even."""
        y = self.conv(x)
        if self.pooled:
            y = torch.cat((y, F.max_pool2d(x, 2)), 1)
        return F.relu(self.norm(y))


class Upsampler(nn.Module):
    """Enlarge by a transposed convolution.

    Args:
        in_channels, out_channels: before and after.
        kernel: side of its kernel: 3, 1 in ESSNet.
        factor: how many times larger, its stride.
        published: double the size by interpolation and convolve there, where the thesis counts the operations.

    Raises:
        ValueError: ``published`` with another factor than 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, factor: int = 2, published: bool = False
    ) -> None:
        super().__init__()
        if published and factor != 2:
            raise ValueError(f"factor should be 2 in the published form, got {factor}")
        self.published = published
        self.conv: nn.Conv2d | nn.ConvTranspose2d
        if published:
            self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
        else:
            self.conv = enlarging(in_channels, out_channels, kernel, factor)
        self.norm = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, factor * H, factor * W)``, floating."""
        if self.published:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return F.relu(self.norm(self.conv(x)))


def enlarging(in_channels: int, out_channels: int, kernel: int, factor: int) -> nn.ConvTranspose2d:
    """Make a transposed convolution that enlarges exactly ``factor`` times, as centred as can be.

    A kernel narrower than its stride leaves pixels that only the bias reaches.
    """
    padding = max(0, (kernel - factor + 1) // 2)
    missing = factor - kernel + 2 * padding
    return nn.ConvTranspose2d(in_channels, out_channels, kernel, factor, padding, output_padding=missing)
