"""What is compared: functions from a frame to the pixels of its people and the share of it that was computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from argos.config import Config
from argos.engines.dense import MOST_PEOPLE, InstanceSegmenter, SemanticSegmenter, auto_scale, network_size
from argos.engines.joint import JointSegmenter
from argos.packing.limits import levels, limited, person_of
from argos.packing.stitch import stitch_instances, stitch_scores
from argos.pipelines.people import People
from argos.pipelines.views import View
from argos.types import Frame, Instances, PackedBatch, Size


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a contender made of a frame.

    Attributes:
        person: ``(H, W)`` bool, every pixel of the frame that any task calls a person.
        share: pixels the deep network computed over those of the full frame at the same scale; margins, gutter,
            overlap and empty canvas counted.
        mode: how the networks were run; empty for opponents, which know one way only.
    """

    person: NDArray[np.bool_]
    share: float
    mode: str = ""


Contender = Callable[[Frame, bool], Outcome]
"""Of the next frame, and whether it is one that modes with proposals compute in full (``regions.refresh_full_s``).

What it remembers it remembers by ``frame.camera``: the frames of a warm-up belong to another camera.
"""

Networks = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32] | None, Sequence[Instances] | None]]
"""The deep networks of the tasks: ``(B, H, W, 3)`` uint8 -> scores ``(B, H, W)`` and the people of each picture; None
for a task that is off."""


class NotHereError(Exception):
    """A contender cannot run on this machine; the message is the reason, as it stands in the table."""


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What every contender is given.

    Attributes:
        config: one camera.
        people: the line with its loaded networks.
        view: of the camera.
        frames: those of the run, in order.
        budget: mean share of the full frame's pixels that ``pack`` computes on them.
    """

    config: Config
    people: People
    view: View
    frames: Sequence[Frame]
    budget: float

    def scale(self, frame: Frame) -> float:
        """Network pixels per frame pixel."""
        return self.view.scale or auto_scale(frame.size, self.people.largest)

    def network_size(self, frame: Frame, shrink: float = 1.0) -> Size:
        """``(height, width)`` of the full frame as the networks see it, at its scale times ``shrink``."""
        return network_size(frame.size, self.scale(frame) * shrink, self.people.largest)

    def share(self, frame: Frame, pictures: int, size: Size) -> float:
        """Pixels of some pictures over those of the full frame; a network of one size computes that for any of them."""
        largest = self.people.largest
        return pictures * math.prod(largest or size) / math.prod(largest or self.network_size(frame))


def networks_of(people: People, view: View) -> Networks:
    """The networks as the line runs them: a shared encoder once."""
    semantic = people.semantic if view.semantic is not None else None
    instances = people.instances if view.instances is not None else None
    joint = people.joint
    if semantic and instances and joint:
        return joint.segment

    def both(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32] | None, Sequence[Instances] | None]:
        return semantic.scores(pixels) if semantic else None, instances.instances(pixels) if instances else None

    return both


def by_torch(people: People) -> People:
    """The same line; networks of ours are run by torch."""
    line = copy(people)
    for role in ("semantic", "instances", "joint"):
        segmenter = getattr(line, role)
        if isinstance(segmenter, SemanticSegmenter | InstanceSegmenter | JointSegmenter):
            setattr(line, role, replace(segmenter, outputs=None))
    return line


def person_on(batch: PackedBatch, frame_size: Size, networks: Networks, view: View) -> NDArray[np.bool_]:
    """Run the networks on canvases with pieces of one frame and put what they find back on it, ``(H, W)`` bool."""
    person = np.zeros(frame_size, np.bool_)
    if not len(batch.pixels):
        return person
    scores, people = networks(batch.pixels)
    if scores is not None and (limits := view.semantic) is not None:
        found = stitch_scores(scores, batch.placements, 0, frame_size, lambda piece: levels(piece, limits))
        person |= person_of(found, limits)
    if people is not None and view.instances is not None:
        most = len(people) * MOST_PEOPLE
        stitched = stitch_instances(people, batch.placements, 0, frame_size, nms=view.instances.nms, max_people=most)
        person |= limited(stitched, view.instances).union()
    return person
