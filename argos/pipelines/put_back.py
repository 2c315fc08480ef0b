"""What the networks found on canvases, put back on the frames."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from argos.engines.dense import MOST_PEOPLE
from argos.packing.limits import levels, limited, person_of
from argos.packing.stitch import stitch_instances, stitch_scores
from argos.pipelines.work import Work
from argos.types import Instances, Placements, SemanticMask


def stitch_mask(work: Work, scores: NDArray[np.float32], placements: Placements, n: int) -> None:
    """Give frame ``n`` of the canvases its person mask, if it is asked for one."""
    limits = work.view.semantic
    if limits is None:
        return
    start = time.perf_counter()
    found = stitch_scores(scores, placements, n, work.frame.size, lambda piece: levels(piece, limits))
    work.semantic = SemanticMask(person_of(found, limits))
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


def target_areas(placements: Placements, frames: int) -> list[float]:
    """Share of the filled canvas pixels that belongs to each frame; sums to 1."""
    sides = placements.target[:, 2:] - placements.target[:, :2]
    areas = np.bincount(placements.frame, sides.prod(axis=1), minlength=frames)
    return [float(area) for area in areas / max(1.0, areas.sum())]
