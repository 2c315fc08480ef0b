"""ONNX files in 8-bit integers: static quantisation by ONNX Runtime, calibrated on images.

Reference:
    Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
    arXiv:1712.05877; the ASBU-Net paper, section III, for the claim that its layers quantise easily.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from argos.engines.export import Runner, import_onnx
from argos.engines.onnx import OnnxNetwork
from argos.errors import UsageError
from argos.kept import kept_file
from argos.machine import processor

log = logging.getLogger(__name__)

SUMS_IN_32_BITS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})
"""Instruction sets that add products of bytes without saturating in between."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pictures whose activations set the ranges of 8-bit numbers.

    Attributes:
        name: tells these pictures from others; letters and digits.
        images: gives them as the network takes them; called when there is no file for them yet.
    """

    name: str
    images: Callable[[], Sequence[Tensor]]


def quantiser() -> str:
    """Version of the package that quantises.

    Raises:
        UsageError: it, or the one that writes what it has quantised, is not installed.
    """
    try:
        importlib.import_module("onnx")
        return str(importlib.import_module("onnxruntime").__version__)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"engine.precision: int8 needs the package {error.name} to quantise: pip install {error.name}, "
            "or set it to float32"
        ) from error


def in_int8(source: Path, calibration: Calibration, precise: Sequence[int] = (), *, anew: bool = False) -> Path:
    """The quantised form of a file of ``onnx_of``; written on first use, in some ten seconds.

    Its name is a digest of the file's, of the calibration and of what writes it, so that others get another file.

    Args:
        source: float32 file, its name a digest of what is in it.
        calibration: pictures.
        precise: numbers of those of its outputs that stay in float32 from their last convolution on.
        anew: write it in any case: the one that is there is damaged.

    Raises:
        UsageError: a package that quantises is missing, or the file cannot be written.
        WeightsError: the source cannot be loaded.
    """
    runtime = quantiser()
    seven_bits = not SUMS_IN_32_BITS & set(processor()[1])
    made_of = f"{source.stem} {calibration.name} {list(precise)} {seven_bits} {runtime}"

    def write(path: Path) -> None:
        OnnxNetwork(source, 1)  # fails in one known way where it is damaged, other than what quantises
        log.info("engine.precision: quantising the networks to 8 bits, once for these weights and pictures")
        quantize_file(source, path, calibration.images(), seven_bits=seven_bits, precise=precise)

    return kept_file("onnx", f"{hashlib.sha256(made_of.encode()).hexdigest()[:24]}.int8.onnx", write, anew=anew)


def quantize_file(
    source: Path, path: Path, images: Sequence[Tensor], *, seven_bits: bool = True, precise: Sequence[int] = ()
) -> None:
    """Write an ONNX file with 8-bit weights and activations in all that a convolution touches.

    Weights are quantised channel by channel, activations by the range that they have on ``images``.

    Args:
        source: float32 file of ``export``.
        path: of the result, replaced if it exists.
        images: what the network takes, for calibration; of different scenes.
        seven_bits: weights use 7 of their 8 bits, for files that go to any machine: processors without VNNI add pairs
            of products in 16 bits, which would saturate and give other masks than where the file was checked.
        precise: as for ``in_int8``.

    Raises:
        UsageError: a package that quantises is missing.
        ValueError: no images.
    """
    if not images:
        raise ValueError("images should hold at least one image to calibrate on")
    onnx = import_onnx("onnx")
    quantization = import_onnx("onnxruntime.quantization")
    shapes = import_onnx("onnxruntime.quantization.shape_inference")
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the root logger is warned of what was just done
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            shapes.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            graph = onnx.load(prepared).graph
            quantization.quantize_static(
                str(prepared),
                str(path),
                _Reader(graph.input[0].name, iter(images)),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=seven_bits,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=_last_nodes(graph, precise),
            )
    finally:
        logger.setLevel(level)
    _copy_metadata(onnx, source, path)


def _last_nodes(graph: Any, outputs: Sequence[int]) -> list[str]:
    """Names of the last convolutions before some outputs of a graph, and of all that comes after them."""
    makers = {name: node for node in graph.node for name in node.output}
    waiting = [graph.output[n].name for n in outputs]
    found: dict[str, None] = {}
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in found:  # an input or a constant
            continue
        found[node.name] = None
        if node.op_type not in ("Conv", "Shape"):  # the shape of a map says nothing of its values
            waiting += node.input
    return list(found)


class _Reader:
    """Images in the form in which the calibration asks for them."""

    def __init__(self, name: str, images: Iterator[Tensor]) -> None:
        self.name, self.images = name, images

    def get_next(self) -> dict[str, Any] | None:
        """The next image by the name of the input, None at the end."""
        image = next(self.images, None)
        return None if image is None else {self.name: image.numpy()}


def _copy_metadata(onnx: Any, source: Path, path: Path) -> None:
    model = onnx.load(path)
    known = {entry.key for entry in model.metadata_props}
    for entry in onnx.load(source).metadata_props:
        if entry.key not in known:
            model.metadata_props.add(key=entry.key, value=entry.value)
    onnx.save(model, path)


def timed(runners: Sequence[Runner], images: Sequence[Tensor]) -> list[float]:
    """Median milliseconds of one image for each runner; they run in turns, after one pass that is not counted."""
    times: list[list[float]] = [[] for _ in runners]
    for n, image in enumerate((images[0], *images)):
        for runner, spent in zip(runners, times, strict=True):
            started = time.perf_counter()
            runner(image)
            if n:
                spent.append((time.perf_counter() - started) * 1e3)
    return [sorted(spent)[len(spent) // 2] for spent in times]
