"""How the deep network is run on a frame: packed, in place, in full, or not at all, by the milliseconds expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from argos.packing.account import Account
from argos.packing.costs import Costs, Tasks
from argos.packing.layout import Layout, lay_out
from argos.packing.rectangles import boxes_of, cut
from argos.packing.times import Times
from argos.types import Mode, Regions, Size

AskedMode = Literal["auto", "pack", "gather", "full", "mask"]

ENTER, LEAVE = 0.9, 0.97
"""Share of the time of a full frame, proposal included, below which a camera goes over from full frames to regions, and
from which it goes back. Between the two it stays as it is: the full frame finds more, and changing for a few percent is
worth nothing."""

SURE_RUNS = 2
"""Full frames that have to be seen before one is taken for dearer than regions; the first makes primitives."""

NARROW, MEASURES = 0.6, 0.005
"""Where regions take more than this share of a full frame, a full frame is measured again now and then: as often as
this share of the time pays for. It is never slower than mode ``full``, and the closer the two, the less it costs."""

GATHERED = 0.5
"""Active share of a frame above which the sparse engine hands it over to the dense one (``engines.sparse``)."""

NO_COSTS: Mapping[Tasks, Costs] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame of mode ``auto``, as the planner sees it.

    Attributes:
        camera: name.
        tasks: of the camera.
        regions: what was proposed; None where nobody was asked, then the frame is computed in full.
        scale: network pixels per frame pixel.
        margin: context around a region, frame pixels.
        pixels: network pixels of the full frame.
        active: network pixels in the blocks that gather would compute.
        question_ms: what the proposal cost, beyond what mode ``full`` spends on one.
        asked: whether the proposer gave it, and not the memory of the scene.
    """

    camera: str
    tasks: Tasks
    regions: Regions | None
    scale: float
    margin: int
    pixels: int
    active: int = 0
    question_ms: float = 0.0
    asked: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What to do with several frames.

    Attributes:
        modes: of each frame.
        measured: frames that are computed in full to see what that takes, whatever was cheaper.
        layout: of the frames in mode pack, in their order; None where there are none.
    """

    modes: tuple[Mode, ...]
    measured: frozenset[int] = frozenset()
    layout: Layout | None = None


class Planner:
    """Chooses for cameras of mode ``auto``, and learns from every run what the choices cost.

    Args:
        known: by tasks, what was measured on this machine before; without it the first frames teach.
    """

    def __init__(self, known: Mapping[Tasks, Costs] = NO_COSTS) -> None:
        self.known = known
        self._times: dict[Tasks, Times] = {}
        self._accounts: dict[str, Account] = {}

    def times(self, tasks: Tasks) -> Times:
        """What runs with the networks of some tasks take; to be told of every run."""
        return self._times.setdefault(tasks, Times(self.known.get(tasks)))

    def account(self, camera: str) -> Account:
        """What a camera may spend on questions."""
        return self._accounts.setdefault(camera, Account())

    def forget(self, camera: str) -> None:
        """Unlearn what is known of a camera: it shows another scene now, or is gone."""
        self._accounts.pop(camera, None)

    def asks(self, camera: str) -> bool:
        """Whether the proposer should see the next frame of a camera; if not, it is computed in full at once."""
        return self.account(camera).affords_question()

    def choose(
        self,
        seen: Sequence[Seen],
        canvas_size: Size,
        *,
        gutter: int,
        most: int,
        filled: Size | None = None,
        few: bool = False,
    ) -> Choice:
        """Choose the cheapest mode for each of several frames that share canvases.

        Frames without regions are skipped. A frame whose regions alone take longer than itself is computed in full;
        the others share canvases, unless those together take longer than the frames. In place (gather) where that was
        measured before and is cheaper than both.

        Args:
            seen: the frames, at most one of each camera.
            canvas_size, gutter: as for ``pack``.
            most: canvases per frame; where regions need more their frames are computed in full.
            filled: what the networks compute for a canvas of any shape; None: what it has.
            few: canvases of few shapes, as for ``smallest_canvas``.
        """
        modes: list[Mode] = [mode_asked("auto", frame.regions) for frame in seen]
        weighed = [n for n, mode in enumerate(modes) if mode == "pack" and self._is_sure(seen[n])]
        measured = {n for n, mode in enumerate(modes) if mode == "pack" or self._is_blind(seen[n])} - set(weighed)
        limits = {n: self._limit_ms(seen[n]) for n in weighed}
        gather = {n: self._gather_ms(seen[n]) for n in weighed}
        packed = [
            n for n in weighed
            if self.times(seen[n].tasks).grows(_least_canvas(seen[n])) < limits[n]
            and not _is_reduced(seen[n], canvas_size)
        ]  # fmt: skip
        layout = _together([seen[n] for n in packed], canvas_size, gutter, few) if packed else None
        pack_ms = math.inf
        if layout is not None and layout.canvases <= most * len(packed):
            pixels = layout.pixels if filled is None else layout.canvases * filled[0] * filled[1]
            pack_ms = self._pack_ms({seen[n].tasks for n in packed}, pixels)
        if pack_ms >= sum(min(limits[n], gather[n]) for n in packed):
            packed, layout = [], None
        budget = sum(limits[n] for n in packed)
        costs = {n: pack_ms * limits[n] / budget if n in packed else gather[n] for n in weighed}
        stale = {n for n in weighed if self._is_stale(seen[n], costs[n])}
        for n in stale:
            self.times(seen[n].tasks).await_run("full", seen[n].pixels)
        if stale & set(packed):  # the canvases are for all of them
            stale, layout = stale | set(packed), None
        for n in measured | (set(weighed) - set(packed)) | stale:
            modes[n] = "gather" if n in gather and n not in stale and gather[n] < limits[n] else "full"
        for n, frame in enumerate(seen):
            if modes[n] == "skip" and self._is_sure(frame) and self._limit_ms(frame) <= 0:
                modes[n] = "full"  # asking takes as long as the networks
        return Choice(tuple(modes), frozenset(measured | stale), layout)

    def book(
        self, seen: Seen, mode: Mode, cost_ms: float, *, at_s: float, beside_ms: float = 0.0, chosen: bool = True
    ) -> None:
        """Enter a computed frame into the account of its camera.

        Args:
            seen: the frame.
            mode: how it was run.
            cost_ms: what such a run is expected to take, this frame's share of it.
            at_s: time of the frame, seconds on the clock of the source.
            beside_ms: what mode ``auto`` spent on it besides.
            chosen: False where it was computed in full for another reason than its regions: a refresh, or to measure.
        """
        account, times = self.account(seen.camera), self.times(seen.tasks)
        if chosen:
            account.mode = mode
        if seen.regions is not None and seen.asked:
            account.asked(seen.question_ms)
        elif seen.regions is not None:
            account.reminded()
        if times.is_measured:
            # one that was disturbed is entered as what they usually take: that is spent either way
            asked_ms = min(seen.question_ms, account.question_ms) if seen.regions is not None else 0.0
            account.book(times.expect("full", seen.pixels), cost_ms + beside_ms + asked_ms, at_s)

    def _gather_ms(self, seen: Seen) -> float:
        """What blocks take in place; where too many are active they are not run at all."""
        if seen.active > GATHERED * seen.pixels:
            return math.inf
        return self.times(seen.tasks).expect("gather", seen.pixels, seen.active)

    def _pack_ms(self, tasks: set[Tasks], pixels: int) -> float:
        """What canvases of cameras with these tasks take; before such were run, as much as those of each together."""
        together = self.times(all_tasks(sorted(tasks)))
        if together.is_measured:
            return together.expect("pack", pixels)
        return sum(self.times(of_camera).expect("pack", pixels) for of_camera in tasks)

    def _limit_ms(self, seen: Seen) -> float:
        """What the regions of a frame may take at most to be worth it."""
        share = ENTER if self.account(seen.camera).mode == "full" else LEAVE
        return self.times(seen.tasks).expect("full", seen.pixels) * share - self._question_ms(seen)

    def _question_ms(self, seen: Seen) -> float:
        """What an answer about a frame takes, the same whether it was asked for or remembered: the choice is steady."""
        return self.account(seen.camera).answer_ms or seen.question_ms

    def _is_sure(self, seen: Seen) -> bool:
        """Whether it is known what a full frame takes."""
        return self.times(seen.tasks).runs("full", seen.pixels) >= SURE_RUNS

    def _is_blind(self, seen: Seen) -> bool:
        """Whether nobody knows if asking is worth it, even where nobody is found: no network has run yet."""
        return self.account(seen.camera).question_ms > 0 and not self.times(seen.tasks).is_measured

    def _is_stale(self, seen: Seen, cost_ms: float) -> bool:
        """Whether regions and full frame are so close that the latter has to be measured again."""
        if cost_ms >= self._limit_ms(seen):
            return False
        times = self.times(seen.tasks)
        share = (self._question_ms(seen) + cost_ms) / times.expect("full", seen.pixels)
        return share > NARROW and times.age("full", seen.pixels) > (1 - share) / MEASURES


def mode_asked(mode: AskedMode, regions: Regions | None) -> Mode:
    """What a frame gets before anything is weighed; pack for ``auto``.

    Without a proposer (``regions`` None) it is computed in full; without regions there is nothing to run a mode on.
    """
    if mode == "full" or regions is None:
        return "full"
    if len(regions) == 0:
        return "skip"
    return "pack" if mode == "auto" else mode


def all_tasks(tasks: Sequence[Tasks]) -> Tasks:
    """The tasks of several cameras: canvases that they share run through the networks of all of them."""
    return tuple(sorted({task for of_camera in tasks for task in of_camera}))


def _least_canvas(seen: Seen) -> float:
    """Canvas pixels of the regions of a frame, nothing wasted."""
    if seen.regions is None:
        return 0.0
    height, width = seen.regions.frame_size
    least = np.maximum(seen.regions.boxes[:, :2] - seen.margin, 0)
    sides = np.minimum(seen.regions.boxes[:, 2:] + seen.margin, (width, height)) - least
    return float((sides[:, 0] * sides[:, 1]).sum()) * seen.scale**2


def _is_reduced(seen: Seen, canvas_size: Size) -> bool:
    """Whether a region of a frame is too large for a canvas and its tiles: the full frame shows it at full scale."""
    assert seen.regions is not None
    boxes = boxes_of([seen.regions], scale=seen.scale, margin=seen.margin)
    return bool((cut(boxes, canvas_size).scale < np.float32(seen.scale)).any())


def _together(seen: Sequence[Seen], canvas_size: Size, gutter: int, few: bool) -> Layout:
    """The canvases that several frames share, as many as they need."""
    regions = [frame.regions for frame in seen if frame.regions is not None]
    boxes = boxes_of(regions, scale=[frame.scale for frame in seen], margin=[frame.margin for frame in seen])
    return lay_out(boxes, canvas_size, gutter=gutter, few=few)
