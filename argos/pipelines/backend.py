"""``engine.backend``: the deep networks by another program than torch."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from argos.engines.core import Core
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.deployed import Backend, Deployed, Precision
from argos.engines.int8 import Calibration
from argos.engines.segmenter import PADDING
from argos.errors import DeviceError
from argos.packing.canvas import few_shapes_of
from argos.packing.costs import Costs, Tasks
from argos.types import Size

Segmenter = TypeVar("Segmenter")

Program = Backend | Literal["torch"]

PREFERRED: tuple[Program, ...] = ("onnxruntime", "openvino", "torch")
"""On CPUs, where nothing was measured. OpenVINO is the faster one on pictures of one size, but prepares itself anew
where sizes change, as those of canvases do."""


def programs(asked: Program | Literal["auto"], precision: Precision, device: str) -> tuple[Program, ...]:
    """What may run the deep networks here, the one that is taken where nothing was measured first.

    Args:
        asked: ``engine.backend``.
        precision: ``engine.precision``.
        device: the networks are on.
    """
    if asked != "auto":
        return (asked,)
    if precision == "bfloat16":
        return ("openvino",)
    others = tuple(name for name in PREFERRED if name != "torch" and importlib.util.find_spec(name) is not None)
    if precision == "int8":
        return others or ("onnxruntime",)  # which says what to install
    return ("torch",) if torch.device(device).type != "cpu" else (*others, "torch")


def version_of(program: Program) -> str:
    """Version of a program; empty where it is not installed."""
    try:
        return importlib.metadata.version(program)
    except importlib.metadata.PackageNotFoundError:
        return ""


def fastest_program(measured: Mapping[Program, Mapping[Tasks, Costs]], tasks: Iterable[Tasks], canvas: Size) -> Program:
    """The program of the shortest runs, all sets of tasks together; the first where that was not measured for all.

    Args:
        measured: by ``argos tune``, of each program that may be taken.
        tasks: of the cameras.
        canvas: of whose size a run is.
    """
    pixels, wanted = math.prod(canvas), set(tasks)
    known = {name: costs for name, costs in measured.items() if wanted <= set(costs)}
    total = {name: sum(costs[one].dense(pixels) for one in wanted) for name, costs in known.items()}
    first = next(iter(measured))
    return min(total, key=total.__getitem__) if first in total else first


def by_program(
    program: Program,
    segmenter: Segmenter,
    device: str,
    precision: Precision = "float32",
    calibration: Calibration | None = None,
) -> Segmenter:
    """A segmenter of ours whose network is run by a program; those of others as they are.

    Mode ``gather`` looks into the network and stays with torch.

    Args:
        program: that runs it.
        segmenter: of any task, or None.
        device: the networks are on.
        precision: of its arithmetic.
        calibration: pictures for ``int8``.

    Raises:
        DeviceError: the networks are on a GPU.
    """
    if program == "torch":
        return segmenter
    threads = torch.get_num_threads()
    if torch.device(device).type != "cpu":
        other = "choose torch" if precision == "float32" else "set engine.precision to float32"
        raise DeviceError(f"engine.backend: {program} runs on the CPU here; {other}, or engine.device: cpu")
    if isinstance(segmenter, SemanticSegmenter):
        core = Core(segmenter.network, None)
    elif isinstance(segmenter, InstanceSegmenter):
        core = Core(None, segmenter.network)
    else:
        return segmenter
    ours: Any = segmenter
    return replace(ours, outputs=Deployed(core, program, threads, precision, calibration))  # type: ignore[no-any-return]


def is_any_deployed(*segmenters: Any) -> bool:
    """Whether one of them is run by another program than torch; networks of others run as they are."""
    return any(isinstance(getattr(one, "outputs", None), Deployed) for one in segmenters)


def open_networks(tasks: Iterable[Tasks], semantic: Any, instances: Any, joint: Any, canvas: Size) -> None:
    """Load what the cameras will need and run it on grey canvases, before the first frame.

    Args:
        tasks: of each camera.
        semantic, instances, joint: the segmenters; None where there is none.
        canvas: size of a full one.

    Raises:
        UsageError: a package is missing, or the processor has no bfloat16.
        SourceError: the pictures that calibrate 8 bits cannot be read.
    """
    asked = [set(of_camera) for of_camera in tasks]
    both = {"semantic", "instances"}
    needed = set[str]().union(*asked)
    if joint is not None and both in asked:  # cameras with both tasks and others share canvases, and run apart then
        needed = {"joint"} if all(one == both for one in asked) else {"joint", *needed}
    for name, segmenter in (("semantic", semantic), ("instances", instances), ("joint", joint)):
        outputs = getattr(segmenter, "outputs", None)
        if name in needed and isinstance(outputs, Deployed):
            # OpenVINO prepares itself for each size, ONNX Runtime for all at once
            for size in few_shapes_of(canvas) if outputs.backend == "openvino" else [canvas]:
                outputs(np.full((1, *size, 3), PADDING, np.uint8))
