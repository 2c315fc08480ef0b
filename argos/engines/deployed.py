"""The deep networks by ONNX Runtime or OpenVINO: one ONNX file in the user's cache, for pictures of any size."""

from __future__ import annotations

import hashlib
import importlib
import logging
import warnings
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.core import Core
from argos.engines.export import OPSET
from argos.engines.int8 import Calibration, in_int8, quantiser
from argos.engines.onnx import OnnxNetwork
from argos.errors import UsageError, WeightsError
from argos.kept import kept_file
from argos.machine import lacks_bfloat16
from argos.networks.ssd_isb import SSDOutput
from argos.version import VERSION

log = logging.getLogger(__name__)

Backend = Literal["onnxruntime", "openvino"]

Precision = Literal["float32", "bfloat16", "int8"]

INSTALLED_BY = {"openvino": "'argos-vision[openvino]'"}
"""What to install, where that is not the package of the same name."""

Runtime = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]
"""``Core.forward`` on arrays."""

FORM = 3
"""Of the files; another one where ``Core.forward`` gives something else."""

GRID = 32
"""Sides of pictures are multiples of it."""

REFUSED = "engine.backend: these networks cannot be written as ONNX for pictures of any size"


class Deployed:
    """The networks run by another program than torch.

    Args:
        core: the networks.
        backend: the program.
        threads: of one run.
        precision: of their arithmetic; bfloat16 by OpenVINO alone.
        calibration: for ``int8``, and only then, the pictures by which they are quantised.

    Raises:
        ValueError: ``int8`` without pictures, or pictures for another precision.
    """

    def __init__(
        self,
        core: Core,
        backend: Backend,
        threads: int,
        precision: Precision = "float32",
        calibration: Calibration | None = None,
    ) -> None:
        if (precision == "int8") != (calibration is not None):
            raise ValueError(f"calibration belongs to int8, and int8 needs it; precision is {precision}")
        self.core, self.backend, self.threads = core.eval(), backend, threads
        self.precision, self.calibration = precision, calibration

    @cached_property
    def runtime(self) -> Runtime:
        """The loaded file; opened when it is first asked for, written if there is none, or a damaged one.

        Raises:
            UsageError: a package is missing, or the processor has no bfloat16.
            WeightsError: what was just written cannot be loaded.
            SourceError: the pictures that calibrate cannot be read.
        """
        if self.calibration is not None:
            quantiser()  # before seconds are spent on the file
        require(self.backend)
        try:
            return self._opened()
        except WeightsError as error:
            log.warning("%s; it is written anew", error)
        try:
            return self._opened(anew=True)
        except WeightsError as error:
            raise WeightsError(f"{error}, although it was just written: choose another engine.backend") from error

    def _opened(self, *, anew: bool = False) -> Runtime:
        path = onnx_of(self.core, anew=anew)
        if self.calibration is not None:
            path = in_int8(path, self.calibration, self.core.precise, anew=anew)
        return open_runtime(self.backend, path, self.threads, bfloat16=self.precision == "bfloat16")

    def also(self, core: Core) -> Deployed:
        """Other networks by the same program."""
        return Deployed(core, self.backend, self.threads, self.precision, self.calibration)

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[Tensor | None, SSDOutput | None]:
        """Logits ``(B, 1, H, W)`` and the output of the detector for ``(B, H, W, 3)`` uint8.

        None where the task is off, and for sides that are no multiples of 32, which the networks themselves pad.
        """
        if any(side % GRID for side in pixels.shape[1:3]):
            return None, None
        return self.core.split([torch.from_numpy(array) for array in self.runtime(np.ascontiguousarray(pixels))])


