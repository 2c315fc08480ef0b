"""Exported ONNX files in 8-bit integers: static quantisation by ONNX Runtime, calibrated on real images.

Reference:
    Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
    arXiv:1712.05877; the ASBU-Net paper, section III, for the claim that its layers quantise easily.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from argos.engines.export import Runner, import_onnx


def quantize_file(source: Path, path: Path, images: Sequence[Tensor]) -> None:
    """Write an ONNX file with 8-bit weights and activations in all that a convolution touches.

    Weights are quantised channel by channel, activations by the range that they have on ``images``. Weights use 7 of
    their 8 bits: processors without VNNI add pairs of products in 16 bits, which would saturate and give other masks
    than the machine the file was checked on.

    Args:
        source: float32 file of ``export``.
        path: of the result, replaced if it exists.
        images: what the network takes, for calibration; some dozens of different scenes.

    Raises:
        UsageError: the packages of the extra ``export`` are missing.
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
            quantization.quantize_static(
                str(prepared),
                str(path),
                _Reader(onnx.load(source).graph.input[0].name, iter(images)),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
    finally:
        logger.setLevel(level)
    _copy_metadata(onnx, source, path)


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
