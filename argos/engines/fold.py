"""Batch normalisation folded into the convolutions before it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Convolution = nn.Conv2d | nn.ConvTranspose2d


def is_plain(layer: nn.Module) -> bool:
    """Whether a layer is a 2-D convolution that computes what its class says: no ``forward`` of its own, no hook after
    it, and a weight that is a parameter, not computed from others as pruning and weight or spectral norms do."""
    forward = type(layer).forward
    plain = forward is nn.Conv2d.forward or forward is nn.ConvTranspose2d.forward
    return plain and not layer._forward_hooks and isinstance(vars(layer)["_parameters"].get("weight"), nn.Parameter)


def fold_batch_norm(network: nn.Module, image: Tensor) -> nn.Module:
    """Copy a network for inference, its batch normalisations folded into the convolutions before them.

    One forward pass shows which normalisation reads which convolution. A pair is folded when each is called once
    and nothing else reads what the convolution gives, or parameters of the two; every other normalisation stays as it
    is, and so does one with a hook.

    Args:
        network: any; left as it is.
        image: ``(N, C, H, W)``, an input of the network.

    Returns:
        The copy in eval mode; its outputs differ from the network's by rounding only.
    """
    network = copy.deepcopy(network).eval()
    if not any(type(layer) is nn.BatchNorm2d for layer in network.modules()):
        return network  # folded before, or never had any
    names = {module: name for name, module in network.named_modules()}
    for convolution, norm in _pairs(network, image):
        _fold(convolution, norm)
        # a shared normalisation is called more than once, so a folded one has a single place
        network.set_submodule(names[norm], nn.Identity())
    return network


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested sequences, mappings and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif value is None or isinstance(value, int | float | str | bytes):  # most are: what follows asks for long
        return
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, Sequence):
        for item in value:
            yield from tensors_in(item)


class _Readers(TorchFunctionMode):
    """Notes which watched tensors are read by any function outside of the layer that is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: dict[int, Tensor] = {}  # holds the tensors, so that no id is used twice
        self.read: set[int] = set()
        self.uses: dict[int, int] = {}  # of parameters, by id; they live as long as the network
        self.allowed: int | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for tensor in tensors_in([args, kwargs or {}]):
            if isinstance(tensor, nn.Parameter):
                self.uses[id(tensor)] = self.uses.get(id(tensor), 0) + 1
            if id(tensor) in self.watched and id(tensor) != self.allowed:
                self.read.add(id(tensor))
        return func(*args, **(kwargs or {}))


def _pairs(network: nn.Module, image: Tensor) -> list[tuple[Convolution, nn.BatchNorm2d]]:
    """Convolutions and the normalisations that alone read them, by watching one forward pass."""
    readers = _Readers()
    calls: dict[nn.Module, int] = {}
    made_by: dict[int, Convolution] = {}
    pairs: dict[int, nn.BatchNorm2d] = {}

    def after_convolution(layer: nn.Module, args: Any, out: Tensor) -> None:
        assert isinstance(layer, Convolution)
        calls[layer] = calls.get(layer, 0) + 1
        readers.watched[id(out)] = out
        made_by[id(out)] = layer

    def before_norm(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        calls[layer] = calls.get(layer, 0) + 1
        x = id(args[0])
        if x in made_by:
            if x in pairs:  # a second normalisation of the same tensor
                readers.read.add(x)
            pairs[x] = layer
            readers.allowed = x

    def after_norm(layer: nn.Module, args: Any, out: Tensor) -> None:
        readers.allowed = None

    handles = []
    for layer in network.modules():
        if is_plain(layer):
            handles.append(layer.register_forward_hook(after_convolution))
        elif type(layer) is nn.BatchNorm2d and layer.running_mean is not None and not layer._forward_hooks:
            handles.append(layer.register_forward_pre_hook(before_norm))
            handles.append(layer.register_forward_hook(after_norm))
    with torch.inference_mode(), readers:
        returned = network(image)
    for handle in handles:
        handle.remove()
    readers.read.update(id(tensor) for tensor in tensors_in(returned))
    return [
        (made_by[x], norm)
        for x, norm in pairs.items()
        if x not in readers.read and calls[norm] == calls[made_by[x]] == 1
        if all(readers.uses.get(id(part), 0) <= 1 for layer in (made_by[x], norm) for part in layer.parameters())
    ]


def _fold(convolution: Convolution, norm: nn.BatchNorm2d) -> None:
    """Multiply weights and bias in place, computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = 1 / torch.sqrt(norm.running_var.double() + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    weight = convolution.weight.detach().double()
    if isinstance(convolution, nn.ConvTranspose2d):  # (in, out / groups, h, w)
        grouped = weight.unflatten(0, (convolution.groups, -1)) * scale.view(convolution.groups, 1, -1, 1, 1)
        weight = grouped.flatten(0, 1)
    else:  # (out, in / groups, h, w)
        weight = weight * scale.view(-1, 1, 1, 1)
    if convolution.bias is not None:
        shift = shift + convolution.bias.detach().double() * scale
    kind = convolution.weight.dtype
    convolution.weight = nn.Parameter(weight.to(kind), requires_grad=False)
    convolution.bias = nn.Parameter(shift.to(kind), requires_grad=False)
