"""QU-Net in integers: 8-bit codes from the picture to the last convolution, for CPUs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.integer_conv import MOST_BITS, ROUTES, Convolution
from argos.engines.integer_routes import Shape, fastest_routes
from argos.engines.workers import workers
from argos.kernels.codes import channel_sums, classify, merge, pool, requantization
from argos.networks.layers.binary import QuantizedUnit
from argos.networks.layers.quantize import binary_threshold, levels
from argos.networks.qunet import QUNet

MULTIPLE = 16
"""QU-Net halves its input four times."""

USUAL_SIZE = (192, 320)
"""Of a picture; for maps of this size the routes of the layers are chosen."""

TRIALS, CLEARLY = 3, 1.25
"""Runs on one thread and on all in turns, the first of them to warm up; how much faster all have to be."""

LEVELS = {"inc": 0, "down1": 1, "down2": 2, "down3": 3, "down4": 4, "up1": 3, "up2": 2, "up3": 1, "up4": 0}
"""How often the map of each stage was halved."""

Codes = NDArray[np.uint8]
"""``(H, W, C)``, the memory of a channels-last tensor of one picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One ``QuantizedUnit``, ready to run.

    Attributes:
        convolve: convolution and requantisation.
        step: value of a code that enters.
        parts: the arrays of ``kernels.codes.requantization``, from ``squeeze`` to ``fixed``.
        largest: code that leaves.
    """

    convolve: Convolution
    step: float
    parts: tuple[NDArray[np.float64], ...]
    largest: int

    def __call__(self, codes: Codes, sums: NDArray[np.int64]) -> Codes:
        """``(H, W, C_in)`` and the sums of its channels to ``(H, W, C_out)``."""
        step = self.step / (codes.shape[0] * codes.shape[1])
        affine = torch.from_numpy(requantization(sums, step, *self.parts, self.largest))
        taken = torch.from_numpy(codes).permute(2, 0, 1)[None]
        result: Codes = self.convolve(taken, affine[0], affine[1])[0].permute(1, 2, 0).numpy()
        return result


@dataclass(frozen=True, slots=True)
class Reduction:
    """How stored codes become those of fewer bits that a layer takes: see ``kernels.codes.pool``."""

    shift: int
    threshold: int


class IntegerQUNet:
    """A trained QU-Net that runs on the CPU in integers, several times as fast, and gives the same logits.

    It is a copy: training the network further does not change it. It may be called from several threads at once.

    Its layers take a tenth of a millisecond each. To wake a second CPU thread for that often takes longer than it
    helps: the whole runs on one, unless all together are clearly faster on this machine.

    Args:
        network: ``is_integer(network)``.
        route: a key of ``ROUTES``, for all layers whose codes it takes, others run in float; None: for each layer the
            fastest that is exact on this machine, measured at the first load.

    Attributes:
        routes: layer -> key of ``ROUTES``.

    Raises:
        ValueError: the network has layers in full precision, the published arithmetic or a DCT.
    """

    def __init__(self, network: QUNet, route: str | None = None) -> None:
        if not is_integer(network):
            raise ValueError("only a QU-Net whose layers all have bits runs in integers: not published, no DCT")
        units = _units(network)
        shapes = {name: _shape(name, unit) for name, unit in units.items()}
        if route is None:
            fastest = fastest_routes(shapes.values())
            self.routes = {name: fastest[shape] for name, shape in shapes.items()}
        else:
            self.routes = {name: route if of.bits <= MOST_BITS[route] else "float" for name, of in shapes.items()}
        layers = {name: _layer(unit, self.routes[name]) for name, unit in units.items()}
        stages = [(layers[f"{stage}.0"], layers[f"{stage}.1"]) for stage in LEVELS]
        self.encoder, self.decoder = stages[:5], stages[5:]
        stored = [_bits(bits) for bits in network.stored]
        taken = {layer: _bits(bits) for layer, bits in network.bits.every().items()}
        self.image_shift = 8 - taken["inc.0"]
        self.pooled = [_reduction(stored[n], taken[f"down{n + 1}.0"]) for n in range(4)]
        self.skipped = [_reduction(stored[n], taken[f"up{4 - n}.0"]) for n in range(4)]
        weight, bias, grid = (part.cpu().numpy() for part in network.exact_last_weights())
        self.last = weight[:, :, 0, 0].astype(np.int32), bias.astype(np.int32), grid
        self._one, self._process = self._one_if_enough(), os.getpid()

    def __call__(self, image: Tensor) -> Tensor:
        """Segment pictures.

        Args:
            image: ``(N, 3, H, W)`` uint8 on the CPU, any H and W; fastest in channels-last memory.

        Returns:
            Logits ``(N, num_classes, H, W)`` float32, those of the network in evaluation.

        Raises:
            ValueError: the image is not uint8.
        """
        if image.dtype != torch.uint8:
            raise ValueError(f"image should be uint8, got {image.dtype}")
        pictures = np.ascontiguousarray(image.permute(0, 2, 3, 1).numpy())
        if os.getpid() != self._process:  # forked off: neither our thread nor those of OpenMP came along
            torch.set_num_threads(1)
            return self._all(pictures)
        if self._one is None:
            return self._all(pictures)
        return self._one.submit(self._all, pictures).result()

    @torch.inference_mode()
    def _all(self, pictures: Codes) -> Tensor:
        logits = np.empty((len(pictures), len(self.last[1]), *pictures.shape[1:3]), np.float32)
        for n, picture in enumerate(pictures):
            logits[n] = self._logits(picture)
        return torch.from_numpy(logits)

    def _one_if_enough(self) -> ThreadPoolExecutor | None:
        """The thread that runs it on one CPU thread; None where all of them are clearly faster."""
        if torch.get_num_threads() == 1:
            return None
        one, picture = workers("qunet", 1, 1), np.zeros((1, *USUAL_SIZE, 3), np.uint8)
        times = [
            (_seconds(lambda: one.submit(self._all, picture).result()), _seconds(lambda: self._all(picture)))
            for _ in range(TRIALS)
        ]
        alone, together = (min(of_side) for of_side in zip(*times[1:], strict=True))
        return None if together * CLEARLY < alone else one

    def _logits(self, picture: Codes) -> NDArray[np.float32]:
        """``(H, W, 3)`` -> ``(num_classes, H, W)``."""
        height, width = picture.shape[:2]
        bottom, right = -height % MULTIPLE, -width % MULTIPLE
        x = np.pad(picture, ((0, bottom), (0, right), (0, 0)), "edge") if bottom or right else picture
        if self.image_shift:
            x = x >> np.uint8(self.image_shift)
        sums = channel_sums(x)
        skips = []
        for n, (first, second) in enumerate(self.encoder):
            if n:
                skips.append(x)
                x, sums = _pool(x, self.pooled[n - 1])
            x = first(x, sums)
            x = second(x, channel_sums(x))
        for n, (first, second) in enumerate(self.decoder):
            x, sums = _merge(skips.pop(), x, self.skipped[3 - n])
            x = first(x, sums)
            x = second(x, channel_sums(x))
        logits: NDArray[np.float32] = classify(x, *self.last, height, width)
        return logits


def is_integer(network: nn.Module) -> TypeGuard[QUNet]:
    """Whether a network is a QU-Net of nothing but integer layers."""
    if not isinstance(network, QUNet) or network.published or network.dct is not None:
        return False
    return None not in network.bits.every().values()


def _seconds(run: Callable[[], Tensor]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _units(network: QUNet) -> dict[str, QuantizedUnit]:
    """The layers by their names, in the order in which they run."""
    named = {f"{stage}.{n}": unit for stage in LEVELS for n, unit in enumerate(network.get_submodule(stage).children())}
    return {name: unit for name, unit in named.items() if isinstance(unit, QuantizedUnit)}


def _shape(name: str, unit: QuantizedUnit) -> Shape:
    height, width = (side >> LEVELS[name.partition(".")[0]] for side in USUAL_SIZE)
    return Shape(unit.conv.in_channels, unit.conv.out_channels, height, width, unit.conv.bits)


@torch.no_grad()
def _layer(unit: QuantizedUnit, route: str) -> Layer:
    stored = _bits(unit.stored)
    signs = torch.where(unit.conv.weight >= 0, 1, -1).to(torch.int8).cpu()
    gate = unit.gate
    parts = (gate.squeeze.weight, gate.squeeze.bias, gate.excite.weight, gate.excite.bias, *unit.affine_parts())
    arrays = tuple(part.double().cpu().numpy() for part in parts)
    return Layer(ROUTES[route](signs, unit.conv.bits, stored), unit.step(), arrays, levels(stored))


def _bits(bits: int | None) -> int:
    assert bits is not None
    return bits


def _reduction(stored: int, wanted: int) -> Reduction:
    """The integer form of ``layers.quantize.reduce_bits``."""
    if stored == wanted:
        return Reduction(0, 0)
    return Reduction(0, binary_threshold(stored)) if wanted == 1 else Reduction(stored - wanted, 0)


def _pool(codes: Codes, to: Reduction) -> tuple[Codes, NDArray[np.int64]]:
    height, width, channels = codes.shape
    half = np.empty((height // 2, width // 2, channels), np.uint8)
    return half, pool(codes, to.shift, to.threshold, half)


def _merge(skip: Codes, deep: Codes, to: Reduction) -> tuple[Codes, NDArray[np.int64]]:
    height, width, channels = skip.shape
    merged = np.empty((height, width, channels + deep.shape[2]), np.uint8)
    return merged, merge(skip, deep, to.shift, to.threshold, merged)
