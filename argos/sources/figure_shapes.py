"""Solids that figures are made of: a cloud of overlapping ellipsoids, strung into tubes.

Each ellipsoid belongs to a part; a part has a material and a frame of its own, in which patterns and folds are laid
out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from argos.sources.figure_pose import Vector

SKIN, HAIR, TOP, INNER, BOTTOM, SHOE, BAG, HAT, FACE = range(9)
"""Materials."""

Section = tuple[float, float, float]
"""``(position along the bone 0..1, half width, half depth)``."""


@dataclass(slots=True)
class Body:
    """Ellipsoids and parts; filled by the functions of this file.

    Attributes:
        centres: ``(k, 3)`` per part, the person's own coordinates (left, up, forward), shares of the stature.
        shapes: ``(k, 3, 3)`` per part, axes times radii in columns.
        owner: ``(k,)`` per part, its index.
        materials, origins, frames, over: one per part; the columns of a frame are its left, along and forward axes,
            ``over`` is how far it is pulled towards the viewer.
        spacing: distance of neighbours in a tube, shares of their thickness; smaller is smoother.
        trunk: index of the part that is the trunk of the upper garment.
    """

    spacing: float
    centres: list[Vector] = field(default_factory=list)
    shapes: list[NDArray[np.float64]] = field(default_factory=list)
    owner: list[NDArray[np.int64]] = field(default_factory=list)
    materials: list[int] = field(default_factory=list)
    origins: list[Vector] = field(default_factory=list)
    frames: list[NDArray[np.float64]] = field(default_factory=list)
    over: list[float] = field(default_factory=list)
    trunk: int = -1


def axes_of(along: Vector, left: Vector) -> NDArray[np.float64]:
    """Right-angled axes in columns: ``along`` kept, ``left`` as close as possible."""
    ax, ay, az = (along / math.sqrt(along @ along)).tolist()
    lx, ly, lz = (left - (left @ along) / (along @ along) * along).tolist()
    length = math.sqrt(lx * lx + ly * ly + lz * lz)
    lx, ly, lz = lx / length, ly / length, lz / length
    fx, fy, fz = ly * az - lz * ay, lz * ax - lx * az, lx * ay - ly * ax
    sign = -1.0 if fz < 0 else 1.0  # bones that point down; patterns do not mind the mirror image
    return np.array([[lx, ax, sign * fx], [ly, ay, sign * fy], [lz, az, sign * fz]])


def add_tube(
    body: Body,
    a: Vector,
    b: Vector,
    left: Vector,
    sections: Sequence[Section],
    material: int,
    bow: float = 0.0,
    over: float = 0.0,
    hem: Literal["none", "start", "end"] = "none",
) -> None:
    """Ellipsoids from ``a`` to ``b``; sections are interpolated.

    Args:
        bow: how far the middle is bent forward.
        over: how far the part is pulled towards the viewer, so that cloth stays above what it covers.
        hem: the end that is cut flat; the others are round.
    """
    axis = b - a
    length = math.sqrt(axis @ axis)
    frame = axes_of(axis, left)
    at, wide, deep = np.asarray(sections).T
    # Thin slices keep a hem flat; elsewhere thick ones keep their number low.
    cut = {"none": -np.inf, "start": at[0], "end": at[-1]}[hem]
    steps, t = [], float(at[0])
    while t < at[-1]:
        steps.append(t)
        i = min(int(np.searchsorted(at, t, side="right")), len(at) - 1)
        radius = min(sections[i][1], sections[i][2], sections[i - 1][1], sections[i - 1][2])
        t += body.spacing * min(0.85 * radius, 0.014 + length * abs(t - cut)) / length
    places = np.array([*steps, float(at[-1])])
    wides, deeps = np.interp(places, at, wide), np.interp(places, at, deep)
    thick = np.minimum(0.85 * np.minimum(wides, deeps), 0.014 + length * np.abs(places - cut))
    body.centres.append(a + places[:, None] * axis + (bow * np.sin(np.pi * places))[:, None] * frame[:, 2])
    body.shapes.append(frame * np.stack([wides, thick, deeps], axis=1)[:, None, :])
    _close(body, len(places), material, a, frame, over)


def _close(
    body: Body, count: int, material: int, origin: Vector, frame: NDArray[np.float64], over: float = 0.0
) -> None:
    """Make the last ``count`` ellipsoids a part."""
    body.owner.append(np.full(count, len(body.materials)))
    body.materials.append(material)
    body.origins.append(origin)
    body.frames.append(frame)
    body.over.append(over)


def add_ball(body: Body, centre: Vector, frame: NDArray[np.float64], radii: Section, material: int) -> None:
    """One ellipsoid that is a part of its own."""
    body.centres.append(centre[None])
    body.shapes.append((frame * np.asarray(radii))[None])
    _close(body, 1, material, centre, frame)
