"""One convolution on the active blocks of its output: gather windows, convolve, scatter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.block_grid import BlockGrid
from argos.kernels.blocks import gather, scatter
from argos.types import Size

BUCKET = 8
"""Block counts are rounded up to this: a new batch size costs oneDNN about 0.4 ms per layer."""


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """What the blocks of one axis read.

    Attributes:
        corners: ``(N,)`` first input pixel of each window; may be negative.
        offsets: ``(N,)`` where the block begins in what the window gives.
        taps, run, step: runs of input pixels in a window, see ``kernels.blocks.gather``.
        dilation: of the convolution on the window.
        extra: output padding of a transposed convolution on the window.
    """

    corners: NDArray[np.int64]
    offsets: NDArray[np.int64]
    taps: int
    run: int
    step: int
    dilation: int
    extra: int = 0


def conv_blocks(conv: nn.Conv2d, x: Tensor, grid: BlockGrid) -> tuple[Tensor, int]:
    """Convolve only the active blocks of the output.

    Args:
        conv: with zero padding.
        x: ``(1, C, H, W)`` float32 on the CPU.
        grid: of the output.

    Returns:
        The output ``(1, K, h, w)``, zero outside of the active blocks, and the multiply-accumulates executed.
    """
    corners = _bucketed(grid.corners)
    axes = [_axis(conv, n, corners[:, n], grid.block[n]) for n in (0, 1)]
    windows = _windows(x, axes)
    pointwise = conv.kernel_size == (1, 1) and conv.stride == (1, 1)
    if conv.groups == 1 and (pointwise or grid.block == (1, 1)):
        # every output pixel has its own vector of inputs: one matrix product, 4x faster than a batch of tiny images
        weight = conv.weight.permute(0, 2, 3, 1).reshape(conv.out_channels, -1)
        blocks = F.linear(windows.reshape(-1, weight.shape[1]), weight, conv.bias)
        blocks = blocks.view(len(windows), *grid.block, conv.out_channels)
    else:
        dilation = (axes[0].dilation, axes[1].dilation)
        blocks = F.conv2d(_first(windows), conv.weight, conv.bias, conv.stride, 0, dilation, conv.groups)
        blocks = blocks.permute(0, 2, 3, 1)
    return _scattered(blocks, axes, corners, grid), blocks.numel() * conv.weight[0].numel()


def conv_transpose_blocks(conv: nn.ConvTranspose2d, x: Tensor, grid: BlockGrid) -> tuple[Tensor, int]:
    """The same for a transposed convolution; its windows overlap, and that too is counted."""
    corners = _bucketed(grid.corners)
    axes = [_transposed_axis(conv, n, corners[:, n], grid.block[n], grid.size[n]) for n in (0, 1)]
    windows = _windows(x, axes)
    extra = (axes[0].extra, axes[1].extra)
    blocks = F.conv_transpose2d(
        _first(windows), conv.weight, conv.bias, conv.stride, 0, extra, conv.groups, conv.dilation
    )
    return _scattered(blocks.permute(0, 2, 3, 1), axes, corners, grid), windows.numel() * conv.weight[0].numel()


def conv_output_size(conv: nn.Conv2d, size: Size) -> Size:
    """Size of the output of a convolution."""
    before, after = _padding(conv)
    reach = [conv.dilation[n] * (conv.kernel_size[n] - 1) for n in (0, 1)]
    rows, columns = ((size[n] + before[n] + after[n] - reach[n] - 1) // conv.stride[n] + 1 for n in (0, 1))
    return rows, columns


def transposed_output_size(conv: nn.ConvTranspose2d, size: Size) -> Size:
    """Size of the output of a transposed convolution."""
    before, _ = _padding(conv)
    rows, columns = (
        (size[n] - 1) * conv.stride[n]
        - 2 * before[n]
        + conv.dilation[n] * (conv.kernel_size[n] - 1)
        + conv.output_padding[n]
        + 1
        for n in (0, 1)
    )
    return rows, columns


def _padding(conv: nn.Conv2d | nn.ConvTranspose2d) -> tuple[Size, Size]:
    """Rows and columns of zeros before and after."""
    if conv.padding == "same":  # an odd one goes after
        total = [conv.dilation[n] * (conv.kernel_size[n] - 1) for n in (0, 1)]
        before = (total[0] // 2, total[1] // 2)
        return before, (total[0] - before[0], total[1] - before[1])
    if isinstance(conv.padding, str):  # valid
        return (0, 0), (0, 0)
    both = (conv.padding[0], conv.padding[1])
    return both, both


def _bucketed(corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Repeat the last block until the number of blocks is a multiple of ``BUCKET``."""
    missing = -len(corners) % BUCKET
    return np.concatenate([corners, np.repeat(corners[-1:], missing, axis=0)])


