"""Which people of one camera are kept, and where a whole frame lies on its canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from argos.networks.ssd_boxes import nms
from argos.types import Instances, Placements, Size


@dataclass(frozen=True, slots=True)
class InstanceLimits:
    """Which people of one camera are kept.

    Attributes:
        score_threshold: least score.
        nms: overlap above which two are one person.
        max_people: most people in a frame.
    """

    score_threshold: float
    nms: float
    max_people: int


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