def onnx_of(core: Core, *, anew: bool = False) -> Path:
    """The ONNX file of the networks for pictures of any size and number; written and tried on first use, in seconds.

    Its name is the digest of the weights, so that other weights get another file.

    Args:
        core: the networks.
        anew: write it in any case: the one that is there is damaged.

    Raises:
        UsageError: the networks hold what ONNX has not, or say something else by it, or the file cannot be written.
    """

    def write(path: Path) -> None:
        _write(core, path)
        if not _says_the_same(core, path):
            raise UsageError(f"{REFUSED} that say the same; choose torch (in float32)")

    return kept_file("onnx", f"{_digest(core)}.onnx", write, anew=anew)


def _write(core: Core, path: Path) -> None:
    example = torch.zeros(2, 5 * GRID, 7 * GRID, 3, dtype=torch.uint8)
    require("onnx")  # the exporter calls its absence a fault of the networks
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter about its own parts
        try:
            # the one by tracing: seconds instead of minutes, and no equation between sizes that it cannot prove
            torch.onnx.export(
                core,
                (example,),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=["pixels"],
                dynamic_axes={"pixels": {0: "count", 1: "height", 2: "width"}},
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, TypeError, ValueError) as error:  # of the tracer too
            raise UsageError(f"{REFUSED}; choose torch (in float32)") from error


def _says_the_same(core: Core, path: Path) -> bool:
    """Whether a file gives what the networks do for pictures of another size than those it was traced with.

    Tracing turns whatever the networks compute in Python from the sizes of a picture into constants.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3 * GRID, 2 * GRID, 3), np.uint8)
    with torch.inference_mode():
        wanted = [tensor.numpy() for tensor in core(torch.from_numpy(pixels))]
    try:
        found = OnnxNetwork(path, 1).run(pixels)
    except WeightsError:  # a constant that does not fit
        return False
    return all(
        a.shape == b.shape and np.allclose(a, b, atol=1e-3 * max(1.0, np.abs(b).max()), equal_nan=True)
        for a, b in zip(found, wanted, strict=True)
    )


def open_runtime(backend: Backend, path: Path, threads: int, *, bfloat16: bool = False) -> Runtime:
    """Load a file of ``onnx_of``, or its quantised form.

    Args:
        backend: that loads it.
        path: of the file.
        threads: of one run.
        bfloat16: by OpenVINO, what is not in 8 bits.

    Raises:
        UsageError: the package of the backend is not installed, or the processor has no bfloat16.
        WeightsError: the file cannot be loaded.
    """
    package = require(backend)
    if backend == "onnxruntime":
        return OnnxNetwork(path, threads).run
    core = _openvino_core(package)
    # OpenVINO lists it for all processors with AVX-512
    if bfloat16 and (lacks_bfloat16() or "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")):
        raise UsageError(
            "engine.precision: bfloat16 is not in the instructions of this processor (avx512_bf16 or amx_bf16): choose "
            "int8 or float32"
        )
    # always said: OpenVINO takes bfloat16 by itself where there is one, and masks would differ between machines
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
    }
    try:
        model = core.compile_model(str(path), "CPU", settings)
    except RuntimeError as error:  # its last line says what is wrong, the others where that was found
        raise WeightsError(f"{path}: cannot be loaded by OpenVINO ({str(error).strip().splitlines()[-1]})") from error

    def run(pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return [np.array(array) for array in model(pixels).to_tuple()]

    return run


@cache
def _openvino_core(package: Any) -> Any:
    """Of the process, never given up: it lends the thread that makes it a stack for signals, and the end of the last
    one in another thread would take that away from under the next signal."""
    return package.Core()


def require(package: str) -> Any:
    """A package that a backend needs.

    Raises:
        UsageError: it is not installed, or cannot be loaded.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UsageError(
            f"engine.backend: needs the package {package} ({error}): pip install {INSTALLED_BY.get(package, package)}, "
            "or choose torch (in float32)"
        ) from error


def _digest(core: Core) -> str:
    """Of everything that the file depends on: the layers, their weights, and what writes it."""
    found = hashlib.sha256(f"{FORM} {VERSION} {torch.__version__} {OPSET} {core.shared} {core!r}".encode())
    for name, value in core.state_dict().items():
        found.update(f"{name} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:24]
