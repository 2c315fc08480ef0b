"""Rendered shops and stores without people: racks and tables full of things, the negatives that photos lack.

A network without ImageNet weights takes tall coloured furniture and rows of pale things for people. The photos of the
project show streets, rooms and land; hardly one shows a rack.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 360, 480
FLAT = 320
"""Side of a rack before it is put into perspective."""


def cluttered_rooms(count: int, seed: int) -> list[NDArray[np.uint8]]:
    """Rooms with racks on the sides, something at the end, and often a table in front.

    Returns:
        ``count`` pictures ``(360, 480, 3)`` uint8, RGB.
    """
    rng = np.random.default_rng(seed)
    return [_room(rng) for _ in range(count)]


def _room(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Floor and wall about a vanishing point, racks that lead to it, a table, all a little blurred."""
    x, y = rng.uniform(0.25, 0.75) * COLUMNS, rng.uniform(0.1, 0.5) * ROWS
    picture = np.empty((ROWS, COLUMNS, 3), np.float32)
    picture[:] = _colour(rng)
    picture[int(y) :] = _colour(rng)
    depth = rng.uniform(0.1, 0.45, 2)
    end = np.array([[x - depth[0] * x, y * 0.3], [x + depth[1] * (COLUMNS - x), y * 0.3]])
    low = y + rng.uniform(0.1, 0.4) * (ROWS - y)
    if rng.random() < 0.6:
        _put(picture, _rack(rng), [end[0], end[1], (end[1][0], low), (end[0][0], low)])
    top, bottom = rng.uniform(-0.6, 0.2) * ROWS, rng.uniform(0.9, 1.6) * ROWS
    if rng.random() < 0.85:
        _put(picture, _rack(rng), [(-20, top), end[0], (end[0][0], low), (-20, bottom)])
    if rng.random() < 0.85:
        _put(picture, _rack(rng), [end[1], (COLUMNS + 20, top), (COLUMNS + 20, bottom), (end[1][0], low)])
    for _ in range(int(rng.integers(1, 5))):  # a locker, a door, a pillar, a board: what stands upright alone
        width, height = rng.uniform(0.03, 0.15) * COLUMNS, rng.uniform(0.2, 0.8) * ROWS
        left, foot = rng.uniform(0, COLUMNS), rng.uniform(0.4, 1.1) * ROWS
        skew = rng.normal(0, 0.08) * height
        thing = _rack(rng) if rng.random() < 0.5 else _panel(rng)
        corners = [(left, foot - height), (left + width, foot - height + skew)]
        _put(picture, thing, [*corners, (left + width, foot - skew), (left, foot)])
    if rng.random() < 0.5:
        near, far = rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.2)
        middle = rng.uniform(0.2, 0.8) * COLUMNS
        back, front = low + rng.uniform(0, 0.2) * ROWS, rng.uniform(0.85, 1.2) * ROWS
        corners = [(x - far * COLUMNS, back), (x + far * COLUMNS, back)]
        _put(picture, _heap(rng), [*corners, (middle + near * COLUMNS, front), (middle - near * COLUMNS, front)])
    light = cv2.resize(
        rng.uniform(0.6, 1.25, (3, 4)).astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC
    )
    picture = cv2.GaussianBlur(picture * light[:, :, None], (0, 0), rng.uniform(0.5, 1.0))
    return np.asarray(np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255), np.uint8)


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """Pale, dark or strong; white goods and bare walls are common."""
    kind = rng.random()
    if kind < 0.4:
        return np.clip(rng.uniform(150, 245) + rng.normal(0, 8, 3), 0, 255).astype(np.float32)
    if kind < 0.6:
        return np.clip(rng.uniform(15, 90) + rng.normal(0, 10, 3), 0, 255).astype(np.float32)
    return rng.uniform(20, 240, 3).astype(np.float32)


def _put(picture: NDArray[np.float32], flat: NDArray[np.float32], corners: object) -> None:
    """Warp a flat square onto four corners: top left, top right, bottom right, bottom left."""
    square = np.array([[0, 0], [FLAT, 0], [FLAT, FLAT], [0, FLAT]], np.float32)
    warp = cv2.getPerspectiveTransform(square, np.asarray(corners, np.float32))
    seen = cv2.warpPerspective(flat, warp, (COLUMNS, ROWS), flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.ones((FLAT, FLAT), np.float32), warp, (COLUMNS, ROWS))[:, :, None]
    picture[:] = picture * (1 - cover) + seen * cover


