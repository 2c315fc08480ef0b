"""Networks that are not ours: from Python code with a safetensors file, from ``torch.export`` and from ONNX files."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from argos.engines.onnx import METADATA_KEY, OnnxNetwork
from argos.engines.segmenter import Takes
from argos.engines.weights import check_shapes, digest
from argos.errors import ArgosError, WeightsError
from argos.types import Size

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "float16": torch.float16, "uint8": torch.uint8}
"""What the input of a file may be."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnNetwork:
    """A network from anywhere, ready to run.

    Attributes:
        name: as the configuration names it, for messages.
        call: pictures as the network takes them -> what it gives, tensors in any nesting.
        device: where the pictures go.
        module: the same as a module, to be run on active blocks or trained; None: it runs as a whole only.
        shape: ``(N, 3, H, W)`` or ``(N, H, W, 3)``, None where open; None altogether: whatever comes.
        dtype: of the pictures; uint8 means 0..255 as they are.
        about: what ``argos export`` wrote into the file; None for networks of others.
        sha256: of the file, or of the weights.
    """

    name: str
    call: Callable[[Tensor], Any]
    device: torch.device
    module: nn.Module | None = None
    shape: tuple[int | None, ...] | None = None
    dtype: torch.dtype = torch.float32
    about: Mapping[str, Any] | None = None
    sha256: str = ""

    @property
    def colours_last(self) -> bool:
        """Whether it takes ``(N, H, W, 3)``, and gives maps with their channels last too."""
        return self.shape is not None and self.shape[1] != 3

    @property
    def size(self) -> Size | None:
        """The only size of pictures that its file allows; None where the file leaves it open."""
        if self.shape is None:
            return None
        height, width = self.shape[1:3] if self.colours_last else self.shape[2:4]
        return None if height is None or width is None else (height, width)

    def pictures(self, pixels: Tensor, takes: Takes) -> Tensor:
        """``(B, 3, H, W)`` uint8 RGB -> what the network takes."""
        image = takes.filled(pixels.to(self.device))
        if self.dtype != torch.uint8:
            image = takes.normalised(image).to(self.dtype)
        if self.colours_last:
            return image.permute(0, 2, 3, 1).contiguous()
        return image.contiguous(memory_format=torch.channels_last)

    def run(self, image: Tensor) -> dict[str, Any]:
        """What the network gives for ``image``, by name; unnamed outputs are called 0, 1, ...

        Raises:
            WeightsError: the network fails, with the first line of its own error.
        """
        try:
            return named_outputs(self.call(image), self.name)
        except ArgosError:
            raise
        except Exception as error:  # foreign code may raise anything
            log.debug("%s fails", self.name, exc_info=True)
            shape = "x".join(map(str, image.shape))
            raise WeightsError(
                f"{self.name}: fails on pictures {shape}: {said(error)}; its input.size and input.stride say which "
                "pictures it gets"
            ) from error


