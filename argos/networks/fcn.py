"""Low-cost semantic segmentation: SqueezeNet and MobileNet with the skips of FCN or with atrous convolutions.

Reference:
    Kolhatkar, Real-Time Instance and Semantic Segmentation Using Deep Learning, 2020, chapter 4 and Table 4.2; Long et
    al., Fully Convolutional Networks for Semantic Segmentation, arXiv:1411.4038.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.backbones.mobilenet_v1 import MobileNetV1
from argos.networks.backbones.squeezenet import SqueezeNet
from argos.networks.layers.conv import initialize_he, pad_to_multiple

CITYSCAPES_CLASSES = 19
LAST_RATES = (1, 3, 5)
"""Atrous rates of the last layer in the study of person crops."""


class FCNStep(nn.Module):
    """Double the scores by a transposed convolution, and add the scores of the skip map.

    Reference:
        Long et al., Figure 3. The transposed convolution (4x4, no bias) starts as bilinear interpolation.
    """

    def __init__(self, skip_channels: int, num_classes: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(num_classes, num_classes, 4, stride=2, padding=1, bias=False)
        self.score = nn.Conv2d(skip_channels, num_classes, 1)
        ramp = torch.tensor((0.25, 0.75, 0.75, 0.25))
        with torch.no_grad():
            self.up.weight.copy_(torch.eye(num_classes)[:, :, None, None] * (ramp[:, None] * ramp))

    def forward(self, scores: Tensor, skip: Tensor) -> Tensor:
        """``(N, num_classes, H, W)`` and ``(N, skip_channels, 2H, 2W)`` to ``(N, num_classes, 2H, 2W)``, floating."""
        return self.up(scores) + self.score(skip)  # type: ignore[no-any-return]


class FCN(nn.Module):
    """The network; see ``squeezenet_fcn`` and ``mobilenet_fcn`` for the arguments."""

    def __init__(self, backbone: SqueezeNet | MobileNetV1, stride: int, steps: int, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.stride = stride
        self.backbone = backbone
        deep, *skips = reversed(backbone.channels)
        self.score = nn.Conv2d(deep, num_classes, 1)
        initialize_he(self)
        self.steps = nn.ModuleList(FCNStep(channels, num_classes) for channels in skips[:steps])

    def forward(self, image: Tensor) -> Tensor:
        """Segment pictures.

        Args:
            image: ``(N, 3, H, W)``, floating, 0..1; any H and W.

        Returns:
            Logits ``(N, num_classes, H, W)``; the softmax of the thesis is left to the loss and the caller.
        """
        height, width = image.shape[-2:]
        image = pad_to_multiple(image, self.stride)
        deep, *skips = reversed(self.backbone(image * 2 - 1))
        x = self.score(deep)  # (N, num_classes, H/32, W/32) where no stride is taken out
        for step, skip in zip(self.steps, skips, strict=False):
            x = step(x, skip)  # twice the size
        x = F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return x[:, :, :height, :width]


def squeezenet_fcn(num_classes: int = CITYSCAPES_CLASSES, steps: int = 0, output_stride: int = 16) -> FCN:
    """Build SqzNet-Base, -FCN8 or -Stride8.

    Args:
        num_classes: 19 as published; any number.
        steps: 0 for the base, 1 for FCN-8: the stride of SqueezeNet itself is 16.
        output_stride: 16, or 8 by dilation (without steps).

    Raises:
        ValueError: for any other value.
    """
    _check_steps(steps, (0, 1), output_stride, 16)
    return FCN(SqueezeNet(output_stride), 16, steps, num_classes)


def mobilenet_fcn(
    num_classes: int = CITYSCAPES_CLASSES,
    steps: int = 0,
    output_stride: int = 32,
    multiplier: float = 0.5,
    last_rate: int = 1,
) -> FCN:
    """Build MN-Base, -FCN16, -FCN8, -Stride16 or -Stride8.

    Args:
        num_classes: 19 as published; any number.
        steps: 0 for the base, 1 for FCN-16, 2 for FCN-8.
        output_stride: 32, or 16 or 8 by dilation (without steps).
        multiplier: depth multiplier of MobileNet-v1, 0.5 as published.
        last_rate: atrous rate of the last depthwise convolution, on top of the dilation by ``output_stride``.

    Raises:
        ValueError: for any other value.
    """
    _check_steps(steps, (0, 1, 2), output_stride, 32)
    if not 0 < multiplier <= 1:
        raise ValueError(f"multiplier must be above 0 and at most 1, got {multiplier!r}")
    return FCN(MobileNetV1(multiplier, output_stride, last_rate), 32, steps, num_classes)


def person_crop_fcn(steps: int = 0, output_stride: int = 32, last_rate: int = 1) -> FCN:
    """Build the network that separates one person from the background in its crop (``fcn_crops``); two classes.

    Args:
        steps: 0, 1 (FCN-16) or 2 (FCN-8).
        output_stride: 32, or 8 (without steps).
        last_rate: 1, 3 or 5.

    Raises:
        ValueError: for any other value.

    Reference:
        Kolhatkar 2020, section 4.3, Tables 4.3 to 4.6.
    """
    if output_stride not in (8, 32):
        raise ValueError(f"output_stride must be 8 or 32, got {output_stride!r}")
    if last_rate not in LAST_RATES:
        raise ValueError(f"last_rate must be one of {LAST_RATES}, got {last_rate!r}")
    return mobilenet_fcn(2, steps, output_stride, last_rate=last_rate)


def _check_steps(steps: int, allowed: tuple[int, ...], output_stride: int, native_stride: int) -> None:
    if steps not in allowed:
        raise ValueError(f"steps must be one of {allowed}, got {steps!r}")
    if steps and output_stride != native_stride:
        raise ValueError(f"steps must be 0 unless output_stride is {native_stride}, got {steps} at {output_stride}")
