"""A U-Net of residual blocks that decide for each pixel whether they are computed: the rival of QU-Net.

The decision is the network's own, learnt with it under a budget, where QU-Net decides once for any network behind it.
Here the blocks are computed everywhere and masked: what is saved is counted, not gained.

Reference:
    Verelst and Tuytelaars, Dynamic Convolutions: Exploiting Spatial Sparsity for Faster Inference, arXiv:1912.03203;
    rival in Varma, QU-Net, 2021, section 4.3, there on ResNet-101.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.layers.conv import initialize_he, pad_to_multiple
from argos.networks.layers.conv_norm import conv_norm

STAGES = ((32, 2), (64, 3), (128, 5), (192, 5))
"""Channels and blocks at 1/2, 1/4, 1/8 and 1/16."""

DECODER_FILTERS = 32
STRIDE = 16
TEMPERATURE = 0.66
"""Of the Gumbel noise in training."""


class Decided(NamedTuple):
    """What the network says, and what it computed.

    Attributes:
        logits: ``(N, num_classes, H, W)``.
        share: scalar 0..1, of the operations of all blocks; the gradient passes to the decisions.
    """

    logits: Tensor
    share: Tensor


class MaskUnit(nn.Module):
    """Whether a block is computed, by its neighbourhood and by the mean of the map.

    Reference:
        Verelst and Tuytelaars, section 3.1 and Figure 2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, 1, 3, padding=1)
        self.whole = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels, H, W)`` to a mask ``(N, 1, H, W)`` of 0 and 1; in training noise is added before."""
        logits: Tensor = self.near(x) + self.whole(x.mean((2, 3), keepdim=True))
        if not self.training:
            return (logits > 0).to(x.dtype)
        chance = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid((logits + chance.logit()) / TEMPERATURE)
        return soft + ((soft > 0.5).to(x.dtype) - soft).detach()


class DynamicBlock(nn.Module):
    """Two 3x3 convolutions added to their input where the mask says so; everywhere without a mask unit."""

    def __init__(self, channels: int, dynamic: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_norm(channels, channels, 3), conv_norm(channels, channels, 3, activation=None))
        self.mask = MaskUnit(channels) if dynamic else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, channels, H, W)`` to the same, and the share of the pixels that was computed, scalar."""
        if self.mask is None:
            return F.relu(x + self.body(x)), x.new_ones(())
        mask = self.mask(x)
        return F.relu(x + mask * self.body(x)), mask.mean()


class DynamicUNet(nn.Module):
    """The network; see ``dynamic_unet`` for the arguments.

    Attributes:
        budget: share of the operations of the blocks that a training aims at; None: all of them.
        fixed: share of the operations of the whole network that is outside of the blocks.
    """

    def __init__(self, num_classes: int, budget: float | None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.budget = budget
        self.down, self.stages, self.lateral = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = 3
        costs: list[float] = []  # of one block of each stage, per pixel of the image
        fixed = 9.0 * DECODER_FILTERS * num_classes / 4
        for level, (channels, count) in enumerate(STAGES, start=1):
            self.down.append(conv_norm(before, channels, 3, stride=2))
            self.stages.append(nn.ModuleList(DynamicBlock(channels, budget is not None) for _ in range(count)))
            self.lateral.append(conv_norm(channels, DECODER_FILTERS))
            fixed += (9 * before + DECODER_FILTERS) * channels / 4**level
            costs += [18.0 * channels**2 / 4**level] * count
            before = channels
        self.classes = nn.Conv2d(DECODER_FILTERS, num_classes, 3, padding=1)
        self.fixed = fixed / (fixed + sum(costs))
        self.weights = [cost / sum(costs) for cost in costs]
        initialize_he(self)
        for module in self.modules():
            if isinstance(module, MaskUnit):
                nn.init.constant_(module.near.bias, 1.0)  # type: ignore[arg-type]  # most is computed at first

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, num_classes, H, W)`` of ``(N, 3, H, W)`` floats in 0..1; any H and W."""
        return self.decide(image).logits

    def decide(self, image: Tensor) -> Decided:
        """``forward``, with the share of the blocks that was computed."""
        height, width = image.shape[-2:]
        x = pad_to_multiple(image, STRIDE) * 2 - 1
        maps, shares = [], []
        for down, blocks, lateral in zip(self.down, self.stages, self.lateral, strict=True):
            x = down(x)  # half of the size
            for block in blocks:  # type: ignore[attr-defined]
                x, share = block(x)
                shares.append(share)
            maps.append(lateral(x))
        y = maps[-1]
        for skip in reversed(maps[:-1]):
            y = skip + F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        logits = F.interpolate(self.classes(y), scale_factor=2, mode="bilinear", align_corners=False)
        total = sum(weight * share for weight, share in zip(self.weights, shares, strict=True))
        assert isinstance(total, Tensor)
        return Decided(logits[:, :, :height, :width], total)

    def computed(self, share: float) -> float:
        """Share of the operations of the whole network where ``share`` of those of the blocks were computed."""
        return self.fixed + (1 - self.fixed) * share


def dynamic_unet(num_classes: int = 1, budget: float | None = 0.25) -> DynamicUNet:
    """Build the rival.

    Args:
        num_classes: logits per pixel.
        budget: share of the operations of the blocks that a training aims at, 0.25 in QU-Net's thesis; None builds
            the same network without decisions.

    Raises:
        ValueError: an argument is out of range.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    if budget is not None and not 0 < budget <= 1:
        raise ValueError(f"budget must be above 0 and at most 1, or None, got {budget!r}")
    return DynamicUNet(num_classes, budget)
