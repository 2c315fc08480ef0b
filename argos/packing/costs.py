"""What the networks cost on a machine: milliseconds as straight lines over pixels, fitted to measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Tasks = tuple[str, ...]
"""Which networks look at a frame: ``("instances",)``, ``("semantic",)`` or both, sorted."""


@dataclass(frozen=True, slots=True)
class Line:
    """Milliseconds of a dense run of the deep networks, whole frames and canvases alike.

    Attributes:
        base_ms: of any run.
        ms_per_megapixel: on top, for a million network pixels.
    """

    base_ms: float
    ms_per_megapixel: float

    def __call__(self, pixels: float) -> float:
        """Milliseconds for so many network pixels."""
        return self.base_ms + self.ms_per_megapixel * pixels / 1e6


@dataclass(frozen=True, slots=True)
class GatherCost:
    """Milliseconds of the deep networks in place.

    Attributes:
        base_ms: of any run.
        ms_per_frame_megapixel: on top, for a million network pixels of the frame, whatever is active.
        ms_per_active_megapixel: on top, for a million network pixels in active blocks.
    """

    base_ms: float
    ms_per_frame_megapixel: float
    ms_per_active_megapixel: float

    def __call__(self, pixels: float, active: float) -> float:
        """Milliseconds for a frame of so many network pixels, so many of them active."""
        return self.base_ms + (self.ms_per_frame_megapixel * pixels + self.ms_per_active_megapixel * active) / 1e6


@dataclass(frozen=True, slots=True)
class Costs:
    """What one frame costs with the networks of some tasks.

    Attributes:
        propose_ms: from the frame to its regions.
        dense: packed or in full, from the pixels to the stitched result.
        gather: the same in place; None where that was not measured, then ``auto`` does not choose it.
    """

    propose_ms: float
    dense: Line
    gather: GatherCost | None = None


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """The line through ``(pixels, ms)`` with the least relative errors and no negative part.

    One number of pixels alone gives a line through the origin. Written out, as it is fitted anew after every run.
    """
    weights = [ms**-2 for _, ms in points]  # relative errors: a canvas counts as much as a frame
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    both = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True))
    slope = both / spread if spread > 1e-9 * total * mean_x**2 else math.inf
    if slope < 0:
        return Line(mean_y, 0.0)
    if slope * mean_x > mean_y:  # the base would be negative, or there is only one number of pixels
        squares = sum(w * x * x for w, (x, _) in zip(weights, points, strict=True))
        return Line(0.0, sum(w * x * y for w, (x, y) in zip(weights, points, strict=True)) / squares * 1e6)
    return Line(mean_y - slope * mean_x, slope * 1e6)


def fit_gather(points: Sequence[tuple[float, float, float]]) -> GatherCost:
    """The plane through ``(pixels, active pixels, ms)`` with the least relative errors and no negative part.

    Frames of one size alone say nothing about the share of the pixels in the base; all of it is ``base_ms`` then.
    """
    one_size = len({pixels for pixels, _, _ in points}) == 1
    rows = [[1.0, 0.0 if one_size else pixels / 1e6, active / 1e6] for pixels, active, _ in points]
    return GatherCost(*_least_squares(rows, [ms for *_, ms in points]))


def _least_squares(rows: Sequence[Sequence[float]], ms: Sequence[float]) -> list[float]:
    """Coefficients of the columns, none negative: one that would be is left out and the others are fitted again."""
    table, wanted = np.array(rows, np.float64), np.array(ms, np.float64)
    table = table / wanted[:, None]  # relative errors, as above
    kept = [n for n in range(table.shape[1]) if table[:, n].any()]
    found = np.zeros(table.shape[1])
    while kept:
        found[:] = 0.0
        found[kept] = np.linalg.lstsq(table[:, kept], np.ones(len(wanted)), rcond=None)[0]
        worst = min(kept, key=lambda n: found[n])
        if found[worst] >= 0:
            break
        kept.remove(worst)
    return [float(value) for value in found]
