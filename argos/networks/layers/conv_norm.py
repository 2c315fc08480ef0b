"""Convolution with batch normalisation and an activation, as the published classifiers write it."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[..., nn.Module]
"""``nn.ReLU``, ``nn.ReLU6``, ``nn.SiLU`` (swish), ``nn.Hardswish``: all take ``inplace``."""


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    activation: Activation | None = nn.ReLU,
    eps: float = 1e-5,
) -> nn.Sequential:
    """Convolution without bias, batch normalisation, activation.

    ``(N, in_channels, H, W)`` to ``(N, out_channels, H/stride, W/stride)``, sizes rounded up; floating.

    Args:
        in_channels, out_channels: channels before and after.
        kernel: side of the square kernel, odd; padded so that only ``stride`` changes the size.
        stride: 1 or 2.
        dilation: rate of an atrous convolution.
        groups: ``in_channels`` for a depthwise convolution.
        activation: makes the last layer; ``None`` for a linear output.
        eps: of the batch normalisation.
    """
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out_channels, eps=eps),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


class PooledNorm(nn.BatchNorm2d):
    """Batch normalisation behind a global pool, which leaves one value per channel and image.

    A batch of one image has no variance to normalise by: the running statistics, which such a batch does not change,
    take its place, so that networks can train with batches of one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, 1, 1)`` to the same shape, floating."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def make_divisible(filters: float, divisor: int = 8) -> int:
    """Nearest multiple of ``divisor``, one more where that would lose over a tenth.

    Reference:
        How MobileNetV2 and EfficientNet round scaled widths.
    """
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * filters else rounded
