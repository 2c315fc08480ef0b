"""The straight line for people: frames -> proposals -> plan -> pack | gather | full | mask -> segment -> stitch.

Several cameras are a list of frames that shares one plan and one pack.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from argos.engines.dense import MOST_PEOPLE, InstanceSegmenter, auto_scale, network_size
from argos.engines.exported import ExportedInstances
from argos.engines.gather import SparseInstances, SparseSemantic
from argos.engines.gather_own import (
    SparseOwnInstances,
    SparseOwnSemantic,
    runs_on_blocks,
    sparse_instances,
    sparse_semantic,
)
from argos.engines.joint import joined
from argos.engines.own_instances import GivenInstances, OwnInstances
from argos.engines.segmenter import Semantic
from argos.engines.sparse import Semantics
from argos.networks.ssd_boxes import nms
from argos.packing.costs import Costs, Tasks
from argos.packing.layout import Layout, lay_out
from argos.packing.pack import BACKGROUND, paste, resized
from argos.packing.planner import NO_COSTS, Planner, Seen, all_tasks, mode_asked
from argos.packing.rectangles import boxes_of
from argos.packing.stitch import stitch_instances, stitch_scores
from argos.pipelines.views import Analysis, Canvas, InstanceLimits, View
from argos.propose.memory import SceneMemory
from argos.propose.qunet import QUNetProposer, grid_size
from argos.propose.regions import cells_of, grow, regions_of, whole_frame
from argos.types import (
    Frame,
    Instances,
    Mode,
    PackedBatch,
    Placements,
    RegionMask,
    Regions,
    SemanticMask,
    Size,
    no_instances,
)

AnyInstances = InstanceSegmenter | OwnInstances | ExportedInstances | GivenInstances


@dataclass(slots=True, eq=False)
class _Work:
    """One frame on its way through a step.

    ``seen`` is None unless the planner chooses; ``cost_ms`` is what such a run is expected to take, ``extra_ms`` what
    the memory of the scene took, and ``given`` says that the mode is no choice: a refresh, or to measure.
    """

    frame: Frame
    view: View
    scale: float
    largest: Size | None = None
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

    def spend(self, stage: str, start: float, share: float = 1.0) -> None:
        """Add the time since ``start`` to a stage, this frame's share of it."""
        self.spans_ms[stage] = self.spans_ms.get(stage, 0.0) + (time.perf_counter() - start) * 1e3 * share


GATHER_BLOCK = 16
"""Side in network pixels of the blocks by which the planner measures how much gather would compute."""


