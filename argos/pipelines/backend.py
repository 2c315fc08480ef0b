"""``engine.backend``: the deep networks by another program than torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import torch

from argos.engines.core import Core
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.deployed import Backend, Deployed
from argos.errors import DeviceError

Segmenter = TypeVar("Segmenter")


def by_backend(backend: Backend, segmenter: Segmenter, device: str) -> Segmenter:
    """A segmenter of ours whose network is run by another program; those of others as they are.

    Mode ``gather`` looks into the network and stays with torch.

    Args:
        backend: the program.
        segmenter: of any task, or None.
        device: the networks are on.

    Raises:
        DeviceError: the networks are on a GPU.
    """
    if torch.device(device).type != "cpu":
        raise DeviceError(f"engine.backend: {backend} runs on the CPU here; choose torch, or engine.device: cpu")
    found: Any = segmenter
    if isinstance(segmenter, SemanticSegmenter):
        found = replace(segmenter, outputs=Deployed(Core(segmenter.network, None), backend, torch.get_num_threads()))
    elif isinstance(segmenter, InstanceSegmenter):
        found = replace(segmenter, outputs=Deployed(Core(None, segmenter.network), backend, torch.get_num_threads()))
    return found  # type: ignore[no-any-return]


def open_networks(tasks: Iterable[frozenset[str]], semantic: Any, instances: Any, joint: Any) -> None:
    """Load what the cameras will need, before the first frame.

    Args:
        tasks: of each camera.
        semantic, instances, joint: the segmenters; None where there is none.

    Raises:
        UsageError: a package is missing.
    """
    needed: set[str] = set()
    for of_camera in set(tasks):
        both = joint is not None and {"semantic", "instances"} <= of_camera
        needed |= {"joint"} if both else of_camera
    for name, segmenter in (("semantic", semantic), ("instances", instances), ("joint", joint)):
        outputs = getattr(segmenter, "outputs", None)
        if name in needed and isinstance(outputs, Deployed):
            outputs.runtime  # noqa: B018
