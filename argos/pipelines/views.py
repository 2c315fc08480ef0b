"""What one turn of the line is told about a camera, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argos.packing.limits import InstanceLimits, SemanticLimits
from argos.packing.planner import AskedMode
from argos.propose.regions import Dilation
from argos.types import Instances, Mode, Regions, SemanticMask, Size

CONTEXT = 16
"""Network pixels around a region where no margin is asked for: 32 of the frame on the sample. There (``argos bench
samples/people.mp4 --frames 100 --truth samples/people_truth.json --set 'camera.tasks=[instances,semantic]' --set
camera.regions.margin=32``) pack has an IoU of 0.815 with the truth (full 0.817) for 56 % of the pixels; 0.810 for 48 %
with 16, 0.821 for 65 % with 48."""


@dataclass(frozen=True, slots=True)
class View:
    """How the frames of one camera are analysed.

    Attributes:
        mode: asked for; ``auto`` chooses.
        proposal_threshold: score from which a cell is proposed.
        dilation, min_area: of the proposals, see ``regions_of``.
        margin: context around a region in frame pixels; None: ``CONTEXT``.
        semantic: of the person mask; None when the task is off.
        instances: of the people; None when the task is off.
        memory: whether what the deep networks found corrects later proposals, see ``SceneMemory``.
        scale: network pixels per frame pixel; None: the long side of the frame becomes ``AUTO_SIDE``.
        shrink: the scale is taken times this, under overload.
        small: whether smaller networks take over, under overload; see ``argos.pipelines.relief``.
        watched: ask the proposer about every frame, and look wherever it sees somebody, whatever the memory says.
        shown_from: score of people who are shown whoever was there before; ``instances`` may let weaker ones through,
            with whom tracks go on.
    """

    mode: AskedMode
    proposal_threshold: float
    dilation: Dilation
    min_area: float
    margin: int | None
    semantic: SemanticLimits | None
    instances: InstanceLimits | None
    scale: float | None
    memory: bool = False
    watched: bool = False
    shrink: float = 1.0
    small: bool = False
    shown_from: float = 0.0

    def margin_at(self, scale: float) -> int:
        """Context around a region in frame pixels, at so many network pixels for each."""
        return round(CONTEXT / scale) if self.margin is None else self.margin


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What one frame gave; ``Result`` without the bookkeeping of the stream.

    Attributes:
        proposed: ``(h, w)`` bool, cells where the proposer sees somebody or may do so; None where it is not watched.
    """

    mode: Mode
    regions: Regions
    instances: Instances | None
    semantic: SemanticMask | None
    deep_share: float
    spans_ms: Mapping[str, float]
    proposed: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """What canvases there may be.

    Attributes:
        size: of a full one.
        most: per frame.
        gutter: pixels between two regions.
        few: of few shapes, as networks want that prepare themselves for each.
    """

    size: Size
    most: int
    gutter: int
    few: bool = False
