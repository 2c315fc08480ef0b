"""What functions of torch do with maps of which only the active blocks exist.

Each function here takes the pass, the torch function and its arguments, and returns a map of blocks, or
``NotImplemented`` where it cannot: then the function runs on the dense map, with zeros in the inactive blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_conv import (
    Geometry,
    blocks_of,
    conv_blocks,
    conv_transpose_blocks,
    geometry_of,
    pair,
    window_ranges,
)
from argos.engines.block_copy import NO_LIMITS, as_float32, empty, has_kernels
from argos.engines.block_grid import BlockGrid
from argos.engines.block_map import BlockMap, Blocks, Source, dense, joined, one_block, settled, source_of
from argos.engines.block_pass import LayerRun, Pass, Ranges, block_ranges
from argos.engines.fold import tensors_in
from argos.kernels.block_layers import depthwise, interpolate, max_pool
from argos.kernels.tapes import compact_starts
from argos.types import Size

Function = Callable[..., Any]


def conv2d(
    run: Pass,
    function: Function,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Any:
    """A convolution; what of a dense map it needs, it gathers."""
    if not on_blocks(x):
        return NotImplemented
    return conv_blocks(x, weight, bias, geometry_of(weight, stride, padding, dilation), groups, run)


def conv_transpose2d(
    run: Pass,
    function: Function,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Any:
    """A transposed convolution."""
    if not on_blocks(x):
        return NotImplemented
    geometry = geometry_of(weight, stride, padding, dilation, output_padding)
    target = geometry.transposed_size((x.shape[2], x.shape[3]))
    return conv_transpose_blocks(x, weight, bias, geometry, groups, target, run)


def counted(run: Pass, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], reason: str) -> Any:
    """Run a layer with weights on whole tensors, and note it."""
    out = function(*args, **kwargs)
    where = args[0] if function is F.conv_transpose2d else out
    macs = where.numel() * args[1][0].numel()
    run.layers.append(LayerRun(run.layer, "dense", reason, 0, 0, macs, macs))
    return out


def on_blocks(x: Tensor) -> bool:
    """Whether convolutions can read a tensor in blocks; the single values of a global pool are no map."""
    if isinstance(x, BlockMap):
        return True
    return x.is_floating_point() and x.ndim == 4 and (x.shape[2] > 1 or x.shape[3] > 1)


def is_map(x: Any) -> bool:
    """Whether a result of one of ``FUNCTIONS`` is a map of the image."""
    return isinstance(x, Tensor) and on_blocks(x) and len(x) == 1


def becomes_map(function: Function, given: Sequence[Any], maps: Sequence[Tensor], out: Any) -> bool:
    """Whether the result of a function is a map, of which only the active blocks count.

    Args:
        function: of torch.
        given: its arguments.
        maps: those among them that are maps.
        out: its result.
    """
    if not is_map(out) or any(out is x for x in given):
        return False
    return function in LAYERS or (function in FUNCTIONS and any(x.shape[2:] == out.shape[2:] for x in maps))


def changed(function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that a function writes to, beside its result."""
    name = function.__name__
    by_name = name in ("__setitem__", "__set__") or (name[-1] == "_" and name[-2:] != "__")
    first = args[:1] or kwargs.get("input")
    return list(tensors_in([kwargs.get("out"), first if by_name or kwargs.get("inplace") else None]))


