"""The straight line for people: frames -> proposals -> plan -> pack | gather | full | mask -> segment -> stitch.

Several cameras are a list of frames that shares one plan and one pack.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from argos.engines.dense import InstanceSegmenter, SemanticSegmenter, auto_scale
from argos.engines.exported import ExportedInstances
from argos.engines.gather_own import runs_on_blocks
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
from argos.pipelines.flight import Job, Steps, finished
from argos.pipelines.in_place import InPlace
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
        self.canvas = canvas if self.largest is None else replace(canvas, size=self.largest, few=True)
        self.planner = Planner(known)
        self.joint = joined(semantic, instances)
        self.in_place = InPlace(semantic, instances, self.joint, semantics)
        self._proposals = Proposals()
        self._steady = Steady()

    def apart(self) -> People:
        """The same networks, with a planner that learns from its own runs alone."""
        line = copy(self)
        line.planner = Planner(self.planner.known)
        return line

    def forget(self, camera: str) -> None:
        """Unlearn what is known of the scene of a camera: it is another one now, or gone."""
        self._proposals.forget(camera)
        self._steady.forget(camera)
        self.in_place.let_go(camera)
        self.planner.forget(camera)

    def keep_from(self, score_threshold: float, nms: float) -> None:
        """Find people of other scores from now on; the networks stay."""
        if self.instances is None:
            return
        self.instances = replace(self.instances, score_threshold=score_threshold, nms=nms)
        if self.joint is not None and isinstance(self.instances, InstanceSegmenter):
            self.joint = replace(self.joint, instances=self.instances)
        self.in_place.keep_from(self.instances, self.joint)

    @property
    def gathers(self) -> bool:
        """Whether the networks can be run on active blocks."""
        return all(found is None or runs_on_blocks(found) for found in (self.semantic, self.instances))

    def step(self, frames: Sequence[Frame], views: Sequence[View], refresh: Sequence[bool]) -> list[Analysis]:
        """Analyse frames together, at once; as ``steps``."""
        return finished(self.steps(frames, views, refresh))

    def steps(self, frames: Sequence[Frame], views: Sequence[View], refresh: Sequence[bool]) -> Steps[list[Analysis]]:
        """Analyse frames together; the runs of the networks are its jobs.

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
            yield from self._packed(packed, layout)
        for work in works:
            if work.mode == "gather":
                yield from self._gathered(work)
            elif work.mode in ("full", "mask"):
                yield from self._whole(work)
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
        """Choose the modes; a frame whose share of the canvases is larger than the frame is computed in full.

        Returns:
            The canvases of all packed frames; None where there are none, or they are not known yet.
        """
        start = time.perf_counter()
        for work in works:
            work.mode = mode_asked(work.view.mode, work.regions)
        auto = [work for work in works if work.view.mode == "auto"]
        for work in auto:
            work.seen = self._seen(work)
        seen = [work.seen for work in auto if work.seen is not None]
        canvas = self.canvas
        choice = self.planner.choose(
            seen, canvas.size, gutter=canvas.gutter, most=canvas.most, filled=self.largest, few=canvas.few
        )
        for n, (work, mode) in enumerate(zip(auto, choice.modes, strict=True)):
            work.mode = mode
            work.given |= n in choice.measured
        layout, packed = choice.layout, [work for work in works if work.mode == "pack"]
        if any(work.view.mode == "pack" for work in packed):
            layout = together = self._lay_out(packed)
            areas = target_areas(together.placements, len(packed))
            for work, area in zip(packed, areas, strict=True):
                if work.view.mode == "pack" and self._pixels(together) * area > work.full_pixels:
                    work.mode, layout = "full", None
        for work in works:
            work.spend("plan", start, 1 / len(works))
        return layout

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
            work.margin,
            pixels,
            active,
            question_ms=0.0 if work.view.watched else work.spans_ms.get("propose", 0.0),
            asked=work.asked,
        )

    def _packed(self, works: Sequence[Work], layout: Layout | None) -> Steps[None]:
        """All frames share the canvases, each at its own scale."""
        start = begin = time.perf_counter()
        layout = layout or self._lay_out(works)
        if all(work.view.memory for work in works):  # otherwise each frame is for itself
            layout = self._steady.settle(layout, [w.frame.camera for w in works], gutter=self.canvas.gutter)
        batch = paste([work.frame for work in works], layout.placements, layout.canvas_size)
        areas = target_areas(batch.placements, len(works))
        for work, area in zip(works, areas, strict=True):
            work.share = self._pixels(layout) * area / work.full_pixels
            work.spend("pack", start, area)
        waited_ms = yield from self._segment(batch, works, areas)
        self._took(begin, waited_ms, works, areas, self._pixels(layout))

    def _lay_out(self, works: Sequence[Work]) -> Layout:
        """The canvases of some frames."""
        regions = [work.regions for work in works if work.regions is not None]
        boxes = boxes_of(regions, scale=[work.scale for work in works], margin=[work.margin for work in works])
        canvas, most = self.canvas, self.canvas.most * len(works)
        return lay_out(boxes, canvas.size, gutter=canvas.gutter, max_canvases=most, few=canvas.few)

    def _pixels(self, layout: Layout) -> int:
        """Pixels that the networks compute for canvases; those that take one size only fill each up to it."""
        return layout.pixels if self.largest is None else layout.canvases * math.prod(self.largest)

    def _whole(self, work: Work) -> Steps[None]:
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
        waited_ms = yield from self._segment(batch, [work], [1.0])
        if work.mode == "full":
            self.in_place.let_go(work.frame.camera)  # older than what is computed now
        self._took(begin, waited_ms, [work], [1.0], work.full_pixels)

    def _took(
        self,
        begin: float,
        waited_ms: float,
        works: Sequence[Work],
        shares: Sequence[float],
        pixels: int,
        active: int = 0,
    ) -> None:
        """Tell the planner what a run took, and the frames what their share of it is by its reckoning."""
        if works[0].mode == "mask":
            return
        times = self.planner.times(all_tasks([work.tasks for work in works]))
        times.observe(works[0].mode, pixels, (time.perf_counter() - begin) * 1e3 - waited_ms, active)
        cost_ms = times.expect(works[0].mode, pixels, active)
        for work, share in zip(works, shares, strict=True):
            work.cost_ms = cost_ms * share

    def _segment(self, batch: PackedBatch, works: Sequence[Work], shares: Sequence[float]) -> Steps[float]:
        """Run the networks on canvases and put what they find back on the frames.

        Returns:
            Milliseconds in which nothing of it ran, because other frames were in the way.
        """
        waited_ms = 0.0
        if self.joint and all(w.view.semantic is not None and w.view.instances is not None for w in works):
            joint = self.joint
            seen, ms = yield from _ran(lambda: joint.look(batch.pixels), works, shares, alone=joint.outputs is not None)
            # masks are small work that leaves threads idle: while they are drawn the networks may run on another frame
            (scores, people), waited_ms = yield from _ran(lambda: joint.read(*seen), works, shares)
            for n, work in enumerate(works):
                stitch_mask(work, scores, batch.placements, n)
                stitch_people(work, people, batch.placements, n)
            return ms + waited_ms
        if self.semantic and any(work.view.semantic is not None for work in works):
            semantic = self.semantic
            alone = not _is_shareable(semantic)
            scores, ms = yield from _ran(lambda: semantic.scores(batch.pixels), works, shares, alone=alone)
            waited_ms += ms
            for n, work in enumerate(works):
                stitch_mask(work, scores, batch.placements, n)
        if self.instances and any(work.view.instances is not None for work in works):
            instances = self.instances
            alone = not _is_shareable(instances)
            if isinstance(instances, InstanceSegmenter):
                ours, size = instances, (batch.pixels.shape[1], batch.pixels.shape[2])
                output, ms = yield from _ran(lambda: ours.look(batch.pixels), works, shares, alone=alone)
                waited_ms += ms
                people, ms = yield from _ran(lambda: ours.read(output, size), works, shares)
            else:
                people, ms = yield from _ran(lambda: instances.instances(batch.pixels), works, shares, alone=alone)
            waited_ms += ms
            for n, work in enumerate(works):
                stitch_people(work, people, batch.placements, n)
        return waited_ms

    def _gathered(self, work: Work) -> Steps[None]:
        """The networks in place, on the blocks that hold proposed cells; where these are too many, the whole frame."""
        start = begin = time.perf_counter()
        size = work.network_size
        active = work.active(size)
        finders = self.in_place.finders(work.tasks)
        if not all(finder.pays(active) for finder in finders):
            work.mode = "full"
            yield from self._whole(work)
            return
        pixels = np.ascontiguousarray(resized(work.frame.pixels, size))
        placements = whole_placement(work.frame.size, size, work.scale)
        work.spend("pack", start)
        waited_ms, executed, dense = 0.0, 0, 0
        for finder in finders:
            held = self.in_place.held_of(work.frame, finder.task)
            run = partial(finder.run, pixels, active, held)
            (scores, people, *macs), ms = yield from _ran(run, [work], [1.0], alone=True)
            if scores is not None:
                stitch_mask(work, scores[None], placements, 0)
            if people is not None:
                stitch_people(work, [people], placements, 0)
            waited_ms, executed, dense = waited_ms + ms, executed + macs[0], dense + macs[1]
        work.share = executed / max(1, dense)
        full = work.full_pixels
        assert work.mask is not None
        self._took(begin, waited_ms, [work], [1.0], full, round(full * active_share(work.mask.mask, size)))

    def _nothing(self, work: Work) -> None:
        """Nobody proposed: empty results, published like any other."""
        work.instances = no_instances(work.frame.size)
        work.semantic = SemanticMask(np.zeros(work.frame.size, np.bool_))


def _ran(
    run: Callable[[], Any], works: Sequence[Work], shares: Sequence[float], *, alone: bool = False
) -> Steps[tuple[Any, float]]:
    """Wait for a run of the networks, which frames share.

    Returns:
        What it gave, and the milliseconds in which it did not run because others did.
    """

    def timed() -> tuple[Any, float]:
        start = time.perf_counter()
        return run(), (time.perf_counter() - start) * 1e3

    asked = time.perf_counter()
    value, ms = yield Job(timed, alone)
    for work, share in zip(works, shares, strict=True):
        work.spent("segment", ms * share)
    return value, (time.perf_counter() - asked) * 1e3 - ms


def _is_shareable(segmenter: Semantic | AnyInstances) -> bool:
    """Whether two threads may run it at once: what torch runs of ours; other programs have threads of their own, and
    who knows what a network of somebody else keeps."""
    return isinstance(segmenter, SemanticSegmenter | InstanceSegmenter) and segmenter.outputs is None
