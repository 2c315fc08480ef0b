"""Xception65 as the encoder of a DeepLab head, at 1/16."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.backbones.features import DeepFeatures
from argos.networks.layers.conv_norm import conv_norm

MIDDLE_BLOCKS = 16


class SeparableConv(nn.Module):
    """Depthwise 3x3 and 1x1 convolution, each with batch normalisation; ReLU before both, or after each.

    Args:
        in_channels, out_channels: before and after.
        stride: of the depthwise convolution.
        dilation: rate of the depthwise convolution.
        relu_first: one ReLU before, as everywhere but in the last block; otherwise one after each convolution.

    Reference:
        Chen et al., DeepLabV3+, arXiv:1802.02611, Figure 4: batch normalisation behind each depthwise convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1, relu_first: bool = True
    ) -> None:
        super().__init__()
        activation = None if relu_first else nn.ReLU
        self.relu_first = relu_first
        self.depthwise = conv_norm(
            in_channels, in_channels, 3, stride=stride, dilation=dilation, groups=in_channels, activation=activation
        )
        self.point = conv_norm(in_channels, out_channels, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H/stride, W/stride)``, floating."""
        return self.point(self.depthwise(F.relu(x) if self.relu_first else x))  # type: ignore[no-any-return]


class XceptionBlock(nn.Module):
    """Three separable convolutions, the last with the stride, and a shortcut.

    Args:
        in_channels: before.
        widths: output channels of the three.
        stride: of the block.

    Reference:
        DeepLabV3+, Figure 4.
    """

    def __init__(self, in_channels: int, widths: tuple[int, int, int], stride: int = 1) -> None:
        super().__init__()
        self.first = SeparableConv(in_channels, widths[0])
        self.second = SeparableConv(widths[0], widths[1])
        self.third = SeparableConv(widths[1], widths[2], stride)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != widths[2]:
            self.shortcut = conv_norm(in_channels, widths[2], stride=stride, activation=None)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run the block.

        Args:
            x: ``(N, in_channels, H, W)``, floating.

        Returns:
            The output ``(N, widths[2], H/stride, W/stride)``, and the output of the second convolution, the last at
            full size, ``(N, widths[1], H, W)``.
        """
        before = self.second(self.first(x))
        return self.third(before) + self.shortcut(x), before


class Xception65(nn.Module):
    """Xception65 with its exit flow at 1/16.

    Attributes:
        channels: of the maps of ``DeepFeatures``.

    Reference:
        DeepLabV3+, Figure 4, at output stride 16.
    """

    channels = (256, 728, 2048)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 32, 3, stride=2), conv_norm(32, 64, 3))
        self.entry1 = XceptionBlock(64, (128, 128, 128), stride=2)
        self.entry2 = XceptionBlock(128, (256, 256, 256), stride=2)
        self.entry3 = XceptionBlock(256, (728, 728, 728), stride=2)
        self.middle = nn.ModuleList(XceptionBlock(728, (728, 728, 728)) for _ in range(MIDDLE_BLOCKS))
        self.exit = XceptionBlock(728, (728, 1024, 1024))
        self.last = nn.Sequential(
            SeparableConv(1024, 1536, dilation=2, relu_first=False),
            SeparableConv(1536, 1536, dilation=2, relu_first=False),
            SeparableConv(1536, 2048, dilation=2, relu_first=False),
        )

    def forward(self, image: Tensor) -> DeepFeatures:
        """Run the encoder on ``(N, 3, H, W)`` floats in -1..1."""
        x, _ = self.entry1(self.stem(image))  # (N, 128, H/4, W/4)
        x, quarter = self.entry2(x)  # (N, 256, H/8, W/8) and, before it was strided, (N, 256, H/4, W/4)
        x, eighth = self.entry3(x)  # (N, 728, H/16, W/16) and (N, 728, H/8, W/8)
        for block in self.middle:
            x, _ = block(x)
        x, _ = self.exit(x)  # (N, 1024, H/16, W/16)
        return DeepFeatures(quarter, eighth, self.last(x))
