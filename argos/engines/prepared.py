"""The deep networks by torch on a CPU: convolution and activation in one operator, the weights laid out for it."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.core import Core
from argos.engines.fold import is_plain
from argos.networks.ssd_isb import SSDOutput
from argos.networks.unets import STRIDE

log = logging.getLogger(__name__)

MOST_SIZES = 8
"""Sizes of its input for which a convolution keeps its weights laid out: the canvases and some whole frames. For others
oneDNN lays them out at each run, as it does for torch's own layers."""

USUAL = 3
"""Runs after which a size gets one: to lay out for one that comes once takes longer than it saves."""

ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}
"""By layer: the name by which the operator knows it, and its numbers."""


class Prepared:
    """What the networks say, equal to themselves but for rounding, in a sixth less time.

    Args:
        core: the networks, on the CPU, normalisations folded; their weights stay as they are from now on.
    """

    def __init__(self, core: Core) -> None:
        self.core = core.eval()

    @cached_property
    def fused(self) -> nn.Module:
        """The networks to run; as they are, where this build of torch has no such operator or it says another thing."""
        pixels = torch.arange(64 * 96 * 3, dtype=torch.int32).remainder(251).to(torch.uint8).reshape(1, 64, 96, 3)
        with torch.inference_mode():
            plain = self.core(pixels)
            try:
                fused = fused_copy(self.core)
                same = all(
                    torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(plain, fused(pixels), strict=True)
                )
            except (AttributeError, NotImplementedError, RuntimeError) as error:
                log.debug("convolutions stay as they are: %s", error)
                return self.core
        return fused if same else self.core

    def also(self, core: Core) -> Prepared:
        """Other networks in the same way."""
        return Prepared(core)

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[Tensor | None, SSDOutput | None]:
        """Logits ``(B, 1, H, W)`` and the output of the detector for ``(B, H, W, 3)`` uint8.

        None where the task is off, and for sides that are no multiples of 32, which the networks themselves pad.
        """
        if any(side % STRIDE for side in pixels.shape[1:3]):
            return None, None
        with torch.inference_mode():
            return self.core.split(self.fused(torch.from_numpy(pixels)))


class FusedConvolution(nn.Module):
    """A convolution and what is applied to its result, by an operator that torch keeps for its compiler.

    Args:
        layer: with zeros around the input.
        activation: of ``ACTIVATIONS``; None: none.
    """

    def __init__(self, layer: nn.Conv2d, activation: nn.Module | None) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        assert not isinstance(layer.padding, str)
        self._how = list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups
        name, numbers = ("none", []) if activation is None else ACTIVATIONS[type(activation)]
        self._activation: tuple[str, list[float], str] = (name, numbers, "")
        self._runs: Counter[torch.Size] = Counter()
        self._laid_out: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """As the two layers, ``(N, C, H, W)`` float32."""
        weight = self._laid_out.get(x.shape)
        if weight is None:
            weight = self.weight
            self._runs[x.shape] += 1
            if self._runs[x.shape] >= USUAL and len(self._laid_out) < MOST_SIZES:
                operators: Any = torch.ops.mkldnn
                weight = operators._reorder_convolution_weight(weight.detach().clone(), *self._how, list(x.shape))
                self._laid_out[x.shape] = weight
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(x, weight, self.bias, *self._how, *self._activation)
        return result


def fused_copy(network: nn.Module) -> nn.Module:
    """A copy that shares the weights, its convolutions fused with the activations that follow them in a sequence."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    network = copy.deepcopy(network, shared)
    for parent in list(network.modules()):
        children = list(parent.named_children())
        for n, (name, child) in enumerate(children):
            if not (isinstance(child, nn.Conv2d) and is_plain(child) and child.padding_mode == "zeros"):
                continue
            after = next((c for c in children[n + 1 :] if not isinstance(c[1], nn.Identity)), None)
            activation = None
            if isinstance(parent, nn.Sequential) and after is not None and type(after[1]) in ACTIVATIONS:
                activation = after[1]
                parent.register_module(after[0], nn.Identity())
            parent.register_module(name, FusedConvolution(child, activation))
    return network
