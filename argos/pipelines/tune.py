"""Measuring what mode ``auto`` has to know: proposals, dense runs of several sizes, gather at several coverages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from argos.engines.dense import auto_scale, network_size
from argos.packing.costs import Costs, fit_gather, fit_line
from argos.packing.planner import AskedMode, Planner
from argos.pipelines.backend import Program
from argos.pipelines.people import People
from argos.pipelines.views import Analysis, View
from argos.pipelines.work import active_share
from argos.propose.qunet import grid_size
from argos.sources.read import read
from argos.types import Frame, RegionMask

log = logging.getLogger(__name__)

SCENE = "fake://people?n=5&seed=1&size=1280x720&frames=1"
"""What is looked at: people and a backdrop, so that there is something to decode and to stitch."""

SIDES = (1.0, 0.75, 0.5)
"""Whole frames: of the sides that the configuration asks for."""

PACKED = (0.02, 0.08, 0.16, 0.3)
GATHERED = (0.02, 0.08, 0.2, 0.4)
"""Shares of the frame that are proposed."""

LEAST_ROUNDS = 3
"""The first round makes kernels and primitives and is not counted."""


@dataclass(frozen=True, slots=True)
class Point:
    """One kind of run.

    Attributes:
        run: ``propose``, ``full``, ``pack`` or ``gather``.
        pixels: network pixels: of the frame, or of the canvases (pack).
        active: network pixels in active blocks (gather).
        ms: median milliseconds.
        ms_p10, ms_p90: spread.
        model_ms: what the fitted costs say.
    """

    run: str
    pixels: int
    active: int
    ms: float
    ms_p10: float
    ms_p90: float
    model_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found out.

    Attributes:
        costs: fitted.
        points: what they were fitted to.
        rounds: how often each was run.
    """

    costs: Costs
    points: tuple[Point, ...]
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class _Painted:
    """A proposer that knows in advance: cells of a mask."""

    mask: NDArray[np.bool_]
    size: int

    def __call__(self, frame: Frame, small: object = None) -> RegionMask:
        return RegionMask(self.mask.astype(np.float32), self.mask, frame.size)


def measure(
    lines: Mapping[Program, People], view: View, seconds: float, progress: Callable[[str], None] = lambda _: None
) -> dict[Program, Measured]:
    """Run everything in turns, again and again, and fit the costs of each program to the medians.

    Args:
        lines: with their loaded networks, by what runs those.
        view: tasks, thresholds, scale and margin of a camera.
        seconds: for each line; no round is begun after so many, but for ``LEAST_ROUNDS``.
        progress: called with what is run now.
    """
    frame = next(iter(read(SCENE, "tune")))
    cannot = {program: _cannot_gather(people, view, frame) for program, people in lines.items()}
    for why in sorted({why for why in cannot.values() if why}):
        log.warning("%s; gather is not measured", why)
    runs = [
        (program, name, run)
        for program, people in lines.items()
        for name, run in _runs(people, view, frame, not cannot[program])
    ]
    found: dict[Program, dict[tuple[str, int, int], list[float]]] = {program: {} for program in lines}
    rounds, end = 0, 0.0
    while rounds <= LEAST_ROUNDS or time.monotonic() < end:
        for program, name, run in runs:
            progress(f"round {rounds + 1}: {name} by {program}")
            kind, ms = run()
            if rounds:
                found[program].setdefault(kind, []).append(ms)
        end = end or time.monotonic() + seconds * len(lines)  # from the round that warmed up
        rounds += 1
    return {program: _measured(times, rounds - 1) for program, times in found.items()}


def _measured(times: Mapping[tuple[str, int, int], Sequence[float]], rounds: int) -> Measured:
    points = [Point(*kind, *np.percentile(ms, [50, 10, 90]).tolist()) for kind, ms in times.items()]
    costs = _fitted(points)
    return Measured(costs, tuple(replace(p, model_ms=_by_costs(costs, p)) for p in points), rounds)


def _cannot_gather(people: People, view: View, frame: Frame) -> str:
    """Why a network of the view cannot be run on active blocks; empty where all can."""
    size = network_size(frame.size, view.scale or auto_scale(frame.size, people.largest), people.largest)
    asked = {"instances": view.instances, "semantic": view.semantic}
    tasks = tuple(task for task, limits in asked.items() if limits is not None)
    refused = people.in_place.refused([tasks], size) if people.gathers else None
    return "" if refused is None else str(refused[1])


