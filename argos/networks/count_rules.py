"""The counting rules of the documents by name: what counts as a parameter and what as an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from argos.networks import counting
from argos.networks.qunet import QUNet

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a document counts.

    Attributes:
        text: what is counted, and by whom, in one line.
        unit: of a billion operations.
        parameters: of a network.
        operations: of one image of a size (height, width).
    """

    text: str
    unit: str
    parameters: Callable[[nn.Module], int]
    operations: Callable[[nn.Module, Size], float]


def macs(network: nn.Module, size: Size) -> int:
    """Multiply-accumulates of convolutions and fully connected layers, for one image of (height, width)."""
    counted = counting.operations(network, size)
    return counted.conv_macs + counted.linear_macs


def _bit_operations(network: nn.Module, size: Size) -> float:
    """Bit operations of a QU-Net; another network has no quantised convolutions and counts by *hooks*."""
    if isinstance(network, QUNet):
        return counting.bit_operations(network, size)
    return counting.hooks_operations(network, size)


RULES = {
    "macs": Rule(
        "trainable parameters; multiply-accumulates of convolutions and linear layers (ours)",
        "GMACs",
        counting.parameters,
        macs,
    ),
    "tf-vars": Rule(
        "all variables, 4 per normalised channel; multiply-accumulates (ASBU-Net paper, RT-Seg thesis)",
        "GMACs",
        counting.tf_variables,
        macs,
    ),
    "conv-only": Rule(
        "convolution weights only; their multiply-accumulates (ESSNet thesis, chapter 3)",
        "GMACs",
        counting.conv_weights,
        counting.conv_macs,
    ),
    "conv+2bn": Rule(
        "trainable parameters; multiply-accumulates and 2 per normalised element (Dual ASPP)",
        "GFLOPs",
        counting.parameters,
        counting.conv_2bn_operations,
    ),
    "hooks": Rule(
        "trainable parameters; convolutions, biases, normalisations, ReLUs, pools and resizes (QU-Net thesis in full "
        "precision, ESSNet thesis, chapter 4)",
        "GFLOPs",
        counting.parameters,
        counting.hooks_operations,
    ),
    "bit-ops": Rule(
        "as hooks, but a quantised convolution costs MACs x activation bits x weight bits / 58 (QU-Net thesis)",
        "GFLOPs",
        counting.parameters,
        _bit_operations,
    ),
}
