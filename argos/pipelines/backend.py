"""``engine.backend``: the deep networks by another program than torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from argos.engines.core import Core
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.deployed import Backend, Deployed
from argos.engines.int8 import Calibration
from argos.engines.segmenter import PADDING
from argos.errors import DeviceError
from argos.packing.canvas import shapes_of
from argos.types import Size

Segmenter = TypeVar("Segmenter")


def by_backend(
    backend: Backend, segmenter: Segmenter, device: str, calibration: Calibration | None = None
) -> Segmenter:
    """A segmenter of ours whose network is run by another program; those of others as they are.

    Mode ``gather`` looks into the network and stays with torch.

    Args:
        backend: the program.
        segmenter: of any task, or None.
        device: the networks are on.
        calibration: pictures for 8 bits; None: float32.

    Raises:
        DeviceError: the networks are on a GPU.
    """
    threads = torch.get_num_threads()
    if torch.device(device).type != "cpu":
        raise DeviceError(f"engine.backend: {backend} runs on the CPU here; choose torch, or engine.device: cpu")
    found: Any = segmenter
    if isinstance(segmenter, SemanticSegmenter):
        found = replace(segmenter, outputs=Deployed(Core(segmenter.network, None), backend, threads, calibration))
    elif isinstance(segmenter, InstanceSegmenter):
        found = replace(segmenter, outputs=Deployed(Core(None, segmenter.network), backend, threads, calibration))
    return found  # type: ignore[no-any-return]


def open_networks(tasks: Iterable[frozenset[str]], semantic: Any, instances: Any, joint: Any, canvas: Size) -> None:
    """Load what the cameras will need and run it on grey canvases, before the first frame.

    Args:
        tasks: of each camera.
        semantic, instances, joint: the segmenters; None where there is none.
        canvas: size of a full one.

    Raises:
        UsageError: a package is missing.
        SourceError: the pictures that calibrate 8 bits cannot be read.
    """
    needed: set[str] = set()
    for of_camera in set(tasks):
        both = joint is not None and {"semantic", "instances"} <= of_camera
        needed |= {"joint"} if both else of_camera
    for name, segmenter in (("semantic", semantic), ("instances", instances), ("joint", joint)):
        outputs = getattr(segmenter, "outputs", None)
        if name in needed and isinstance(outputs, Deployed):
            for size in shapes_of(canvas):  # OpenVINO prepares itself for each
                outputs(np.full((1, *size, 3), PADDING, np.uint8))
