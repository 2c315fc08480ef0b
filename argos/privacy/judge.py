"""Whether the mask of a frame may be trusted to cover the people in it; a mask that may not covers nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.types import Frame, Size

Cause = Literal["failed", "missing", "stale", "late", "uncertain"]
"""Why a mask is not trusted: the network failed, there is no mask of this frame's size, it was made from another frame,
it took too long, or the proposer sees somebody where the mask shows nobody."""

REACH = 0.01
"""How far beyond the people found a proposal is still theirs; share of the proposer's long side."""

LARGEST_KERNEL = 13
"""Radius up to which growing by a kernel is faster than by distances."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the networks say about one frame.

    Attributes:
        people: ``(H, W)`` bool, pixels of anybody; None when the deep network gave no mask.
        proposed: ``(h, w)`` bool, cells where the proposer sees somebody, whatever was found later; None when it was
            not asked.
        index, epoch: of the frame that was analysed.
        took_s: seconds from the frame to its mask.
        failed: a network raised an error.
    """

    people: NDArray[np.bool_] | None
    proposed: NDArray[np.bool_] | None
    index: int
    epoch: int
    took_s: float
    failed: bool = False


def judge(evidence: Evidence, frame: Frame, late_s: float) -> Cause | None:
    """Why a mask is not trusted for a frame; None where it is.

    Args:
        evidence: about the frame.
        frame: that will be shown.
        late_s: seconds after which a mask is late.
    """
    if evidence.failed or not np.isfinite(evidence.took_s):
        return "failed"
    if evidence.people is None or evidence.people.shape != frame.size or evidence.proposed is None:
        return "missing"
    if (evidence.index, evidence.epoch) != (frame.index, frame.epoch):
        return "stale"
    if evidence.took_s > late_s:
        return "late"
    return "uncertain" if unexplained(evidence.proposed, evidence.people).any() else None


def unexplained(proposed: NDArray[np.bool_], people: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells where the proposer sees somebody and nobody was found near.

    Args:
        proposed: ``(h, w)`` bool, cells.
        people: ``(H, W)`` bool, pixels.

    Returns:
        ``(h, w)`` bool.
    """
    near = grown(touching(people, (proposed.shape[0], proposed.shape[1])), max(1, round(REACH * max(proposed.shape))))
    return proposed & ~near


def touching(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """A mask on another grid over the same frame: every place ``(h, w)`` that touches a set one; a sliver counts."""
    sums = cv2.integral(mask.astype(np.uint8))  # sums[y, x] counts the set places above and to the left
    (top, bottom), (left, right) = (_spans(n, count) for n, count in zip(size, mask.shape, strict=True))
    upper, lower = sums[top], sums[bottom]
    return np.asarray(lower[:, right] - lower[:, left] - upper[:, right] + upper[:, left] > 0)


def _spans(n: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and end of the ``count`` places that each of ``n`` places on the same length touches."""
    places = np.arange(n, dtype=np.int64)
    return places * count // n, -(-(places + 1) * count // n)


def grown(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """A mask grown by ``reach`` pixels or cells."""
    if reach < 1 or not mask.any():
        return mask
    if reach > LARGEST_KERNEL:  # a pixel more, so that no less is covered than by the kernel, which is not quite round
        distance = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.asarray(distance <= reach + 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), np.bool_)
