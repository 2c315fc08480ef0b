"""Networks as files for other programs: ONNX and ``torch.export``, and the check that a file computes the same."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from argos.engines.fold import tensors_in
from argos.engines.onnx import METADATA_KEY, OnnxNetwork
from argos.errors import PublishError, UsageError

Format = Literal["onnx", "torch.export"]
Runner = Callable[[Tensor], list[Tensor]]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch.export": ".pt2"}
OPSET = 18


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a file is from its network on some images.

    Attributes:
        images: how many were compared.
        outputs: shape of each output.
        relative: largest difference of an element, as a share of the largest element of its output; infinite where one
            is NaN.
    """

    images: int
    outputs: list[list[int]]
    relative: float


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path``, of its suffix, that takes its place once it is whole.

    Raises:
        PublishError: it cannot be written; said before anything is computed.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.open("wb").close()
        yield part
        part.replace(path)
    except OSError as error:
        raise PublishError(f"{path}: cannot be written ({error.strerror}); choose another path with --out") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def export(network: nn.Module, image: Tensor, to: Format, path: Path, about: dict[str, Any]) -> None:
    """Write a network as a file for images of one size.

    Args:
        network: its outputs are tensors, also within tuples; a detector's come in the order of its fields.
        image: ``(N, 3, H, W)``, what the network takes; fixes size and type of the file's input.
        to: format.
        path: of the file, replaced if it exists.
        about: what a reader has to know, kept inside the file under the key ``argos`` as JSON.

    Raises:
        UsageError: ONNX without the packages of the extra ``export``, or of a network that it has no operation for.
    """
    network = network.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporters about their own parts
        if not isinstance(network(image), Tensor):
            network = _Flat(network)
        if to == "torch.export":
            program = torch.export.export(network, (image,))
            buffer = io.BytesIO()
            torch.export.save(program, buffer, extra_files={METADATA_KEY: json.dumps(about)})
            path.write_bytes(buffer.getvalue())
        else:
            path.write_bytes(_onnx_bytes(network, image, about))


class _Flat(nn.Module):
    """A network whose outputs come as one plain tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_in(self.network(image)))


def _onnx_bytes(network: nn.Module, image: Tensor, about: dict[str, Any]) -> bytes:
    onnx = import_onnx("onnx")
    import_onnx("onnxscript")
    for name in ("torch.onnx", "onnx_ir", "onnxscript"):  # they tell of optional parts that no network here needs
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        written = torch.onnx.export(
            network, (image,), dynamo=True, opset_version=OPSET, input_names=["image"], verbose=False
        )
    except torch.onnx.OnnxExporterError as error:
        missing = re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", str(error))
        if not missing:
            raise
        raise UsageError(
            f"ONNX has no {missing[1]}, which this network computes with; use --to torch.export"
        ) from error
    if written is None:
        raise UsageError("the ONNX exporter of this torch gives no model; use --to torch.export")
    model = written.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(about)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def load_exported(path: Path, threads: int = 0) -> Runner:
    """Open an exported file, to be called with an image as it was exported for.

    Args:
        path: with the suffix of its format.
        threads: of ONNX Runtime; 0 leaves it the choice.

    Raises:
        UsageError: an unknown suffix, or ``onnxruntime`` is not installed.
        WeightsError: an ONNX file is missing or cannot be loaded.
    """
    if path.suffix.lower() == SUFFIXES["torch.export"]:
        module = torch.export.load(path).module()

        def run_program(image: Tensor) -> list[Tensor]:
            with torch.no_grad():
                return list(tensors_in(module(image)))

        return run_program
    if path.suffix.lower() != SUFFIXES["onnx"]:
        raise UsageError(f"{path}: unknown suffix; exported files end in {' or '.join(SUFFIXES.values())}")
    network = OnnxNetwork(path, threads, spin=True)
    return lambda image: [torch.from_numpy(output) for output in network.run(image.numpy())]


def compare_outputs(network: nn.Module, exported: Runner, images: Sequence[Tensor]) -> Difference:
    """Run a network and a file of it on the same images.

    Raises:
        ValueError: no images, or the numbers or shapes of the outputs differ.
    """
    if not images:
        raise ValueError("images should hold at least one image")
    worst = 0.0
    shapes: list[list[int]] = []
    network = network.eval()
    for image in images:
        with torch.no_grad():
            wanted = list(tensors_in(network(image)))
        found = exported(image)
        shapes = [list(output.shape) for output in wanted]
        if shapes != [list(output.shape) for output in found]:
            raise ValueError(f"outputs of the file are {[list(o.shape) for o in found]}, of the network {shapes}")
        for a, b in zip(wanted, found, strict=True):
            scale = max(float(a.abs().max()), 1e-12)
            apart = float((a - b).abs().max()) / scale
            worst = max(worst, math.inf if math.isnan(apart) else apart)
    return Difference(len(images), shapes, worst)


def import_onnx(package: str) -> Any:
    """A package that writes or quantises ONNX.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"ONNX needs the package {error.name}: pip install 'argos-vision[export]', or --to torch.export"
        ) from error