class People:
    """Finds people in frames of any cameras; one call of ``step`` is one turn of the line.

    Args:
        proposer: says where people may be.
        semantic: person segmentation; None when no camera asks for it.
        instances: instance segmentation; None when no camera asks for it.
        canvas: of packing.
        known: what runs with the networks of some tasks take on this machine, for mode ``auto``; without it the first
            frames teach.
        semantics: of networks that run in place, see ``engines.sparse``.
    """

    def __init__(
        self,
        proposer: QUNetProposer,
        semantic: Semantic | None,
        instances: AnyInstances | None,
        canvas: Canvas,
        known: Mapping[Tasks, Costs] = NO_COSTS,
        semantics: Semantics = "masked",
    ) -> None:
        self.proposer, self.semantic, self.instances = proposer, semantic, instances
        sizes = [found.size for found in (semantic, instances) if found is not None and found.size is not None]
        # networks that take one size only get canvases and whole frames of at most that
        self.largest: Size | None = (min(h for h, _ in sizes), min(w for _, w in sizes)) if sizes else None
        self.semantics: Semantics = semantics
        self.canvas = canvas if self.largest is None else replace(canvas, size=self.largest)
        self.planner = Planner(known)
        self.joint = joined(semantic, instances)
        self.sparse_semantic: SparseSemantic | SparseOwnSemantic | None = (
            None  # built at the first frame in mode gather
        )
        self.sparse_instances: SparseInstances | SparseOwnInstances | None = None
        self._memories: dict[str, SceneMemory] = {}  # by camera

    def forget(self, camera: str) -> None:
        """Unlearn what is known of the scene of a camera: it is another one now, or gone."""
        self._memories.pop(camera, None)
        self.planner.forget(camera)

    def keep_from(self, score_threshold: float, nms: float) -> None:
        """Find people of other scores from now on; the networks stay."""
        if self.instances is None:
            return
        self.instances = replace(self.instances, score_threshold=score_threshold, nms=nms)
        if self.joint is not None and isinstance(self.instances, InstanceSegmenter):
            self.joint = replace(self.joint, instances=self.instances)
        if isinstance(self.sparse_instances, SparseInstances) and isinstance(self.instances, InstanceSegmenter):
            self.sparse_instances.segmenter = self.instances
        if isinstance(self.sparse_instances, SparseOwnInstances) and isinstance(self.instances, OwnInstances):
            self.sparse_instances.segmenter = self.instances

    @property
    def gathers(self) -> bool:
        """Whether the networks can be run on active blocks."""
        return all(found is None or runs_on_blocks(found) for found in (self.semantic, self.instances))

    def step(self, frames: Sequence[Frame], views: Sequence[View], refresh: Sequence[bool]) -> list[Analysis]:
        """Analyse frames together.

        Args:
            frames: at most one per camera.
            views: one per frame.
            refresh: frames that are computed in full whatever their mode, so that nothing is missed for long.

        Returns:
            One analysis per frame, in order.
        """
        works = [
            _Work(
                frame,
                view,
                (view.scale or auto_scale(frame.size, self.largest)) * view.shrink,
                self.largest,
            )
            for frame, view in zip(frames, views, strict=True)
        ]
        for work, full in zip(works, refresh, strict=True):
            work.given = full
            if work.view.mode != "full" and not full and self._asks(work):
                self._propose(work)
            elif work.view.watched:
                self._witness(work)
        layout = self._plan(works)
        packed = [work for work in works if work.mode == "pack"]
        if packed:
            self._packed(packed, layout)
        for work in works:
            if work.mode == "gather":
                self._gathered(work)
            elif work.mode in ("full", "mask"):
                self._whole(work)
            elif work.mode == "skip":
                self._nothing(work)
            self._learn(work)
            if work.seen is not None:
                self.planner.book(
                    work.seen,
                    work.mode,
                    work.cost_ms,
                    at_s=work.frame.pts_s,
                    beside_ms=work.extra_ms,
                    chosen=not work.given,
                )
        return [_analysis(work) for work in works]

    def _asks(self, work: _Work) -> bool:
        """Whether asking the proposer about a frame is worth its time; a watched one is asked about in any case."""
        return work.view.mode != "auto" or work.view.watched or self.planner.asks(work.frame.camera)

    def _propose(self, work: _Work) -> None:
        start = time.perf_counter()
        view = work.view
        scores = self.proposer(work.frame).scores
        seen = proposed = RegionMask(scores, scores >= view.proposal_threshold, work.frame.size)
        if view.memory:
            proposed = self._memory(work).recall(work.frame, proposed)
        if view.watched:
            proposed = RegionMask(proposed.scores, proposed.mask | seen.mask, work.frame.size)
            work.proposed = _witnessed(work, scores)
        work.mask = grow(proposed, dilation=view.dilation, min_area=view.min_area)
        work.regions = regions_of(work.mask, dilation=0, min_area=0.0, margin=view.margin)
        work.spend("propose", start)

    def _witness(self, work: _Work) -> None:
        """Ask the proposer about a frame that is computed without it."""
        start = time.perf_counter()
        work.proposed = _witnessed(work, self.proposer(work.frame).scores)
        work.spend("propose", start)

    def _memory(self, work: _Work) -> SceneMemory:
        return self._memories.setdefault(work.frame.camera, SceneMemory())

    def _learn(self, work: _Work) -> None:
        """Remember where the deep networks found somebody and where nobody."""
        if not work.view.memory or work.view.mode == "full" or work.mode == "skip":
            return
        start = time.perf_counter()
        memory, grid = self._memory(work), grid_size(work.frame.size, self.proposer.size)
        if work.mask is None:
            memory.look(work.frame, grid)
        memory.learn(_computed(work, grid), _occupied(work, grid))
        work.extra_ms = (time.perf_counter() - start) * 1e3
        work.spend("propose", start)

    def _plan(self, works: Sequence[_Work]) -> Layout | None:
        """Choose the modes.

        Returns:
            The canvases of all packed frames; None where there are none, or not only those that were chosen here.
        """
        start = time.perf_counter()
        for work in works:
            work.mode = mode_asked(work.view.mode, work.regions)
        auto = [work for work in works if work.view.mode == "auto"]
        for work in auto:
            work.seen = self._seen(work)
        seen = [work.seen for work in auto if work.seen is not None]
        canvas = self.canvas
        choice = self.planner.choose(seen, canvas.size, gutter=canvas.gutter, most=canvas.most, filled=self.largest)
        for n, (work, mode) in enumerate(zip(auto, choice.modes, strict=True)):
            work.mode = mode
            work.given |= n in choice.measured
        for work in works:
            work.spend("plan", start, 1 / len(works))
        others = any(work.mode == "pack" for work in works if work.view.mode != "auto")
        return None if others else choice.layout

    def _seen(self, work: _Work) -> Seen:
        """What the planner is told about a frame; without the proposer's time where mode ``full`` spends it too."""
        pixels, active = _full_pixels(work), 0
        if work.mask is not None:
            active = round(pixels * active_share(work.mask.mask, _network_size(work)))
        return Seen(
            work.frame.camera,
            work.tasks,
            work.regions,
            work.scale,
            work.view.margin,
            pixels,
            active,
            question_ms=0.0 if work.view.watched else work.spans_ms.get("propose", 0.0),
        )

    def _packed(self, works: Sequence[_Work], layout: Layout | None) -> None:
        """All frames share the canvases, each at its own scale."""
        start = begin = time.perf_counter()
        if layout is None:
            regions = [work.regions for work in works if work.regions is not None]
            boxes = boxes_of(regions, scale=[w.scale for w in works], margin=[w.view.margin for w in works])
            most = self.canvas.most * len(works)
            layout = lay_out(boxes, self.canvas.size, gutter=self.canvas.gutter, max_canvases=most)
        batch = paste([work.frame for work in works], layout.placements, layout.canvas_size)
        areas = _target_areas(batch.placements, len(works))
        for work, area in zip(works, areas, strict=True):
            work.share = self._pixels(layout) * area / _full_pixels(work)
            work.spend("pack", start, area)
        self._segment(batch, works, areas)
        self._took(begin, works, areas, self._pixels(layout))

    def _pixels(self, layout: Layout) -> int:
        """Pixels that the networks compute for canvases; those that take one size only fill each up to it."""
        return layout.pixels if self.largest is None else layout.canvases * math.prod(self.largest)

    def _whole(self, work: _Work) -> None:
        """The whole frame as the only rectangle of one canvas; in mode ``mask`` what is not proposed is blanked."""
        start = begin = time.perf_counter()
        size = _network_size(work)
        pixels = resized(work.frame.pixels, size)
        if work.mode == "mask" and work.mask is not None:
            pixels = np.where(_active(work, size)[:, :, None], pixels, np.uint8(BACKGROUND))
        elif work.regions is None:
            work.regions = whole_frame(work.frame.size)
        batch = PackedBatch(np.ascontiguousarray(pixels[None]), whole_placement(work.frame.size, size, work.scale))
        work.share = 1.0
        work.spend("pack", start)
        self._segment(batch, [work], [1.0])
        self._took(begin, [work], [1.0], _full_pixels(work))

    def _took(
        self, begin: float, works: Sequence[_Work], shares: Sequence[float], pixels: int, active: int = 0
    ) -> None:
        """Tell the planner what a run took, and the frames what their share of it is by its reckoning."""
        if works[0].mode == "mask":
            return
        times = self.planner.times(all_tasks([work.tasks for work in works]))
        times.observe(works[0].mode, pixels, (time.perf_counter() - begin) * 1e3, active)
        cost_ms = times.expect(works[0].mode, pixels, active)
        for work, share in zip(works, shares, strict=True):
            work.cost_ms = cost_ms * share

    def _segment(self, batch: PackedBatch, works: Sequence[_Work], shares: Sequence[float]) -> None:
        """Run the networks on canvases and put what they find back on the frames."""
        if self.joint and all(w.view.semantic is not None and w.view.instances is not None for w in works):
            start = time.perf_counter()
            scores, people = self.joint.segment(batch.pixels)
            for work, share in zip(works, shares, strict=True):
                work.spend("segment", start, share)
            for n, work in enumerate(works):
                _stitch_mask(work, scores, batch.placements, n)
                _stitch_people(work, people, batch.placements, n)
            return
        if self.semantic and any(work.view.semantic is not None for work in works):
            start = time.perf_counter()
            scores = self.semantic.scores(batch.pixels)
            for work, share in zip(works, shares, strict=True):
                work.spend("segment", start, share)
            for n, work in enumerate(works):
                _stitch_mask(work, scores, batch.placements, n)
        if self.instances and any(work.view.instances is not None for work in works):
            start = time.perf_counter()
            people = self.instances.instances(batch.pixels)
            for work, share in zip(works, shares, strict=True):
                work.spend("segment", start, share)
            for n, work in enumerate(works):
                _stitch_people(work, people, batch.placements, n)

    def _gathered(self, work: _Work) -> None:
        """The networks in place, on the blocks that hold proposed cells."""
        start = begin = time.perf_counter()
        size = _network_size(work)
        pixels = np.ascontiguousarray(resized(work.frame.pixels, size))
        active = _active(work, size)
        placements = whole_placement(work.frame.size, size, work.scale)
        work.spend("pack", start)
        runs = []
        if self.semantic and work.view.semantic is not None:
            self.sparse_semantic = self.sparse_semantic or sparse_semantic(self.semantic, self.semantics)
            start = time.perf_counter()
            scores = self.sparse_semantic.scores(pixels, active)
            work.spend("segment", start)
            _stitch_mask(work, scores[None], placements, 0)
            runs.append(self.sparse_semantic.sparse)
        if self.instances and work.view.instances is not None:
            self.sparse_instances = self.sparse_instances or sparse_instances(self.instances, self.semantics)
            start = time.perf_counter()
            people = self.sparse_instances.instances(pixels, active)
            work.spend("segment", start)
            _stitch_people(work, [people], placements, 0)
            runs.append(self.sparse_instances.sparse)
        work.share = sum(run.executed_macs for run in runs) / max(1, sum(run.dense_macs for run in runs))
        full = _full_pixels(work)
        assert work.mask is not None
        self._took(begin, [work], [1.0], full, round(full * active_share(work.mask.mask, size)))

    def _nothing(self, work: _Work) -> None:
        """Nobody proposed: empty results, published like any other."""
        work.instances = no_instances(work.frame.size)
        work.semantic = SemanticMask(np.zeros(work.frame.size, np.bool_))


