"""MobileNetV2 without its 1280-filter head: the encoder of a DeepLab head, and the shapes of its blocks."""

from __future__ import annotations

from torch import Tensor, nn

from argos.networks.backbones.features import DeepFeatures, check_output_stride
from argos.networks.backbones.inverted_residual import EPS, BlockShape, InvertedResidual
from argos.networks.layers.conv_norm import conv_norm, make_divisible

# (expansion, filters at multiplier 1, blocks, stride of the first) of the seven stages
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM = 32


def mobilenet_v2_blocks(multiplier: float = 1.0) -> tuple[int, tuple[BlockShape, ...]]:
    """Filters of the stem and the shapes of all blocks.

    Reference:
        Sandler et al., MobileNetV2, arXiv:1801.04381, Table 2.
    """
    stem = channels = make_divisible(STEM * multiplier)
    shapes = []
    for expansion, filters, count, stride in STAGES:
        scaled = make_divisible(filters * multiplier)
        for number in range(count):
            shapes.append(BlockShape(channels, scaled, expansion, 3, stride if number == 0 else 1))
            channels = scaled
    return stem, tuple(shapes)


class MobileNetV2(nn.Module):
    """MobileNetV2 up to its 320 channels; 1,811,712 parameters.

    Args:
        output_stride: 32, or 16, where the last stride becomes a dilation of 2.

    Attributes:
        channels: of the maps of ``DeepFeatures``.

    Raises:
        ValueError: another output stride.
    """

    channels = (24, 32, 320)

    def __init__(self, output_stride: int) -> None:
        super().__init__()
        check_output_stride(output_stride, (16, 32))
        stem, shapes = mobilenet_v2_blocks()
        self.stem = conv_norm(3, stem, 3, stride=2, activation=nn.ReLU6, eps=EPS)
        self.blocks = nn.ModuleList()
        reached, dilation = 2, 1
        self.taps: list[int] = []  # the last blocks at 1/4 and at 1/8
        for number, shape in enumerate(shapes):
            stride, rate = shape.stride, dilation
            if reached * stride > output_stride:
                stride, dilation = 1, 2  # this block still reads neighbours, those after it every second cell
            elif stride == 2:
                if reached in (4, 8):
                    self.taps.append(number - 1)
                reached *= 2
            block = BlockShape(shape.in_channels, shape.out_channels, shape.expansion, shape.kernel, stride)
            self.blocks.append(InvertedResidual(block, nn.ReLU6, dilation=rate))

    def forward(self, image: Tensor) -> DeepFeatures:
        """Run the encoder on ``(N, 3, H, W)`` floats in -1..1."""
        x = self.stem(image)  # (N, 32, H/2, W/2)
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x, _ = block(x)
            if number in self.taps:
                maps.append(x)
        return DeepFeatures(maps[0], maps[1], x)
