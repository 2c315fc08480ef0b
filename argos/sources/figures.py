"""Rendering of one person: ellipsoids into a depth map, then light, folds and soft edges."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.sources.clouds import noise
from argos.sources.figure_body import body_of
from argos.sources.figure_paint import Floats, paint
from argos.sources.figure_person import HELD_OUT_SEED, Figure, random_person
from argos.sources.figure_pose import pose
from argos.sources.figure_shapes import SHOE, Body

__all__ = ["HELD_OUT_SEED", "Figure", "Sprite", "draw_person", "draw_sprite", "random_person"]

KEY_LIGHT = np.array([-0.36, -0.78, 0.51], np.float32)
"""Direction to the main light (right, down, towards the viewer)."""

SPRITE_WIDE, SPRITE_TALL, _FOOT = 0.84, 1.16, 1.06
"""Canvas in shares of the figure's height, and where on it the ground under the figure lies."""


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A rendered person.

    Attributes:
        rgba: ``(h, w, 4)`` uint8, colour premultiplied by alpha.
        foot: ``(x, y)`` on the sprite of the ground point under the hips, pixels.
        shoes: ``(2, 2)`` float32, ``(x, y)`` of right and left ankle's ground contact on the sprite, pixels.
        lifts: ``(2,)`` float32, height of the ankles above their resting height, shares of the stature.
    """

    rgba: NDArray[np.uint8]
    foot: tuple[float, float]
    shoes: Floats
    lifts: Floats


def _view(facing: float, pitch: float) -> NDArray[np.float64]:
    """From (left, up, forward) of the person to (right, down, towards the viewer)."""
    turned = np.array([[np.cos(facing), 0.0, np.sin(facing)], [0.0, -1.0, 0.0], [-np.sin(facing), 0.0, np.cos(facing)]])
    c, s = np.cos(pitch), np.sin(pitch)
    return np.asarray(np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]]) @ turned, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Surface:
    """Front surface of a body, for the ``n`` covered pixels in reading order.

    Attributes:
        covered: ``(h, w)`` bool.
        depth: ``(h, w)`` float32, towards the viewer, pixels; very negative outside.
        ball: ``(n,)`` index of the ellipsoid.
        normals: ``(n, 3)`` float32, unit length.
        points: ``(n, 3)`` float32, view coordinates in pixels.
    """

    covered: NDArray[np.bool_]
    depth: Floats
    ball: NDArray[np.intp]
    normals: Floats
    points: Floats


def _splat(centres: Floats, shapes: Floats, size: tuple[int, int]) -> _Surface:
    """Nearest front surface of ellipsoids under parallel projection.

    Args:
        centres: ``(N, 3)`` view coordinates in pixels.
        shapes: ``(N, 3, 3)`` axes times radii in columns, pixels.
        size: ``(height, width)`` of the canvas.
    """
    spread = shapes @ shapes.transpose(0, 2, 1)
    flat = np.linalg.inv(spread[:, :2, :2]).astype(np.float32)
    slope = np.einsum("ni,nij->nj", spread[:, 2, :2], flat).astype(np.float32)
    bulge = np.sqrt(np.maximum(spread[:, 2, 2] - np.einsum("ni,ni->n", slope, spread[:, :2, 2]), 1e-6)).astype(
        np.float32
    )
    reach = np.sqrt(spread[:, (0, 1), (0, 1)])
    low = np.maximum(np.floor(centres[:, :2] - reach), 0).astype(int)
    high = np.minimum(np.ceil(centres[:, :2] + reach) + 1, (size[1], size[0])).astype(int)
    depth = np.full(size, -1e6, np.float32)
    ball = np.full(size, -1, np.int32)
    columns, rows = np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32)[:, None]
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if x0 >= x1 or y0 >= y1:
            continue
        dx, dy = columns[x0:x1] - centres[i, 0], rows[y0:y1] - centres[i, 1]
        (a, b), (_, c) = flat[i]
        inside = 1 - (a * dx * dx + (2 * b) * (dy * dx) + c * dy * dy)
        z = (centres[i, 2] + slope[i, 0] * dx) + slope[i, 1] * dy + bulge[i] * np.sqrt(np.maximum(inside, 0))
        nearest = (inside > 0) & (z > depth[y0:y1, x0:x1])
        np.copyto(depth[y0:y1, x0:x1], z, where=nearest)
        np.copyto(ball[y0:y1, x0:x1], i, where=nearest)
    covered = ball >= 0  # (h, w)
    y, x = np.nonzero(covered)
    owner = ball[y, x]
    offset = np.stack([x, y], axis=1).astype(np.float32) - centres[owner, :2]
    pulled = np.einsum("nij,nj->ni", flat[owner], offset)
    root = np.sqrt(np.maximum(1 - np.einsum("ni,ni->n", pulled, offset), 0))[:, None]
    normals = np.concatenate([bulge[owner, None] * pulled - slope[owner] * root, root], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-6
    points = np.stack([x, y, depth[y, x]], axis=1).astype(np.float32)
    return _Surface(covered, depth, owner.astype(np.intp), normals.astype(np.float32), points)


def _blur_inside(values: Floats, covered: NDArray[np.bool_], sigma: float) -> Floats:
    """Smooth ``(n, k)`` values of the covered pixels without leaking over the border; ``(n, k)``."""
    side = 2 * round(sigma * 1.22) + 1  # two boxes of this side deviate like the Gaussian
    canvas = np.zeros((*covered.shape, values.shape[1] + 1), np.float32)
    canvas[covered, :-1] = values
    canvas[covered, -1] = 1.0
    smooth = cv2.blur(cv2.blur(canvas, (side, side)), (side, side))[covered]
    return np.asarray(smooth[:, :-1] / np.maximum(smooth[:, -1:], 1e-3), np.float32)


def _shade(figure: Figure, body: Body, surface: _Surface, view: NDArray[np.float64], scale: float) -> Floats:
    """Linear RGB ``(n, 3)`` of the covered pixels; ``scale`` is pixels per stature."""
    part = np.concatenate(body.owner)[surface.ball]
    frames, origins = np.stack(body.frames), np.stack(body.origins)
    shoes = np.asarray(body.materials) == SHOE
    up = frames[:, 1, 2]  # the third axis of a foot points up, to tell the sole
    frames[shoes & (up < 0), :, 2] *= -1.0
    frames[shoes & (np.abs(up) < 0.5), :, 2] = 0.0
    turn = (frames.transpose(0, 2, 1) @ view.T).astype(np.float32)
    shift = np.einsum("pij,pj->pi", frames.transpose(0, 2, 1), origins).astype(np.float32)
    local = np.einsum("nij,nj->ni", turn[part], surface.points / scale) - shift[part]
    material = np.asarray(body.materials)[part]
    albedo, folds, gloss = paint(figure, material, part, body.trunk, local)

    normals = _blur_inside(surface.normals, surface.covered, max(0.010 * scale, 0.6))
    offset = (part * 0.37 + figure.texture % 97 * 0.11).astype(np.float32)
    around = 1.4 * local[:, 0] + 1.1 * local[:, 2]  # an angle would leave a seam down the back
    # Folds are long and lean: the noise is stretched along a slanted line.
    fine = noise(around * 1.5 + local[:, 1] * 0.9 + offset, local[:, 1] * 0.35 - around * 0.6 + offset)
    broad = noise(around * 0.7 - local[:, 1] * 0.35 + offset, local[:, 1] * 0.3 + 2 * offset)
    normals[:, 1] += folds * (0.22 * fine + 0.10 * broad)
    normals[:, 0] += folds * (0.16 * broad + 0.10 * fine)
    creases = folds * np.exp(-((4.0 * (fine - 0.6 * broad)) ** 2)) * np.clip(0.6 + 0.5 * broad, 0, 1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-6

    depth = surface.points[:, 2:] / scale
    sunk = (_blur_inside(depth, surface.covered, 0.028 * scale) - depth)[:, 0]
    open_sky = np.exp(-9.0 * np.maximum(sunk, 0)) * (1 + 0.6 * np.clip(-sunk, 0, 0.06))
    height = np.einsum("nj,j->n", surface.points / scale, view[:, 1].astype(np.float32))
    low = 0.66 + 0.34 * np.clip(height / 0.55, 0, 1)
    diffuse = np.clip(normals @ KEY_LIGHT + 0.25, 0, None) / 1.25
    ambient = 0.50 - 0.30 * normals[:, 1]
    light = (0.92 * diffuse + 0.62 * ambient * low) * open_sky * (1 - 0.30 * creases)
    half = KEY_LIGHT + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    shine = gloss * np.clip(normals @ half, 0, 1) ** 14 * open_sky
    return np.asarray(albedo * light[:, None] + 0.5 * shine[:, None], np.float32)


def draw_sprite(
    figure: Figure, height_px: float, phase: float, facing: float, stride: float = 1.0, pitch: float = 0.18
) -> Sprite:
    """Render a person with its place on the ground; arguments as in ``draw_person``."""
    fine = 2 if height_px < 240 else 1.5
    scale = fine * height_px
    joints = pose(figure, phase, stride)
    body = body_of(figure, joints, spacing=float(np.clip(90 / height_px, 0.42, 0.75)))
    view = _view(facing, pitch)
    width, tall = (int(np.ceil(share * height_px)) for share in (SPRITE_WIDE, SPRITE_TALL))
    size = (round(tall * fine), round(width * fine))
    foot = np.array([size[1] / 2, _FOOT * scale, 0.0])
    centres = np.concatenate(body.centres) @ view.T * scale
    centres[:, 2] += np.repeat(body.over, [len(owner) for owner in body.owner]) * scale
    shapes = view @ np.concatenate(body.shapes) * scale
    surface = _splat((centres + foot).astype(np.float32), shapes.astype(np.float32), size)
    centred = _Surface(
        surface.covered, surface.depth, surface.ball, surface.normals, surface.points - foot.astype(np.float32)
    )
    colour = _shade(figure, body, centred, view, scale)
    canvas = np.zeros((*size, 4), np.float32)
    canvas[surface.covered, :3] = 255 * np.clip(colour, 0, 1) ** (1 / 2.2)
    canvas[surface.covered, 3] = 255
    small = cv2.resize(canvas, (width, tall), interpolation=cv2.INTER_AREA)
    ankles = np.stack([leg.ankle + 0.02 * leg.foot for leg in joints.legs])
    lifts = np.maximum(ankles[:, 1] - 0.045, 0)
    ankles[:, 1] = 0.0
    shoes = (ankles @ view.T * scale + foot)[:, :2] / fine
    return Sprite(
        np.clip(small + 0.5, 0, 255).astype(np.uint8), (float(foot[0] / fine), float(foot[1] / fine)),
        shoes.astype(np.float32), lifts.astype(np.float32),
    )  # fmt: skip


def draw_person(
    figure: Figure, height_px: float, phase: float, facing: float, stride: float = 1.0, pitch: float = 0.18
) -> NDArray[np.uint8]:
    """Render a person, cut to the outline.

    Args:
        figure: who.
        height_px: height of the upright figure in pixels, 24 and more.
        phase: position in the walking cycle, 0..1.
        facing: direction of the walk in radians: 0 towards the viewer, pi/2 to the right, pi away.
        stride: 1 walks, 0 stands.
        pitch: how far the camera looks down, radians.

    Returns:
        ``(h, w, 4)`` uint8 RGBA, colour not premultiplied.

    Raises:
        ValueError: ``height_px`` is below 24.
    """
    if height_px < 24:
        raise ValueError(f"height_px: expected 24 or more, got {height_px}")
    rgba = draw_sprite(figure, height_px, phase, facing, stride, pitch).rgba
    y, x = np.nonzero(rgba[..., 3])
    rgba = rgba[y.min() : y.max() + 1, x.min() : x.max() + 1].copy()
    alpha = np.maximum(rgba[..., 3:].astype(np.float32), 1) / 255
    rgba[..., :3] = np.clip(rgba[..., :3] / alpha + 0.5, 0, 255)
    return rgba
