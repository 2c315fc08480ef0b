"""The deep networks by torch on a CPU: convolution and activation in one operator, the weights laid out for it."""

from __future__ import annotations

import copy
import logging
import platform
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
"""Sizes of its input for which a convolution keeps its weights laid out: the canvases and some whole frames, 17 MB each
for both shipped networks together. For others oneDNN lays them out at each run, as it does for torch's own layers."""

USUAL = 3
"""Runs from which on a size gets its layout: for one that comes once it takes longer than it saves."""

ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}
"""By layer: the name by which the operator knows it, and its numbers."""


class Prepared:
    """What the networks say, equal to themselves but for rounding, in less time.

    A NaN that an activation meets becomes 0, where torch would hand it on; weights that hold one are run as they are.

    Args:
        core: the networks, on the CPU, normalisations folded; their weights stay as they are from now on.
    """

    def __init__(self, core: Core) -> None:
        self.core = core.eval()

    @cached_property
    def fused(self) -> nn.Module:
        """The networks to run; as they are, where this build of torch has no such operator or it says another thing."""
        if not _is_worth_it():
            return self.core
        pixels = torch.arange(64 * 96 * 3, dtype=torch.int32).remainder(251).to(torch.uint8).reshape(1, 64, 96, 3)
        with torch.inference_mode():
            plain = self.core(pixels)
            try:
                fused = fused_copy(self.core)
                found = [fused(pixels) for _ in range(USUAL + 1)][-1]  # by weights that are laid out
                same = all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(plain, found, strict=True))
            except (AttributeError, NotImplementedError, RuntimeError) as error:
                log.debug("convolutions stay as they are: %s", error)
                return self.core
        for layer in fused.modules():
            if isinstance(layer, FusedConvolution):
                layer.forget()
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
        network = self.core if torch.is_autocast_enabled("cpu") else self.fused  # autocast knows torch's layers only
        with torch.inference_mode():
            return self.core.split(network(torch.from_numpy(pixels)))


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
        self._runs[x.shape] += 1
        weight = self._laid_out.get(x.shape)
        if weight is None:
            weight = self._lay_out(x.shape) if self._is_usual(x.shape) else self.weight
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(x, weight, self.bias, *self._how, *self._activation)
        return result

    def forget(self) -> None:
        """Unlearn the sizes seen."""
        self._runs.clear()
        self._laid_out.clear()

    def _is_usual(self, size: torch.Size) -> bool:
        """Whether a size comes often enough; where there is no room, far more often than one that has a layout."""
        if self._runs[size] < USUAL or len(self._laid_out) < MOST_SIZES:
            return self._runs[size] >= USUAL
        return self._runs[size] > 2 * min(self._runs[kept] for kept in list(self._laid_out))

    def _lay_out(self, size: torch.Size) -> Tensor:
        if len(self._laid_out) >= MOST_SIZES:
            self._laid_out.pop(min(list(self._laid_out), key=self._runs.__getitem__), None)
        operators: Any = torch.ops.mkldnn
        weight = operators._reorder_convolution_weight(self.weight.detach().clone(), *self._how, list(size))
        self._laid_out[size] = weight
        return weight  # type: ignore[no-any-return]


def _is_worth_it() -> bool:
    """Where it was measured to be: with oneDNN itself, which ARM processors reach through another library."""
    on = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled  # type: ignore[attr-defined]
    return bool(on) and platform.machine().lower() in ("x86_64", "amd64")


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
