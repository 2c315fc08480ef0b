"""Convolutions on the active blocks of their output: tapes of blocks with their halo, one convolution for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_copy import NO_LIMITS, as_float32, copied, empty, has_kernels
from argos.engines.block_grid import BlockGrid
from argos.engines.block_map import BlockMap, Blocks, Source, dense, source_of, sources_of
from argos.engines.block_pass import Pass, Ranges, block_ranges
from argos.engines.block_weights import pointwise
from argos.kernels.block_layers import depthwise
from argos.kernels.blocks import gather
from argos.kernels.tapes import fill_tape, place_runs, windows_to_tape
from argos.types import Size

BUCKETS = 8
"""Widths of tapes are rounded up to this many steps per doubling: a new one costs oneDNN about 0.4 ms per layer."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Of a convolution, down and across.

    Attributes:
        kernel, stride, dilation: its arguments.
        before, after: rows and columns of zeros around the map.
        extra: output padding of a transposed convolution.
    """

    kernel: Size
    stride: Size
    dilation: Size
    before: Size
    after: Size
    extra: Size = (0, 0)

    @property
    def reach(self) -> Size:
        """Pixels from the first tap to the last."""
        return self.dilation[0] * (self.kernel[0] - 1), self.dilation[1] * (self.kernel[1] - 1)

    def output_size(self, size: Size) -> Size:
        """Size of the output of a convolution."""
        reach = self.reach
        rows, columns = (
            (size[n] + self.before[n] + self.after[n] - reach[n] - 1) // self.stride[n] + 1 for n in (0, 1)
        )
        return rows, columns

    def transposed_size(self, size: Size) -> Size:
        """Size of the output of a transposed convolution."""
        reach = self.reach
        rows, columns = (
            (size[n] - 1) * self.stride[n] - 2 * self.before[n] + reach[n] + self.extra[n] + 1 for n in (0, 1)
        )
        return rows, columns


def geometry_of(
    weight: Tensor,
    stride: int | Sequence[int],
    padding: str | int | Sequence[int],
    dilation: int | Sequence[int],
    extra: int | Sequence[int] = 0,
) -> Geometry:
    """From the arguments of ``torch.nn.functional.conv2d`` or ``conv_transpose2d``."""
    paddings = padding if isinstance(padding, str) else pair(padding)
    return _geometry((weight.shape[2], weight.shape[3]), pair(stride), paddings, pair(dilation), pair(extra))


@cache
def _geometry(kernel: Size, stride: Size, padding: str | Size, dilation: Size, extra: Size) -> Geometry:
    if padding == "same":  # an odd one goes after
        total = [dilation[n] * (kernel[n] - 1) for n in (0, 1)]
        before = (total[0] // 2, total[1] // 2)
        after = (total[0] - before[0], total[1] - before[1])
    else:
        before = after = (0, 0) if isinstance(padding, str) else padding
    return Geometry(kernel, stride, dilation, before, after, extra)


def pair(value: int | Sequence[int]) -> Size:
    """One number for both axes, or one for each."""
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[-1])


def conv_blocks(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int, run: Pass) -> BlockMap:
    """Convolve only the active blocks of the output.

    Args:
        x: ``(1, C, H, W)`` floating.
        weight, bias, groups: of the convolution.
        geometry: of the convolution.
        run: gives the grid and notes what was computed.
    """
    target = geometry.output_size((x.shape[2], x.shape[3]))
    filters = weight.shape[0]
    macs = target[0] * target[1] * weight.numel()
    if geometry == _POINTWISE and groups == 1 and isinstance(x, BlockMap):
        blocks = x.blocks
        tape = pointwise(blocks.tape, weight, bias, run.weights)
        _note(run, x.grid, x.node, blocks.tape.numel() * filters, macs)
        return BlockMap([Blocks(tape, blocks.starts, blocks.grid)], x.grid, x.node)
    if isinstance(x, BlockMap):
        x = run.around(x)
    grid, node = run.next_map(target, [x], lambda laid: window_ranges(laid, geometry))
    call = len(run.layers)
    depthwise_kernel = groups == x.shape[1] == filters and groups > 1 and has_kernels(x)
    if depthwise_kernel:
        limits = run.followed.get(call, NO_LIMITS)
        starts, out = grid.starts, empty(x, 1, grid.block[0], grid.columns, filters)
        offset = torch.zeros(filters) if bias is None else bias
        (source,) = sources_of(x) if not isinstance(x, BlockMap) else [source_of(x.blocks)]
        depthwise(
            source.pixels.numpy(),
            *source.layout,
            starts,
            grid.block,
            target,
            run.weights.taps(weight),
            offset.detach().numpy(),
            geometry.stride,
            geometry.before,
            geometry.dilation,
            *as_float32(limits),
            out[0].numpy(),
        )
    else:
        out, starts = _conv_tape(x, weight, bias, geometry, groups, grid, run)
    made = Blocks(out, starts, grid)
    if depthwise_kernel:
        made.maker, made.expected = call, run.followed.get(call)
    _note(run, grid, node, out.numel() * (weight.numel() // filters), macs)
    return BlockMap([made], grid, node)


def conv_transpose_blocks(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int, target: Size, run: Pass
) -> BlockMap:
    """The same for a transposed convolution to ``target``; its windows overlap, and that too is counted."""
    if isinstance(x, BlockMap):
        x = run.around(x)
    grid, node = run.next_map(target, [x], lambda laid: _transposed_ranges(laid, geometry))
    macs = x.numel() * weight[0].numel()
    out = empty(x, 1, grid.block[0], grid.columns, weight.shape[1] * groups)
    executed = 0
    if len(grid.corners):
        rows = _transposed_axis(geometry, 0, grid)
        columns = _transposed_axis(geometry, 1, grid)
        missing = bucketed(len(grid.corners)) - len(grid.corners)
        corners = np.pad(np.stack([rows.corners, columns.corners], axis=1), ((0, missing), (0, 0)), mode="edge")
        windows = empty(x, len(corners), rows.run, columns.run, x.shape[1])
        whole = dense(x) if isinstance(x, BlockMap) else x
        reads = (corners, (1, 1), (rows.run, columns.run), (1, 1))
        copied(
            lambda pixels, _, channel, target: gather(pixels, *reads, target),
            whole.permute(0, 2, 3, 1).contiguous()[0],
            windows,
        )
        extra = (rows.extra, columns.extra)
        blocks = F.conv_transpose2d(
            windows.permute(0, 3, 1, 2), weight, bias, geometry.stride, 0, extra, groups, geometry.dilation
        )
        offsets = np.stack([rows.offsets, columns.offsets], axis=1)
        given = blocks.permute(0, 2, 3, 1).contiguous()
        copied(
            lambda pixels, _, channel, tape: windows_to_tape(
                pixels.reshape(*given.shape[:3], -1), offsets, grid.block, tape
            ),
            given.flatten(0, 1),
            out[0],
        )
        executed = windows.numel() * weight[0].numel()
    _note(run, grid, node, executed, macs)
    return BlockMap([Blocks(out, grid.starts, grid)], grid, node)


def blocks_of(x: Tensor, grid: BlockGrid) -> Blocks:
    """The active blocks of a dense map ``(1, C, H, W)``."""
    runs, starts, width = place_runs(grid.active, grid.block, 1, (0, 0), (0, 0), False)
    out = empty(x, 1, grid.block[0], width, x.shape[1])
    (source,) = sources_of(x)
    _fill(out[0], source, 0, runs, grid.block, (1, 1), (0, 0), 0, grid.block[0], 1)
    return Blocks(out, starts, grid)


def bucketed(count: int) -> int:
    """Round up to one of ``BUCKETS`` steps per doubling."""
    step = 1 << max(0, count.bit_length() - BUCKETS.bit_length())
    return -(-count // step) * step


_POINTWISE = Geometry((1, 1), (1, 1), (1, 1), (0, 0), (0, 0))


def _note(run: Pass, grid: BlockGrid, node: int, executed: int, macs: int) -> None:
    if len(grid.corners):
        run.note(grid, node, "sparse", f"{len(grid.corners)} of {grid.active.size} blocks", executed, macs)
    else:
        run.note(grid, node, "skipped", "no active block", 0, macs)


def window_ranges(grid: BlockGrid, geometry: Geometry) -> Ranges:
    """What the blocks of a convolution or a pool read."""
    cells = (grid.active.shape[0], grid.active.shape[1])
    return block_ranges(cells, grid.block, geometry.stride, geometry.before, geometry.reach)


def _conv_tape(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int, grid: BlockGrid, run: Pass
) -> tuple[Tensor, NDArray[np.int64]]:
    """Tape of the output ``(1, rows, columns, K)`` and its starts."""
    reach, stride, block = geometry.reach, geometry.stride, grid.block
    shared = (
        isinstance(x, BlockMap)
        and stride[1] == 1
        and geometry.before[1] <= reach[1]
        and x.grid is grid  # the halo of a map on the same blocks is zero
    )
    runs, starts, width = place_runs(grid.active, block, stride[1], geometry.before, reach, shared)
    if not width:
        return empty(x, 1, block[0], 0, weight.shape[0]), starts
    width = bucketed(width)
    rows = (block[0] - 1) * stride[0] + 1  # input rows that one tap of the kernel reads
    step, dilation, height = 1, geometry.dilation[0], rows + reach[0]
    if geometry.kernel[0] > 1 and dilation > rows:  # the taps leave gaps that nobody reads: gather without them
        step, dilation, height = dilation, rows, rows * geometry.kernel[0]
    else:
        rows = height
    tape = run.scratch.take(x, 1, height, (width - 1) * stride[1] + reach[1] + 1, x.shape[1])
    channel = 0
    for source in sources_of(x):
        _fill(tape[0], source, channel, runs, block, stride, geometry.before, reach[1], rows, step)
        channel += source.pixels.shape[2]
    out = F.conv2d(tape.permute(0, 3, 1, 2), weight, bias, stride, 0, (dilation, geometry.dilation[1]), groups)
    return out.permute(0, 2, 3, 1).contiguous(), starts


def _fill(tape: Tensor, source: Source, channel: int, *reads: Any) -> None:
    """``kernels.tapes.fill_tape``; ``reads`` are its arguments from ``runs`` to ``step``."""
    copied(
        lambda pixels, limits, first, target: fill_tape(pixels, *source.layout, *limits, *reads, first, target),
        source.pixels,
        tape,
        source.limits,
        channel,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """What the blocks of a transposed convolution read along one axis.

    Attributes:
        corners: ``(N,)`` first input pixel of each window; may be negative.
        offsets: ``(N,)`` where the block begins in what the window gives.
        run: input pixels of a window.
        extra: output padding of the convolution on the window.
    """

    corners: NDArray[np.int64]
    offsets: NDArray[np.int64]
    run: int
    extra: int


def _first_input(starts: NDArray[np.int64], geometry: Geometry, n: int) -> NDArray[np.int64]:
    """First input pixel, along axis ``n``, that outputs from ``starts`` on read.

    Output ``y`` is the sum over taps ``k`` of input ``(y + padding - k * dilation) / stride`` where that is whole.
    """
    stride, padding = geometry.stride[n], geometry.before[n]
    # without a tap on an output (kernel smaller than stride) the window still begins at or before the block
    return np.minimum(-((geometry.reach[n] - starts - padding) // stride), (starts + padding) // stride)


def _transposed_axis(geometry: Geometry, n: int, grid: BlockGrid) -> _Axis:
    """Windows along axis ``n``.

    Blocks begin at different phases of the stride, so the window is the largest that any of the grid needs.
    """
    starts, block, stride, padding = grid.corners[:, n], grid.block[n], geometry.stride[n], geometry.before[n]
    every = np.arange(0, grid.size[n], block)
    run = int(((every + block - 1 + padding) // stride - _first_input(every, geometry, n)).max()) + 1
    offset = int((every + padding - _first_input(every, geometry, n) * stride).max())
    given = (run - 1) * stride + geometry.reach[n] + 1
    corners = _first_input(starts, geometry, n)
    return _Axis(corners, starts + padding - corners * stride, run, max(0, offset + block - given))


def _transposed_ranges(grid: BlockGrid, geometry: Geometry) -> Ranges:
    """What the blocks of a transposed convolution read."""
    ranges = []
    for n in (0, 1):
        first = np.arange(grid.active.shape[n], dtype=np.int64) * grid.block[n]
        last = first + grid.block[n] - 1
        until = (last + geometry.before[n]) // geometry.stride[n] + 1
        ranges.append(np.stack([_first_input(first, geometry, n), until], axis=1))
    return ranges[0], ranges[1]
