"""ONNX files run by ONNX Runtime: what a file takes, what it gives, and the run itself.

The package ``onnxruntime`` is imported when the first file is opened.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argos.errors import UsageError, WeightsError

METADATA_KEY = "argos"
"""Under which ``argos export`` keeps what a reader has to know, as JSON."""

_TYPES = {"float": "float32", "float16": "float16", "double": "float64", "uint8": "uint8", "int64": "int64"}
"""NumPy's names for the types of tensors."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a file.

    Attributes:
        name: as the file calls it.
        shape: one entry per axis; None where the file leaves the length open.
        dtype: NumPy's name of the type, as ``float32``; ONNX's own where NumPy has none.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class OnnxNetwork:
    """An ONNX file, ready to run; safe to call from several threads.

    Args:
        path: of the file.
        threads: of one run; 0 leaves the number to ONNX Runtime.
        device: ``cpu`` or ``cuda``; a GPU needs the package ``onnxruntime-gpu`` instead, else the CPU runs it.
        spin: let threads that wait for work keep their cores: faster alone, slower beside decoding and the proposer.

    Attributes:
        path: as given.
        inputs, outputs: of the file.
        about: what ``argos export`` wrote into the file; None for files of others.

    Raises:
        UsageError: ``onnxruntime`` is not installed.
        WeightsError: the file is missing or cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 0, device: str = "cpu", spin: bool = False) -> None:
        runtime = _import_runtime(path)
        if not path.is_file():
            raise WeightsError(f"{path}: no such file; give the path of an .onnx file")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors alone; they come as exceptions too
        options.enable_mem_pattern = False  # one block for each shape met: 100 MB more for canvases, and no faster
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        usable = [name for name in wanted if name in runtime.get_available_providers()]
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=[*usable, "CPUExecutionProvider"])
        except Exception as error:  # of ONNX Runtime, whose kinds of error have no public base
            raise WeightsError(f"{path}: cannot be loaded as ONNX ({_first_line(error)})") from error
        self.path = path
        self.inputs = tuple(_port(argument) for argument in self._session.get_inputs())
        self.outputs = tuple(_port(argument) for argument in self._session.get_outputs())
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        self.about: dict[str, Any] | None = None if text is None else json.loads(text)

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """One run.

        Args:
            inputs: one array per input of the file, in its order, of its types and shapes.

        Returns:
            One array per output, in the order of ``outputs``.

        Raises:
            WeightsError: the file does not take such arrays; the message says what it takes.
        """
        fed = {port.name: np.ascontiguousarray(value) for port, value in zip(self.inputs, inputs, strict=True)}
        try:
            return list(self._session.run(None, fed))
        except Exception as error:  # as above
            takes = ", ".join(f"{port.name} {port.dtype} {_shape(port.shape)}" for port in self.inputs)
            given = ", ".join(f"{value.dtype} {_shape(value.shape)}" for value in inputs)
            raise WeightsError(f"{self.path}: takes {takes}, got {given} ({_first_line(error)})") from error


def _import_runtime(path: Path) -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{path}: running ONNX needs the package {error.name}: pip install onnxruntime, "
            "or use a torch.export file (.pt2)"
        ) from error


def _port(argument: Any) -> Port:
    shape = tuple(side if isinstance(side, int) else None for side in argument.shape)
    kind = argument.type.removeprefix("tensor(").removesuffix(")")
    return Port(argument.name, shape, _TYPES.get(kind, kind))


def _shape(shape: Sequence[int | None]) -> str:
    return "x".join("?" if side is None else str(side) for side in shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
