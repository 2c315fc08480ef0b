"""Colours of a figure: skin, face, hair and cloth, laid out in the coordinates of its parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from argos.sources.clouds import noise
from argos.sources.figure_person import Colour, Figure, Garment
from argos.sources.figure_shapes import BAG, BOTTOM, FACE, HAIR, HAT, INNER, SHOE, SKIN, TOP

Floats = NDArray[np.float32]


def linear(colour: Colour) -> Floats:
    """Display RGB 0..255 to linear light 0..1, ``(3,)``."""
    return ((np.asarray(colour, np.float32) / 255) ** 2.2).astype(np.float32)


def _blend(albedo: Floats, share: Floats | NDArray[np.bool_], colour: Floats) -> None:
    """Mix ``colour`` into ``albedo`` (n, 3), in place; ``share`` ``(n,)`` in 0..1."""
    weight = np.asarray(share, np.float32)[:, None]
    albedo += weight * (colour - albedo)


def _dress(garment: Garment, local: Floats, trunk: NDArray[np.bool_], shift: float) -> Floats:
    """Colour of a cloth at ``local`` ``(n, 3)``; ``(n, 3)`` linear."""
    across = np.arctan2(local[:, 0], local[:, 2] + 1e-4) * 0.09
    along = local[:, 1]
    albedo = np.repeat(linear(garment.colour)[None], len(local), axis=0)
    second = linear(garment.second)
    wave = 2 * np.pi / garment.scale
    if garment.pattern == "stripes":
        _blend(albedo, 1 / (1 + np.exp(-6 * np.sin(along * wave))), second)
    elif garment.pattern == "checks":
        rows, columns = np.sin(along * wave) > 0.2, np.sin(across * wave * 1.3) > 0.2
        _blend(albedo, 0.5 * rows + 0.4 * columns, second)
    elif garment.pattern == "blocks":
        _blend(albedo, np.where(trunk, along > 0.19 + garment.scale, 1.0), second)
    elif garment.pattern == "print":
        chest = trunk & (np.abs(local[:, 0]) < 0.045) & (np.abs(along - 0.19) < 0.045) & (local[:, 2] > 0)
        _blend(albedo, chest * (noise(across * 2 + shift, along * 2) > -0.1), second)
    elif garment.pattern == "speckle":
        _blend(albedo, 0.55 * np.clip(noise(across * 3 + shift, along * 3) * 2, 0, 1), second)
    elif garment.pattern == "denim":
        faded = np.clip(0.9 - np.abs(local[:, 0]) * 24, 0, 1) * np.clip(local[:, 2] * 30, 0, 1)
        albedo *= (1 + 0.45 * faded + 0.10 * noise(across * 9, along * 7 + shift))[:, None]
    return albedo


def _paint_head(figure: Figure, albedo: Floats, local: Floats, face: NDArray[np.bool_]) -> None:
    """Face on the pixels where ``face``, in place."""
    x, y, z = (local[face, axis] / figure.head for axis in range(3))
    skin = np.repeat(linear(figure.skin)[None], len(x), axis=0)
    front = np.clip(z * 40, 0, 1)
    hair = linear(figure.hair_colour)

    def spot(at: float, up: float, wide: float, high: float) -> Floats:
        """Soft ellipse on both sides of the face."""
        away = ((np.abs(x) - at) / wide) ** 2 + ((y - up) / high) ** 2
        return np.asarray(front * np.exp(-(away**2)), np.float32)

    flush = np.array([1.0, 0.82, 0.80], np.float32)
    _blend(skin, 0.7 * spot(0.024, -0.020, 0.014, 0.012), linear(figure.skin) * flush)
    _blend(skin, 0.45 * spot(0.019, 0.003, 0.014, 0.009), linear(figure.skin) * 0.45)
    _blend(skin, 0.85 * spot(0.0185, 0.002, 0.0085, 0.0040), np.array([0.02, 0.016, 0.014], np.float32))
    _blend(skin, 0.75 * spot(0.019, 0.014, 0.012, 0.0032), hair * 0.8)
    _blend(
        skin, 0.75 * spot(0.0, -0.041, 0.015, 0.0045), linear(figure.skin) * np.array([0.55, 0.28, 0.28], np.float32)
    )
    _blend(skin, 0.5 * spot(0.0, -0.022, 0.010, 0.004), linear(figure.skin) * 0.5)
    if figure.beard:
        below = np.clip((-0.026 - y) * 160, 0, 1) * np.clip((z + 0.005) * 60, 0, 1)
        _blend(skin, 0.85 * below * (1 - spot(0.0, -0.041, 0.012, 0.005)), hair)
    if figure.hair != "bald":
        line = 0.038 + 0.25 * np.abs(x) * (figure.hair == "crop") - 0.02 * (z < 0.01)
        _blend(skin, np.clip((y - line) * 250, 0, 1), hair)
    if figure.glasses:
        ring = np.abs(np.hypot((np.abs(x) - 0.019) / 1.25, y - 0.002) - 0.012) < 0.0024
        _blend(skin, 0.9 * ring * front, np.array([0.015, 0.015, 0.018], np.float32))
    albedo[face] = skin


def paint(figure: Figure, material: NDArray[np.intp], part: NDArray[np.intp], trunk_part: int, local: Floats) -> tuple[
    Floats, Floats, Floats
]:  # fmt: skip
    """Colour, fold depth and gloss of surface points.

    Args:
        material, part: ``(n,)``, of each point.
        trunk_part: index of the part that is the trunk of the upper garment.
        local: ``(n, 3)`` (left, along, forward) in the frame of the part, shares of the stature.

    Returns:
        Albedo ``(n, 3)`` linear, depth of the folds ``(n,)`` 0..1, gloss ``(n,)`` 0..1; all float32.
    """
    n = len(material)
    rng = np.random.default_rng(figure.texture)
    shift = float(rng.random())
    albedo = np.repeat(linear(figure.skin)[None], n, axis=0)
    folds, gloss = np.zeros(n, np.float32), np.full(n, 0.06, np.float32)
    trunk = part == trunk_part
    top, bottom = material == TOP, material == BOTTOM
    albedo[top] = _dress(figure.top, local[top], trunk[top], shift)
    albedo[bottom] = _dress(figure.bottom, local[bottom], np.zeros(int(bottom.sum()), np.bool_), shift)
    folds[top], folds[bottom] = figure.top.folds, figure.bottom.folds
    gloss[top], gloss[bottom] = 0.02, 0.02
    x, y, z = local[:, 0], local[:, 1], local[:, 2]
    chest = trunk & (z > 0.01)
    if figure.inner is not None:
        opening = 0.012 + 0.05 * np.clip(y, -0.1, 0.3)
        _blend(albedo, chest & (np.abs(x) < opening), linear(figure.inner))
        _blend(albedo, 0.6 * (chest & (np.abs(np.abs(x) - opening) < 0.003)), linear(figure.top.colour) * 0.3)
    elif figure.hem > 0.02:
        _blend(albedo, 0.6 * (chest & (np.abs(x) < 0.0025)), linear(figure.top.colour) * 0.3)
    neckline = chest & (y > 0.272 + 0.9 * np.abs(x) - 0.01 * np.sin(figure.texture))
    _blend(albedo, neckline, linear(figure.skin))
    hair = material == HAIR
    strands = noise(np.arctan2(x, z) * np.float32(0.9) + np.float32(shift), y * np.float32(1.2))
    albedo[hair] = linear(figure.hair_colour) * (1 + 0.35 * strands[hair, None]).clip(0.3, 2)
    gloss[hair] = 0.16 + 0.06 * strands[hair]
    for kind, colour in ((BAG, figure.bag_colour), (HAT, figure.hat_colour), (INNER, figure.inner)):
        if colour is not None:
            albedo[material == kind] = linear(colour)
            folds[material == kind] = 0.45
    shoe = material == SHOE
    albedo[shoe] = linear(figure.shoes)
    gloss[shoe] = 0.12
    _blend(albedo, shoe & (z < -0.010), linear(figure.sole))
    face = material == FACE
    if face.any():
        _paint_head(figure, albedo, local, face)
    naked = (material == SKIN) | face
    gloss[naked] = 0.10
    return albedo.astype(np.float32), folds, gloss
