"""Dual ASPP: a light segmentation head with two atrous pyramids, and the DeepLabV3+ head it is measured against.

Reference:
    Xiao et al., Dual ASPP for Lightweight Semantic Segmentation on High-Resolution Image, Figures 2 and 3, Tables 1, 2
    and 4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.backbones.efficientnet_lite import NARROW, EfficientNetLite0
from argos.networks.backbones.features import DeepFeatures
from argos.networks.backbones.mobilenet_v2 import MobileNetV2
from argos.networks.backbones.mobilenet_v3 import BUILDS, MobileNetV3
from argos.networks.backbones.resnet import ResNet101
from argos.networks.backbones.xception import Xception65
from argos.networks.layers.aspp import ASPP, classify
from argos.networks.layers.conv import initialize_he, pad_to_multiple
from argos.networks.layers.conv_norm import conv_norm

CITYSCAPES_CLASSES = 19
STRIDE = 32

ENCODERS = ("efficientnet_lite0", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "resnet101", "xception65")
HEADS = ("none", "deeplab", "dual")

DEEP_RATES, FINE_RATES = (6, 12, 18), (12, 24, 36)
DEEP_CHANNELS, FINE_CHANNELS = 128, 19
"""Of the two pyramids of Dual ASPP, at 1/32 and 1/8."""


class LiteEncoder(nn.Module):
    """EfficientNet-Lite0, whose weights we have, for the dual head; it is in no table of the paper."""

    channels = (NARROW[1], NARROW[2], NARROW[4])

    def __init__(self) -> None:
        super().__init__()
        self.backbone = EfficientNetLite0()

    def forward(self, image: Tensor) -> DeepFeatures:
        """Run the encoder on ``(N, 3, H, W)`` floats in -1..1."""
        maps = self.backbone(image)
        return DeepFeatures(maps.stride4, maps.stride8, maps.stride32)


class PlainHead(nn.Module):
    """No head: the 3x3 convolution block on the deep map."""

    def __init__(self, channels: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.classes = classify(channels[2], 256, num_classes)

    def forward(self, features: DeepFeatures) -> Tensor:
        """Logits ``(N, num_classes, H/16, W/16)``."""
        return self.classes(features.deep)  # type: ignore[no-any-return]


class DeepLabHead(nn.Module):
    """DeepLabV3+: a pyramid of the map at 1/16, enlarged to 1/4 and put beside 48 channels of the map there.

    Reference:
        Chen et al., arXiv:1802.02611, Figure 2; Dual ASPP, Table 1.
    """

    def __init__(self, channels: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.pyramid = ASPP(channels[2], 256, DEEP_RATES)
        self.skip = conv_norm(channels[0], 48)
        self.classes = classify(256 + 48, 256, num_classes)

    def forward(self, features: DeepFeatures) -> Tensor:
        """Logits ``(N, num_classes, H/4, W/4)``."""
        deep = enlarge(self.pyramid(features.deep), features.stride4)  # (N, 256, H/4, W/4)
        return self.classes(torch.cat((deep, self.skip(features.stride4)), 1))  # type: ignore[no-any-return]


class DualHead(nn.Module):
    """One pyramid of the map at 1/32, enlarged, beside one of the map at 1/8.

    Args:
        channels: of the maps of ``DeepFeatures``.
        num_classes: of the logits.
        skip_channels: also enlarge both to 1/4, beside so many channels of the map there; 0 for no skip.

    Reference:
        Dual ASPP, Figure 2; Table 4 for the skip.
    """

    def __init__(self, channels: tuple[int, int, int], num_classes: int, skip_channels: int) -> None:
        super().__init__()
        self.deep_pyramid = ASPP(channels[2], DEEP_CHANNELS, DEEP_RATES)
        self.fine_pyramid = ASPP(channels[1], FINE_CHANNELS, FINE_RATES)
        self.skip = conv_norm(channels[0], skip_channels) if skip_channels else None
        self.classes = classify(DEEP_CHANNELS + FINE_CHANNELS + skip_channels, DEEP_CHANNELS, num_classes)

    def forward(self, features: DeepFeatures) -> Tensor:
        """Logits ``(N, num_classes, H/8, W/8)``, or ``(..., H/4, W/4)`` with the skip."""
        fine = self.fine_pyramid(features.stride8)  # (N, 19, H/8, W/8)
        x = torch.cat((enlarge(self.deep_pyramid(features.deep), fine), fine), 1)  # (N, 147, H/8, W/8)
        if self.skip is not None:
            x = torch.cat((enlarge(x, features.stride4), self.skip(features.stride4)), 1)
        return self.classes(x)  # type: ignore[no-any-return]


def enlarge(x: Tensor, to: Tensor) -> Tensor:
    """Bring ``(N, C, H, W)`` to the height and width of ``to``, bilinear."""
    return F.interpolate(x, size=to.shape[-2:], mode="bilinear", align_corners=False)


class DualASPP(nn.Module):
    """The network; see ``dual_aspp`` for the arguments."""

    def __init__(self, encoder: nn.Module, head: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = encoder
        self.head = head
        initialize_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Segment pictures.

        Args:
            image: ``(N, 3, H, W)``, floating, 0..1; any H and W.

        Returns:
            Logits ``(N, num_classes, H, W)``.
        """
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, STRIDE)
        logits = enlarge(self.head(self.encoder(image * 2 - 1)), image)
        return logits[:, :, :height, :width]


