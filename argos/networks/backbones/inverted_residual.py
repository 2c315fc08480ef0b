"""The block of MobileNetV2 and EfficientNet, and the encoder that ends in an expansion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from argos.networks.layers.conv_norm import Activation, conv_norm
from argos.networks.layers.squeeze_excite import BiasedExcite

EPS = 1e-3  # of the batch normalisations, as in Keras, where both families of counts come from


@dataclass(frozen=True, slots=True)
class BlockShape:
    """Numbers of one block.

    Attributes:
        in_channels: before.
        out_channels: after.
        expansion: times ``in_channels``; 1 for no expansion.
        kernel: side of the depthwise convolution.
        stride: 1 or 2.
    """

    in_channels: int
    out_channels: int
    expansion: int
    kernel: int
    stride: int

    @property
    def wide(self) -> int:
        """Channels of the expansion."""
        return self.in_channels * self.expansion


class InvertedResidual(nn.Module):
    """Expansion 1x1, depthwise, squeeze-and-excite where asked, linear projection; shortcut where sizes agree.

    Args:
        shape: of the block.
        activation: after the expansion and the depthwise convolution.
        squeeze_excite: gate the depthwise output; hidden width a quarter of the block's input.
        dilation: rate of the depthwise convolution.

    Reference:
        Sandler et al., MobileNetV2, arXiv:1801.04381, Figure 4; Tan and Le, EfficientNet, arXiv:1905.11946.
    """

    def __init__(
        self, shape: BlockShape, activation: Activation, squeeze_excite: bool = False, dilation: int = 1
    ) -> None:
        super().__init__()
        wide = shape.wide
        self.expand: nn.Module = nn.Identity()
        if shape.expansion > 1:
            self.expand = conv_norm(shape.in_channels, wide, activation=activation, eps=EPS)
        self.depthwise = conv_norm(
            wide,
            wide,
            shape.kernel,
            stride=shape.stride,
            dilation=dilation,
            groups=wide,
            activation=activation,
            eps=EPS,
        )
        self.gate: nn.Module = BiasedExcite(wide, shape.in_channels // 4) if squeeze_excite else nn.Identity()
        self.project = conv_norm(wide, shape.out_channels, activation=None, eps=EPS)
        self.shortcut = shape.stride == 1 and shape.in_channels == shape.out_channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run the block.

        Args:
            x: ``(N, in_channels, H, W)``, floating.

        Returns:
            The output ``(N, out_channels, H/stride, W/stride)`` and the expansion ``(N, wide, H, W)``.
        """
        wide = self.expand(x)
        y = self.project(self.gate(self.depthwise(wide)))
        return (x + y if self.shortcut else y), wide


class Expansions(NamedTuple):
    """Expansion maps, each the last before its size is halved.

    Attributes:
        stride2: ``(N, C2, H/2, W/2)`` floats.
        stride4: ``(N, C4, H/4, W/4)`` floats.
        stride8: ``(N, C8, H/8, W/8)`` floats.
        stride16: ``(N, C16, H/16, W/16)`` floats.
    """

    stride2: Tensor
    stride4: Tensor
    stride8: Tensor
    stride16: Tensor


class ExpansionEncoder(nn.Module):
    """A classifier of inverted residuals, cut after the expansion of the first block that would go to 1/32.

    Args:
        stem: filters of the first 3x3 convolution, of stride 2.
        shapes: blocks of the whole classifier; what follows the cut is not built.
        activation: of the family.
        squeeze_excite: in every block.

    Attributes:
        channels: of the four maps of ``Expansions``.
    """

    def __init__(self, stem: int, shapes: Sequence[BlockShape], activation: Activation, squeeze_excite: bool) -> None:
        super().__init__()
        strided = [number for number, shape in enumerate(shapes) if shape.stride == 2]
        self.taps, cut = tuple(strided[:3]), strided[3]
        self.stem = conv_norm(3, stem, 3, stride=2, activation=activation, eps=EPS)
        self.blocks = nn.ModuleList(InvertedResidual(shape, activation, squeeze_excite) for shape in shapes[:cut])
        self.last = conv_norm(shapes[cut].in_channels, shapes[cut].wide, activation=activation, eps=EPS)
        self.channels = tuple(shapes[number].wide for number in strided[:4])

    def forward(self, image: Tensor) -> Expansions:
        """Run the encoder on ``(N, 3, H, W)`` floats, normalised."""
        x = self.stem(image)  # (N, stem, H/2, W/2)
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x, wide = block(x)
            if number in self.taps:
                maps.append(wide)
        return Expansions(maps[0], maps[1], maps[2], self.last(x))
