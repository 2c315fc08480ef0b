"""Rendered rooms: nobody in them, each another, the same for the same seed."""

from __future__ import annotations

import numpy as np

from argos.training.clutter import COLUMNS, ROWS, cluttered_rooms


def test_a_seed_gives_the_same_rooms_and_each_is_another() -> None:
    rooms = cluttered_rooms(4, 5)
    assert [(room.shape, room.dtype) for room in rooms] == [((ROWS, COLUMNS, 3), np.uint8)] * 4
    for room, again in zip(rooms, cluttered_rooms(4, 5), strict=True):
        np.testing.assert_array_equal(room, again)
    differences = [np.abs(rooms[a].astype(int) - rooms[b]).mean() for a in range(4) for b in range(a)]
    assert min(differences) > 10


def test_rooms_are_full_of_things() -> None:
    wall = np.random.default_rng(0).normal(120, 2, (ROWS, COLUMNS, 3))  # nothing but the noise of the rooms
    assert np.median([roughness(room) for room in cluttered_rooms(8, 6)]) > 2 * roughness(wall)


def roughness(picture: np.ndarray) -> float:
    """Mean difference of neighbours, in grey levels."""
    grey = picture.astype(float).mean(axis=2)
    return float(np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=0)).mean())
