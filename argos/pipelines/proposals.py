"""Where the deep networks look: what the proposer says of a frame, corrected by what is remembered of its scene."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from argos.pipelines.work import Work
from argos.propose.memory import SceneMemory
from argos.propose.qunet import QUNetProposer, grid_size, shrunk
from argos.propose.regions import cells_of, grow, regions_of
from argos.types import RegionMask, Size


class Proposals:
    """Asks the proposer, and remembers the scene of each camera."""

    def __init__(self) -> None:
        self._memories: dict[str, SceneMemory] = {}  # by camera

    def forget(self, camera: str) -> None:
        """Unlearn the scene of a camera."""
        self._memories.pop(camera, None)

    def propose(self, work: Work, proposer: QUNetProposer) -> None:
        """Say where people of a frame may be."""
        start = time.perf_counter()
        view = work.view
        seen = proposed = self._seen(work, proposer)
        if view.memory:
            proposed = self._memory(work).recall(proposed)
        if view.watched:
            proposed = RegionMask(proposed.scores, proposed.mask | seen.mask, work.frame.size)
            work.proposed = witnessed(work, seen.scores)
        work.mask = grow(proposed, dilation=view.dilation, min_area=view.min_area)
        work.regions = regions_of(work.mask, dilation=0, min_area=0.0, margin=work.margin)
        work.spend("propose", start)

    def _seen(self, work: Work, proposer: QUNetProposer) -> RegionMask:
        """What the proposer says of a frame, or has said of one much like it; where privacy is at stake it is asked."""
        threshold, memory = work.view.proposal_threshold, self._memory(work)
        small = None
        if work.view.memory:
            small = shrunk(work.frame, proposer.size)
            memory.look(work.frame, small)
            work.sight = memory.sight
            answer = None if work.view.watched else memory.answer(threshold)
            if answer is not None:
                work.asked = False
                return answer
        scores = proposer(work.frame, small).scores
        if work.view.memory:
            memory.keep(scores)
        return RegionMask(scores, scores >= threshold, work.frame.size)

    def learn(self, work: Work, proposer: QUNetProposer) -> None:
        """Remember where the deep networks found somebody and where nobody."""
        if not work.view.memory or work.view.mode == "full" or work.mode == "skip":
            return
        start = time.perf_counter()
        memory, grid = self._memory(work), grid_size(work.frame.size, proposer.size)
        if work.sight is None:
            memory.look(work.frame, shrunk(work.frame, proposer.size))
            work.sight = memory.sight
        memory.learn(work.sight, computed(work, grid), *occupied(work, grid))
        work.extra_ms = (time.perf_counter() - start) * 1e3
        work.spend("propose", start)

    def _memory(self, work: Work) -> SceneMemory:
        return self._memories.setdefault(work.frame.camera, SceneMemory())


def witness(work: Work, proposer: QUNetProposer) -> None:
    """Ask the proposer about a frame that is computed without it."""
    start = time.perf_counter()
    work.proposed = witnessed(work, proposer(work.frame).scores)
    work.spend("propose", start)


def witnessed(work: Work, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Cells where the proposer by itself sees somebody, or may do so: half of the threshold is enough."""
    seen = RegionMask(scores, scores >= work.view.proposal_threshold / 2, work.frame.size)
    return grow(seen, dilation=0, min_area=work.view.min_area).mask


def computed(work: Work, grid: Size) -> NDArray[np.bool_]:
    """Cells of the proposer's grid that the deep networks saw."""
    if work.mode == "full":
        return np.ones(grid, np.bool_)
    if work.mode == "pack":
        assert work.regions is not None
        return cells_of(work.regions.boxes, work.frame.size, grid, outward=False)
    assert work.mask is not None
    return work.mask.mask


def occupied(work: Work, grid: Size) -> tuple[NDArray[np.bool_], list[NDArray[np.bool_]]]:
    """Where people were found: pixels of the frame, or cells of the grid where only boxes are at hand.

    Returns:
        All of them, and beside them each one of those who are too weak to be shown by themselves.
    """
    if work.instances is None:
        assert work.semantic is not None
        return work.semantic.mask, []
    boxes, shown = work.instances.boxes, work.instances.scores >= work.view.shown_from
    if work.semantic is None:
        weak = [cells_of(box[None], work.frame.size, grid, outward=True) for box in boxes[~shown]]
        return cells_of(boxes[shown], work.frame.size, grid, outward=True), weak
    people = work.semantic.mask
    unmasked = [box for box in boxes[shown].tolist() if not people[box[1] : box[3], box[0] : box[2]].any()]
    people = people.copy() if unmasked else people
    for x0, y0, x1, y1 in unmasked:
        people[y0:y1, x0:x1] = True
    return people, []
