"""Copies between the tapes of blocks: by Numba's kernels, or by indices that the same kernels compute (on a GPU)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.errors import UsageError

Limits = tuple[np.float32, np.float32]

NO_LIMITS = (-math.inf, math.inf)

MOST_PIXELS = 1 << 24
"""Of a picture or a tape that is copied by indices: so far float32 counts, in which the kernels compute them."""

Copy = Callable[[NDArray[np.float32], Limits, int, NDArray[np.float32]], None]
"""Copies pixels of a tape ``(rows, columns, C)``, within limits, to the channels of ``(..., channels)`` from one on."""


def has_kernels(x: Tensor) -> bool:
    """Whether Numba's kernels take a tensor."""
    return x.device.type == "cpu" and x.dtype == torch.float32


def empty(like: Tensor, *shape: int) -> Tensor:
    """A contiguous tensor of the type and on the device of another, which may be a map of blocks; it holds anything."""
    return torch.empty(shape, dtype=like.dtype, device=like.device)


def copied(
    copy: Copy,
    source: Tensor,
    out: Tensor,
    limits: tuple[float, float] = NO_LIMITS,
    channel: int = 0,
    keep: bool = False,
) -> None:
    """Copy pixels from one tensor to another.

    Args:
        copy: runs the kernel.
        source: ``(rows, columns, C)`` floating, contiguous.
        out: ``(..., channels)``, of which channels ``channel`` to ``channel + C`` are written.
        limits: of the values, 0 among them.
        keep: what the kernel does not write stays as it is; without this it holds anything.

    Raises:
        UsageError: ``MOST_PIXELS`` or more where there are no kernels.
    """
    if has_kernels(source):
        copy(source.numpy(), as_float32(limits), channel, out.numpy())
        return
    rows, columns, channels = source.shape
    if rows * columns >= MOST_PIXELS:
        raise UsageError(
            f"gather-scatter takes pictures of less than {MOST_PIXELS:,} pixels on {source.device}, got "
            f"{rows}x{columns}; set regions.mode to pack, or engine.scale lower"
        )
    # the kernel copies the numbers of the pixels, from 1; it writes 0 for a zero, and -1 stays where it writes nothing
    numbers = np.arange(1, rows * columns + 1, dtype=np.float32).reshape(rows, columns, 1)
    index = np.full((*out.shape[:-1], 1), -1.0 if keep else 0.0, np.float32)
    copy(numbers, as_float32(NO_LIMITS), 0, index)
    places = torch.from_numpy(index.astype(np.int32)).to(source.device)
    pixels = source.reshape(-1, channels) if source.numel() else source.new_zeros(1, channels)
    values = pixels.index_select(0, places.sub(1).clamp_(min=0).view(-1)).view(*out.shape[:-1], channels)
    if limits != NO_LIMITS:
        values.clamp_(*limits)
    values.masked_fill_(places == 0, 0.0)
    written = out[..., channel : channel + channels]
    written.copy_(torch.where(places < 0, written, values) if keep else values)


def as_float32(limits: tuple[float, float]) -> Limits:
    """As kernels take them: a float64 would make them compute in float64."""
    return np.float32(limits[0]), np.float32(limits[1])
