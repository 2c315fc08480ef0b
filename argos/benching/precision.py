"""The line in another precision: the whole frame, and the regions alone."""

from __future__ import annotations

from dataclasses import replace

from argos.benching.contender import Contender, NotHereError, Setting
from argos.benching.modes import mode
from argos.engines.deployed import Backend, Precision
from argos.errors import DeviceError, UsageError, WeightsError
from argos.packing.planner import AskedMode
from argos.pipelines.build import people_of_config


def in_precision(setting: Setting, precision: Precision, asked: AskedMode, backend: Backend) -> Contender:
    """A mode with another ``engine.precision``; in 8 bits, without ``engine.calibration``, it has seen no frame.

    Args:
        setting: as for all.
        precision: the other one.
        asked: the mode.
        backend: what runs it.

    Raises:
        NotHereError: it is the precision of the whole run, the processor has it not, the networks are not ours or not
            on the CPU, or a package is missing.
    """
    engine = setting.config.engine
    if engine.precision == precision:
        raise NotHereError(f"engine.precision is {precision}: {asked} is this")
    other = {"precision": precision, "backend": backend}
    try:
        people, _ = people_of_config(setting.config.model_copy(update={"engine": engine.model_copy(update=other)}))
    except (DeviceError, UsageError, WeightsError) as error:
        raise NotHereError(str(error)) from error
    return mode(replace(setting, people=people), asked)
