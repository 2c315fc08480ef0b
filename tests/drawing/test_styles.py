"""Styles and memory: what a picture keeps, hides and remembers."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from drawn_people import NOISE, SIZE, drawn, result, someone
from numpy.typing import NDArray

from argos.config_outputs import OverlayStyle
from argos.drawing.memory import TRAIL_S, Memory, trail_points, widened
from argos.drawing.overlay import PALE, colour_of
from argos.drawing.styles import STYLES, Style, blurred, pixelated, remembers
from argos.types import Regions, SemanticMask


def nearest(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    """How far the pixel most like a colour is from it; lines are blended with what is beside them."""
    return int(np.abs(pixels.astype(int) - colour).max(axis=1).min())


def test_outline_leaves_the_inside_as_it_is() -> None:
    picture = drawn("outline", result(0, someone(60)))
    inside = (slice(60, 80), slice(65, 75))
    np.testing.assert_array_equal(picture[inside], NOISE[inside])
    assert nearest(picture[70, 58:63], colour_of(4)) < 40


@pytest.mark.parametrize("style", ["blur", "pixelate"])
@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_people_of_every_task_lose_their_detail_and_nothing_else_does(style: Style, task: str) -> None:
    found = result(0, someone(60))
    if task == "semantic":
        found = result(0, None, semantic=SemanticMask(someone(60).full_mask(0)))
    picture = drawn(style, found)
    inside = picture[55:90, 64:76].astype(float)
    assert inside.std(axis=(0, 1)).max() < 0.45 * NOISE[55:90, 64:76].std(axis=(0, 1)).min()
    edge = widened(someone(60).full_mask(0))
    edge[:40] = True  # the label
    np.testing.assert_array_equal(picture[~edge], NOISE[~edge])


def test_nobody_and_no_memory_leave_the_picture_alone() -> None:
    for style in ("mask", "outline", "blur", "pixelate"):
        np.testing.assert_array_equal(drawn(style, result(0)), NOISE)


def test_background_shows_what_was_seen_there_without_people() -> None:
    memory = remembers("background")
    for n in range(8):  # somebody walks to the right; each place is free at some time
        walked = NOISE.copy()
        walked[40:100, 10 + 16 * n : 30 + 16 * n] = 255
        found = result(n / 10, someone(10 + 16 * n), image=walked)
        memory.keep(found)
    picture = drawn("background", found, memory)
    assert np.abs(picture.astype(int) - NOISE).max() <= 1


def test_background_is_grey_where_nothing_was_ever_seen() -> None:
    memory, found = remembers("background"), result(0, someone(60))
    memory.keep(found)
    picture = drawn("background", found, memory)
    covered = widened(someone(60).full_mask(0))
    assert (picture[covered] == 96).all()
    np.testing.assert_array_equal(picture[~covered], NOISE[~covered])


def test_heatmap_is_warm_where_people_stood_and_grey_elsewhere() -> None:
    memory = remembers("heatmap")
    for n in range(20):
        memory.keep(result(n / 10, someone(60)))
    empty = result(2.0)
    memory.keep(empty)
    picture = drawn("heatmap", empty, Memory(heat=True, warmth=memory.warmth)).astype(int)
    assert picture[70, 70, 0] > picture[70, 70, 2] + 60
    assert (np.ptp(picture[70, 130:], axis=1) == 0).all()


@pytest.mark.parametrize("style", ["background", "heatmap"])
def test_a_style_that_needs_a_memory_says_so(style: Style) -> None:
    for memory in (None, Memory()):
        with pytest.raises(ValueError, match=f"style '{style}' shows what was before: give a memory from remembers"):
            drawn(style, result(0, someone(60)), memory)


def test_a_style_that_is_none_is_refused_and_shows_nobody() -> None:
    wrong: Style = "blurred"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="style 'blurred': expected one of mask, outline, blur, "):
        drawn(wrong, result(0, someone(60)))


def test_trails_follow_the_feet_for_two_seconds_and_end_with_the_epoch() -> None:
    memory = Memory()
    for n in range(40):
        memory.keep(result(n / 10, someone(10 + 2 * n, track=7)))
    points = trail_points(memory.trails, 7)
    assert len(points) == 10 * TRAIL_S + 1
    assert points[-1].tolist() == [pytest.approx(98, abs=4), 100]
    assert (np.diff(points[:, 0]) > 0).all()
    memory.keep(result(4.0, None))
    assert len(trail_points(memory.trails, 7)) == 10 * TRAIL_S
    memory.keep(result(0.0, someone(50, track=-1), epoch=1))
    assert not memory.trails


def test_trails_are_drawn_under_people_in_their_colour() -> None:
    memory = Memory()
    grey = np.full((*SIZE, 3), 100, np.uint8)
    for n in range(12):
        found = result(n / 10, someone(10 + 9 * n), image=grey)
        memory.keep(found)
    picture = drawn("mask", found, memory)
    assert nearest(picture[98:103, 60], colour_of(4)) < 40
    assert nearest(picture[60:80, 60], colour_of(4)) > 40


def test_people_without_an_id_are_pale() -> None:
    assert colour_of(-1) == PALE
    picture = drawn("outline", result(0, someone(60, track=-1)))
    assert nearest(picture[70, 58:63], PALE) < 40


def test_the_configuration_knows_every_style() -> None:
    assert get_args(OverlayStyle) == STYLES


@pytest.mark.parametrize("size", [(3, 3), (17, 23), (90, 1)])
def test_every_style_takes_pictures_of_any_size(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 9, np.uint8)
    none = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), size)
    people = SemanticMask(np.ones(size, np.bool_))
    found = result(0, None, image=image, size=size, regions=none, semantic=people)
    for style in STYLES:
        memory = remembers(style)
        memory.keep(found)
        assert drawn(style, found, memory).shape == image.shape
    for change in (blurred, pixelated):
        np.testing.assert_array_equal(change(image), image)
