"""Choose the bit width of each layer of a QU-Net, as small as an accuracy allows.

The thesis chose 8, 1 and 4 bits for three groups of layers by hand, and names this choice, made layer by layer under a
threshold of accuracy, as its future work.

Reference:
    Varma, QU-Net: A Lightweight U-Net based Region Proposal System, 2021, section 6.2, 'Smart' Quantization.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from argos.networks.counting import bit_operations
from argos.networks.layer_table import trace_layers
from argos.networks.qunet import LAYERS, QUNet, with_bits

log = logging.getLogger(__name__)

WIDTHS = (8, 4, 2, 1)


@dataclass(frozen=True, slots=True)
class Trial:
    """One layer with fewer bits, in the plan as it was by then.

    Attributes:
        layer: its name in the network.
        bits: that it was tried with.
        score: of the network with it.
        kept: it stays so, the score is high enough.
    """

    layer: str
    bits: int
    score: float
    kept: bool


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A network with the bits that were chosen.

    Attributes:
        network: in evaluation mode; its plan is ``network.bits``.
        score: of it.
        operations: bit operations of one image, by the rule of Table 4.1.
        trials: in order.
    """

    network: QUNet
    score: float
    operations: float
    trials: tuple[Trial, ...]


def choose_bits(
    network: QUNet,
    measure: Callable[[QUNet], float],
    least: float,
    prepare: Callable[[QUNet], None],
    widths: Sequence[int] = WIDTHS,
    size: tuple[int, int] = (320, 320),
) -> Choice:
    """Lower the bits of one layer after the other while the accuracy stays at ``least`` or above.

    First every layer is tried alone with its next lower width. Then the layer that loses least for the operations it
    saves goes first; where the whole network stays good enough it keeps the lower width and is queued for the next,
    otherwise it keeps what it has for good. With 18 layers that is 18 measurements, and one for each step.

    Args:
        network: trained, best with the largest width in all layers; it is left alone.
        measure: accuracy of a network in evaluation mode, more is better.
        least: accuracy that has to be kept.
        prepare: called with each candidate before it is measured. Fewer bits give other activations, so at least the
            running statistics have to be measured anew (``training.fit.recalibrate``); a little training is better.
        widths: bits to choose from, 1 to 8.
        size: (height, width) of the image whose operations are counted.

    Returns:
        The network with the fewest bits that was found.

    Raises:
        ValueError: a layer is in full precision, ``widths`` are no bits, or the network misses ``least`` as it is.
    """
    if not widths or not set(widths) <= set(range(1, 9)):
        raise ValueError(f"widths should be bits of 1 to 8, got {tuple(widths)}")
    floating = [layer for layer, bits in network.bits.every().items() if bits is None]
    if floating:
        raise ValueError(f"network should have bits in every layer, but {', '.join(floating)} are in full precision")
    macs = _macs_of_layers(network, size)
    best, score = network, _measured(network, measure)
    if score < least:
        raise ValueError(f"least is {least:g}, but the network itself reaches {score:g}; lower it, or train on")

    def tried(layer: str, bits: int) -> tuple[QUNet, float]:
        candidate = with_bits(best, best.bits.changed(layer, bits))
        prepare(candidate)
        return candidate, _measured(candidate, measure)

    queue: list[tuple[float, str, int]] = []  # accuracy lost for each operation saved, layer, bits
    for layer in LAYERS:
        bits = _next_lower(best.bits.of(layer), widths)
        if bits is not None:
            lost = score - tried(layer, bits)[1]
            heapq.heappush(queue, (lost / _saved(macs[layer], best.bits.of(layer), bits), layer, bits))
    trials = []
    while queue:
        _, layer, bits = heapq.heappop(queue)
        candidate, found = tried(layer, bits)
        trials.append(Trial(layer, bits, found, kept=found >= least))
        log.info("%s %d bits: %.4f %s", layer, bits, found, "kept" if trials[-1].kept else "given up")
        if not trials[-1].kept:
            continue
        lost, best, score = score - found, candidate, found
        lower = _next_lower(bits, widths)
        if lower is not None:
            heapq.heappush(queue, (lost / _saved(macs[layer], bits, lower), layer, lower))
    return Choice(best.eval(), score, bit_operations(best, size), tuple(trials))


def _next_lower(bits: int | None, widths: Sequence[int]) -> int | None:
    return max((width for width in widths if bits is not None and width < bits), default=None)


def _saved(macs: int, bits: int | None, lower: int) -> float:
    """Operations saved, up to a factor that all layers share."""
    assert bits is not None
    return float(macs * (bits - lower))


@torch.no_grad()
def _measured(network: QUNet, measure: Callable[[QUNet], float]) -> float:
    return measure(network.eval())


def _macs_of_layers(network: QUNet, size: tuple[int, int]) -> dict[str, int]:
    traced = {layer.name: layer.macs for layer in trace_layers(network, size)}
    return {layer: traced[f"{layer}.conv"] for layer in LAYERS}
