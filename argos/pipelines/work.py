"""One frame on its way through the line, and what is known of it there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.engines.dense import network_size
from argos.packing.costs import Tasks
from argos.packing.planner import Seen
from argos.pipelines.views import Analysis, View
from argos.propose.memory import Sight
from argos.types import Frame, Instances, Mode, RegionMask, Regions, SemanticMask, Size

GATHER_BLOCK = 16
"""Side in network pixels of the blocks by which the planner measures how much gather would compute."""


@dataclass(slots=True, eq=False)
class Work:
    """One frame on its way through a step.

    ``sight`` is what the memory of its scene saw of it, ``asked`` whether the proposer itself was asked about it.
    ``seen`` is None unless the planner chooses; ``cost_ms`` is what such a run is expected to take, ``extra_ms`` what
    the memory of the scene took, and ``given`` says that the mode is no choice: a refresh, or to measure.
    """

    frame: Frame
    view: View
    scale: float
    largest: Size | None = None
    sight: Sight | None = None
    asked: bool = True
    mask: RegionMask | None = None
    regions: Regions | None = None
    mode: Mode = "full"
    share: float = 0.0
    instances: Instances | None = None
    semantic: SemanticMask | None = None
    proposed: NDArray[np.bool_] | None = None
    seen: Seen | None = None
    given: bool = False
    cost_ms: float = 0.0
    extra_ms: float = 0.0
    spans_ms: dict[str, float] = field(default_factory=dict)

    @property
    def tasks(self) -> Tasks:
        """What is looked for."""
        asked = {"instances": self.view.instances, "semantic": self.view.semantic}
        return tuple(task for task, limits in asked.items() if limits is not None)

    @property
    def margin(self) -> int:
        """Context around a region in frame pixels."""
        return self.view.margin_at(self.scale)

    @property
    def network_size(self) -> Size:
        """``(height, width)`` of the whole frame as the networks see it."""
        return network_size(self.frame.size, self.scale, self.largest)

    @property
    def full_pixels(self) -> int:
        """Pixels that the networks compute for the whole frame."""
        height, width = self.largest or network_size(self.frame.size, self.scale)
        return height * width

    def active(self, size: Size) -> NDArray[np.bool_]:
        """The proposed cells, dilated, on the pixels of the network's input, ``size``."""
        assert self.mask is not None
        height, width = size
        cells = self.mask.mask.view(np.uint8)
        rows, columns = min(height, cells.shape[0]), min(width, cells.shape[1])
        if (rows, columns) != cells.shape:  # a pixel of several cells, any of which counts
            cells = cv2.resize(cells * np.uint8(255), (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST) > 0)

    def spend(self, stage: str, start: float, share: float = 1.0) -> None:
        """Add the time since ``start`` to a stage, this frame's share of it."""
        self.spent(stage, (time.perf_counter() - start) * 1e3 * share)

    def spent(self, stage: str, ms: float) -> None:
        """Add milliseconds to a stage."""
        self.spans_ms[stage] = self.spans_ms.get(stage, 0.0) + ms


def analysis_of(work: Work) -> Analysis:
    """What a frame gave, at the end of the line."""
    assert work.regions is not None
    return Analysis(
        work.mode,
        work.regions,
        work.instances if work.view.instances is not None else None,
        work.semantic if work.view.semantic is not None else None,
        work.share,
        work.spans_ms,
        work.proposed,
    )


def active_share(mask: NDArray[np.bool_], size: Size) -> float:
    """Share of the blocks of a network's input that hold a proposed cell.

    Args:
        mask: ``(h, w)`` bool, proposed cells of the whole frame.
        size: of the network's input.
    """
    height, width = size
    blocks = max(1, width // GATHER_BLOCK), max(1, height // GATHER_BLOCK)
    covered = cv2.resize(mask.view(np.uint8) * np.uint8(255), blocks, interpolation=cv2.INTER_AREA)
    return np.count_nonzero(covered) / (blocks[0] * blocks[1])
