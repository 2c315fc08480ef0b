"""What each layer of a network makes, holds and computes, seen in one pass on the meta device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from argos.networks.counting import OperationCounter, on_meta


@dataclass(frozen=True, slots=True)
class Layer:
    """One module of a network, without the modules inside it.

    Attributes:
        name: where it is in the network, with dots; empty for the network itself.
        kind: its class, and for a convolution its kernel (``k3x3``), stride (``s2``), dilation (``d4``) and groups
            (``g8``, ``dw`` for depthwise) where they are not 1.
        output: shape of what it gives, without the batch; empty where that is no tensor, or it is never called.
        parameters: trainable ones.
        macs: multiply-accumulates, of all calls.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int


def trace_layers(network: nn.Module, size: tuple[int, int]) -> list[Layer]:
    """List all modules of a network: in the order of their first calls, then those whose work another one does.

    Args:
        network: left alone.
        size: (height, width) of the image.

    Returns:
        Layers; their parameters and their multiply-accumulates add up to the network's.

    Raises:
        ValueError: the image is too small: in training a batch normalisation needs more than one value per channel.
    """
    network = on_meta(network)
    outputs: dict[nn.Module, tuple[int, ...]] = {}
    macs: dict[nn.Module, int] = {}
    opened: list[list[int]] = []  # MACs before the call, MACs of the calls inside it

    def enter(module: nn.Module, args: Any) -> None:
        outputs.setdefault(module, ())
        opened.append([counter.macs, 0])

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        before, inside = opened.pop()
        whole = counter.macs - before
        if opened:
            opened[-1][1] += whole
        macs[module] = macs.get(module, 0) + whole - inside
        if isinstance(output, Tensor):
            outputs[module] = tuple(output.shape[1:])

    names = {module: name for name, module in network.named_modules()}
    for module in names:
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    with torch.no_grad(), OperationCounter() as counter:
        network(torch.zeros(1, 3, *size, device="meta"))
    return [
        Layer(names[module], describe(module), outputs.get(module, ()), _held(module), macs.get(module, 0))
        for module in (*outputs, *(module for module in names if module not in outputs))
    ]


def describe(module: nn.Module) -> str:
    """Name a module by its class, and a convolution with kernel, stride, dilation and groups: ``Conv2d k3x3 s2``."""
    kind = type(module).__name__
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return kind
    words = [kind, "k" + "x".join(str(side) for side in module.kernel_size)]
    steps = (("s", module.stride), ("d", module.dilation))
    words += [f"{letter}{max(value)}" for letter, value in steps if max(value) > 1]
    if module.groups > 1:
        words.append("dw" if module.groups == module.in_channels else f"g{module.groups}")
    return " ".join(words)


def _held(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters(recurse=False) if p.requires_grad)
