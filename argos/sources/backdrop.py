"""The empty scene: a camera, and the hall or street it looks at.

World coordinates are metres: x right, y up, z away from the camera, the floor at y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.sources import backdrop_textures as textures
from argos.sources.clouds import noise
from argos.types import Size

Floats = NDArray[np.float32]

FINE = 2
"""The backdrop is painted this many times larger and reduced."""

BRICKS: tuple[textures.Rgb, ...] = ((150, 98, 80), (172, 132, 106), (138, 136, 132), (196, 178, 152), (120, 84, 74))
"""Colours of facades."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera that looks along z and down.

    Attributes:
        size: of the picture.
        focal: pixels.
        height: metres above the floor.
        pitch: radians, positive looks down.
    """

    size: Size
    focal: float
    height: float
    pitch: float

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """World ``(n, 3)`` to pixels ``(n, 2)``."""
        x, y, z = points[:, 0], points[:, 1] - self.height, points[:, 2]
        c, s = np.cos(self.pitch), np.sin(self.pitch)
        depth = np.maximum(c * z - s * y, 0.05)
        right, down = x / depth, -(c * y + s * z) / depth
        return np.stack([self.size[1] / 2 + self.focal * right, self.size[0] / 2 + self.focal * down], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """The empty scene.

    Attributes:
        camera: that sees it.
        pixels: ``(H, W, 3)`` uint8 RGB, without sensor noise.
        nearest: ``(H, W)`` float32, distance z in metres of furniture that hides people behind it; inf elsewhere.
        islands: ``(n, 2)`` (x, z) of furniture people walk around.
        far: distance of the back wall, metres.
        gloss: share of light the floor mirrors.
    """

    camera: Camera
    pixels: NDArray[np.uint8]
    nearest: Floats
    islands: NDArray[np.float64]
    far: float
    gloss: float


class _Canvas:
    """The enlarged picture while it is painted, back to front."""

    def __init__(self, camera: Camera) -> None:
        h, w = camera.size
        self.camera = Camera((h * FINE, w * FINE), camera.focal * FINE, camera.height, camera.pitch)
        self.pixels = np.zeros((h * FINE, w * FINE, 3), np.float32)
        self.nearest = np.full((h * FINE, w * FINE), np.inf, np.float32)

    def plane(self, level: float) -> tuple[slice, Floats, Floats]:
        """Rows that see the horizontal plane at y = ``level``, and the x ``(n, w)`` and z ``(n, 1)`` they see."""
        h, w = self.camera.size
        c, s = np.cos(self.camera.pitch), np.sin(self.camera.pitch)
        down = (np.arange(h) + 0.5 - h / 2) / self.camera.focal
        fall = c * down + s
        drop = self.camera.height - level
        seen = np.flatnonzero(fall * drop > 1e-3)
        distance = (drop / fall[seen])[:, None]
        right = (np.arange(w, dtype=np.float32) + 0.5 - w / 2) / self.camera.focal
        x, z = distance * right, (c - s * down[seen, None]) * distance
        return (
            slice(int(seen[0]), int(seen[-1]) + 1) if len(seen) else slice(0),
            x.astype(np.float32),
            z.astype(np.float32),
        )

    def quad(self, texture: textures.Texture, corners: NDArray[np.float64], near: float | None = None) -> None:
        """Paint a texture on the quadrilateral of world ``corners`` ``(4, 3)``, clockwise from the upper left.

        ``near`` makes it furniture at this distance.
        """
        h, w = texture.shape[:2]
        place = self.camera.project(corners)
        low = np.maximum(np.floor(place.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(place.max(0)), self.camera.size[::-1]).astype(int)
        if (high <= low).any():
            return
        outline = (place - low).astype(np.float32)
        warp = cv2.getPerspectiveTransform(np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32), outline)
        shown = texture.astype(np.float32)
        shown[..., :3] *= shown[..., 3:] / 255
        shrink = w / max(float(np.linalg.norm(place[1] - place[0])), 1.0)
        if shrink > 1.5:
            shown = cv2.GaussianBlur(shown, (0, 0), 0.4 * shrink)
        width, height = (high - low).tolist()
        painted = cv2.warpPerspective(shown, warp, (width, height), flags=cv2.INTER_LINEAR)
        alpha = painted[..., 3:] / 255
        region = self.pixels[low[1] : high[1], low[0] : high[0]]
        region *= 1 - alpha
        region += painted[..., :3]
        if near is not None:
            self.nearest[low[1] : high[1], low[0] : high[0]][alpha[..., 0] > 0.5] = near

    def upright(self, texture: textures.Texture, x: float, z: float, width: float, height: float) -> None:
        """Paint a texture standing on the floor at ``(x, z)``, facing the camera."""
        a, b = x - width / 2, x + width / 2
        corners = np.array([[a, height, z], [b, height, z], [b, 0, z], [a, 0, z]], float)
        self.quad(texture, corners, z)

    def shade(self, x: float, z: float, wide: float, deep: float, depth: float) -> None:
        """Darken the floor softly around ``(x, z)``."""
        rows, xs, zs = self.plane(0.0)
        away = ((xs - x) / wide) ** 2 + ((zs - z) / deep) ** 2
        self.pixels[rows] *= 1 - (depth * np.exp(-away))[..., None]


def _floor(canvas: _Canvas, rng: np.random.Generator, outside: bool) -> None:
    """Tiles or paving with joints, stains and the light of the hall."""
    rows, x, z = canvas.plane(0.0)
    side = float(rng.choice([0.45, 0.6, 0.9, 1.2]))
    x = x + np.float32(rng.uniform(0, side))
    base = np.asarray(textures.colour(rng, 105 if outside else 130, 175 if outside else 205, 10), np.float32)
    second = base * float(rng.uniform(0.82, 0.97))
    i, j = np.floor(x / side).astype(np.int32), np.floor(z / side).astype(np.int32)
    tone = rng.normal(1.0, 0.025, (64, 64)).astype(np.float32)[i % 64, j % 64]
    checked = ((i + j) % 2 == 0) if rng.random() < 0.35 else (i % 6 == 0)
    footprint = np.maximum(z, 1.0) / canvas.camera.focal  # metres per pixel across; more in depth
    for along, step in ((x, footprint), (z, footprint * np.maximum(z, 1.0) / canvas.camera.height)):
        gap = np.abs(along / side - np.round(along / side)) * side
        joint = np.clip((0.006 + step / 2 - gap) / step, 0, 1) * np.clip(0.012 / step, 0, 1)
        tone *= 1 - 0.35 * joint
    for metres, depth in ((22.0, 0.045), (5.0, 0.012)):
        across = (x / metres).astype(np.float32)
        tone *= 1 + depth * noise(across, np.broadcast_to(z / np.float32(metres), across.shape))
    canvas.pixels[rows] = np.where(checked[..., None], second, base) * tone[..., None]


def _ceiling(canvas: _Canvas, rng: np.random.Generator, level: float) -> None:
    """Panels with lamps."""
    rows, x, z = canvas.plane(level)
    base = np.asarray(textures.colour(rng, 150, 205, 6), np.float32)
    panel = (np.mod(x, 1.2) < 0.04) | (np.mod(z, 1.2) < 0.05)
    lamp = (np.mod(x, 4.8) < 1.2) & (np.mod(z, 3.6) < 0.6)
    paint = np.where(panel[..., None], base * np.float32(0.8), base)
    canvas.pixels[rows] = np.where(lamp[..., None], np.float32(252), paint)


def _back_wall(canvas: _Canvas, rng: np.random.Generator, far: float, outside: bool) -> None:
    """Bays of shops, windows and posters at the end of the hall or across the street."""
    tall = 9.0 if outside else 4.4
    fill = textures.colour(rng, 150, 215, 12)
    if outside:
        fill = BRICKS[int(rng.integers(len(BRICKS)))]
    x = -0.75 * far - float(rng.uniform(0, 4))
    while x < 0.8 * far:
        wide = float(rng.uniform(4.0, 6.5))
        shop = rng.random() < 0.55
        bay = textures.shop_front(wide, 4.4, rng) if shop else textures.wall(wide, 4.4, fill, rng)
        if outside:
            above = textures.brick(wide, tall - 4.4, fill, rng)
            bay = np.concatenate([above, bay[:, : above.shape[1]]], axis=0)
        corners = np.array([[x, tall, far], [x + wide, tall, far], [x + wide, 0, far], [x, 0, far]], float)
        canvas.quad(bay, corners)
        x += wide


def _box(canvas: _Canvas, rng: np.random.Generator, x: float, z: float, wide: float, deep: float, tall: float) -> None:
    """A bench, counter or planter: front and top of a box."""
    a, b, front, back = x - wide / 2, x + wide / 2, z - deep / 2, z + deep / 2
    fill = textures.colour(rng, 70, 190, 22)
    lighter = tuple(int(min(255, value * 1.18)) for value in fill)
    canvas.shade(x, z, wide * 0.65, deep * 0.9, 0.4)
    top = textures.plain(wide, deep, (lighter[0], lighter[1], lighter[2]), rng)
    canvas.quad(top, np.array([[a, tall, back], [b, tall, back], [b, tall, front], [a, tall, front]], float), z)
    side = -1.0 if x > 0 else 1.0  # the flank that the camera sees
    edge = b if side > 0 else a
    flank = textures.plain(deep, tall, tuple(int(value * 0.62) for value in fill), rng)  # type: ignore[arg-type]
    ends = (front, back) if side > 0 else (back, front)
    canvas.quad(
        flank,
        np.array([[edge, tall, ends[0]], [edge, tall, ends[1]], [edge, 0, ends[1]], [edge, 0, ends[0]]], float), z,
    )  # fmt: skip
    face = textures.plain(wide, tall, fill, rng)
    canvas.quad(face, np.array([[a, tall, front], [b, tall, front], [b, 0, front], [a, 0, front]], float), z)


def _furnish(canvas: _Canvas, rng: np.random.Generator, far: float) -> NDArray[np.float64]:
    """Columns, plants, benches; ``(n, 2)`` (x, z) of those that stand in the way."""
    islands: list[tuple[float, float]] = []
    things = [(float(rng.uniform(-0.6, 0.6) * z), float(z)) for z in rng.uniform(far - 2.0, far - 0.8, 5)]
    things += [
        (side * float(rng.uniform(0.18, 0.5)) * z, z)
        for side, z in zip((-1, 1), rng.uniform(9.0, far - 6.0, 2), strict=True)
    ]
    for x, z in sorted(things, key=lambda place: -place[1]):
        kind = rng.random()
        if z < far - 3:
            islands.append((x, z))
        if kind < 0.45:
            tall = float(rng.uniform(1.2, 1.9))
            canvas.shade(x, z, 0.5, 0.5, 0.45)
            canvas.upright(textures.plant(tall, rng), x, z, tall, tall)
        elif kind < 0.85:
            _box(
                canvas,
                rng,
                x,
                z,
                float(rng.uniform(1.2, 2.2)),
                float(rng.uniform(0.5, 0.8)),
                float(rng.uniform(0.42, 0.9)),
            )
        else:
            wide = float(rng.uniform(0.5, 0.8))
            canvas.shade(x, z, wide, wide, 0.5)
            canvas.upright(textures.column(4.4, wide, rng), x, z, wide, 4.4)
    return np.asarray(islands, float).reshape(-1, 2)


def make_backdrop(size: Size, rng: np.random.Generator) -> Backdrop:
    """Paint an empty hall (two of three seeds) or street.

    Args:
        size: of the picture.
        rng: source of the layout, colours and camera.
    """
    outside = bool(rng.random() < 0.34)
    camera = Camera(
        size,
        float(rng.uniform(0.74, 0.84)) * size[1],
        float(rng.uniform(2.7, 3.4)),
        float(np.radians(rng.uniform(10, 14))),
    )
    far = float(rng.uniform(23, 27))
    canvas = _Canvas(camera)
    h = canvas.camera.size[0]
    canvas.pixels[:] = np.linspace(205, 232, h)[:, None, None] * np.array([0.95, 0.99, 1.04])
    if not outside:
        _ceiling(canvas, rng, 4.4)
    _floor(canvas, rng, outside)
    _back_wall(canvas, rng, far, outside)
    canvas.shade(0, far, 60, 1.0, 0.35)
    islands = _furnish(canvas, rng, far)
    v = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    u = np.linspace(-1, 1, canvas.camera.size[1], dtype=np.float32)
    glow = float(rng.uniform(-0.10, 0.10))
    light = (1 + glow * u) * (1 - 0.13 * (u * u + v * v) / 2) * float(rng.uniform(0.86, 1.0))
    painted = np.clip(canvas.pixels * light[..., None], 0, 255).astype(np.float32)
    pixels = cv2.resize(painted, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 0.6)
    nearest = canvas.nearest[::FINE, ::FINE].copy()
    return Backdrop(
        camera, np.clip(pixels + 0.5, 0, 255).astype(np.uint8), nearest, islands, far, 0.05 if outside else 0.13
    )
