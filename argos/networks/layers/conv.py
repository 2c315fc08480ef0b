"""Blocks that several networks share."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "swish": F.silu}


class ConvNormActivation(nn.Module):
    """Convolution with equal padding, batch normalisation and an activation.

    Args:
        in_channels, out_channels: channels before and after.
        kernel: side of the square kernel, odd.
        stride: 1 or 2.
        dilation: rate of an atrous convolution.
        bias: give the convolution a bias besides the batch normalisation.
        activation: a key of ``ACTIVATIONS``.

    Raises:
        ValueError: if ``activation`` is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}")
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=bias)
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H/stride, W/stride)``, floating."""
        x = self.norm(self.conv(x))
        return F.relu_(x) if self.activation == "relu" else ACTIVATIONS[self.activation](x)


def pad_to_multiple(image: Tensor, multiple: int, minimum: int = 1) -> Tensor:
    """Repeat the last row and column until height and width are multiples of ``multiple``, and ``minimum`` at least.

    Args:
        image: ``(N, C, H, W)``, floating, H and W at least 1.
        multiple: positive.
        minimum: smallest height and width of the result, a multiple of ``multiple``, or 1.

    Returns:
        ``(N, C, H', W')``; ``image`` itself where nothing is missing.
    """
    height, width = image.shape[-2:]
    bottom = max(-height % multiple, minimum - height)
    right = max(-width % multiple, minimum - width)
    if not (bottom or right):
        return image
    return F.pad(image, (0, right, 0, bottom), mode="replicate")


def initialize_he(module: nn.Module) -> None:
    """Draw the weights of every convolution in ``module`` by He's rule (fan in), and set its biases to zero.

    Reference:
        He et al., Delving Deep into Rectifiers, arXiv:1502.01852, Eq. 10.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