def said(error: Exception) -> str:
    """Kind and first line of a foreign error."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def named_outputs(given: Any, name: str) -> dict[str, Any]:
    """The outputs of a network by name: keys, fields, or positions; a list for one picture is looked into.

    Args:
        given: by the network.
        name: of the network, for the message.

    Raises:
        WeightsError: it is nothing that holds tensors.
    """
    if isinstance(given, Tensor):
        return {"0": given}
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items()}
    if dataclasses.is_dataclass(given):
        return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    if isinstance(given, tuple) and hasattr(given, "_asdict"):
        return dict(given._asdict())
    if isinstance(given, Sequence) and not isinstance(given, str):
        return named_outputs(given[0], name) if len(given) == 1 else {str(n): value for n, value in enumerate(given)}
    raise WeightsError(f"{name}: gives a {type(given).__name__}; expected tensors, by name or in order")


def output_of(outputs: Mapping[str, Any], asked: str | int | None, name: str, key: str) -> Tensor:
    """One of the outputs.

    Args:
        outputs: by name.
        asked: name or position; None: the only one.
        name: of the network, for the message.
        key: of the configuration that chooses, for the message.

    Raises:
        WeightsError: there is no such output, or several to choose from; the message names them.
    """
    tensors = {known: value for known, value in outputs.items() if isinstance(value, Tensor)}
    if asked is None and len(tensors) == 1:
        return next(iter(tensors.values()))
    if isinstance(asked, int) and 0 <= asked < len(tensors):
        return list(tensors.values())[asked]
    if asked is not None and str(asked) in tensors:
        return tensors[str(asked)]
    if not tensors:
        raise WeightsError(f"{name}: gives no tensor; expected tensors, by name or in order")
    known = ", ".join(f"{label} {'x'.join(map(str, value.shape))}" for label, value in tensors.items())
    missing = "more than one output" if asked is None else f"no output {asked!r}"
    raise WeightsError(f"{name}: gives {missing}; set {key} to one of: {known}")


def load_own(
    spec: str, arguments: Mapping[str, Any], weights: Path | None, device: str = "cpu", threads: int = 0
) -> OwnNetwork:
    """Load a network by what the configuration says.

    Args:
        spec: ``module:function`` or ``file.py:function`` (a function or class that returns an ``nn.Module``), or the
            path of an ``.onnx`` or ``.pt2`` file.
        arguments: of the function.
        weights: safetensors file for the module; None: it is as the function made it.
        device: ``cpu`` or ``cuda:N``; a ``.pt2`` file runs where it was exported for.
        threads: of ONNX Runtime; 0 leaves it the choice.

    Raises:
        WeightsError: it cannot be loaded; the message says where, what was expected and what to do.
        UsageError: ONNX, and its package is missing.
    """
    if spec.lower().endswith(".onnx"):
        return _from_onnx(Path(spec), device, threads)
    if spec.lower().endswith(".pt2"):
        return _from_program(Path(spec))
    module = build_own(spec, arguments)
    if weights is not None:
        fill(module, weights)
    return of_module(module, spec, device)


def of_module(network: Callable[[Tensor], Any], name: str, device: str = "cpu") -> OwnNetwork:
    """A module, set to evaluation on ``device``, or any function from pictures to outputs."""
    place = torch.device(device)
    if not isinstance(network, nn.Module):
        return OwnNetwork(name, network, place)
    network = network.to(place).eval()
    for weight in network.parameters():  # a module of TorchScript refuses requires_grad_ as a whole
        weight.requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return OwnNetwork(name, network, place, module=network, sha256=_digest_of(network))


def build_own(spec: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The module that ``module:function`` or ``file.py:function`` returns.

    Raises:
        WeightsError: what cannot be imported, found or called, and why.
    """
    place, _, function = spec.rpartition(":")
    module = _imported(place, spec)
    build = getattr(module, function, None)
    if not callable(build):
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        close = difflib.get_close_matches(function, known, n=1)
        hint = f" - did you mean '{close[0]}'?" if close else ""
        raise WeightsError(f"{spec}: {place} has no function '{function}'{hint}")
    try:
        network = build(**arguments)
    except Exception as error:  # foreign code may raise anything
        log.debug("%s fails", spec, exc_info=True)
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "none"
        raise WeightsError(f"{spec}: cannot be called with the arguments given ({given}): {said(error)}") from error
    if not isinstance(network, nn.Module):
        raise WeightsError(f"{spec}: should return a torch.nn.Module, got {type(network).__name__}")
    lazy = next((key for key, value in network.state_dict(keep_vars=True).items() if is_lazy(value)), None)
    if lazy is not None:
        raise WeightsError(
            f"{spec}: {lazy} gets its size from the first picture (a lazy layer); run the network once before it is "
            "returned"
        )
    return network


