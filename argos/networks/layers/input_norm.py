"""Normalisation of the input image that belongs to the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class InputNormalization(nn.Module):
    """Subtract a mean and divide by a deviation per colour.

    Seven variables that no gradient reaches: three means, three variances, and the number of images they were
    measured on (0: given, not measured). The defaults are those of ImageNet.

    Reference:
        The preprocessing layer of EfficientNet in Keras, whose seven variables the counts of ASBU-Net's paper include.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN))
        self.register_buffer("variance", torch.tensor(IMAGENET_STD) ** 2)
        self.register_buffer("count", torch.tensor(0))

    def forward(self, image: Tensor) -> Tensor:
        """``(N, 3, H, W)`` floats in 0..1 to the same shape, of mean 0 and deviation 1 over ImageNet."""
        return (image - self.mean[:, None, None]) * self.variance.rsqrt()[:, None, None]
