"""One person before noise, and how it is drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argos.drawing.memory import Memory
from argos.drawing.overlay import overlay
from argos.drawing.styles import Style
from argos.types import Instances, Regions, Result

SIZE = (120, 160)
NOISE = np.random.default_rng(1).integers(0, 256, (*SIZE, 3)).astype(np.uint8)


def someone(x: int, track: int = 4) -> Instances:
    box = np.array([[x, 40, x + 20, 100]], np.int32)
    mask = np.ones((60, 20), np.bool_)
    return Instances(box, np.full(1, 0.9, np.float32), np.zeros(1, np.int32), (mask,), SIZE, np.array([track]))


def result(time: float, people: Instances | None = None, image: NDArray[np.uint8] = NOISE, **more: Any) -> Result:
    none = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), SIZE)
    made = Result(
        camera="desk", epoch=0, seq=0, index=0, pts=None, time_base=(1, 1000), pts_s=time, captured_ns=0, clock="file",
        run="run", size=SIZE, mode="pack", regions=none, instances=people, semantic=None, deep_share=0.1,
        spans_ms={}, dropped={}, models={}, image=image,
    )  # fmt: skip
    return replace(made, **more)


def drawn(style: Style, found: Result, memory: Memory | None = None) -> NDArray[np.uint8]:
    assert found.image is not None
    return overlay(found.image, found, style=style, memory=memory, legend=False)
