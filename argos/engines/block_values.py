"""What functions of single values do with maps of which only the active blocks exist: activations, sums, concatenation.

The functions are as those of ``block_functions``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from argos.engines.block_conv import blocks_of
from argos.engines.block_copy import NO_LIMITS
from argos.engines.block_grid import BlockGrid
from argos.engines.block_map import BlockMap, Blocks, joined, settled
from argos.engines.block_pass import Pass, Ranges, block_ranges

Function = Callable[..., Any]


def on_blocks(x: Tensor) -> bool:
    """Whether convolutions can read a tensor in blocks; the single values of a global pool are no map."""
    if isinstance(x, BlockMap):
        return True
    return x.is_floating_point() and x.ndim == 4 and (x.shape[2] > 1 or x.shape[3] > 1)


def is_map(x: Any) -> bool:
    """Whether a result of one of ``FUNCTIONS`` is a map of the image."""
    return isinstance(x, Tensor) and on_blocks(x) and len(x) == 1


def _cat(run: Pass, function: Function, tensors: Sequence[Tensor], dim: int = 0) -> Any:
    """The parts of all maps; nothing is copied until a layer needs them on one tape."""
    if dim not in (1, -3) or not all(is_map(x) for x in tensors):
        return NotImplemented
    if len({(x.shape[2:], x.dtype) for x in tensors}) > 1:
        return NotImplemented
    size = (tensors[0].shape[2], tensors[0].shape[3])
    grid, node = run.next_map(size, tensors, _same)
    parts = [part for x in tensors for part in (x.parts if isinstance(x, BlockMap) else [blocks_of(x, grid)])]
    for part in parts:
        part.read().taken = True
    return BlockMap(parts, grid, node)


def _same(laid: BlockGrid) -> Ranges:
    """Each block reads itself."""
    return block_ranges((laid.active.shape[0], laid.active.shape[1]), laid.block, (1, 1), (0, 0), (0, 0))


def _unary(run: Pass, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """A function of one value; an in-place limit waits for whoever reads the map."""
    if not isinstance(x, BlockMap) or any(isinstance(value, Tensor) for value in (*args, *kwargs.values())):
        return NotImplemented
    if function in _DROPOUTS:
        return NotImplemented if kwargs.get("training", True) else x
    if function in _ALIASES:
        return x
    limits = _limits_of(function, *args, **kwargs)
    by_name = function.__name__[-1] == "_"
    in_place = kwargs.get("inplace") or by_name
    if limits and in_place and limits[0] <= 0 <= limits[1]:
        for n, part in enumerate(x.parts):
            if part.expected == limits:  # the kernel has done it
                part.expected = part.maker = None  # the next limit is another one
                continue
            if part.maker is not None:  # nobody has read the values without limits, and nobody will
                run.followed[part.maker] = limits
            part = part if part.read().limits == NO_LIMITS else settled(part)
            x.parts[n] = Blocks(part.tape, part.starts, part.grid, limits, part.taken)
        return x
    if "inplace" in kwargs:
        kwargs = {**kwargs, "inplace": False}
    kwargs.pop("memory_format", None)  # of a map; blocks have their own
    tape = x.blocks.tape
    made = with_tape(x, function(tape.clone() if by_name else tape, *args, **kwargs))
    if made.dtype != x.dtype:
        return NotImplemented
    return write(x, made) if in_place else made


def _prelu(run: Pass, function: Function, x: Tensor, weight: Tensor) -> Any:
    """One slope for all channels, or one for each."""
    if not isinstance(x, BlockMap):
        return NotImplemented
    tape = x.blocks.tape
    return with_tape(x, function(tape.flatten(0, 2), weight).view(tape.shape))


def _softmax(run: Pass, function: Function, x: Tensor, dim: int | None = None, *args: Any, **kwargs: Any) -> Any:
    """Of the channels of each pixel."""
    if not isinstance(x, BlockMap) or dim not in (1, -3):
        return NotImplemented
    return with_tape(x, function(x.blocks.tape, 3, *args, **kwargs))


def write(x: BlockMap, made: BlockMap) -> BlockMap:
    """A map changed in place: whoever else holds it sees the result too."""
    x.parts, x.grid, x.node = made.parts, made.grid, made.node
    return x


def _limits_of(function: Function, *args: Any, **kwargs: Any) -> tuple[float, float] | None:
    """The range to which an activation limits its values, if that is all it does."""
    if function in (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_):
        return 0.0, math.inf
    if function is F.relu6:
        return 0.0, 6.0
    if function in (F.hardtanh, F.hardtanh_):
        low, high = [*args[:2], -1.0, 1.0][:2] if len(args) != 1 else (args[0], 1.0)
        return float(kwargs.get("min_val", low)), float(kwargs.get("max_val", high))
    if function in _CLAMPS:
        low, high = [*args, None, None][:2]
        low, high = kwargs.get("min", low), kwargs.get("max", high)
        return -math.inf if low is None else float(low), math.inf if high is None else float(high)
    return None


def _binary(run: Pass, function: Function, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
    """A sum, difference, product or quotient of maps, or of a map and one number or one per channel."""
    in_place = function in _OUT_OF_PLACE
    if args or kwargs or (in_place and not isinstance(x, BlockMap)):
        return NotImplemented
    function = _OUT_OF_PLACE.get(function, function)
    x, y = _four(x), _four(y)
    one = _is_value(x) or _is_value(y)
    made = _of_one(function, x, y) if one else _of_two(run, function, x, y)
    if made is NotImplemented or not in_place:
        return made
    return write(x, made) if made.dtype == x.dtype and made.shape == x.shape else NotImplemented


def _four(x: Any) -> Any:
    """A tensor with the four dimensions that broadcasting gives it; a single value stays as it is, for its type."""
    return x[(None,) * (4 - x.ndim)] if isinstance(x, Tensor) and 0 < x.ndim < 4 else x


def _is_value(x: Any) -> bool:
    """Whether this is one number, or one per channel."""
    return not isinstance(x, Tensor) or not x.ndim or (not isinstance(x, BlockMap) and x.shape[2:] == (1, 1))


def _of_two(run: Pass, function: Function, x: Tensor, y: Tensor) -> Any:
    """Of two maps of one size, one of which may be dense."""
    channels = {x.shape[1], y.shape[1]} - {1}
    if not is_map(x) or not is_map(y) or x.shape[2:] != y.shape[2:] or len(channels) > 1:
        return NotImplemented
    grid, node = run.next_map((x.shape[2], x.shape[3]), [x, y], _same)
    a, b = (value.blocks if isinstance(value, BlockMap) else blocks_of(value, grid) for value in (x, y))
    if a.starts is not b.starts or a.tape.shape[:3] != b.tape.shape[:3]:
        a, b = joined([a], grid), joined([b], grid)
    return BlockMap([Blocks(function(a.tape, b.tape), a.starts, a.grid)], grid, node)


def _of_one(function: Function, x: Any, y: Any) -> Any:
    """Of a map and a number, or one number per channel."""
    blocks, other = (x, y) if isinstance(x, BlockMap) else (y, x)
    if isinstance(other, Tensor) and other.ndim:
        if len(other) != 1 or other.shape[1] not in (1, blocks.shape[1]):
            return NotImplemented
        other = other.permute(0, 2, 3, 1)
    tape = blocks.blocks.tape
    return with_tape(blocks, function(tape, other) if blocks is x else function(other, tape))


def with_tape(x: BlockMap, tape: Tensor) -> BlockMap:
    """The same blocks with other values."""
    return BlockMap([Blocks(tape, x.blocks.starts, x.blocks.grid)], x.grid, x.node)


_CLAMPS: set[Function] = {
    *(torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_, torch.clip, torch.clip_, Tensor.clip, Tensor.clip_),
}
_UNARY: tuple[Function, ...] = (
    *_CLAMPS,
    *(torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_, F.sigmoid, F.hardsigmoid, F.softplus, F.celu),
    *(F.threshold, F.leaky_relu_, F.elu_, torch.selu_, torch.tanh_, Tensor.tanh_, Tensor.neg_, Tensor.abs_),
    *(F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6, F.hardtanh, F.hardtanh_, F.silu),
    *(F.hardswish, F.leaky_relu, F.gelu, F.elu, F.tanh, torch.tanh, Tensor.tanh, F.softsign, F.mish, F.selu),
    *(torch.neg, Tensor.neg, F.dropout, F.dropout2d, torch.abs, Tensor.abs, torch.sign, Tensor.sign, torch.square),
    *(Tensor.clone, torch.clone, Tensor.detach, Tensor.contiguous),
)
_DROPOUTS: set[Function] = {F.dropout, F.dropout2d}
_ALIASES: set[Function] = {Tensor.detach, Tensor.contiguous}
_BINARY: set[Function] = {
    *(torch.add, Tensor.add, torch.sub, Tensor.sub, Tensor.__rsub__, torch.mul, Tensor.mul, torch.div, Tensor.div),
}
_OUT_OF_PLACE: dict[Function, Function] = {
    Tensor.add_: Tensor.add,
    Tensor.sub_: Tensor.sub,
    Tensor.mul_: Tensor.mul,
    Tensor.div_: Tensor.div,
}

VALUES: dict[Function, Function] = {
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys((*_BINARY, *_OUT_OF_PLACE), _binary),
    F.prelu: _prelu,
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax, F.log_softmax, torch.log_softmax), _softmax),
    torch.cat: _cat,
    torch.concat: _cat,
}
"""What they do."""
