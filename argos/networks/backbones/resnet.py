"""ResNet101 as the encoder of a DeepLab head, at 1/16."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.backbones.features import DeepFeatures
from argos.networks.layers.conv_norm import conv_norm

STAGES = ((64, 3, 1), (128, 4, 2), (256, 23, 2), (512, 3, 1))
"""Filters of the 3x3 convolution, blocks and stride of the four stages; the last one dilates instead of halving."""

EXPANSION = 4
IMAGENET_CLASSES = 1000


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution and a shortcut, projected where the size or the width changes.

    Reference:
        He et al., Deep Residual Learning, arXiv:1512.03385, Figure 5.
    """

    def __init__(self, in_channels: int, filters: int, stride: int, dilation: int) -> None:
        super().__init__()
        out_channels = filters * EXPANSION
        self.body = nn.Sequential(
            conv_norm(in_channels, filters),
            conv_norm(filters, filters, 3, stride=stride, dilation=dilation),
            conv_norm(filters, out_channels, activation=None),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = conv_norm(in_channels, out_channels, stride=stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, 4 * filters, H/stride, W/stride)``, floating."""
        return F.relu(self.body(x) + self.shortcut(x))


class ResNet101(nn.Module):
    """ResNet101 with its last stage at stride 1 and dilation 2.

    Args:
        classifier: keep the classifier of ImageNet, which the paper counts and nothing uses.

    Attributes:
        channels: of the maps of ``DeepFeatures``.

    Reference:
        He et al., arXiv:1512.03385, Table 1; Chen et al., DeepLabV3, arXiv:1706.05587, for the dilation.
    """

    channels = (256, 512, 2048)

    def __init__(self, classifier: bool) -> None:
        super().__init__()
        self.stem = conv_norm(3, 64, 7, stride=2)
        stages = []
        channels = 64
        for filters, count, stride in STAGES:
            blocks = []
            for number in range(count):
                # the first block of the dilated stage still reads neighbours, as its strided form did
                dilation = 2 if filters == STAGES[-1][0] and number > 0 else 1
                blocks.append(Bottleneck(channels, filters, stride if number == 0 else 1, dilation))
                channels = filters * EXPANSION
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        if classifier:
            self.classifier = nn.Linear(channels, IMAGENET_CLASSES)

    def forward(self, image: Tensor) -> DeepFeatures:
        """Run the encoder on ``(N, 3, H, W)`` floats in -1..1."""
        x = F.max_pool2d(self.stem(image), 3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        quarter = self.stages[0](x)  # (N, 256, H/4, W/4)
        eighth = self.stages[1](quarter)  # (N, 512, H/8, W/8)
        return DeepFeatures(quarter, eighth, self.stages[3](self.stages[2](eighth)))
