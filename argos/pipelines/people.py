"""The straight line for people: frames -> proposals -> plan -> pack | gather | full | mask -> segment -> stitch.

Several cameras are a list of frames that shares one plan and one pack.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
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
from argos.networks.ssd_boxes import nms
from argos.packing.canvas import smallest_canvas
from argos.packing.pack import BACKGROUND, pack, resized
from argos.packing.planner import plan_frames
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
    """One frame on its way through a step."""

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
    spans_ms: dict[str, float] = field(default_factory=dict)

    def spend(self, stage: str, start: float, share: float = 1.0) -> None:
        """Add the time since ``start`` to a stage, this frame's share of it."""
        self.spans_ms[stage] = self.spans_ms.get(stage, 0.0) + (time.perf_counter() - start) * 1e3 * share


CROWDED_AFTER, PROBE_EVERY = 3, 5
"""A camera of mode ``auto`` whose proposals led to the full frame this often in a row is taken for crowded: its frames
are computed in full at once, and only every so many frames the proposer is asked whether that still is so."""


class People:
    """Finds people in frames of any cameras; one call of ``step`` is one turn of the line.

    Args:
        proposer: says where people may be.
        semantic: person segmentation; None when no camera asks for it.
        instances: instance segmentation; None when no camera asks for it.
        canvas: of packing.
    """

    def __init__(
        self,
        proposer: QUNetProposer,
        semantic: Semantic | None,
        instances: AnyInstances | None,
        canvas: Canvas,
    ) -> None:
        self.proposer, self.semantic, self.instances = proposer, semantic, instances
        sizes = [found.size for found in (semantic, instances) if found is not None and found.size is not None]
        # networks that take one size only get canvases and whole frames of at most that
        self.largest: Size | None = (min(h for h, _ in sizes), min(w for _, w in sizes)) if sizes else None
        self.canvas = canvas if self.largest is None else replace(canvas, size=self.largest)
        self.joint = joined(semantic, instances)
        self.sparse_semantic: SparseSemantic | SparseOwnSemantic | None = (
            None  # built at the first frame in mode gather
        )
        self.sparse_instances: SparseInstances | SparseOwnInstances | None = None
        self._memories: dict[str, SceneMemory] = {}  # by camera
        self._in_full: dict[str, int] = {}  # frames in a row for which the planner of ``auto`` chose full, by camera

    def forget(self, camera: str) -> None:
        """Unlearn what is known of the scene of a camera: it is another one now, or gone."""
        self._memories.pop(camera, None)

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
            if work.view.mode != "full" and not full and not self._crowded(work):
                self._propose(work)
            elif work.view.watched:
                self._witness(work)
        self._plan(works)
        for work, full in zip(works, refresh, strict=True):
            if not full:
                self._in_full[work.frame.camera] = (
                    self._in_full.get(work.frame.camera, 0) + 1 if work.mode == "full" else 0
                )
        packed = [work for work in works if work.mode == "pack"]
        if packed:
            self._packed(packed)
        for work in works:
            if work.mode == "gather":
                self._gathered(work)
            elif work.mode in ("full", "mask"):
                self._whole(work)
            elif work.mode == "skip":
                self._nothing(work)
            self._learn(work)
        return [_analysis(work) for work in works]

    def _crowded(self, work: _Work) -> bool:
        """Whether asking the proposer about a frame is not worth its time."""
        row = self._in_full.get(work.frame.camera, 0)
        return work.view.mode == "auto" and row >= CROWDED_AFTER and (row - CROWDED_AFTER + 1) % PROBE_EVERY != 0

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
        work.spend("propose", start)

    def _plan(self, works: Sequence[_Work]) -> None:
        """Choose the modes; cameras that ask for the same mode are planned together."""
        for mode in {work.view.mode for work in works}:
            start = time.perf_counter()
            group = [work for work in works if work.view.mode == mode]
            modes = plan_frames(
                mode,
                [work.regions for work in group],
                [work.frame.size for work in group],
                self.canvas.size,
                [work.scale for work in group],
                margin=[work.view.margin for work in group],
                gutter=self.canvas.gutter,
            )
            for work, chosen in zip(group, modes, strict=True):
                work.mode = chosen
                work.spend("plan", start, 1 / len(group))

    def _packed(self, works: Sequence[_Work]) -> None:
        """All frames share the canvases, each at its own scale."""
        start = time.perf_counter()
        regions = [work.regions for work in works if work.regions is not None]
        scale, margin = [work.scale for work in works], [work.view.margin for work in works]
        gutter = self.canvas.gutter
        batch = pack(
            [work.frame for work in works],
            regions,
            smallest_canvas(regions, self.canvas.size, scale=scale, margin=margin, gutter=gutter),
            scale=scale,
            margin=margin,
            gutter=gutter,
            max_canvases=self.canvas.most * len(works),
        )
        areas = _target_areas(batch.placements, len(works))
        for work, area in zip(works, areas, strict=True):
            pixels = len(batch.pixels) * math.prod(self.largest or batch.pixels.shape[1:3])
            work.share = pixels * area / _full_pixels(work)
            work.spend("pack", start, area)
        self._segment(batch, works, areas)

    def _whole(self, work: _Work) -> None:
        """The whole frame as the only rectangle of one canvas; in mode ``mask`` what is not proposed is blanked."""
        start = time.perf_counter()
        size = network_size(work.frame.size, work.scale, work.largest)
        pixels = resized(work.frame.pixels, size)
        if work.mode == "mask" and work.mask is not None:
            pixels = np.where(_active(work, size)[:, :, None], pixels, np.uint8(BACKGROUND))
        elif work.regions is None:
            work.regions = whole_frame(work.frame.size)
        batch = PackedBatch(np.ascontiguousarray(pixels[None]), whole_placement(work.frame.size, size, work.scale))
        work.share = 1.0
        work.spend("pack", start)
        self._segment(batch, [work], [1.0])

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
        start = time.perf_counter()
        size = network_size(work.frame.size, work.scale, work.largest)
        pixels = np.ascontiguousarray(resized(work.frame.pixels, size))
        active = _active(work, size)
        placements = whole_placement(work.frame.size, size, work.scale)
        work.spend("pack", start)
        runs = []
        if self.semantic and work.view.semantic is not None:
            self.sparse_semantic = self.sparse_semantic or sparse_semantic(self.semantic)
            start = time.perf_counter()
            scores = self.sparse_semantic.scores(pixels, active)
            work.spend("segment", start)
            _stitch_mask(work, scores[None], placements, 0)
            runs.append(self.sparse_semantic.sparse)
        if self.instances and work.view.instances is not None:
            self.sparse_instances = self.sparse_instances or sparse_instances(self.instances)
            start = time.perf_counter()
            people = self.sparse_instances.instances(pixels, active)
            work.spend("segment", start)
            _stitch_people(work, [people], placements, 0)
            runs.append(self.sparse_instances.sparse)
        work.share = sum(run.executed_macs for run in runs) / max(1, sum(run.dense_macs for run in runs))

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


def _full_pixels(work: _Work) -> int:
    height, width = work.largest or network_size(work.frame.size, work.scale)
    return height * width


def _target_areas(placements: Placements, frames: int) -> list[float]:
    """Share of the filled canvas pixels that belongs to each frame; sums to 1."""
    sides = placements.target[:, 2:] - placements.target[:, :2]
    areas = np.bincount(placements.frame, sides.prod(axis=1), minlength=frames)
    return [float(area) for area in areas / max(1.0, areas.sum())]


def _active(work: _Work, size: Size) -> NDArray[np.bool_]:
    """The proposed cells, dilated, on the pixels of the network's input."""
    assert work.mask is not None
    height, width = size
    cells = work.mask.mask.view(np.uint8)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST), np.bool_)
