"""The modes of ARGOS as contenders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from argos.benching.contender import Contender, Outcome, Setting
from argos.packing.planner import AskedMode
from argos.pipelines.views import Analysis
from argos.types import Frame

MODES: tuple[AskedMode, ...] = ("full", "auto", "pack", "gather", "mask")


def mode(setting: Setting, asked: AskedMode) -> Contender:
    """The line in one mode, proposal included; what it learns of costs it learns from its own frames, as in use."""
    view, line = replace(setting.view, mode=asked), setting.people.apart()

    def run(frame: Frame, refresh: bool) -> Outcome:
        (analysis,) = line.step([frame], [view], [refresh])
        return Outcome(person_pixels(analysis), analysis.deep_share, analysis.mode)

    return run


def person_pixels(analysis: Analysis) -> NDArray[np.bool_]:
    """Every pixel that any task calls a person, ``(H, W)`` bool."""
    found = np.zeros(analysis.regions.frame_size, np.bool_)
    if analysis.instances is not None:
        found |= analysis.instances.union()
    if analysis.semantic is not None:
        found |= analysis.semantic.mask
    return found
