"""Convolutions of unsigned codes with signs, requantised to codes: the routes of the integer engine.

Every route computes ``clamp(round(sums * scale + offset), 0, largest)`` with halves to even. Scales and offsets come
from ``layers.quantize.exact_affine``, so no route rounds before that and all give the same codes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba.core.errors import NumbaError
from numba.core.registry import cpu_target
from numpy.typing import NDArray
from torch import Tensor

from argos.kernels.sign_conv import bit_weights, bits, convolve_rows, quad_weights, quads
from argos.networks.layers.quantize import exact_affine, levels

log = logging.getLogger(__name__)

Convolution = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Codes ``(1, C_in, H, W)`` uint8 channels-last, scale and offset ``(C_out,)`` float32 -> ``(1, C_out, H, W)``."""

Route = Callable[[Tensor, int, int], Convolution]
"""Signs ``(C_out, C_in, 3, 3)`` int8, each -1 or +1, bits of the codes that enter and of those that leave -> the
convolution."""

OPERATORS = ("qconv2d_pointwise", "qconv_pointwise")
"""Names of the private operator of torch, which was renamed once."""

ONE = [1, 1]


def float_route(signs: Tensor, taken: int, stored: int) -> Convolution:
    """Convolve in float32, exact on integers below 2**24: the reference, and the last resort."""
    weight = signs.float().contiguous(memory_format=torch.channels_last)
    largest = levels(stored)

    def convolve(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        sums = F.conv2d(codes.float(), weight, padding=1)
        values = torch.addcmul(offset[:, None, None], sums, scale[:, None, None])
        return values.clamp_(0, largest).round_().to(torch.uint8)

    return convolve


def onednn_route(signs: Tensor, taken: int, stored: int) -> Convolution:
    """Convolve by oneDNN in int8 with the requantisation fused: AMX, VNNI, or plain vector instructions.

    A pair of products of codes and signs is at most 510, so the instructions of processors without VNNI cannot
    saturate, as they do with other weights.

    Raises:
        NotImplementedError: this build of torch has no such operator.
    """
    run, prepack = _operators()
    ones = torch.ones(len(signs))
    zeros = torch.zeros(len(signs), dtype=torch.int32)
    packed = prepack(signs, ones, 1.0, 0, ONE, ONE, ONE, 1, None)
    cut: tuple[str, list[float]] = ("relu", []) if stored == 8 else ("hardtanh", [0.0, float(levels(stored))])

    def convolve(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        result: Tensor = run(
            codes, 1.0, 0, packed, scale, zeros, offset, ONE, ONE, ONE, 1, 1.0, 0, torch.uint8, *cut, ""
        )
        return result

    return convolve


def _operators() -> tuple[Any, Any]:
    """The convolution and the packing of its weights."""
    for name in OPERATORS:
        if hasattr(torch.ops.onednn, name) and hasattr(torch.ops.onednn, "qconv_prepack"):
            return getattr(torch.ops.onednn, name), torch.ops.onednn.qconv_prepack
    raise NotImplementedError("torch.ops.onednn has no int8 convolution")


def popcount_route(signs: Tensor, taken: int, stored: int) -> Convolution:
    """Convolve by counting bits; the codes that enter have one."""
    weights, largest = bit_weights(signs.numpy()), levels(stored)

    def convolve(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        return _in_rows(bits(_map(codes)), weights, scale, offset, 0, largest)

    return convolve


def multiply_add_route(signs: Tensor, taken: int, stored: int) -> Convolution:
    """Convolve by multiplying bytes and adding them in 16 bits, on processors with AVX2.

    Raises:
        NotImplementedError: no AVX2.
    """
    if "+avx2" not in instructions():
        raise NotImplementedError("the processor that Numba compiles for has no AVX2")
    weights, chunk, largest = quad_weights(signs.numpy()), (2**15 - 1) // (2 * levels(taken)), levels(stored)

    def convolve(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        return _in_rows(quads(_map(codes)), weights, scale, offset, chunk, largest)

    return convolve


def _map(codes: Tensor) -> NDArray[np.uint8]:
    """``(1, C, H, W)`` channels-last as ``(H, W, C)``."""
    return np.ascontiguousarray(codes[0].permute(1, 2, 0).numpy())


def _in_rows(words: NDArray[Any], weights: NDArray[Any], scale: Tensor, offset: Tensor, chunk: int,
             largest: int) -> Tensor:  # fmt: skip
    """Run ``convolve_rows`` on as many threads as torch would."""
    height, width = words.shape[:2]
    out = np.empty((height, width, len(scale)), np.uint8)
    count = min(torch.get_num_threads(), height)
    ends = [height * n // count for n in range(count + 1)]

    def run(n: int) -> None:
        convolve_rows(words, weights, scale.numpy(), offset.numpy(), chunk, largest, ends[n], ends[n + 1], out)

    others = [_threads().submit(run, n) for n in range(1, count)]
    run(0)
    for other in others:
        other.result()
    return torch.from_numpy(out).permute(2, 0, 1)[None]


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads that wait asleep: Numba's own may be those of torch, whose number they change, or end the process where
    two threads meet in them."""
    return ThreadPoolExecutor(os.cpu_count(), "convolution")


ROUTES: dict[str, Route] = {
    "onednn": onednn_route,
    "popcount": popcount_route,
    "multiply-add": multiply_add_route,
    "float": float_route,
}

MOST_BITS = {"onednn": 8, "popcount": 1, "multiply-add": 8, "float": 8}
"""Of the codes that each route takes."""


@cache
def instructions() -> frozenset[str]:
    """Instruction sets that Numba compiles for, in its words (``+avx2``): those of the processor, unless limited."""
    return frozenset(cpu_target.target_context.codegen().magic_tuple()[2].split(","))


def candidates(taken: int) -> list[str]:
    """Exact routes that may be the fastest for codes of so many bits on this processor.

    Counting bits loses to AMX, multiply-add to what adds products of bytes in 32 bits, float with AVX2 to all others,
    by 1.7 times at least.
    """
    slower = set[str]()
    if "+amx-int8" in instructions():
        slower.add("popcount")
    if {"+avx512vnni", "+avxvnni", "+amx-int8"} & instructions() or "+avx2" not in instructions():
        slower.add("multiply-add")
    if "+avx2" in instructions():
        slower.add("float")
    exact = [name for name, most in MOST_BITS.items() if taken <= most and name not in slower and is_exact(name)]
    return exact or ["float"]


@cache
def is_exact(name: str) -> bool:
    """Whether a route passes ``check_route`` on this machine; why not is logged."""
    fault = check_route(ROUTES[name], MOST_BITS[name])
    if fault:
        log.warning("QU-Net does not run by %s on this machine: %s", name, fault)
    return not fault


def check_route(route: Route, most_bits: int) -> str:
    """Compare a route with sums in int64 on small convolutions; what is wrong with it, empty when nothing is.

    They hold the shapes that take other code paths (3 channels, odd sizes, 1-bit to 8-bit codes up to ``most_bits``),
    the largest sums, values far outside of the codes, negative scales, and halves.
    """
    random = torch.Generator().manual_seed(0)
    for c_in, c_out, (height, width), taken, stored in CHECKS:
        if taken > most_bits:
            continue
        most, largest = levels(taken), levels(stored)
        codes = torch.randint(0, most + 1, (1, height, width, c_in), generator=random, dtype=torch.uint8)
        codes[:, :2] = most
        signs = torch.randint(0, 2, (c_out, c_in, 3, 3), generator=random, dtype=torch.int8) * 2 - 1
        signs[0], signs[1] = 1, -1
        scale = torch.randn(c_out, generator=random, dtype=torch.float64) * largest / (most * (c_in * 9) ** 0.5)
        scale[:3] = torch.tensor([0.5, -0.5, 40.0])
        offset = torch.rand(c_out, generator=random, dtype=torch.float64) * largest
        affine = exact_affine(scale, offset.round(), largest)
        expected = _exact(codes, signs, *affine, largest)
        try:
            found = route(signs, taken, stored)(codes.permute(0, 3, 1, 2), *affine).permute(0, 2, 3, 1)
        except (
            RuntimeError,
            NotImplementedError,
            TypeError,
            NumbaError,
        ) as error:  # TypeError: of another torch or LLVM
            return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if found.dtype != torch.uint8 or not torch.equal(found, expected):
            return f"{int((found != expected).sum())} of {expected.numel()} codes are wrong"
    return ""


CHECKS: Sequence[tuple[int, int, tuple[int, int], int, int]] = (
    (3, 16, (9, 21), 8, 8),
    (16, 16, (8, 16), 8, 8),
    (64, 24, (3, 6), 8, 4),
    (64, 128, (5, 7), 1, 1),
    (72, 20, (4, 9), 1, 8),
    (48, 16, (4, 33), 4, 4),
)
"""Channels in and out, size, bits of the codes that enter and leave."""


def _exact(codes: Tensor, signs: Tensor, scale: Tensor, offset: Tensor, largest: int) -> Tensor:
    """The convolution in integers and float64, ``(1, H, W, C_in)`` -> ``(1, H, W, C_out)``."""
    _, height, width, _ = codes.shape
    padded = F.pad(codes.long(), (0, 0, 1, 1, 1, 1))
    sums = torch.zeros(1, height, width, len(signs), dtype=torch.int64)
    for dy in range(3):
        for dx in range(3):
            sums += padded[:, dy : dy + height, dx : dx + width] @ signs[:, :, dy, dx].long().T
    return (sums * scale.double() + offset.double()).round().clamp(0, largest).to(torch.uint8)
