"""EfficientNet B0, B1 and B2: the widths and depths of their blocks."""

from __future__ import annotations

import math

from argos.networks.backbones.inverted_residual import BlockShape
from argos.networks.layers.conv_norm import make_divisible

# (expansion, filters, blocks, stride of the first, kernel) of the seven stages of B0
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM = 32

MULTIPLIERS = {"B0": (1.0, 1.0), "B1": (1.0, 1.1), "B2": (1.1, 1.2)}
"""Width and depth multiplier of each variant."""


def efficientnet_blocks(variant: str) -> tuple[int, tuple[BlockShape, ...]]:
    """Filters of the stem and the shapes of all blocks.

    Args:
        variant: key of ``MULTIPLIERS``.

    Raises:
        ValueError: another variant.

    Reference:
        Tan and Le, EfficientNet, arXiv:1905.11946, Table 1 and Eq. 3.
    """
    if variant not in MULTIPLIERS:
        raise ValueError(f"variant must be one of {sorted(MULTIPLIERS)}, got {variant!r}")
    width, depth = MULTIPLIERS[variant]
    stem = channels = make_divisible(STEM * width)
    shapes = []
    for expansion, filters, count, stride, kernel in STAGES:
        scaled = make_divisible(filters * width)
        for number in range(math.ceil(count * depth)):
            shapes.append(BlockShape(channels, scaled, expansion, kernel, stride if number == 0 else 1))
            channels = scaled
    return stem, tuple(shapes)
