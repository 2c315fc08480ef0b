"""Which people and pixels of one camera are kept, and where a whole frame lies on its canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.networks.ssd_boxes import nms
from argos.types import Instances, Placements, Size, some_of


@dataclass(frozen=True, slots=True)
class SemanticLimits:
    """Which pixels of one camera are person.

    Attributes:
        threshold: least score of a pixel.
        patch_threshold: score that some pixel of a patch must reach, or none of the patch is person; a patch is what
            hangs together above ``threshold``, corners included, and what lies in its holes.

    Reference:
        Canny, A Computational Approach to Edge Detection, 1986: thresholding with hysteresis.
    """

    threshold: float
    patch_threshold: float = 0.0


def semantic_limits(thresholds: Mapping[str, float]) -> SemanticLimits:
    """The limits that a model's card names."""
    return SemanticLimits(thresholds["threshold"], thresholds.get("patch_threshold", 0.0))


def levels(scores: NDArray[np.float32], limits: SemanticLimits) -> NDArray[np.uint8]:
    """How much person there is: 0 below ``threshold``, 1 from there on, 2 from ``patch_threshold`` on.

    Args:
        scores: of any shape, 0..1.
        limits: of the camera.
    """
    found = (scores >= limits.threshold).view(np.uint8)
    if limits.patch_threshold > limits.threshold:
        found += scores >= limits.patch_threshold
    return found


def person_mask(scores: NDArray[np.float32], limits: SemanticLimits) -> NDArray[np.bool_]:
    """Which pixels are person; ``scores`` ``(H, W)`` of a whole frame, 0..1."""
    return person_of(levels(scores, limits), limits)


def person_of(found: NDArray[np.uint8], limits: SemanticLimits) -> NDArray[np.bool_]:
    """Which pixels are person.

    Args:
        found: ``(H, W)``, the ``levels`` of the whole frame; patches that are no person become 0 in it.
        limits: of its camera.
    """
    if limits.patch_threshold > limits.threshold:
        outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for outline in outlines:
            x, y, width, height = cv2.boundingRect(outline)
            box = found[y : y + height, x : x + width]
            patch = np.zeros((height, width), np.uint8)
            cv2.drawContours(patch, [outline], 0, 2, cv2.FILLED, offset=(-x, -y))  # with what lies in its holes
            # whoever is there shows it in a sixteenth of the pixels already
            if not any((box[::step, ::step] & patch[::step, ::step]).any() for step in (4, 1)):
                box[patch > 0] = 0
    return found > 0


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
    kept = nms(people.boxes.astype(np.float32), people.scores, people.labels.astype(np.int64), limits.nms)
    return some_of(people, kept[people.scores[kept] >= limits.score_threshold][: limits.max_people])


def whole_placement(frame_size: Size, canvas_size: Size, scale: float) -> Placements:
    """The placement of a whole frame that fills one canvas."""
    height, width = frame_size
    frame_box = np.array([[0, 0, width, height]], np.int32)
    canvas_box = np.array([[0, 0, canvas_size[1], canvas_size[0]]], np.int32)
    zero = np.zeros(1, np.int32)
    return Placements(zero, frame_box, frame_box, zero, canvas_box, np.array([scale], np.float32))
