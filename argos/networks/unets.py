"""U-Nets on the encoders of image classifiers.

Reference:
    The two baseline families of ASBU-Net's paper pair such encoders with one decoder; ``unet_lite`` is our form of it.
"""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from argos.networks.backbones.efficientnet_lite import NARROW, EfficientNetLite0, Pyramid
from argos.networks.layers.conv_norm import conv_norm

DECODER = (16, 32, 48, 64)
"""Filters of the decoder at 1/2, 1/4, 1/8 and 1/16."""

STRIDE = 32


class Decoder(nn.Module):
    """From a pyramid to logits: upsample, join the narrow map of that size, two 3x3 convolutions."""

    def __init__(self, num_classes: int = 1) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        channels = NARROW[-1]
        for filters, skip in zip(reversed(DECODER), reversed(NARROW[:-1]), strict=True):
            self.levels.append(nn.Sequential(conv_norm(channels + skip, filters, 3), conv_norm(filters, filters, 3)))
            channels = filters
        self.score = nn.Conv2d(channels, num_classes, 1)

    def forward(self, maps: Pyramid) -> Tensor:
        """Logits ``(N, num_classes, H/2, W/2)`` from the maps of an image ``(N, 3, H, W)``."""
        x = maps.stride32
        for level, skip in zip(self.levels, (maps.stride16, maps.stride8, maps.stride4, maps.stride2), strict=True):
            x = level(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1))
        return self.score(x)  # type: ignore[no-any-return]


class UNetLite(nn.Module):
    """U-Net on EfficientNet-Lite0; decoded to 1/2 and interpolated from there.

    Args:
        num_classes: logits per pixel.

    Raises:
        ValueError: ``num_classes`` is below 1.
    """

    def __init__(self, num_classes: int = 1) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.backbone = EfficientNetLite0()
        self.decoder = Decoder(num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, num_classes, H, W)`` of ``(N, 3, H, W)`` floats in 0..1; padded to multiples of 32."""
        height, width = image.shape[-2:]
        x = F.pad(image * 2 - 1, (0, -width % STRIDE, 0, -height % STRIDE))
        logits = F.interpolate(self.decoder(self.backbone(x)), scale_factor=2, mode="bilinear")
        return logits[..., :height, :width]


def unet_lite(num_classes: int = 1) -> UNetLite:
    """Our person segmentation on a pretrained encoder: the network with the best masks we ship.

    Args:
        num_classes: 1 as shipped.

    Raises:
        ValueError: it is below 1.
    """
    return UNetLite(num_classes)
