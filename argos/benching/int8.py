"""The line in 8-bit integers: the whole frame, and the regions alone."""

from __future__ import annotations

from argos.benching.contender import Contender, NotHereError, Setting
from argos.benching.modes import mode
from argos.errors import DeviceError, UsageError
from argos.packing.planner import AskedMode
from argos.pipelines.build import people_of_config


def full_int8(setting: Setting) -> Contender:
    """Mode ``full`` with ``engine.precision: int8``; without ``engine.calibration`` it has seen no frame of the run.

    Raises:
        NotHereError: it is the precision of the whole run, the networks are not ours or not on the CPU, or a package
            is missing.
    """
    return _in_int8(setting, "full")


def pack_int8(setting: Setting) -> Contender:
    """Mode ``pack`` in the same way."""
    return _in_int8(setting, "pack")


def _in_int8(setting: Setting, asked: AskedMode) -> Contender:
    engine = setting.config.engine
    if engine.precision == "int8":
        raise NotHereError(f"engine.precision is int8, {asked} is this already")
    backend = "onnxruntime" if engine.backend == "torch" else engine.backend
    integers = engine.model_copy(update={"precision": "int8", "backend": backend})
    try:
        people, _ = people_of_config(setting.config.model_copy(update={"engine": integers}))
    except (DeviceError, UsageError) as error:
        raise NotHereError(str(error)) from error
    return mode(Setting(setting.config, people, setting.view, setting.frames, setting.budget), asked)