def _axis(conv: nn.Conv2d, n: int, starts: NDArray[np.int64], block: int) -> _Axis:
    """Windows of a convolution, along axis ``n``, for blocks that begin at ``starts``."""
    kernel, stride, dilation = conv.kernel_size[n], conv.stride[n], conv.dilation[n]
    corners = starts * stride - _padding(conv)[0][n]
    offsets = np.zeros_like(starts)
    reach = (block - 1) * stride + 1  # input pixels that one tap of the kernel reads
    if kernel > 1 and dilation > reach:  # the taps leave gaps that nobody reads: gather without them
        return _Axis(corners, offsets, kernel, reach, dilation, reach)
    return _Axis(corners, offsets, 1, reach + (kernel - 1) * dilation, 1, dilation)


def _transposed_axis(conv: nn.ConvTranspose2d, n: int, starts: NDArray[np.int64], block: int, cells: int) -> _Axis:
    """Windows of a transposed convolution along axis ``n``.

    Output ``y`` is the sum over taps ``k`` of input ``(y + padding - k * dilation) / stride`` where that is whole.
    Blocks begin at different phases of the stride, so the window is the largest that any of the grid needs.
    """
    stride, padding = conv.stride[n], _padding(conv)[0][n]
    reach = conv.dilation[n] * (conv.kernel_size[n] - 1)

    def first_input(starts: NDArray[np.int64]) -> NDArray[np.int64]:
        # without a tap on an output (kernel smaller than stride) the window still begins at or before the block
        return np.minimum(-((reach - starts - padding) // stride), (starts + padding) // stride)

    every = np.arange(0, cells, block)
    run = int(((every + block - 1 + padding) // stride - first_input(every)).max()) + 1
    offset = int((every + padding - first_input(every) * stride).max())
    given = (run - 1) * stride + reach + 1
    corners = first_input(starts)
    offsets = starts + padding - corners * stride
    return _Axis(corners, offsets, 1, run, 1, conv.dilation[n], max(0, offset + block - given))


def _windows(x: Tensor, axes: list[_Axis]) -> Tensor:
    """Gather ``(N, h, w, C)``."""
    rows, columns = axes
    corners = np.stack([rows.corners, columns.corners], axis=1)
    windows = torch.empty((len(corners), rows.taps * rows.run, columns.taps * columns.run, x.shape[1]))
    gather(
        _pixels(x),
        corners,
        (rows.taps, columns.taps),
        (rows.run, columns.run),
        (rows.step, columns.step),
        windows.numpy(),
    )
    return windows


def _first(windows: Tensor) -> Tensor:
    """``(N, h, w, C)`` as torch wants it: ``(N, C, h, w)``, channels last in memory."""
    return windows.permute(0, 3, 1, 2)


def _scattered(blocks: Tensor, axes: list[_Axis], corners: NDArray[np.int64], grid: BlockGrid) -> Tensor:
    """Put blocks ``(N, h, w, K)`` into a zero output ``(1, K, h, w)``."""
    out = torch.zeros((1, *grid.size, blocks.shape[3]))
    offsets = np.stack([axes[0].offsets, axes[1].offsets], axis=1)
    scatter(blocks.contiguous().numpy(), offsets, corners, grid.block, out[0].numpy())
    return out.permute(0, 3, 1, 2)  # a view of (h, w, K)[None] would have strides that torch takes for channels first


def _pixels(x: Tensor) -> NDArray[np.float32]:
    """``(1, C, H, W)`` as ``(H, W, C)``; shares memory where the tensor is channels last."""
    return x[0].permute(1, 2, 0).contiguous().numpy()
