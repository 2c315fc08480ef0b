"""Parameters and operations by the rules of the source documents, which differ from one to the next.

A network is run once on the meta device, in training, on one image: nothing is computed, and the operations are seen
below the modules, so it does not matter whether a network calls ``nn.ReLU`` or ``F.relu``.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from argos.networks.layers.binary import BinaryConv2d, SqueezeExcite
from argos.networks.layers.dct import BlockDCT
from argos.networks.layers.input_norm import InputNormalization
from argos.networks.qunet import QUNet

PUBLISHED_DIVISOR = 58
"""Speed-up of XNOR convolutions on a CPU, as quoted in the literature; every quantised row of Table 4.1 uses it."""

SEPARABLE_DCT_MACS = 16
"""Multiply-accumulates per sample of a separable 8x8 DCT."""

RELUS = frozenset(name + place for name in ("relu", "hardtanh", "leaky_relu", "_prelu_kernel") for place in ("", "_"))
BATCH_NORMS = frozenset(
    ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional", "_batch_norm_with_update")
)


@dataclass(frozen=True, slots=True)
class Operations:
    """What one forward pass does, for one image; every number counts elements except the MACs.

    Attributes:
        conv_macs: multiply-accumulates of convolutions; a transposed one at its input resolution.
        conv_biases: output elements of convolutions with a bias.
        normalized: elements that enter a batch normalisation.
        rectified: output elements of ReLU and its kin (ReLU6, leaky, PReLU).
        max_pooled: elements that enter a max pool.
        upsampled: elements that leave a resize.
        linear_macs: multiply-accumulates of fully connected layers.
        averaged: elements that enter a mean over the picture.
    """

    conv_macs: int = 0
    conv_biases: int = 0
    normalized: int = 0
    rectified: int = 0
    max_pooled: int = 0
    upsampled: int = 0
    linear_macs: int = 0
    averaged: int = 0


def parameters(module: nn.Module) -> int:
    """Count trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def tf_variables(module: nn.Module) -> int:
    """Count variables as TensorFlow does: all parameters, mean and variance of each batch normalisation, and the seven
    of an input normalisation.

    Reference:
        The rule of the RT-Seg thesis and of the ASBU-Net paper, all tables.
    """
    moving = 0
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            moving += sum(t.numel() for t in (layer.running_mean, layer.running_var) if t is not None)
        elif isinstance(layer, InputNormalization):
            moving += sum(t.numel() for t in layer.buffers())
    return sum(parameter.numel() for parameter in module.parameters()) + moving


