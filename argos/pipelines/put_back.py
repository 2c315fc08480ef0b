"""What the networks found on canvases, put back on the frames."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from argos.engines.dense import MOST_PEOPLE
from argos.networks.ssd_boxes import nms
from argos.packing.stitch import stitch_instances, stitch_scores
from argos.pipelines.views import InstanceLimits
from argos.pipelines.work import Work
from argos.types import Instances, Placements, SemanticMask, Size


def stitch_mask(work: Work, scores: NDArray[np.float32], placements: Placements, n: int) -> None:
    """Give frame ``n`` of the canvases its person mask, if it is asked for one."""
    if work.view.semantic is None:
        return
    start = time.perf_counter()
    stitched = stitch_scores(scores, placements, n, work.frame.size)
    work.semantic = SemanticMask(stitched >= work.view.semantic)
    work.spend("stitch", start)


def stitch_people(work: Work, people: Sequence[Instances], placements: Placements, n: int) -> None:
    """Give frame ``n`` of the canvases its people, if it is asked for them."""
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


def target_areas(placements: Placements, frames: int) -> list[float]:
    """Share of the filled canvas pixels that belongs to each frame; sums to 1."""
    sides = placements.target[:, 2:] - placements.target[:, :2]
    areas = np.bincount(placements.frame, sides.prod(axis=1), minlength=frames)
    return [float(area) for area in areas / max(1.0, areas.sum())]
