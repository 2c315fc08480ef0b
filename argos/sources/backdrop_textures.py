"""Painted surfaces of the empty scene: shop fronts, posters, doors, plants, furniture.

A texture is ``(h, w, 4)`` uint8 RGBA at ``DENSITY`` pixels per metre.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

DENSITY = 80
"""Texture pixels per metre."""

Texture = NDArray[np.uint8]
Rgb = tuple[int, int, int]

WORDS = ("CAFE", "BOOKS", "OPTIK", "FLOWERS", "BAKERY", "PHONE", "TRAVEL", "SHOES", "TOYS", "MUSIC", "GIFTS", "TEA")


def colour(rng: np.random.Generator, low: int, high: int, tint: int = 18) -> Rgb:
    """A greyish colour between ``low`` and ``high``, tinted."""
    red, green, blue = np.clip(rng.integers(low, high) + rng.integers(-tint, tint + 1, 3), 5, 250).tolist()
    return red, green, blue


def vivid(rng: np.random.Generator) -> Rgb:
    """A colour of signs and goods."""
    hue = np.array([[[rng.integers(180), rng.integers(60, 190), rng.integers(90, 225)]]], np.uint8)
    red, green, blue = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def plain(width_m: float, height_m: float, fill: Rgb, rng: np.random.Generator, rough: float = 5.0) -> Texture:
    """A rough surface of one colour, a little darker at the foot."""
    h, w = round(height_m * DENSITY), round(width_m * DENSITY)
    texture = np.full((h, w, 4), 255, np.float32)
    clouds = sum(
        cv2.resize(
            rng.normal(0, rough / 2, (h // s + 2, w // s + 2)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC
        )
        for s in (40, 12, 3)
    )
    fade = np.linspace(1.04, 0.90, h, dtype=np.float32)[:, None]
    texture[..., :3] = (np.asarray(fill, np.float32) + np.asarray(clouds)[..., None]) * fade[..., None]
    return np.clip(texture, 0, 255).astype(np.uint8)


def _rect(texture: Texture, box: tuple[float, float, float, float], fill: Rgb) -> None:
    """Fill a rectangle given in metres from the upper left corner."""
    x0, y0, x1, y1 = (round(value * DENSITY) for value in box)
    cv2.rectangle(texture, (x0, y0), (x1 - 1, y1 - 1), (*fill, 255), -1)


def _goods(texture: Texture, box: tuple[float, float, float, float], rng: np.random.Generator) -> None:
    """Lit interior with shelves of goods, seen a little out of focus through glass."""
    x0, y0, x1, y1 = (round(value * DENSITY) for value in box)
    inside = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
    inside[:] = np.linspace(1.1, 0.7, y1 - y0)[:, None, None] * np.asarray(colour(rng, 90, 190, 14), np.float32)
    shelf = int(rng.integers(26, 46))
    family = [vivid(rng) for _ in range(4)]
    for y in range(shelf, y1 - y0, shelf):
        x = 0
        while x < x1 - x0:
            wide, high = int(rng.integers(5, 26)), int(rng.integers(shelf // 3, shelf - 6))
            if rng.random() < 0.8:
                tone = np.asarray(family[int(rng.integers(4))], float) * rng.uniform(0.6, 1.1)
                cv2.rectangle(inside, (x, y - high), (x + wide - 2, y - 3), np.clip(tone, 0, 255).tolist(), -1)
            x += wide
        cv2.rectangle(inside, (0, y - 3), (x1 - x0, y), colour(rng, 60, 120), -1)
    inside = cv2.GaussianBlur(inside, (0, 0), 1.5)
    glare = np.add.outer(np.arange(y1 - y0), np.arange(x1 - x0) * 0.6) / 70.0 + rng.random() * 9
    inside += (np.clip(np.sin(glare) - 0.55, 0, 1) * 70)[..., None]
    texture[y0:y1, x0:x1, :3] = np.clip(inside, 0, 255)


def shop_front(width_m: float, height_m: float, rng: np.random.Generator) -> Texture:
    """A shop with a sign, windows and a glass door."""
    frame = colour(rng, 40, 200, 12)
    texture = plain(width_m, height_m, frame, rng, 4)
    sign_at = height_m - 3.15
    board = vivid(rng) if rng.random() < 0.6 else colour(rng, 25, 230)
    _rect(texture, (0.15, sign_at - 0.1, width_m - 0.15, sign_at + 0.5), board)
    ink = (245, 244, 240) if sum(board) < 420 else (30, 30, 34)
    word = WORDS[int(rng.integers(len(WORDS)))]
    at = (round((width_m * rng.uniform(0.12, 0.45)) * DENSITY), round((sign_at + 0.38) * DENSITY))
    cv2.putText(texture, word, at, cv2.FONT_HERSHEY_DUPLEX, 1.15, (*ink, 255), 3, cv2.LINE_AA)
    door = float(rng.uniform(0.3, width_m - 1.9))
    top, foot = sign_at + 0.65, height_m - 0.12
    for x0, x1 in ((0.2, door - 0.1), (door + 1.7, width_m - 0.2)):
        if x1 - x0 > 0.5:
            _goods(texture, (x0, top, x1, foot - 0.35), rng)
            middle = (x0 + x1) / 2
            _rect(texture, (middle - 0.03, top, middle + 0.03, foot - 0.35), frame)
    _goods(texture, (door + 0.05, top, door + 1.55, foot), rng)
    dark = texture[round(top * DENSITY) : round(foot * DENSITY), round(door * DENSITY) : round((door + 1.6) * DENSITY)]
    dark[..., :3] = (dark[..., :3] * 0.55).astype(np.uint8)
    for x in (door, door + 0.78, door + 1.55):
        _rect(texture, (x, top, x + 0.06, foot), colour(rng, 70, 110, 4))
    for x in (door + 0.66, door + 0.92):
        _rect(texture, (x, top + 0.9, x + 0.04, top + 1.5), (190, 190, 188))
    return texture


def wall(width_m: float, height_m: float, fill: Rgb, rng: np.random.Generator) -> Texture:
    """A plain bay with posters, a service door or a bench niche."""
    texture = plain(width_m, height_m, fill, rng)
    _rect(texture, (0, height_m - 0.16, width_m, height_m), colour(rng, 50, 110, 6))
    x = float(rng.uniform(0.3, 0.8))
    while x < width_m - 1.3:
        if rng.random() < 0.3:
            _rect(texture, (x, height_m - 2.15, x + 0.95, height_m - 0.02), colour(rng, 80, 190))
            _rect(texture, (x + 0.80, height_m - 1.1, x + 0.88, height_m - 1.0), (60, 60, 62))
        else:
            wide, high = float(rng.uniform(0.7, 1.2)), float(rng.uniform(0.9, 1.6))
            y = height_m - 0.8 - high
            _rect(texture, (x - 0.05, y - 0.05, x + wide + 0.05, y + high + 0.05), colour(rng, 30, 90, 5))
            _rect(texture, (x, y, x + wide, y + high), vivid(rng))
            for _ in range(int(rng.integers(2, 6))):
                bx, by = rng.uniform(0, wide * 0.7), rng.uniform(0, high * 0.8)
                bw, bh = rng.uniform(0.1, wide - bx), rng.uniform(0.04, (high - by) * 0.6)
                _rect(texture, (x + bx, y + by, x + bx + bw, y + by + bh), vivid(rng))
        x += float(rng.uniform(1.5, 2.6))
    return texture


def brick(width_m: float, height_m: float, fill: Rgb, rng: np.random.Generator) -> Texture:
    """Brickwork with windows, as on a street."""
    texture = plain(width_m, height_m, fill, rng, 7)
    h, w = texture.shape[:2]
    rows, columns = h // 6 + 1, w // 18 + 2
    tones = rng.normal(1.0, 0.08, (rows, columns))
    y, x = np.mgrid[:h, :w]
    row = y // 6
    column = (x + 9 * (row % 2)) // 18
    shade = tones[row, column]
    shade = np.where((y % 6 == 0) | ((x + 9 * (row % 2)) % 18 == 0), 0.85, shade)
    texture[..., :3] = np.clip(texture[..., :3] * shade[..., None], 0, 255)
    frame = colour(rng, 120, 240, 8)
    for top in np.arange(0.7, height_m - 3.4, 2.6):
        for left in np.arange(0.5, width_m - 1.3, 2.1):
            _rect(texture, (left - 0.08, top - 0.08, left + 1.18, top + 1.58), frame)
            pane = colour(rng, 35, 90, 10)
            _rect(texture, (left, top, left + 0.52, top + 1.5), pane)
            _rect(texture, (left + 0.58, top, left + 1.1, top + 1.5), pane)
            _rect(texture, (left, top, left + 1.1, top + float(rng.uniform(0.1, 0.7))), colour(rng, 110, 170, 6))
    return texture


def plant(height_m: float, rng: np.random.Generator) -> Texture:
    """A potted plant in front of nothing (alpha 0)."""
    size = round(height_m * DENSITY)
    texture = np.zeros((size, size, 4), np.uint8)
    pot = np.asarray(colour(rng, 60, 210, 20), float)
    half, top = 0.16 * size, 0.66 * size
    for x in range(round(size / 2 - half), round(size / 2 + half)):
        light = 1.05 - 0.55 * abs((x - size / 2 + 0.25 * half) / half) ** 1.5
        inset = abs(x - size / 2) / half * 0.02 * size
        tone = (*np.clip(pot * light, 0, 255).tolist(), 255)
        cv2.line(texture, (x, round(top)), (round(size / 2 + (x - size / 2) * 0.8), round(size - 2 - inset)), tone, 2)
    green = np.asarray((rng.integers(40, 90), rng.integers(90, 135), rng.integers(35, 70)), float)
    for _ in range(150):
        angle, reach = rng.normal(-np.pi / 2, 0.85), size * rng.uniform(0.12, 0.62)
        tip = np.array([size / 2 + reach * np.cos(angle) * 0.75, top + reach * np.sin(angle)])
        tone = np.clip(green * rng.uniform(0.35, 1.35), 0, 255).tolist()
        cv2.ellipse(
            texture, tip.astype(int).tolist(), (round(size * 0.055), round(size * 0.02)),
            float(np.degrees(angle) + rng.normal(0, 35)),
            0, 360, (*tone, 255), -1, cv2.LINE_AA,
        )  # fmt: skip
    return texture


def column(height_m: float, width_m: float, rng: np.random.Generator) -> Texture:
    """A round column."""
    texture = plain(width_m, height_m, colour(rng, 150, 225, 8), rng, 3)
    across = np.linspace(-1, 1, texture.shape[1])
    light = 1.02 - 0.5 * np.abs(across + 0.25) ** 1.8
    texture[..., :3] = np.clip(texture[..., :3] * light[None, :, None], 0, 255)
    _rect(texture, (0, height_m - 0.2, width_m, height_m), colour(rng, 70, 110, 4))
    return texture
