"""People in front of a backdrop: sprites placed by perspective, hidden by depth, with shadows and exact masks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.sources.backdrop import Backdrop, make_backdrop
from argos.sources.figures import SPRITE_TALL, Sprite, draw_sprite
from argos.sources.walkers import Visits, Walker
from argos.types import Size

Floats = NDArray[np.float32]

PHASES = 20
"""Pictures of one stride; at 15 to 20 frames a second about one per frame."""

_STEP_FACING, _STEP_PITCH, _STEP_SIZE = np.radians(12.0), 0.08, 1.2
_CACHED = 600
_SMALLEST = 10  # visible pixels a person needs to be listed


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """The visible part of a person in a picture.

    Attributes:
        id: the same in all frames of a visit, never used again.
        box: ``(x0, y0, x1, y1)`` around the mask.
        mask: ``(y1 - y0, x1 - x0)`` bool, pixels of which this person covers at least half; shadows excluded.
    """

    id: int
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A picture with its truth.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 RGB.
        people: visible people, nearest first; their masks are disjoint.
    """

    pixels: NDArray[np.uint8]
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A sprite on the picture: ``rgba`` ``(h, w, 4)`` float32 premultiplied, its corner, foot, height and distance."""

    walker: Walker
    rgba: Floats
    corner: tuple[int, int]
    foot: NDArray[np.float64]
    shoes: NDArray[np.float64]
    lifts: Floats
    height_px: float


def _blob() -> Floats:
    """A soft round spot, ``(48, 48)``, 0..1."""
    axis = np.linspace(-1, 1, 48)
    away = np.hypot(axis[:, None], axis)
    return np.asarray(np.clip(1 - away, 0, 1) ** 2 * (1 + 2 * away), np.float32)


class Scene:
    """A backdrop, the visits to it, and a cache of sprites."""

    def __init__(self, size: Size, people: int, seed: int) -> None:
        self.backdrop: Backdrop = make_backdrop(size, np.random.default_rng([seed, 0]))
        self._visits = Visits(people, seed, self.backdrop)
        self._sprites: OrderedDict[tuple[int, ...], Sprite] = OrderedDict()
        self._blob = _blob()
        self._tint = np.random.default_rng([seed, 2]).normal(1.0, 0.02, 3).astype(np.float32)

    def picture(self, time_s: float) -> Rendered:
        """The scene without sensor noise; times must not go back."""
        placed = [one for one in map(self._place, self._visits.at(time_s)) if one is not None]
        placed.sort(key=lambda one: one.walker.place[1])
        pixels = self.backdrop.pixels.copy()
        for one in placed:
            self._mirror(pixels, one)
        for one in placed:
            self._shadow(pixels, one)
        for one in reversed(placed):
            (x, y), (h, w) = one.corner, one.rgba.shape[:2]
            region = pixels[y : y + h, x : x + w]
            region[:] = region * (1 - one.rgba[..., 3:]) + one.rgba[..., :3] + 0.5
        return Rendered(pixels, tuple(self._people(placed)))

    def _people(self, placed: list[_Placed]) -> list[Person]:
        """Visible masks, nearest first."""
        taken = np.zeros(self.backdrop.camera.size, np.bool_)
        people = []
        for one in placed:
            (x, y), (h, w) = one.corner, one.rgba.shape[:2]
            visible = (one.rgba[..., 3] >= 0.5) & ~taken[y : y + h, x : x + w]
            if np.count_nonzero(visible) < _SMALLEST:
                continue
            taken[y : y + h, x : x + w] |= visible
            rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
            y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
            people.append(Person(one.walker.person, (x + x0, y + y0, x + x1, y + y1), visible[y0:y1, x0:x1].copy()))
        return people

    def _sprite(self, walker: Walker, height_px: float, pitch: float) -> Sprite:
        """The sprite nearest to what is asked for, from the cache or drawn."""
        x, z = walker.place
        toward = np.array([-x, -z]) / np.hypot(x, z)
        facing = float(np.arctan2(walker.way[0] * -toward[1] + walker.way[1] * toward[0], np.dot(walker.way, toward)))
        key = (
            walker.person, round(walker.phase * PHASES) % PHASES, round(facing / _STEP_FACING),
            round(walker.stride * 3), round(pitch / _STEP_PITCH),
            int(np.ceil(np.log(max(height_px, 24)) / np.log(_STEP_SIZE))),
        )  # fmt: skip
        sprite = self._sprites.pop(key, None)
        if sprite is None:
            sprite = draw_sprite(
                walker.figure,
                _STEP_SIZE ** key[5],
                key[1] / PHASES,
                key[2] * _STEP_FACING,
                key[3] / 3,
                key[4] * _STEP_PITCH,
            )
            if len(self._sprites) >= _CACHED:
                self._sprites.popitem(last=False)
        self._sprites[key] = sprite
        return sprite

    def _place(self, walker: Walker) -> _Placed | None:
        """Warp the sprite of a walker onto the picture; None when outside."""
        camera = self.backdrop.camera
        x, z = walker.place
        stature = walker.figure.stature
        foot, head = camera.project(np.array([[x, 0.0, z], [x, stature, z]]))
        pitch = float(np.arctan2(camera.height - stature / 2, z))
        height_px = float(np.linalg.norm(head - foot)) / np.cos(pitch)
        sprite = self._sprite(walker, height_px, pitch)
        tall = sprite.rgba.shape[0] / SPRITE_TALL
        # Turned and scaled so that foot and head lie where the camera sees them.
        up = (head - foot) / (tall * np.cos(round(pitch / _STEP_PITCH) * _STEP_PITCH))
        turn = np.array([[-up[1], -up[0]], [up[0], -up[1]]])
        shift = foot - turn @ np.asarray(sprite.foot)
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * (sprite.rgba.shape[1], sprite.rgba.shape[0])
        reached = corners @ turn.T + shift
        low = np.maximum(np.floor(reached.min(0)), 0).astype(int)
        high = np.minimum(np.ceil(reached.max(0)) + 1, (camera.size[1], camera.size[0])).astype(int)
        if (high <= low).any():
            return None
        warp = np.column_stack([turn, shift - low])
        width, height = (high - low).tolist()
        rgba = cv2.warpAffine(sprite.rgba, warp, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32)
        hidden = self.backdrop.nearest[low[1] : high[1], low[0] : high[0]] < z
        rgba[hidden] = 0
        rgba[..., :3] *= self._tint * self._light(foot)
        rgba[..., 3] /= 255
        shoes = sprite.shoes @ turn.T + shift
        return _Placed(walker, rgba, (int(low[0]), int(low[1])), foot, shoes, sprite.lifts, height_px)

    def _light(self, foot: NDArray[np.float64]) -> float:
        """Brightness of people standing at a pixel: the borders of the picture are darker."""
        h, w = self.backdrop.camera.size
        u, v = np.clip(2 * foot[0] / w - 1, -1, 1), np.clip(2 * foot[1] / h - 1, -1, 1)
        return float(1 - 0.07 * (u * u + v * v))

    def _darken(
        self, pixels: NDArray[np.uint8], centre: NDArray[np.float64], wide: float, deep: float, depth: float
    ) -> None:
        """Multiply a soft ellipse into the picture."""
        reach = np.array([wide, deep])
        x0, y0 = np.maximum(np.floor(centre - reach), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(centre + reach) + 1, (pixels.shape[1], pixels.shape[0])).astype(int)
        if x0 >= x1 or y0 >= y1 or wide < 1 or deep < 1:
            return
        n = len(self._blob)
        scale = np.array([[n / (2 * wide), 0, 0], [0, n / (2 * deep), 0]])
        scale[:, 2] = n / 2 - scale[:, :2] @ (centre - (x0, y0))
        spot = cv2.warpAffine(
            self._blob, scale, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        region = pixels[y0:y1, x0:x1]
        region[:] = region * (1 - depth * spot[..., None]) + 0.5

    def _shadow(self, pixels: NDArray[np.uint8], one: _Placed) -> None:
        """Contact shadows of the shoes and the wide shadow of the body."""
        h = one.height_px
        squash = float(np.clip(self.backdrop.camera.height / one.walker.place[1], 0.1, 0.6))
        self._darken(pixels, one.foot, 0.42 * h, 0.42 * h * squash, 0.34)
        for shoe, lift in zip(one.shoes, one.lifts, strict=True):
            self._darken(
                pixels, shoe, (0.11 + lift) * h, (0.09 + lift) * h * max(squash, 0.3), 0.55 / (1 + 14 * float(lift))
            )

    def _mirror(self, pixels: NDArray[np.uint8], one: _Placed) -> None:
        """The person mirrored in a polished floor, upside down and blurred."""
        share = self.backdrop.gloss
        (x, y), (h, w) = one.corner, one.rgba.shape[:2]
        ground = round(float(one.foot[1]))
        top = 2 * ground - (y + h)
        rows = slice(max(top, ground - round(0.04 * one.height_px), 0), min(top + h, pixels.shape[0]))
        if rows.start >= rows.stop:
            return
        flipped = cv2.blur(one.rgba[::-1], (5, 9))[rows.start - top : rows.stop - top]
        fade = np.linspace(share, 0.2 * share, len(flipped), dtype=np.float32)[:, None, None]
        region = pixels[rows, x : x + w]
        region[:] = region * (1 - fade * flipped[..., 3:]) + fade * flipped[..., :3] + 0.5