def _rack(rng: np.random.Generator) -> NDArray[np.float32]:
    """Boards with rows of things of one kind, or nearly empty ones."""
    flat = np.empty((FLAT, FLAT, 3), np.float32)
    flat[:] = _colour(rng) * 0.7
    rows, full, board = int(rng.integers(3, 9)), rng.choice([0.1, 0.9, 0.95]), _colour(rng)
    height = FLAT / rows
    for row in range(rows):
        y, x, size = (row + 1) * height, 0.0, rng.uniform(0.25, 0.9) * height
        shape, paint = int(rng.integers(4)), _colour(rng)
        while x < FLAT:
            width = size * rng.uniform(0.4, 1.3)
            if rng.random() < full:
                colour = paint if rng.random() < 0.7 else _colour(rng)
                _thing(flat, (x, y - size * rng.uniform(0.8, 1.05), x + width, y), shape, colour)
            x += width * rng.uniform(0.9, 1.3)
        cv2.rectangle(flat, (0, int(y - 0.07 * height)), (FLAT, int(y)), board.tolist(), -1)
    for x in np.arange(0, FLAT + 1, FLAT / int(rng.integers(1, 5))):
        cv2.line(flat, (int(x), 0), (int(x), FLAT), (board * 0.8).tolist(), int(rng.integers(2, 8)))
    return flat


def _heap(rng: np.random.Generator) -> NDArray[np.float32]:
    """A table full of things, the nearer ones before the farther ones."""
    flat = np.empty((FLAT, FLAT, 3), np.float32)
    flat[:] = _colour(rng)
    paint, shape, size = _colour(rng), int(rng.integers(4)), rng.uniform(0.06, 0.2) * FLAT
    for y in np.sort(rng.uniform(0, FLAT, int(rng.integers(20, 140)))):
        x, width = rng.uniform(-size, FLAT), size * rng.uniform(0.6, 1.4)
        _thing(flat, (x, y - size * 0.7, x + width, y), shape, paint if rng.random() < 0.8 else _colour(rng))
    return flat


def _panel(rng: np.random.Generator) -> NDArray[np.float32]:
    """A door, a cupboard, a board: one colour, a frame, perhaps a few windows in it."""
    flat = np.empty((FLAT, FLAT, 3), np.float32)
    flat[:] = _colour(rng)
    cv2.rectangle(flat, (0, 0), (FLAT, FLAT), _colour(rng).tolist(), int(rng.integers(2, 30)))
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0.1, 0.6, 2) * FLAT
        cv2.rectangle(flat, (int(x), int(y)), (int(x + 0.3 * FLAT), int(y + 0.25 * FLAT)), _colour(rng).tolist(), -1)
    return flat


def _thing(
    flat: NDArray[np.float32], box: tuple[float, float, float, float], shape: int, colour: NDArray[np.float32]
) -> None:
    """A box, a pot, a bottle or a ball: dark edges, a light middle, a rim on top."""
    x0, y0, x1, y1 = (int(v) for v in box)
    width, height = max(3, x1 - x0), max(3, y1 - y0)
    for share in (1.0, 0.8, 0.5):  # the rounder, the lighter towards the middle
        tone, cx = (colour * (1.1 - 0.4 * share)).tolist(), x0 + int(width * 0.45)
        half = max(1, int(width * share / 2))
        if shape == 0:
            cv2.rectangle(flat, (cx - half, y0), (cx + half, y1), tone, -1)
        elif shape == 1:
            corners = [(cx - half, y0), (cx + half, y0), (cx + half * 2 // 3, y1), (cx - half * 2 // 3, y1)]
            cv2.fillConvexPoly(flat, np.array(corners, np.int32), tone, cv2.LINE_AA)
        elif shape == 2:
            cv2.rectangle(flat, (cx - half, y0 + height // 3), (cx + half, y1), tone, -1)
            cv2.rectangle(flat, (cx - half // 3, y0), (cx + half // 3, y1), tone, -1)
        else:
            _ellipse(flat, (cx, y0 + height // 2), (half, int(height * share / 2)), tone)
    if shape in (1, 3):
        _ellipse(flat, (x0 + int(width * 0.45), y0), (width // 2, height // 8), (colour * 0.45).tolist())


def _ellipse(flat: NDArray[np.float32], centre: tuple[int, int], half: tuple[int, int], tone: list[float]) -> None:
    cv2.ellipse(flat, centre, (max(1, half[0]), max(1, half[1])), 0, 0, 360, tone, -1, cv2.LINE_AA)
