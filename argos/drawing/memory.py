"""What a picture shows of the time before it: trails, the empty scene, where people were."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.analytics.anchors import anchor_point
from argos.drawing.backdrop import Cutout
from argos.types import Result, Size

TRAIL_S = 2.0
"""How long a trail is."""

HEAT_S = 60.0
"""After this long what was seen counts for a third."""

SMOOTHED = 3
"""Points before and after each that a trail is averaged over."""

LEARNED = 0.05
"""Share of each new picture in the picture of the empty scene."""

Point = tuple[float, int, int]
"""Time in seconds, x, y."""


@dataclass(slots=True, eq=False)
class Memory:
    """Of one camera; ``keep`` takes its results one after the other.

    Args:
        scene: learn the empty scene, for the style ``background``.
        heat: count where people are, for the style ``heatmap``.
        cutout: softens the people in time, for the style ``backdrop``.
        backdrop: ``(h, w, 3)`` uint8 RGB, what that style shows behind them; None: their surroundings, blurred.

    Attributes:
        trails: id -> the lowest points of its mask in the last seconds, oldest first.
        empty: ``(H, W, 3)`` float32, the scene without people; None before the first picture.
        known: ``(H, W)`` bool, pixels of ``empty`` that were ever seen without people.
        warmth: ``(h, w)`` float32, seconds that people spent on each spot, fading; of a quarter of the picture's sides.
    """

    scene: bool = False
    heat: bool = False
    cutout: Cutout | None = None
    backdrop: NDArray[np.uint8] | None = None
    trails: dict[int, deque[Point]] = field(default_factory=dict)
    empty: NDArray[np.float32] | None = None
    known: NDArray[np.bool_] | None = None
    warmth: NDArray[np.float32] | None = None
    _size: Size = (0, 0)
    _epoch: int = 0
    _last_s: float = 0.0

    def keep(self, result: Result) -> None:
        """Take the next result; a new epoch forgets the trails, another size everything."""
        if result.size != self._size:
            self.empty = self.known = self.warmth = None
        if result.size != self._size or result.epoch != self._epoch or result.pts_s < self._last_s:
            self.trails.clear()
            self._last_s = result.pts_s
        self._size, self._epoch = result.size, result.epoch
        self._keep_trails(result)
        if self.scene and result.image is not None:
            self._keep_scene(result.image, person_pixels(result))
        if self.cutout is not None:
            self.cutout.keep(person_pixels(result), result.pts_s)
        if self.heat:
            self._keep_heat(person_pixels(result), min(result.pts_s - self._last_s, 1.0))
        self._last_s = result.pts_s

    def _keep_trails(self, result: Result) -> None:
        people = result.instances
        if people is not None and len(people.ids):
            for n, track in enumerate(people.ids.tolist()):
                if track >= 0:
                    x, y = anchor_point("mask_bottom", people.boxes[n].tolist(), people.masks[n])
                    self.trails.setdefault(track, deque()).append((result.pts_s, round(x), round(y)))
        for track, points in list(self.trails.items()):
            while points and result.pts_s - points[0][0] > TRAIL_S:
                points.popleft()
            if not points:
                del self.trails[track]

    def _keep_scene(self, image: NDArray[np.uint8], people: NDArray[np.bool_]) -> None:
        if self.empty is None or self.known is None:
            self.empty, self.known = image.astype(np.float32), ~widened(people)
            return
        seen = ~widened(people)
        first = (seen & ~self.known).astype(np.uint8)
        cv2.copyTo(image.astype(np.float32), first, self.empty)
        cv2.accumulateWeighted(image, self.empty, LEARNED, mask=seen.astype(np.uint8))
        self.known |= seen

    def _keep_heat(self, people: NDArray[np.bool_], seconds: float) -> None:
        height, width = people.shape
        small = cv2.resize(
            people.view(np.uint8), (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA
        ).astype(np.float32)
        before = np.zeros_like(small) if self.warmth is None else self.warmth
        self.warmth = np.asarray(before * np.exp(-seconds / HEAT_S) + small * seconds, np.float32)


def person_pixels(result: Result) -> NDArray[np.bool_]:
    """Pixels of anybody, from every task that ran, ``(H, W)`` bool."""
    found = np.zeros(result.size, np.bool_) if result.instances is None else result.instances.union()
    return found if result.semantic is None else found | result.semantic.mask


def widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask grown by a hundredth of the picture's shorter side, two pixels or more: outlines are never exact."""
    reach = max(2, round(min(mask.shape) / 100))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), np.bool_)


def trail_points(trails: Mapping[int, deque[Point]], track: int) -> NDArray[np.int32]:
    """``(N, 2)`` int32 points of a trail, oldest first, smoothed over the steps of the feet."""
    points = np.array([point[1:] for point in trails.get(track, ())], np.float64).reshape(-1, 2)
    reach = min(SMOOTHED, (len(points) - 1) // 2)
    if reach < 1:
        return points.astype(np.int32)
    padded = np.pad(points, ((reach, reach), (0, 0)), mode="edge")
    window = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return np.asarray(np.rint(window.mean(axis=2)), np.int32)