def _imported(place: str, spec: str) -> ModuleType:
    """The module of a dotted name or of a file; beside the file its neighbours can be imported."""
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        path = Path(place).resolve()
        if not path.is_file():
            raise WeightsError(f"{spec}: no such file: {path}")
        name = f"argos_own_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
        found = importlib.util.spec_from_file_location(name, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        sys.modules[name] = module  # dataclasses and pickles look their module up
        found.loader.exec_module(module)
        return module
    except ArgosError:
        raise
    except Exception as error:  # foreign code may raise anything
        log.debug("%s fails", spec, exc_info=True)
        remedy = ""
        if isinstance(error, ModuleNotFoundError) and error.name == place.partition(".")[0]:
            beside = Path(*place.split(".")).with_suffix(".py")
            remedy = f"; for a file write {beside}:{spec.rpartition(':')[2]}" if beside.is_file() else "; install it"
        raise WeightsError(f"{spec}: cannot be imported: {said(error)}{remedy}") from error


def fill(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into a module, cast to the types of its weights.

    Raises:
        WeightsError: the file is missing, damaged, or of another network; with the first differences.
    """
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path}: weights should be a .safetensors file; safetensors.torch.save_file(network.state_dict(), "
            f"'{path.stem}.safetensors') writes one"
        )
    try:
        state = load_file(path)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({error})") from error
    wanted = network.state_dict()
    check_shapes(path, wanted, state, "the network")
    network.load_state_dict({key: value.to(wanted[key].dtype) for key, value in state.items()}, strict=False)


def _digest_of(network: nn.Module) -> str:
    """SHA-256 of the weights under their names."""
    found = hashlib.sha256()
    for name, value in network.state_dict().items():
        found.update(name.encode())
        if isinstance(value, Tensor):
            found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _from_onnx(path: Path, device: str, threads: int) -> OwnNetwork:
    file = OnnxNetwork(path, threads, device)
    if len(file.inputs) != 1:
        raise WeightsError(f"{path}: takes {len(file.inputs)} inputs, expected one, the picture")
    names = [port.name for port in file.outputs]

    def call(image: Tensor) -> dict[str, Tensor]:
        outputs = file.run(image.contiguous().numpy())
        return {name: torch.from_numpy(value) for name, value in zip(names, outputs, strict=True)}

    (port,) = file.inputs
    shape, dtype = _checked(path, port.shape, port.dtype)
    return OwnNetwork(str(path), call, torch.device("cpu"), None, shape, dtype, file.about, digest(path))


def _from_program(path: Path) -> OwnNetwork:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; give the path of a .pt2 file of torch.export.save")
    extra = {METADATA_KEY: ""}
    logging.getLogger("torch.export").setLevel(logging.ERROR)  # it logs what it raises too, with the traceback
    try:
        program = torch.export.load(path, extra_files=extra)
    except Exception as error:  # of zip files, pickles, JSON and torch
        raise WeightsError(f"{path}: cannot be loaded as torch.export ({said(error)})") from error
    names = program.graph_signature.user_inputs
    inputs = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1:
        raise WeightsError(f"{path}: takes {len(inputs)} inputs, expected one, the picture")
    value = inputs[0].meta["val"]
    sides = tuple(side if isinstance(side, int) else None for side in value.shape)
    shape, dtype = _checked(path, sides, str(value.dtype).removeprefix("torch."))
    about = json.loads(extra[METADATA_KEY]) if extra.get(METADATA_KEY) else None
    return OwnNetwork(str(path), program.module(), torch.device("cpu"), None, shape, dtype, about, digest(path))


def _checked(path: Path, shape: Sequence[int | None], dtype: str) -> tuple[tuple[int | None, ...], torch.dtype]:
    """The input of a file, if it is a batch of pictures."""
    told = "x".join("?" if side is None else str(side) for side in shape)
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise WeightsError(f"{path}: takes an input of {told}, expected pictures: Nx3xHxW or NxHxWx3")
    if shape[0] not in (1, None):
        raise WeightsError(f"{path}: takes {shape[0]} pictures at once; export it for one, or for any number")
    if dtype not in DTYPES:
        raise WeightsError(f"{path}: takes {dtype}, expected one of {', '.join(DTYPES)}")
    return tuple(shape), DTYPES[dtype]
