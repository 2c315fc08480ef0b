"""How many multiply-accumulates a network computes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

COUNTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def layer_macs(layer: nn.Module, x: Tensor, out: Tensor) -> int:
    """Multiply-accumulates of one call of a convolution, transposed convolution or linear layer.

    A transposed convolution is counted at its input, where its multiplications are. Biases are free.

    Raises:
        ValueError: another kind of layer.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        return x.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Conv2d):
        return out.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Linear):
        return out.numel() * layer.in_features
    raise ValueError(f"cannot count a {type(layer).__name__}")


def count_macs(network: nn.Module, image: Tensor) -> int:
    """Count the multiply-accumulates of one forward pass, by hooks on the layers that are called.

    Args:
        network: convolutions and linear layers count, also their subclasses; functional calls do not.
        image: ``(N, C, H, W)``, input of the network.
    """
    network = copy.deepcopy(network).eval()
    total = 0

    def add(layer: nn.Module, args: tuple[Any, ...], out: Tensor) -> None:
        nonlocal total
        total += layer_macs(layer, args[0], out)

    for layer in network.modules():
        if isinstance(layer, COUNTED):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        network(image)
    return total
