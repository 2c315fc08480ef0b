"""Convolutions of unsigned codes with signs, requantised to codes: the routes of the integer engine.

Every route computes ``clamp(round(sums * scale + offset), 0, largest)`` with halves to even. Scales and offsets come
from ``layers.quantize.exact_affine``, so no route rounds before that and all give the same codes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from argos.networks.layers.quantize import exact_affine

log = logging.getLogger(__name__)

Convolution = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Codes ``(1, C_in, H, W)`` uint8 channels-last, scale and offset ``(C_out,)`` float32 -> ``(1, C_out, H, W)``."""

Route = Callable[[Tensor, int], Convolution]
"""Signs ``(C_out, C_in, 3, 3)`` int8, each -1 or +1, and the largest code that leaves -> the convolution."""

OPERATORS = ("qconv2d_pointwise", "qconv_pointwise")
"""Names of the private operator of torch, which was renamed once."""

ONE = [1, 1]


def float_route(signs: Tensor, largest: int) -> Convolution:
    """Convolve in float32, exact on integers below 2**24: the reference, and the last resort."""
    weight = signs.float().contiguous(memory_format=torch.channels_last)

    def convolve(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        sums = F.conv2d(codes.float(), weight, padding=1)
        values = torch.addcmul(offset[:, None, None], sums, scale[:, None, None])
        return values.clamp_(0, largest).round_().to(torch.uint8)

    return convolve


def onednn_route(signs: Tensor, largest: int) -> Convolution:
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
    cut: tuple[str, list[float]] = ("relu", []) if largest == 255 else ("hardtanh", [0.0, float(largest)])

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


ROUTES: dict[str, Route] = {"onednn": onednn_route, "float": float_route}
"""The fastest first. oneDNN's int8 beat float32 on every instruction set tried: 4 times with VNNI, 1.7 with AVX2."""


@cache
def fastest_route() -> str:
    """The first of ``ROUTES`` that is exact on this machine."""
    return choose_route(ROUTES)


def choose_route(routes: dict[str, Route]) -> str:
    """The first of ``routes`` that passes ``check_route``; the last is not checked.

    Why one is passed over is logged.
    """
    *candidates, last = routes
    for name in candidates:
        fault = check_route(routes[name])
        if not fault:
            return name
        log.warning("QU-Net does not run by %s on this machine: %s", name, fault)
    return last


def check_route(route: Route) -> str:
    """Compare a route with sums in int64 on small convolutions; what is wrong with it, empty when nothing is.

    They hold the shapes that take other code paths (3 channels, odd sizes, 1-bit to 8-bit codes), values far outside
    of the codes, negative scales, and halves.
    """
    random = torch.Generator().manual_seed(0)
    for c_in, c_out, (height, width), bits, largest in CHECKS:
        codes = torch.randint(0, 2**bits, (1, height, width, c_in), generator=random, dtype=torch.uint8)
        codes[:, :2] = 2**bits - 1  # the largest sums
        signs = torch.randint(0, 2, (c_out, c_in, 3, 3), generator=random, dtype=torch.int8) * 2 - 1
        signs[0] = 1
        spread = (2**bits - 1) * (c_in * 9) ** 0.5
        scale = torch.randn(c_out, generator=random, dtype=torch.float64) * largest / spread
        scale[:2] = torch.tensor([0.5, 40.0])
        offset = torch.rand(c_out, generator=random, dtype=torch.float64) * largest
        affine = exact_affine(scale, offset.round(), largest)
        expected = _exact(codes, signs, *affine, largest)
        try:
            found = route(signs, largest)(codes.permute(0, 3, 1, 2), *affine).permute(0, 2, 3, 1)
        except (RuntimeError, NotImplementedError, TypeError) as error:  # TypeError: other arguments in another torch
            return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if found.dtype != torch.uint8 or not torch.equal(found, expected):
            return f"{int((found != expected).sum())} of {expected.numel()} codes are wrong"
    return ""


CHECKS: Sequence[tuple[int, int, tuple[int, int], int, int]] = (
    (3, 16, (9, 21), 8, 255),
    (16, 16, (8, 16), 8, 255),
    (64, 128, (5, 7), 1, 1),
    (48, 16, (4, 33), 4, 15),
)
"""Channels in and out, size, bits of the codes that enter, largest code that leaves."""


def _exact(codes: Tensor, signs: Tensor, scale: Tensor, offset: Tensor, largest: int) -> Tensor:
    """The convolution in integers and float64, ``(1, H, W, C_in)`` -> ``(1, H, W, C_out)``."""
    _, height, width, _ = codes.shape
    padded = F.pad(codes.long(), (0, 0, 1, 1, 1, 1))
    sums = torch.zeros(1, height, width, len(signs), dtype=torch.int64)
    for dy in range(3):
        for dx in range(3):
            sums += padded[:, dy : dy + height, dx : dx + width] @ signs[:, :, dy, dx].long().T
    return (sums * scale.double() + offset.double()).round().clamp(0, largest).to(torch.uint8)
