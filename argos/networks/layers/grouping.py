"""Grouped convolutions: shuffling their channels, and training them gradually from a dense one.

A grouped convolution is a dense one in which the weights between groups are zero. ``GradualGroupConv2d`` multiplies
these weights by alpha: 1 is the dense convolution, 0 the grouped one. A training lowers alpha from 1 to 0
(``alpha_at``), goes on at 0, and then ``to_grouped`` makes the grouped convolutions that give the same output.

Reference:
    Vallurupalli, On Designing Efficient Deep Neural Networks for Semantic Segmentation, 2022, section 3.5, Fig. 3.8.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Deal the channels of each group out to all groups in turn.

    Args:
        x: ``(N, C, H, W)``, C a multiple of ``groups``.
        groups: at least 1.

    Returns:
        ``(N, C, H, W)``: channel ``i`` of group ``g`` becomes channel ``i * groups + g``.

    Reference:
        Zhang et al., ShuffleNet, arXiv:1707.01083, section 3.1.
    """
    n, channels, height, width = x.shape
    return x.view(n, groups, channels // groups, height, width).transpose(1, 2).reshape(n, channels, height, width)


class GradualGroupConv2d(nn.Conv2d):
    """1x1 convolution whose weights between groups are multiplied by alpha.

    Args:
        in_channels, out_channels: multiples of ``target_groups``.
        target_groups: groups that are left when alpha is 0.

    Attributes:
        alpha: scalar 0..1, a buffer, so that it is saved with the weights; 1 at first.

    Raises:
        ValueError: ``target_groups`` does not divide the channels.
    """

    alpha: Tensor
    within: Tensor

    def __init__(self, in_channels: int, out_channels: int, target_groups: int) -> None:
        if target_groups < 1 or in_channels % target_groups or out_channels % target_groups:
            raise ValueError(f"target_groups should divide {in_channels} and {out_channels}, got {target_groups}")
        super().__init__(in_channels, out_channels, 1)
        self.target_groups = target_groups
        block = torch.ones(out_channels // target_groups, in_channels // target_groups)
        within = torch.block_diag(*[block] * target_groups)[:, :, None, None]
        self.register_buffer("within", within, persistent=False)
        self.register_buffer("alpha", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``, floating."""
        return F.conv2d(x, self.weight * (self.within + self.alpha * (1 - self.within)), self.bias)

    def grouped(self) -> nn.Conv2d:
        """Return the grouped convolution that this one is when alpha is 0, on the same device.

        Raises:
            ValueError: alpha is not 0.
        """
        if float(self.alpha) != 0:
            raise ValueError(
                f"alpha is {float(self.alpha):g}: the convolution still joins its {self.target_groups} groups; "
                "lower alpha to 0 and train on before it is replaced"
            )
        groups, out_channels = self.target_groups, self.out_channels // self.target_groups
        blocks = self.weight.detach().unflatten(0, (groups, out_channels)).unflatten(2, (groups, -1))
        conv = nn.Conv2d(self.in_channels, self.out_channels, 1, groups=groups)
        conv.load_state_dict({"weight": torch.cat([blocks[g, :, g] for g in range(groups)]), "bias": self.bias})
        return conv.to(self.weight.device, self.weight.dtype).train(self.training)


def set_alpha(network: nn.Module, alpha: float) -> int:
    """Set alpha in every gradual convolution of ``network``; return how many there are.

    Raises:
        ValueError: ``alpha`` is not in 0..1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha should be in 0..1, got {alpha}")
    layers = [layer for layer in network.modules() if isinstance(layer, GradualGroupConv2d)]
    for layer in layers:
        layer.alpha.fill_(alpha)
    return len(layers)


def alpha_at(progress: float, fine_tuning: float = 0.2) -> float:
    """Alpha at a moment of the training: from 1 to 0 in a straight line, then 0.

    Args:
        progress: share of the training that is done, 0..1.
        fine_tuning: share of the training at its end in which alpha stays 0.

    Raises:
        ValueError: ``fine_tuning`` is not in [0, 1).
    """
    if not 0 <= fine_tuning < 1:
        raise ValueError(f"fine_tuning should be at least 0 and below 1, got {fine_tuning}")
    return min(1.0, max(0.0, 1 - progress / (1 - fine_tuning)))


def to_grouped(network: nn.Module) -> nn.Module:
    """Return a copy of ``network`` with true grouped convolutions where it has gradual ones; same output, same names.

    Raises:
        ValueError: alpha is not 0 yet.
    """
    network = copy.deepcopy(network)
    if isinstance(network, GradualGroupConv2d):
        return network.grouped()
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, GradualGroupConv2d):
                setattr(module, name, child.grouped())
    return network
