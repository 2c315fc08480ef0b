"""Where a box will be next: one constant-velocity Kalman filter for each of its four edges.

All noise grows with the height of the box, since near people move more pixels than far ones; time is in seconds, so
frames that were dropped, or a camera that is slow, change nothing but how far is predicted.

Reference:
    Zhang et al., ByteTrack, arXiv:2110.06864, whose filter (of SORT and DeepSORT) has the same decoupled form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MEASURED = 0.05
"""Standard deviation of a detected edge, in heights of the box; as in ByteTrack."""

PUSHED = 1.0
"""Growth of the deviation of the speed in one second, in heights per second; that of ByteTrack at 30 fps."""

FIRST_SPEED = 1.0
"""Deviation of the speed of somebody new, in heights per second: a brisk walk."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What is known of N boxes.

    Attributes:
        edges: ``(N, 4)`` float64, x0, y0, x1, y1 in pixels.
        speeds: ``(N, 4)`` float64, of the edges, pixels per second.
        spread: ``(N, 4, 3)`` float64, of each edge the variance of place, the covariance and the variance of speed.
    """

    edges: Floats
    speeds: Floats
    spread: Floats

    def __len__(self) -> int:
        return len(self.edges)

    def taken(self, rows: NDArray[np.intp]) -> Motion:
        """Only some of the boxes, in this order."""
        return Motion(self.edges[rows], self.speeds[rows], self.spread[rows])


def started(boxes: Floats) -> Motion:
    """Motion of boxes ``(N, 4)`` seen for the first time: at rest, as far as one knows."""
    edges = boxes.astype(np.float64)
    spread = np.zeros((len(edges), 4, 3))
    spread[:, :, 0] = (MEASURED * _heights(edges)) ** 2
    spread[:, :, 2] = (FIRST_SPEED * _heights(edges)) ** 2
    return Motion(edges, np.zeros_like(edges), spread)


def joined(first: Motion, second: Motion) -> Motion:
    """Both, one after the other."""
    return Motion(
        np.concatenate([first.edges, second.edges]),
        np.concatenate([first.speeds, second.speeds]),
        np.concatenate([first.spread, second.spread]),
    )


def predicted(motion: Motion, seconds: float, coasting: NDArray[np.bool_]) -> Motion:
    """Where the boxes will be.

    Args:
        motion: of N boxes.
        seconds: from now, 0 or more.
        coasting: ``(N,)`` those that are not seen at present: they keep their size and move as a whole, because the
            edge that somebody else hid last moves in a way of its own.
    """
    speeds = motion.speeds.copy()
    whole = (speeds[coasting, :2] + speeds[coasting, 2:]) / 2
    speeds[coasting] = np.concatenate([whole, whole], axis=1)
    place, both, speed = np.moveaxis(motion.spread, 2, 0)
    pushed = (PUSHED * _heights(motion.edges)) ** 2
    spread = np.stack(
        [
            place + seconds * (2 * both + seconds * speed) + pushed * seconds**3 / 3,
            both + seconds * speed + pushed * seconds**2 / 2,
            speed + pushed * seconds,
        ],
        axis=2,
    )
    return Motion(motion.edges + seconds * speeds, speeds, spread)


def corrected(motion: Motion, rows: NDArray[np.intp], boxes: Floats) -> Motion:
    """Motion after some of the boxes were seen: ``boxes[k]`` is where box ``rows[k]`` is."""
    edges, speeds, spread = motion.edges.copy(), motion.speeds.copy(), motion.spread.copy()
    place, both, speed = np.moveaxis(spread[rows], 2, 0)
    total = place + (MEASURED * _heights(boxes)) ** 2
    off = boxes - edges[rows]
    edges[rows] += place / total * off
    speeds[rows] += both / total * off
    spread[rows] = np.stack(
        [place * (1 - place / total), both * (1 - place / total), speed - both * both / total], axis=2
    )
    return Motion(edges, speeds, spread)


def _heights(boxes: Floats) -> Floats:
    """``(N, 1)`` heights, at least one pixel."""
    return np.maximum(boxes[:, 3:4] - boxes[:, 1:2], 1.0)