def _witnessed(work: _Work, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Cells where the proposer by itself sees somebody, or may do so: half of the threshold is enough."""
    seen = RegionMask(scores, scores >= work.view.proposal_threshold / 2, work.frame.size)
    return grow(seen, dilation=0, min_area=work.view.min_area).mask


def _stitch_mask(work: _Work, scores: NDArray[np.float32], placements: Placements, n: int) -> None:
    if work.view.semantic is None:
        return
    start = time.perf_counter()
    stitched = stitch_scores(scores, placements, n, work.frame.size)
    work.semantic = SemanticMask(stitched >= work.view.semantic)
    work.spend("stitch", start)


def _stitch_people(work: _Work, people: Sequence[Instances], placements: Placements, n: int) -> None:
    limits = work.view.instances
    if limits is None:
        return
    start = time.perf_counter()
    most = len(people) * MOST_PEOPLE
    stitched = stitch_instances(people, placements, n, work.frame.size, nms=limits.nms, max_people=most)
    work.instances = limited(stitched, limits)
    work.spend("stitch", start)


def limited(people: Instances, limits: InstanceLimits) -> Instances:
    """The people whom the limits of one camera let through; the network was run with the most generous ones."""
    boxes, scores = torch.from_numpy(people.boxes).float(), torch.from_numpy(people.scores)
    kept = nms(boxes, scores, torch.from_numpy(people.labels).long(), limits.nms).numpy()
    kept = kept[people.scores[kept] >= limits.score_threshold][: limits.max_people]
    masks = tuple(people.masks[k] for k in kept.tolist())
    return Instances(people.boxes[kept], people.scores[kept], people.labels[kept], masks, people.size)


def whole_placement(frame_size: Size, canvas_size: Size, scale: float) -> Placements:
    """The placement of a whole frame that fills one canvas."""
    height, width = frame_size
    frame_box = np.array([[0, 0, width, height]], np.int32)
    canvas_box = np.array([[0, 0, canvas_size[1], canvas_size[0]]], np.int32)
    zero = np.zeros(1, np.int32)
    return Placements(zero, frame_box, frame_box, zero, canvas_box, np.array([scale], np.float32))


def _analysis(work: _Work) -> Analysis:
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


def _computed(work: _Work, grid: Size) -> NDArray[np.bool_]:
    """Cells of the proposer's grid that the deep networks saw."""
    if work.mode == "full":
        return np.ones(grid, np.bool_)
    if work.mode == "pack":
        assert work.regions is not None
        return cells_of(work.regions.boxes, work.frame.size, grid, outward=False)
    assert work.mask is not None
    return work.mask.mask


def _occupied(work: _Work, grid: Size) -> NDArray[np.bool_]:
    """Where people were found: pixels of the frame, or cells of the grid where only boxes are at hand."""
    if work.semantic is not None:
        return work.semantic.mask
    assert work.instances is not None
    return cells_of(work.instances.boxes, work.frame.size, grid, outward=True)


def _network_size(work: _Work) -> Size:
    return network_size(work.frame.size, work.scale, work.largest)


def _full_pixels(work: _Work) -> int:
    height, width = work.largest or network_size(work.frame.size, work.scale)
    return height * width


def _target_areas(placements: Placements, frames: int) -> list[float]:
    """Share of the filled canvas pixels that belongs to each frame; sums to 1."""
    sides = placements.target[:, 2:] - placements.target[:, :2]
    areas = np.bincount(placements.frame, sides.prod(axis=1), minlength=frames)
    return [float(area) for area in areas / max(1.0, areas.sum())]


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


def _active(work: _Work, size: Size) -> NDArray[np.bool_]:
    """The proposed cells, dilated, on the pixels of the network's input."""
    assert work.mask is not None
    height, width = size
    cells = work.mask.mask.view(np.uint8)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST), np.bool_)
