"""The two rivals of ASBU-Net: U-Nets on EfficientNet and on MobileNetV2, with one decoder.

Reference:
    Bansal et al., Atrous Space Bender U-Net (ASBU-Net/LogiNet), Figures 6 and 7. The EfficientNet counts are exact; the
    MobileNetV2 ones lack 836 variables whatever the multiplier, in a layer of fixed width that is not known.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.backbones.efficientnet import efficientnet_blocks
from argos.networks.backbones.inverted_residual import ExpansionEncoder, Expansions
from argos.networks.backbones.mobilenet_v2 import mobilenet_v2_blocks
from argos.networks.layers.conv import ConvNormActivation, initialize_he, pad_to_multiple
from argos.networks.layers.input_norm import InputNormalization

DECODER = (48, 32, 16)
"""Filters of the decoder at 1/8, 1/4 and 1/2."""

LAST = 8
"""Filters at the size of the image."""

MULTIPLIERS = (1.0, 1.3, 1.4)
"""Of the published MobileNetV2 U-Nets."""

STRIDE = 16


class SignedInput(nn.Module):
    """Images of 0..1 to -1..1, as MobileNetV2 takes them; no variables."""

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` floats, to the same shape."""
        return image * 2 - 1


class UpBlock(nn.Module):
    """Double the map (nearest), put the skip beside it, and blend both by two 3x3 convolutions."""

    def __init__(self, deep: int, skip: int, filters: int) -> None:
        super().__init__()
        self.blend = nn.Sequential(
            ConvNormActivation(deep + skip, filters, bias=True), ConvNormActivation(filters, filters, bias=True)
        )

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """``(N, deep, H, W)`` and ``(N, skip, 2H, 2W)`` to ``(N, filters, 2H, 2W)``, floating."""
        return self.blend(torch.cat((F.interpolate(deep, scale_factor=2), skip), 1))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """The network; see ``efficientnet_unet`` and ``mobilenet_v2_unet`` for the arguments."""

    def __init__(self, normalize: nn.Module, encoder: ExpansionEncoder, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.normalize = normalize
        self.encoder = encoder
        *skips, deep = encoder.channels
        self.decoder = nn.ModuleList()
        for skip, filters in zip(reversed(skips), DECODER, strict=True):
            self.decoder.append(UpBlock(deep, skip, filters))
            deep = filters
        self.last = ConvNormActivation(deep, LAST, bias=True)
        self.classes = nn.Conv2d(LAST, num_classes, 1)
        initialize_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Segment pictures.

        Args:
            image: ``(N, 3, H, W)``, floating, 0..1; any H and W.

        Returns:
            Logits ``(N, num_classes, H, W)``; the sigmoid of the paper is left to the loss and the caller.
        """
        height, width = image.shape[-2:]
        maps: Expansions = self.encoder(self.normalize(pad_to_multiple(image, STRIDE)))
        x = maps.stride16
        for block, skip in zip(self.decoder, (maps.stride8, maps.stride4, maps.stride2), strict=True):
            x = block(x, skip)  # (N, 48, H/8, W/8), (N, 32, H/4, W/4), (N, 16, H/2, W/2)
        logits: Tensor = self.classes(self.last(F.interpolate(x, scale_factor=2)))  # (N, num_classes, H, W)
        return logits[:, :, :height, :width]


def efficientnet_unet(variant: str = "B0", num_classes: int = 1) -> UNet:
    """Build the U-Net on EfficientNet, cut after the expansion of block 6a.

    Args:
        variant: ``B0``, ``B1`` or ``B2``.
        num_classes: 1 as published.

    Raises:
        ValueError: for any other value.
    """
    stem, shapes = efficientnet_blocks(variant)
    return UNet(InputNormalization(), ExpansionEncoder(stem, shapes, nn.SiLU, squeeze_excite=True), num_classes)


def mobilenet_v2_unet(multiplier: float = 1.0, num_classes: int = 1) -> UNet:
    """Build the U-Net on MobileNetV2, cut after the expansion of block 13.

    Args:
        multiplier: of the widths: 1.0, 1.3 or 1.4.
        num_classes: 1 as published.

    Raises:
        ValueError: for any other value.
    """
    if multiplier not in MULTIPLIERS:
        raise ValueError(f"multiplier must be one of {MULTIPLIERS}, got {multiplier!r}")
    stem, shapes = mobilenet_v2_blocks(multiplier)
    return UNet(SignedInput(), ExpansionEncoder(stem, shapes, nn.ReLU6, squeeze_excite=False), num_classes)
