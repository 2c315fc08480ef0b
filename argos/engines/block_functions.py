"""What functions of torch do with maps of which only the active blocks exist.

Each function here takes the pass, the torch function and its arguments, and returns a map of blocks, or
``NotImplemented`` where it cannot: then the function runs on the dense map, with zeros in the inactive blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
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
from argos.engines.block_map import BlockMap, Blocks, Source, dense, one_block, settled, source_of
from argos.engines.block_pass import LayerRun, Pass
from argos.engines.block_values import VALUES, is_map, on_blocks, with_tape
from argos.engines.fold import tensors_in
from argos.kernels.block_layers import depthwise, interpolate, max_pool
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
    in_place = kwargs.get("inplace") or name in ("__setitem__", "__set__") or (name[-1] == "_" and name[-2:] != "__")
    out = kwargs.get("out")
    if not in_place and out is None:
        return []
    return list(tensors_in([out, (args[:1] or kwargs.get("input")) if in_place else None]))


def _batch_norm(run: Pass, function: Function, x: Tensor, *args: Any, training: bool = False, **kwargs: Any) -> Any:
    """By the statistics of the training; those of the picture itself need the whole map."""
    if not isinstance(x, BlockMap) or training:
        return NotImplemented
    return with_tape(x, function(x.blocks.tape.permute(0, 3, 1, 2), *args, **kwargs).permute(0, 2, 3, 1).contiguous())


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
    starts, parts = grid.starts, []
    whole = run.around(x) if isinstance(x, BlockMap) else one_block(x.permute(0, 2, 3, 1).contiguous(), -1)
    for part in whole.parts:
        source = settled(part)
        if compute is not None and has_kernels(x):
            out = empty(x, 1, grid.block[0], grid.columns, part.tape.shape[3])
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
    if any(_is_rounded(source[n], target[n], scales[n], mode) for n in (0, 1)):
        return NotImplemented
    axes = [_taps(source[n], target[n], scales[n], mode, bool(align_corners)) for n in (0, 1)]
    grid, node = run.next_map(target, [x], lambda laid: (_span(axes[0][0], laid, 0), _span(axes[1][0], laid, 1)))

    def resized(source: Source, starts: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        interpolate(source.pixels.numpy(), *source.layout, starts, grid.block, target, *axes[0], *axes[1], out)

    def resized_whole(whole: Tensor) -> Tensor:
        return F.interpolate(whole, size, scale_factor, mode, align_corners)  # type: ignore[arg-type]

    return _each_part(run, x, grid, node, resized, resized_whole)


def _is_rounded(source: int, target: int, scale: float | None, mode: str) -> bool:
    """Whether torch takes a factor for 1 (or, of some layouts, 2) because the size is that of this one."""
    near = (1, 2) if mode == "nearest" else (1,)
    return scale is not None and scale not in near and target in [source * factor for factor in near]


@lru_cache(maxsize=64)
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
    *("adaptive_avg_pool2d", "adaptive_max_pool2d", "group_norm", "instance_norm", "layer_norm", "batch_norm"),
}
"""Names of functions that read whole maps. What is missing here and in ``FUNCTIONS`` nobody has written for blocks."""

FUNCTIONS: dict[Function, Function] = {**LAYERS, **VALUES}
"""What runs on blocks. The results are maps, which hold zero outside of the active blocks."""
