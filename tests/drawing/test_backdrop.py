"""People before another background: calm edges, nobody's room, and no picture without a mask."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_people import NOISE, SIZE, drawn, result, someone
from numpy.typing import NDArray

from argos.drawing.backdrop import Cutout, before, filling
from argos.drawing.styles import blurred, remembers
from argos.types import SemanticMask

RED = np.full((30, 30, 3), (200, 10, 10), np.uint8)


def standing(left: int) -> NDArray[np.bool_]:
    mask = np.zeros((120, 160), np.bool_)
    mask[30:110, left : left + 40] = True
    return mask


def test_the_inside_of_people_stays_and_the_room_goes() -> None:
    memory = remembers("backdrop", RED)
    found = result(0, None, semantic=SemanticMask(standing(60)))
    memory.keep(found)
    picture = drawn("backdrop", found, memory)
    np.testing.assert_array_equal(picture[45:95, 70:90], NOISE[45:95, 70:90])
    room = np.ones(SIZE, np.bool_)
    room[20:120, 50:110] = False
    assert (picture[room] == RED[0, 0]).all()


def test_without_a_picture_the_room_is_blurred() -> None:
    memory = remembers("backdrop")
    found = result(0, someone(60))
    memory.keep(found)
    picture = drawn("backdrop", found, memory)
    np.testing.assert_array_equal(picture[:, 120:], blurred(NOISE)[:, 120:])


def test_with_nobody_found_nothing_of_the_room_is_seen() -> None:
    memory = remembers("backdrop", RED)
    memory.keep(result(0))
    assert (drawn("backdrop", result(0), memory) == RED[0, 0]).all()


def test_an_edge_that_trembles_is_calm_and_a_person_who_moves_is_followed() -> None:
    cutout, rng = Cutout(), np.random.default_rng(0)
    shown, raw = [], []
    for n in range(40):  # 25 pictures per second
        mask = standing(60 + int(rng.integers(-2, 3)))
        cutout.keep(mask, n / 25)
        shown.append(cutout.alpha())
        raw.append(mask.astype(np.float32))
    flicker, before_it = (np.abs(np.diff(np.array(x[5:]), axis=0)).mean() for x in (shown, raw))
    assert flicker < 0.55 * before_it
    for n in range(40, 46):
        cutout.keep(standing(10), n / 25)
    assert cutout.alpha()[60, 30] > 0.9
    assert cutout.alpha()[60, 80] < 0.1


def test_after_a_gap_or_with_another_size_the_mask_begins_anew() -> None:
    cutout = Cutout()
    with pytest.raises(ValueError, match="no mask"):
        cutout.alpha()
    cutout.keep(standing(10), 0.0)
    cutout.keep(standing(100), 5.0)
    assert cutout.alpha()[60, 30] == 0
    cutout.keep(np.zeros((61, 81), np.bool_), 5.04)
    assert cutout.alpha().shape == (61, 81)
    assert cutout.alpha().max() == 0


@pytest.mark.parametrize("size", [(30, 30), (90, 31), (31, 90), (1, 1), (480, 640)])
def test_a_backdrop_fills_any_picture_undistorted(size: tuple[int, int]) -> None:
    ramp = np.zeros((40, 60, 3), np.uint8)
    ramp[:, :, 0], ramp[:, :, 1] = np.arange(60) * 4, np.arange(40)[:, None] * 4
    filled = filling(ramp, size)
    assert filled.shape == (*size, 3)
    if min(size) > 20:  # as steep in both directions
        across, down = np.ptp(filled[0, :, 0].astype(int)) / size[1], np.ptp(filled[:, 0, 1].astype(int)) / size[0]
        assert across == pytest.approx(down, rel=0.15)
    alpha = np.zeros(size, np.float32)
    np.testing.assert_array_equal(before(np.zeros((*size, 3), np.uint8), alpha, ramp), filled)