def conv_weights(module: nn.Module) -> int:
    """Count convolution weights only: no bias, no batch normalisation (ESSNet thesis, chapter 3)."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, kinds))


def binary_weights(module: nn.Module) -> int:
    """Count the 1-bit weights of a QU-Net."""
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, BinaryConv2d))


def operations(module: nn.Module, size: tuple[int, int], channels: int = 3) -> Operations:
    """Count what ``module`` does to one image of ``size`` = (height, width); ``module`` itself is left alone."""
    return _count(on_meta(module), size, channels)


def conv_macs(module: nn.Module, size: tuple[int, int]) -> int:
    """Count by the rule *conv-only*: multiply-accumulates of convolutions and nothing else."""
    return operations(module, size).conv_macs


def conv_2bn_operations(module: nn.Module, size: tuple[int, int]) -> int:
    """Count by the rule *conv+2BN*: convolutions, fully connected layers, 2 per normalised element (Dual ASPP)."""
    counted = operations(module, size)
    return counted.conv_macs + counted.linear_macs + 2 * counted.normalized


def hooks_operations(module: nn.Module, size: tuple[int, int]) -> int:
    """Count by the rule *hooks*: convolutions, biases, normalisation, ReLUs, max pools and resizes.

    Reference:
        QU-Net thesis, Table 4.1, full-precision row; ESSNet thesis, chapter 4.
    """
    return _hooks_rule(operations(module, size))


def bit_operations(
    module: QUNet, size: tuple[int, int], divisor: int = PUBLISHED_DIVISOR, extras: bool = True
) -> float:
    """Count by the rule *bit-ops*: a quantised convolution costs MACs x activation bits x weight bits / ``divisor``.

    Everything else counts as in ``hooks_operations``.

    Args:
        module: a QU-Net of any bit plan.
        size: (height, width) of the image.
        divisor: 58 as published; 64 for the word operations of a 64-bit machine.
        extras: also count squeeze-excite (1 per pooled and per scaled element, and its fully connected layers) and
            the DCT (16 per sample). The thesis does in the last two rows of Table 4.1 only.

    Reference:
        QU-Net thesis, Table 4.1.
    """
    network = on_meta(module)
    plain, quantized, biases, squeeze, transform = 0, 0.0, 0, 0, 0

    def binary(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal plain, quantized, biases, squeeze
        assert isinstance(layer, BinaryConv2d)
        macs = output.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        plain += macs
        quantized += macs * layer.bits / divisor
        biases += output.numel()
        squeeze += inputs[0].numel() + output.numel()

    def dct(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal plain, transform
        plain += output.numel() * 64
        transform += inputs[0].numel() * SEPARABLE_DCT_MACS

    for layer in network.modules():
        if isinstance(layer, BinaryConv2d):
            layer.register_forward_hook(binary)
        elif isinstance(layer, BlockDCT):
            layer.register_forward_hook(dct)
    counted = _count(network, size, 3)
    hidden = sum(gate.squeeze.out_features for gate in network.modules() if isinstance(gate, SqueezeExcite))
    total = _hooks_rule(counted) - plain + quantized + biases - hidden  # hidden: the ReLUs inside squeeze-excite
    return total + squeeze + counted.linear_macs + transform if extras else total


def on_meta(module: nn.Module) -> nn.Module:
    """Return a copy of ``module`` on the meta device, in training: shapes without numbers."""
    return copy.deepcopy(module).to("meta").train()


def _hooks_rule(counted: Operations) -> int:
    return (
        counted.conv_macs
        + counted.conv_biases
        + 2 * counted.normalized
        + counted.rectified
        + counted.max_pooled
        + counted.upsampled
    )


def _count(network: nn.Module, size: tuple[int, int], channels: int) -> Operations:
    with torch.no_grad(), OperationCounter() as counter:
        network(torch.zeros(1, channels, *size, device="meta"))
    return Operations(**counter.counts)


class OperationCounter(TorchDispatchMode):
    """Adds up what passes below autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = {field.name: 0 for field in fields(Operations)}

    @property
    def macs(self) -> int:
        """Multiply-accumulates so far, of convolutions and fully connected layers."""
        return self.counts["conv_macs"] + self.counts["linear_macs"]

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        counts = self.counts
        if name == "native_batch_norm":  # two thirds of the time would go into the shapes of its statistics
            counts["normalized"] += args[0].numel()
            per_channel = args[0].new_empty(args[0].shape[1])
            return torch.empty_like(args[0]), per_channel, per_channel
        result = func(*args, **(kwargs or {}))
        if name == "convolution":
            image, weight, bias, transposed = args[0], args[1], args[2], args[6]
            # (C_out, C_in / groups, k, k), or transposed (C_in, C_out / groups, k, k): both give MACs per element
            per_element = weight.numel() // weight.shape[0]
            counts["conv_macs"] += (image if transposed else result).numel() * per_element
            counts["conv_biases"] += result.numel() if bias is not None else 0
        elif name in BATCH_NORMS:
            counts["normalized"] += args[0].numel()
        elif name in RELUS:
            counts["rectified"] += result.numel()
        elif name in ("max_pool2d_with_indices", "max_pool2d"):
            counts["max_pooled"] += args[0].numel()
        elif name.startswith(("upsample_", "_upsample_")):
            counts["upsampled"] += result.numel()
        elif name == "addmm":
            counts["linear_macs"] += args[1].numel() * args[2].shape[1]
        elif name == "mm":
            counts["linear_macs"] += args[0].numel() * args[1].shape[1]
        elif name in ("mean", "_adaptive_avg_pool2d") and args[0].dim() == 4:
            counts["averaged"] += args[0].numel()
        return result