def _batch_norm(run: Pass, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(x, BlockMap):
        return NotImplemented
    return _with_tape(x, function(x.blocks.tape.permute(0, 3, 1, 2), *args, **kwargs).permute(0, 2, 3, 1).contiguous())


def _max_pool(
    run: Pass,
    function: Function,
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if not on_blocks(x) or return_indices:
        return NotImplemented
    kernel = pair(kernel_size)
    before = pair(padding)
    geometry = Geometry(kernel, pair(stride) if stride else kernel, pair(dilation), before, before)
    size = (x.shape[2], x.shape[3])
    target = _pooled_size(size, geometry, ceil_mode)

    grid, node = run.next_map(target, [x], lambda laid: window_ranges(laid, geometry))
    shape = (kernel, geometry.stride, before, geometry.dilation)

    def pooled(source: Source, starts: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        max_pool(source.pixels.numpy(), *source.layout, starts, grid.block, target, *shape, out)

    def pooled_whole(whole: Tensor) -> Tensor:
        return F.max_pool2d(whole, kernel, geometry.stride, before, geometry.dilation, ceil_mode)

    return _each_part(run, x, grid, node, pooled, pooled_whole)


def _avg_pool(
    run: Pass,
    function: Function,
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """A depthwise convolution whose weights are all the same, as long as every window counts as many pixels."""
    if not on_blocks(x):
        return NotImplemented
    kernel, before = pair(kernel_size), pair(padding)
    geometry = Geometry(kernel, pair(stride) if stride else kernel, (1, 1), before, before)
    target = _pooled_size((x.shape[2], x.shape[3]), geometry, ceil_mode)
    divisor = divisor_override or kernel[0] * kernel[1]
    even = divisor_override or (not ceil_mode and (count_include_pad or before == (0, 0)))
    grid, node = run.next_map(target, [x], lambda laid: window_ranges(laid, geometry))

    def pooled(source: Source, starts: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        channels = source.pixels.shape[2]
        taps, bias = np.full((*kernel, channels), 1 / divisor, np.float32), np.zeros(channels, np.float32)
        shape, limits = (geometry.stride, before, geometry.dilation), as_float32(NO_LIMITS)
        depthwise(source.pixels.numpy(), *source.layout, starts, grid.block, target, taps, bias, *shape, *limits, out)

    def pooled_whole(whole: Tensor) -> Tensor:
        return F.avg_pool2d(whole, kernel, geometry.stride, before, ceil_mode, count_include_pad, divisor_override)

    return _each_part(run, x, grid, node, pooled if even else None, pooled_whole)


def _each_part(
    run: Pass,
    x: Tensor,
    grid: BlockGrid,
    node: int,
    compute: Callable[[Source, NDArray[np.int64], NDArray[np.float32]], None] | None,
    compute_whole: Callable[[Tensor], Tensor],
) -> BlockMap:
    """Compute a function of single channels for each part by itself; what waits is computed before.

    Args:
        run: knows what lies around the blocks of the map.
        x: the map; a dense one is one block.
        grid: of the result.
        node: of the result.
        compute: writes the blocks of the result, where there are kernels; None: there is none for this.
        compute_whole: from a whole map to a whole map; where there are none this costs little beside the convolutions.
    """
    starts, width = compact_starts(grid.active, grid.block[1])
    parts = []
    whole = run.around(x) if isinstance(x, BlockMap) else one_block(x.permute(0, 2, 3, 1).contiguous(), -1)
    for part in whole.parts:
        source = settled(part)
        if compute is not None and has_kernels(x):
            out = empty(x, 1, grid.block[0], width, part.tape.shape[3])
            compute(source_of(source), starts, out[0].numpy())
            parts.append(Blocks(out, starts, grid))
        else:
            parts.append(blocks_of(compute_whole(dense(BlockMap([source], source.grid, node))), grid))
    return BlockMap(parts, grid, node)


def _pooled_size(size: Size, geometry: Geometry, up: bool) -> Size:
    """Size of a pooled map; rounded up, a last window still has to begin before the padding at the end."""
    if not up:
        return geometry.output_size(size)
    sides = []
    for n in (0, 1):
        stride, before = geometry.stride[n], geometry.before[n]
        side = -(-(size[n] + 2 * before - geometry.reach[n] - 1) // stride) + 1
        sides.append(side - 1 if (side - 1) * stride >= size[n] + before else side)
    return sides[0], sides[1]


def _interpolate(
    run: Pass,
    function: Function,
    x: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    if x.ndim != 4 or not x.is_floating_point():
        return NotImplemented
    if mode not in ("nearest", "bilinear") or recompute_scale_factor or antialias:
        return NotImplemented
    source = (x.shape[2], x.shape[3])
    scales: tuple[float | None, float | None] = (None, None)
    if size is not None:
        target = pair(size)
    else:
        assert scale_factor is not None
        down, across = (scale_factor, scale_factor) if isinstance(scale_factor, int | float) else scale_factor
        target, scales = (math.floor(source[0] * down), math.floor(source[1] * across)), (down, across)
    axes = [_taps(source[n], target[n], scales[n], mode, bool(align_corners)) for n in (0, 1)]
    grid, node = run.next_map(target, [x], lambda laid: (_span(axes[0][0], laid, 0), _span(axes[1][0], laid, 1)))

    def resized(source: Source, starts: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        interpolate(source.pixels.numpy(), *source.layout, starts, grid.block, target, *axes[0], *axes[1], out)

    def resized_whole(whole: Tensor) -> Tensor:
        return F.interpolate(whole, size, scale_factor, mode, align_corners)  # type: ignore[arg-type]

    return _each_part(run, x, grid, node, resized, resized_whole)


def _taps(
    source: int, target: int, scale: float | None, mode: str, align_corners: bool
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The two input pixels that each output pixel mixes, along one axis, and how much of each; as torch does it."""
    at = np.arange(target, dtype=np.float32)
    ratio = np.float32(1 / scale if scale else source / target)
    if mode == "nearest":
        first = np.minimum(np.floor(at * ratio).astype(np.int64), source - 1)
        return np.stack([first, first], axis=1), np.tile(np.array([1, 0], np.float32), (target, 1))
    if align_corners:
        place = at * np.float32((source - 1) / (target - 1) if target > 1 else 0)
    else:
        place = np.maximum((at + np.float32(0.5)) * ratio - np.float32(0.5), 0)
    first = np.minimum(place.astype(np.int64), source - 1)
    second = np.minimum(first + 1, source - 1)
    weight = (place - first).astype(np.float32)
    return np.stack([first, second], axis=1), np.stack([1 - weight, weight], axis=1)


def _span(taps: NDArray[np.int64], laid: BlockGrid, n: int) -> NDArray[np.int64]:
    """Input pixels, end exclusive, that each block of one axis reads."""
    first = np.arange(laid.active.shape[n]) * laid.block[n]
    last = np.minimum(first + laid.block[n], laid.size[n]) - 1
    return np.stack([taps[first, 0], taps[last, 1] + 1], axis=1)


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
                part.expected = None
                continue
            if part.maker is not None:  # nobody has read the values without limits, and nobody will
                run.followed[part.maker] = limits
            part = part if part.read().limits == NO_LIMITS else settled(part)
            x.parts[n] = Blocks(part.tape, part.starts, part.grid, limits, part.taken)
        return x
    if "inplace" in kwargs:
        kwargs = {**kwargs, "inplace": False}
    tape = x.blocks.tape
    made = _with_tape(x, function(tape.clone() if by_name else tape, *args, **kwargs))
    if made.dtype != x.dtype:
        return NotImplemented
    return write(x, made) if in_place else made


def _prelu(run: Pass, function: Function, x: Tensor, weight: Tensor) -> Any:
    """One slope for all channels, or one for each."""
    if not isinstance(x, BlockMap):
        return NotImplemented
    tape = x.blocks.tape
    return _with_tape(x, function(tape.flatten(0, 2), weight).view(tape.shape))


def _softmax(run: Pass, function: Function, x: Tensor, dim: int | None = None, *args: Any, **kwargs: Any) -> Any:
    """Of the channels of each pixel."""
    if not isinstance(x, BlockMap) or dim not in (1, -3):
        return NotImplemented
    return _with_tape(x, function(x.blocks.tape, 3, *args, **kwargs))


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
    return _with_tape(blocks, function(tape, other) if blocks is x else function(other, tape))


def _with_tape(x: BlockMap, tape: Tensor) -> BlockMap:
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
    *(Tensor.clone, Tensor.detach, Tensor.contiguous),
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

LAYERS: dict[Function, Function] = {
    F.conv2d: conv2d,
    F.conv_transpose2d: conv_transpose2d,
    F.batch_norm: _batch_norm,
    F.max_pool2d: _max_pool,
    torch.max_pool2d: _max_pool,
    F.avg_pool2d: _avg_pool,
    F.interpolate: _interpolate,
}
"""Functions whose results are maps even where they read none."""

WEIGHTED: set[Function] = {F.conv2d, F.conv_transpose2d, F.linear}
"""Functions whose multiply-accumulates are counted."""

REARRANGING: set[Function] = {
    *(Tensor.__getitem__, Tensor.permute, Tensor.reshape, Tensor.view, Tensor.flatten, torch.permute, torch.flatten),
    *(Tensor.contiguous, Tensor.transpose, torch.transpose, torch.reshape),
}
"""Functions of a whole map that compute each value from one value, so that outputs may go through them."""

WHOLE = {
    *("mean", "sum", "amax", "amin", "max", "min", "var", "std", "norm", "linear", "matmul", "__matmul__"),
    *("adaptive_avg_pool2d", "adaptive_max_pool2d", "group_norm", "instance_norm", "layer_norm"),
}
"""Names of functions that read whole maps. What is missing here and in ``FUNCTIONS`` nobody has written for blocks."""

FUNCTIONS: dict[Function, Function] = {
    **LAYERS,
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys((*_BINARY, *_OUT_OF_PLACE), _binary),
    F.prelu: _prelu,
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax, F.log_softmax, torch.log_softmax), _softmax),
    torch.cat: _cat,
    torch.concat: _cat,
}
"""What runs on blocks. The results are maps, which hold zero outside of the active blocks."""
