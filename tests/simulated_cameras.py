"""Cameras and machines made of numbers: what mode ``auto`` would do, without a network and without a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from argos.packing.costs import GatherCost, Line, Tasks
from argos.packing.planner import Planner, Seen
from argos.types import Mode, Regions, Size

FRAME: Size = (720, 1280)
CANVAS: Size = (384, 480)
TASKS: Tasks = ("instances",)
SCALE = 0.5
PIXELS = 360 * 640


@dataclass(frozen=True)
class Machine:
    """What things take, times ``load(frame)``; canvases ``packed`` times what their pixels take in a whole frame, and
    every run by chance a little more or less, ``jitter`` of it."""

    dense: Line
    propose_ms: float
    gather: GatherCost | None = None
    beside_ms: float = 0.0
    load: Callable[[int], float] = lambda _: 1.0
    packed: float = 1.0
    jitter: float = 0.0


@dataclass
class Run:
    """What happened, frame by frame."""

    modes: list[Mode] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    measured: list[bool] = field(default_factory=list)
    spent_ms: list[float] = field(default_factory=list)
    full_ms: list[float] = field(default_factory=list)

    def worst(self, window_s: float = 10.0, after_s: float = 2.0, fps: float | None = None) -> float:
        """The largest ratio of what was spent to what full frames take, over any window after the start.

        Args:
            window_s: length; a window is counted from the first frame that starts in it to the last.
            after_s: how much of the start is left out.
            fps: of a camera that is slower than the machine; None: one frame follows the other.
        """
        spent, full = np.array(self.spent_ms), np.array(self.full_ms)
        starts = np.cumsum(spent) - spent if fps is None else np.arange(len(spent)) * 1e3 / fps
        ratios = []
        for n in np.flatnonzero(starts >= after_s * 1e3):
            end = np.searchsorted(starts, starts[n] + window_s * 1e3)
            if end < len(starts):
                ratios.append(spent[n:end].sum() / full[n:end].sum())
        assert ratios, "the run is shorter than the window"
        return float(max(ratios))


def regions(share: float, count: int = 1, frame_size: Size = FRAME) -> Regions:
    """Upright regions side by side that cover a share of a frame, margins not counted; none for 0."""
    if share == 0:
        return Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), frame_size)
    height, width = frame_size
    tall = min(height, round((share * height * width * 2) ** 0.5))
    wide = min(width // count, round(share * height * width / tall / count))
    boxes = [[n * (width // count), 0, n * (width // count) + wide, tall] for n in range(count)]
    return Regions(np.array(boxes, np.int32), np.ones(count, np.float32), frame_size)


def drive(
    planner: Planner,
    machine: Machine,
    shares: Sequence[float],
    *,
    camera: str = "door",
    fps: float = 30.0,
    refresh: int | None = None,
    first: int = 0,
) -> Run:
    """Let the planner run one camera.

    Args:
        planner: asked and told as ``People.step`` does.
        machine: what things take.
        shares: of each frame, what regions cover.
        fps: of the timestamps.
        refresh: every so many frames one is computed in full, the first among them; None: none.
        first: index of the first frame.
    """
    run, chance = Run(), np.random.default_rng(first)
    for n, share in enumerate(shares, first):
        load = machine.load(n)
        asked = not (refresh and n % refresh == 0) and planner.asks(camera)
        found = regions(share, 1 if share < 0.3 else 4) if asked else None
        question_ms = machine.propose_ms * load if asked else 0.0
        active = round(PIXELS * share)
        seen = Seen(camera, TASKS, found, SCALE, 8, PIXELS, active, question_ms)
        choice = planner.choose([seen], CANVAS, gutter=8, most=4)
        (mode,) = choice.modes
        full_ms = machine.dense(PIXELS) * load
        took_ms, pixels = full_ms, PIXELS
        if mode == "pack":
            assert choice.layout is not None
            pixels = choice.layout.pixels
            took_ms = machine.dense(pixels) * load * machine.packed
        elif mode == "gather":
            assert machine.gather is not None
            took_ms = machine.gather(PIXELS, active) * load
        took_ms *= chance.normal(1, machine.jitter)
        cost_ms = 0.0
        if mode != "skip":
            planner.times(TASKS).observe(mode, pixels, took_ms, active)
            cost_ms = planner.times(TASKS).expect(mode, pixels, active)
        else:
            took_ms = 0.0
        planner.book(
            seen,
            mode,
            cost_ms,
            at_s=n / fps,
            beside_ms=machine.beside_ms,
            chosen=bool(not (refresh and n % refresh == 0) and not choice.measured),
        )
        run.modes.append(mode)
        run.asked.append(asked)
        run.measured.append(bool(choice.measured))
        run.spent_ms.append(question_ms + took_ms + machine.beside_ms)
        run.full_ms.append(full_ms)
    return run