def _runs(
    people: People, view: View, frame: Frame, gathers: bool
) -> Iterator[tuple[str, Callable[[], tuple[tuple[str, int, int], float]]]]:
    """Name -> what to run, which gives the kind of run and its milliseconds."""
    scale = view.scale or auto_scale(frame.size, people.largest)
    plain = replace(view, scale=scale, memory=False, watched=False, dilation=0, min_area=0.0, proposal_threshold=0.5)
    nobody = replace(plain, mode="pack", proposal_threshold=2.0, min_area=view.min_area, dilation=view.dilation)
    yield "propose", partial(_proposed, people, nobody, frame)
    line = copy(people)  # the same networks, with a proposer and a planner of its own
    line.planner = Planner()
    for side in SIDES if people.largest is None else SIDES[:1]:
        yield f"full at {side:g}", partial(_run, line, replace(plain, mode="full", scale=scale * side), frame, None)
    kinds: list[tuple[AskedMode, float, float]] = [("pack", share, 1.0) for share in PACKED]
    if gathers and people.gathers:
        kinds += [("gather", share, side) for side in (1.0, 0.5) for share in GATHERED]
    for mode, share, side in kinds:
        mask = painted(share, frame, people.proposer.size)
        asked = replace(plain, mode=mode, scale=scale * side)
        yield f"{mode} of {share:.0%} at {side:g}", partial(_run, line, asked, frame, mask)


def painted(share: float, frame: Frame, size: int) -> NDArray[np.bool_]:
    """Four upright rectangles that cover a share of the proposer's grid, up to a half of it."""
    rows, columns = grid_size(frame.size, size)
    tall = min(rows, round((share * rows * columns / 4 * 2) ** 0.5))
    wide = min(columns // 4, max(1, round(share * rows * columns / 4 / tall)))
    mask = np.zeros((rows, columns), np.bool_)
    for n in range(4):
        x, y = n * (columns // 4), (rows - tall) * (n % 2)
        mask[y : y + tall, x : x + wide] = True
    return mask


def _proposed(people: People, view: View, frame: Frame) -> tuple[tuple[str, int, int], float]:
    (analysis,) = people.step([frame], [view], [False])
    return ("propose", 0, 0), analysis.spans_ms["propose"]


def _run(line: People, view: View, frame: Frame, mask: NDArray[np.bool_] | None) -> tuple[tuple[str, int, int], float]:
    if mask is not None:
        line.proposer = _Painted(mask, line.proposer.size)  # type: ignore[assignment]
    (analysis,) = line.step([frame], [view], [False])
    scale = view.scale or 1.0
    height, width = line.largest or network_size(frame.size, scale)
    pixels, active = height * width, 0
    if analysis.mode == "pack":
        pixels = round(analysis.deep_share * pixels)
    elif analysis.mode == "gather" and mask is not None:
        active = round(pixels * active_share(mask, (height, width)))
    return (analysis.mode, pixels, active), _deep_ms(analysis)


def _deep_ms(analysis: Analysis) -> float:
    return sum(ms for stage, ms in analysis.spans_ms.items() if stage not in ("propose", "plan"))


def _fitted(points: list[Point]) -> Costs:
    gathered = [(float(p.pixels), float(p.active), p.ms) for p in points if p.run == "gather"]
    return Costs(
        next(p.ms for p in points if p.run == "propose"),
        fit_line([(float(p.pixels), p.ms) for p in points if p.run in ("full", "pack")]),
        fit_gather(gathered) if gathered else None,
    )


def _by_costs(costs: Costs, point: Point) -> float:
    if point.run == "propose":
        return costs.propose_ms
    if point.run == "gather" and costs.gather is not None:
        return costs.gather(point.pixels, point.active)
    return costs.dense(point.pixels)


def break_even(costs: Costs, pixels: int, share: float) -> dict[str, float]:
    """Up to which part of a frame regions are worth it.

    Args:
        costs: measured.
        pixels: network pixels of the frame.
        share: of the time of a full frame below which regions have to stay, proposal included.

    Returns:
        ``pack``: share of the frame's pixels that the canvases may have; ``gather``: share that may be active; each
        0 where nothing pays. ``gather`` only where it was measured.
    """
    left_ms = costs.dense(pixels) * share - costs.propose_ms
    slope = costs.dense.ms_per_megapixel * pixels / 1e6
    found = {"pack": _part(left_ms - costs.dense.base_ms, slope)}
    if costs.gather is not None:
        fixed = costs.gather(pixels, 0)
        found["gather"] = _part(left_ms - fixed, costs.gather.ms_per_active_megapixel * pixels / 1e6)
    return found


def _part(left_ms: float, slope_ms: float) -> float:
    if left_ms <= 0:
        return 0.0
    return min(1.0, left_ms / slope_ms) if slope_ms > 0 else 1.0
