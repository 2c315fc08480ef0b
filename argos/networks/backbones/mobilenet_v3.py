"""MobileNetV3 Large and Small as the encoder of a DeepLab head.

Reference:
    Howard et al., Searching for MobileNetV3, arXiv:1905.02244, Tables 1 and 2; Xiao et al., Dual ASPP, whose counts fix
    the block: squeeze-and-excite behind the projection, and shortcuts that project where the widths differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from argos.networks.backbones.features import DeepFeatures, check_output_stride
from argos.networks.layers.conv_norm import Activation, conv_norm, make_divisible
from argos.networks.layers.squeeze_excite import BiasedExcite, NormedExcite

STEM = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the tables.

    Attributes:
        kernel: side of the depthwise convolution.
        wide: channels of the expansion.
        out: channels after the block.
        excite: squeeze and excite.
        stride: 1 or 2.
    """

    kernel: int
    wide: int
    out: int
    excite: bool
    stride: int


LARGE_BODY = (
    Row(3, 16, 16, False, 1),
    Row(3, 64, 24, False, 2),
    Row(3, 72, 24, False, 1),
    Row(5, 72, 40, True, 2),
    Row(5, 120, 40, True, 1),
    Row(5, 120, 40, True, 1),
    Row(3, 240, 80, False, 2),
    Row(3, 200, 80, False, 1),
    Row(3, 184, 80, False, 1),
    Row(3, 184, 80, False, 1),
    Row(3, 480, 112, True, 1),
    Row(3, 672, 112, True, 1),
)
LARGE_RELU, LARGE_LAST = 6, 960

SMALL_BODY = (
    Row(3, 16, 16, True, 2),
    Row(3, 72, 24, False, 2),
    Row(3, 88, 24, False, 1),
    Row(5, 96, 40, True, 2),
    Row(5, 240, 40, True, 1),
    Row(5, 240, 40, True, 1),
    Row(5, 120, 48, True, 1),
    Row(5, 144, 48, True, 1),
)
SMALL_TAIL = (Row(5, 288, 96, True, 2), Row(5, 576, 96, True, 1), Row(5, 576, 96, True, 1))
SMALL_RELU, SMALL_LAST = 3, 576

SIZES = ("large", "small")
BUILDS = ("published", "pruned", "standard")


def rows_of(size: str, output_stride: int, standard: bool) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Blocks up to the deep map, and those behind it that the paper counts but nothing uses."""
    if size == "small":
        return (SMALL_BODY, SMALL_TAIL) if output_stride == 16 else (SMALL_BODY + SMALL_TAIL, ())
    if output_stride == 16:
        return (*LARGE_BODY, Row(5, 672, 160, True, 1)), (Row(5, 672, 160, True, 2), Row(5, 960, 160, True, 1))
    middle = Row(5, 960 if standard else 672, 160, True, 1)
    return (*LARGE_BODY, Row(5, 672, 160, True, 2), middle, Row(5, 960, 160, True, 1)), ()


class Bottleneck(nn.Module):
    """Expansion, depthwise convolution, projection, squeeze-and-excite, shortcut.

    Args:
        in_channels: before.
        row: numbers of the block.
        activation: after the expansion and the depthwise convolution.
        standard: the block of MobileNetV3: the gate (with biases) is on the depthwise output, no expansion where it
            does not widen, no shortcut where widths differ. Otherwise the block as Dual ASPP counts it: the gate (with
            batch normalisation) is on the projected output, and blocks of stride 1 that change the width have a 1x1
            convolution as shortcut.

    Reference:
        MobileNetV3, Figure 4; Dual ASPP, by its counts.
    """

    def __init__(self, in_channels: int, row: Row, activation: Activation, standard: bool) -> None:
        super().__init__()
        self.expand: nn.Module = nn.Identity()
        if not (standard and row.wide == in_channels):
            self.expand = conv_norm(in_channels, row.wide, activation=activation)
        self.depthwise = conv_norm(
            row.wide, row.wide, row.kernel, stride=row.stride, groups=row.wide, activation=activation
        )
        self.wide_gate: nn.Module = nn.Identity()
        self.gate: nn.Module = nn.Identity()
        if row.excite and standard:
            self.wide_gate = BiasedExcite(row.wide, make_divisible(row.wide / 4), hard=True)
        elif row.excite:
            self.gate = NormedExcite(row.out, row.out // 4)
        self.project = conv_norm(row.wide, row.out, activation=None)
        self.shortcut: nn.Module | None = None
        if row.stride == 1 and in_channels == row.out:
            self.shortcut = nn.Identity()
        elif row.stride == 1 and not standard:
            self.shortcut = conv_norm(in_channels, row.out, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, row.out, H/stride, W/stride)``, floating."""
        y: Tensor = self.gate(self.project(self.wide_gate(self.depthwise(self.expand(x)))))
        return y if self.shortcut is None else y + self.shortcut(x)


class MobileNetV3(nn.Module):
    """MobileNetV3 without its classifier.

    Args:
        size: ``large`` or ``small``.
        output_stride: 32, or 16, where the last map at 1/16 is taken, without any dilation.
        build: ``published`` as Dual ASPP counts it: at 16 what follows the deep map runs for nothing; ``pruned``: the
            same without that; ``standard``: pruned, of the blocks of MobileNetV3 itself.

    Attributes:
        channels: of the maps of ``DeepFeatures``.

    Raises:
        ValueError: another size, output stride or build.
    """

    def __init__(self, size: str, output_stride: int, build: str = "published") -> None:
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"size must be one of {SIZES}, got {size!r}")
        check_output_stride(output_stride, (16, 32))
        if build not in BUILDS:
            raise ValueError(f"build must be one of {BUILDS}, got {build!r}")
        standard = build == "standard"
        relu, last = (LARGE_RELU, LARGE_LAST) if size == "large" else (SMALL_RELU, SMALL_LAST)
        used, unused = rows_of(size, output_stride, standard)
        self.stem = conv_norm(3, STEM, 3, stride=2, activation=nn.Hardswish)
        self.blocks = nn.ModuleList()
        self.taps: list[int] = []  # the last blocks at 1/4 and at 1/8
        channels, reached = STEM, 2
        narrow = []
        for number, row in enumerate(used):
            if row.stride == 2:
                if reached in (4, 8):
                    self.taps.append(number - 1)
                    narrow.append(channels)
                reached *= 2
            activation = nn.ReLU if number < relu else nn.Hardswish
            self.blocks.append(Bottleneck(channels, row, activation, standard))
            channels = row.out
        self.channels = (narrow[0], narrow[1], channels)
        self.unused: nn.Sequential | None = None
        if build == "published" and output_stride == 16:
            tail: list[nn.Module] = []
            for row in unused:
                tail.append(Bottleneck(channels, row, nn.Hardswish, standard))
                channels = row.out
            self.unused = nn.Sequential(*tail, conv_norm(channels, last, activation=nn.Hardswish))

    def forward(self, image: Tensor) -> DeepFeatures:
        """Run the encoder on ``(N, 3, H, W)`` floats in -1..1."""
        x = self.stem(image)  # (N, 16, H/2, W/2)
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taps:
                maps.append(x)
        if self.unused is not None:
            self.unused(x)
        return DeepFeatures(maps[0], maps[1], x)
