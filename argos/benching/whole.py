"""The whole frame by other means: smaller, or in another precision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from argos.benching.contender import (
    Contender,
    Networks,
    NotHereError,
    Outcome,
    Setting,
    by_torch,
    networks_of,
    person_on,
)
from argos.machine import lacks_bfloat16
from argos.packing.limits import whole_placement
from argos.packing.pack import resized
from argos.pipelines.build import device_of
from argos.types import Frame, Instances, PackedBatch


def in_full(setting: Setting, networks: Networks, shrink: float = 1.0) -> Contender:
    """The whole frame at its scale times ``shrink``, every time."""

    def run(frame: Frame, refresh: bool) -> Outcome:
        size = setting.network_size(frame, shrink)
        pixels = np.ascontiguousarray(resized(frame.pixels, size)[None])
        batch = PackedBatch(pixels, whole_placement(frame.size, size, setting.scale(frame) * shrink))
        person = person_on(batch, frame.size, networks, setting.view)
        return Outcome(person, setting.share(frame, 1, size))

    return run


def shrunk(setting: Setting) -> Contender:
    """The whole frame with as many pixels as ``pack`` computes on average: what its saving could buy."""
    return in_full(setting, networks_of(setting.people, setting.view), math.sqrt(min(1.0, setting.budget)))


def torch_alone(setting: Setting) -> Contender:
    """The whole frame by torch."""
    return in_full(setting, networks_of(by_torch(setting.people), setting.view))


def bf16_by_torch(setting: Setting) -> Contender:
    """The whole frame, by torch, layers in bfloat16 where its autocast has them so.

    Raises:
        NotHereError: the processor has no instructions for it (emulated it takes several times as long as float32).
    """
    device = torch.device(device_of(setting.config.engine.device)).type
    if device == "cpu" and lacks_bfloat16():
        raise NotHereError("this processor has no bfloat16 (avx512_bf16 or amx_bf16)")
    return in_full(setting, in_bf16(networks_of(by_torch(setting.people), setting.view), device))


def in_bf16(networks: Networks, device: str) -> Networks:
    """The same networks under autocast."""

    def run(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32] | None, Sequence[Instances] | None]:
        with torch.autocast(device, torch.bfloat16):
            return networks(pixels)

    return run
