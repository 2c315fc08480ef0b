"""The straight line for people: frames -> proposals -> plan -> pack | gather | full | mask -> segment -> stitch.

Several cameras are a list of frames that shares one plan and one pack.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from argos.engines.block_held import Held
from argos.engines.dense import InstanceSegmenter, auto_scale
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
from argos.packing.costs import Costs, Tasks
from argos.packing.layout import Layout, lay_out
from argos.packing.limits import whole_placement
from argos.packing.pack import BACKGROUND, paste, resized
from argos.packing.planner import NO_COSTS, Planner, Seen, all_tasks, mode_asked
from argos.packing.rectangles import boxes_of
from argos.packing.steady import Steady
from argos.pipelines.proposals import Proposals, witness
from argos.pipelines.put_back import stitch_mask, stitch_people, target_areas
from argos.pipelines.views import Analysis, Canvas, View
from argos.pipelines.work import Work, active_share, analysis_of
from argos.propose.qunet import QUNetProposer
from argos.propose.regions import whole_frame
from argos.types import (
    Frame,
    PackedBatch,
    SemanticMask,
    Size,
    no_instances,
)

AnyInstances = InstanceSegmenter | OwnInstances | ExportedInstances | GivenInstances


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
        self._proposals = Proposals()
        self._steady = Steady()
        self._held: dict[tuple[str, str], tuple[int, Held]] = {}  # by camera and task, with the epoch

    def forget(self, camera: str) -> None:
        """Unlearn what is known of the scene of a camera: it is another one now, or gone."""
        self._proposals.forget(camera)
        self._steady.forget(camera)
        self._let_go(camera)
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
            Work(
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
                self._proposals.propose(work, self.proposer)
            elif work.view.watched:
                witness(work, self.proposer)
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
            self._proposals.learn(work, self.proposer)
            if work.seen is not None:
                self.planner.book(
                    work.seen,
                    work.mode,
                    work.cost_ms,
                    at_s=work.frame.pts_s,
                    beside_ms=work.extra_ms,
                    chosen=not work.given,
                )
        return [analysis_of(work) for work in works]

    def _asks(self, work: Work) -> bool:
        """Whether asking the proposer about a frame is worth its time; a watched one is asked about in any case."""
        return work.view.mode != "auto" or work.view.watched or self.planner.asks(work.frame.camera)

    def _plan(self, works: Sequence[Work]) -> Layout | None:
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

    def _seen(self, work: Work) -> Seen:
        """What the planner is told about a frame; without the proposer's time where mode ``full`` spends it too."""
        pixels, active = work.full_pixels, 0
        if work.mask is not None:
            active = round(pixels * active_share(work.mask.mask, work.network_size))
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

    def _packed(self, works: Sequence[Work], layout: Layout | None) -> None:
        """All frames share the canvases, each at its own scale."""
        start = begin = time.perf_counter()
        if layout is None:
            regions = [work.regions for work in works if work.regions is not None]
            boxes = boxes_of(regions, scale=[w.scale for w in works], margin=[w.view.margin for w in works])
            most = self.canvas.most * len(works)
            layout = lay_out(boxes, self.canvas.size, gutter=self.canvas.gutter, max_canvases=most)
        if all(work.view.memory for work in works):  # otherwise each frame is for itself
            layout = self._steady.settle(layout, [w.frame.camera for w in works], gutter=self.canvas.gutter)
        batch = paste([work.frame for work in works], layout.placements, layout.canvas_size)
        areas = target_areas(batch.placements, len(works))
        for work, area in zip(works, areas, strict=True):
            work.share = self._pixels(layout) * area / work.full_pixels
            work.spend("pack", start, area)
        self._segment(batch, works, areas)
        self._took(begin, works, areas, self._pixels(layout))

    def _pixels(self, layout: Layout) -> int:
        """Pixels that the networks compute for canvases; those that take one size only fill each up to it."""
        return layout.pixels if self.largest is None else layout.canvases * math.prod(self.largest)

    def _whole(self, work: Work) -> None:
        """The whole frame as the only rectangle of one canvas; in mode ``mask`` what is not proposed is blanked."""
        start = begin = time.perf_counter()
        size = work.network_size
        pixels = resized(work.frame.pixels, size)
        if work.mode == "mask" and work.mask is not None:
            pixels = np.where(work.active(size)[:, :, None], pixels, np.uint8(BACKGROUND))
        elif work.regions is None:
            work.regions = whole_frame(work.frame.size)
        batch = PackedBatch(np.ascontiguousarray(pixels[None]), whole_placement(work.frame.size, size, work.scale))
        work.share = 1.0
        work.spend("pack", start)
        self._segment(batch, [work], [1.0])
        if work.mode == "full":
            self._let_go(work.frame.camera)  # older than what is computed now
        self._took(begin, [work], [1.0], work.full_pixels)

    def _took(self, begin: float, works: Sequence[Work], shares: Sequence[float], pixels: int, active: int = 0) -> None:
        """Tell the planner what a run took, and the frames what their share of it is by its reckoning."""
        if works[0].mode == "mask":
            return
        times = self.planner.times(all_tasks([work.tasks for work in works]))
        times.observe(works[0].mode, pixels, (time.perf_counter() - begin) * 1e3, active)
        cost_ms = times.expect(works[0].mode, pixels, active)
        for work, share in zip(works, shares, strict=True):
            work.cost_ms = cost_ms * share

    def _segment(self, batch: PackedBatch, works: Sequence[Work], shares: Sequence[float]) -> None:
        """Run the networks on canvases and put what they find back on the frames."""
        if self.joint and all(w.view.semantic is not None and w.view.instances is not None for w in works):
            start = time.perf_counter()
            scores, people = self.joint.segment(batch.pixels)
            for work, share in zip(works, shares, strict=True):
                work.spend("segment", start, share)
            for n, work in enumerate(works):
                stitch_mask(work, scores, batch.placements, n)
                stitch_people(work, people, batch.placements, n)
            return
        if self.semantic and any(work.view.semantic is not None for work in works):
            start = time.perf_counter()
            scores = self.semantic.scores(batch.pixels)
            for work, share in zip(works, shares, strict=True):
                work.spend("segment", start, share)
            for n, work in enumerate(works):
                stitch_mask(work, scores, batch.placements, n)
        if self.instances and any(work.view.instances is not None for work in works):
            start = time.perf_counter()
            people = self.instances.instances(batch.pixels)
            for work, share in zip(works, shares, strict=True):
                work.spend("segment", start, share)
            for n, work in enumerate(works):
                stitch_people(work, people, batch.placements, n)

    def _gathered(self, work: Work) -> None:
        """The networks in place, on the blocks that hold proposed cells."""
        start = begin = time.perf_counter()
        size = work.network_size
        pixels = np.ascontiguousarray(resized(work.frame.pixels, size))
        active = work.active(size)
        placements = whole_placement(work.frame.size, size, work.scale)
        work.spend("pack", start)
        runs = []
        if self.semantic and work.view.semantic is not None:
            self.sparse_semantic = self.sparse_semantic or sparse_semantic(self.semantic, self.semantics)
            start = time.perf_counter()
            scores = self.sparse_semantic.scores(pixels, active, self._held_of(work.frame, "semantic"))
            work.spend("segment", start)
            stitch_mask(work, scores[None], placements, 0)
            runs.append(self.sparse_semantic.sparse)
        if self.instances and work.view.instances is not None:
            self.sparse_instances = self.sparse_instances or sparse_instances(self.instances, self.semantics)
            start = time.perf_counter()
            people = self.sparse_instances.instances(pixels, active, self._held_of(work.frame, "instances"))
            work.spend("segment", start)
            stitch_people(work, [people], placements, 0)
            runs.append(self.sparse_instances.sparse)
        work.share = sum(run.executed_macs for run in runs) / max(1, sum(run.dense_macs for run in runs))
        full = work.full_pixels
        assert work.mask is not None
        self._took(begin, [work], [1.0], full, round(full * active_share(work.mask.mask, size)))

    def _held_of(self, frame: Frame, task: str) -> Held | None:
        """What the network of a task held of this camera in this epoch; None where nothing is held."""
        if self.semantics != "previous":
            return None
        epoch, held = self._held.get((frame.camera, task), (frame.epoch, Held()))
        if epoch != frame.epoch:
            held = Held()
        self._held[frame.camera, task] = frame.epoch, held
        return held

    def _let_go(self, camera: str) -> None:
        """Forget what the networks held of a camera."""
        for key in [key for key in self._held if key[0] == camera]:
            del self._held[key]

    def _nothing(self, work: Work) -> None:
        """Nobody proposed: empty results, published like any other."""
        work.instances = no_instances(work.frame.size)
        work.semantic = SemanticMask(np.zeros(work.frame.size, np.bool_))
