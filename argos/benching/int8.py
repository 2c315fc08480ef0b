"""The line in 8-bit integers: the whole frame, and the regions alone."""

from __future__ import annotations

from dataclasses import replace

from argos.benching.contender import Contender, NotHereError, Setting
from argos.benching.modes import mode
from argos.engines.deployed import Backend
from argos.errors import DeviceError, UsageError
from argos.packing.planner import AskedMode
from argos.pipelines.build import people_of_config


def in_int8(setting: Setting, asked: AskedMode, backend: Backend) -> Contender:
    """A mode with ``engine.precision: int8``; without ``engine.calibration`` it has seen no frame of the run.

    Args:
        setting: as for all.
        asked: the mode.
        backend: what runs it.

    Raises:
        NotHereError: it is the precision of the whole run, the networks are not ours or not on the CPU, or a package
            is missing.
    """
    engine = setting.config.engine
    if engine.precision == "int8":
        raise NotHereError(f"engine.precision is int8: {asked} is this")
    integers = engine.model_copy(update={"precision": "int8", "backend": backend})
    try:
        people, _ = people_of_config(setting.config.model_copy(update={"engine": integers}))
    except (DeviceError, UsageError) as error:
        raise NotHereError(str(error)) from error
    return mode(replace(setting, people=people), asked)
