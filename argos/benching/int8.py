"""The full frame in 8-bit integers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from argos.benching.contender import Contender, NotHereError, Setting
from argos.benching.runtimes import core_of, networks_by
from argos.benching.whole import in_full, whole
from argos.engines.deployed import Deployed, onnx_of, open_runtime
from argos.engines.int8 import quantize_file
from argos.errors import UsageError

CALIBRATION = 8
"""Frames of the run, spread over it, that give the ranges of the 8-bit activations."""


def int8(setting: Setting) -> Contender:
    """The full frame in 8 bits: static quantisation by ONNX Runtime, calibrated on frames of the run itself.

    That is the best case for it: who quantises seldom knows what the camera will show.

    Raises:
        NotHereError: the networks are not ours, not on the CPU, or a package is missing.
    """
    deployed = Deployed(core_of(setting), "onnxruntime", torch.get_num_threads())
    step = max(1, len(setting.frames) // CALIBRATION)
    pixels = [torch.from_numpy(whole(frame, setting.scale).pixels) for frame in setting.frames[::step]]
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_file(onnx_of(deployed.core), path, pixels)
            deployed.runtime = open_runtime("onnxruntime", path, deployed.threads)
    except UsageError as error:
        raise NotHereError(str(error)) from error
    return in_full(setting, networks_by(deployed, setting), setting.scale)