def dual_aspp(
    encoder: str = "mobilenet_v2",
    head: str = "dual",
    num_classes: int = CITYSCAPES_CLASSES,
    skip_channels: int = 0,
    build: str = "published",
) -> DualASPP:
    """Build a network of the paper's tables.

    Args:
        encoder: one of ``ENCODERS``; ResNet101 and Xception65 without the dual head, EfficientNet-Lite0 with it.
        head: ``none``, ``deeplab`` (DeepLabV3+) or ``dual``. The first two take the encoder at 1/16, the last at 1/32.
        num_classes: 19 as published; any number.
        skip_channels: of the skip from 1/4 in the dual head; 0 for none as recommended, 19 for the ablation.
        build: ``published`` counts as the paper does: MobileNetV3 without the dual head runs, and ResNet101 holds, what
            nothing uses. ``pruned`` leaves that out, with the same logits. ``standard`` is pruned and has the blocks of
            MobileNetV3 itself (squeeze-and-excite on the expansion, no projected shortcuts).

    Raises:
        ValueError: for any other value, or one that does not apply.
    """
    if head not in HEADS:
        raise ValueError(f"head must be one of {HEADS}, got {head!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if skip_channels < 0 or (skip_channels and head != "dual"):
        raise ValueError(
            f"skip_channels must be 0, or positive with the head 'dual', got {skip_channels} with {head!r}"
        )
    if head == "dual" and encoder in ("resnet101", "xception65"):
        raise ValueError(f"head must be 'none' or 'deeplab' with the encoder {encoder!r}, got 'dual'")
    if head != "dual" and encoder == "efficientnet_lite0":
        raise ValueError(f"head must be 'dual' with the encoder {encoder!r}, got {head!r}")
    built = make_encoder(encoder, 32 if head == "dual" else 16, build)
    makers: dict[str, Callable[[], nn.Module]] = {
        "none": lambda: PlainHead(built.channels, num_classes),
        "deeplab": lambda: DeepLabHead(built.channels, num_classes),
        "dual": lambda: DualHead(built.channels, num_classes, skip_channels),
    }
    return DualASPP(built, makers[head](), num_classes)


def make_encoder(
    encoder: str, output_stride: int, build: str
) -> MobileNetV2 | MobileNetV3 | ResNet101 | Xception65 | LiteEncoder:
    """Build the encoder of a head; see ``dual_aspp``.

    Raises:
        ValueError: an unknown encoder or build, or a build that does not apply.
    """
    if encoder not in ENCODERS:
        raise ValueError(f"encoder must be one of {ENCODERS}, got {encoder!r}")
    if build not in BUILDS:
        raise ValueError(f"build must be one of {BUILDS}, got {build!r}")
    if encoder.startswith("mobilenet_v3_"):
        return MobileNetV3(encoder.removeprefix("mobilenet_v3_"), output_stride, build)
    if build == "standard":
        raise ValueError(f"build must be 'published' or 'pruned' with the encoder {encoder!r}, got 'standard'")
    if encoder == "efficientnet_lite0":
        return LiteEncoder()
    if encoder == "resnet101":
        return ResNet101(classifier=build == "published")
    return Xception65() if encoder == "xception65" else MobileNetV2(output_stride)
