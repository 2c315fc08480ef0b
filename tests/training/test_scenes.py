"""Training scenes: what is marked is what is shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.training.photos import CROWD, IGNORE, Photo, cut_people
from argos.training.scenes import Mix, Scene, draw_scene, mosaic_scene, pasted_scene, photo_view, whole_photo

RED = np.array([250, 10, 10], np.uint8)


def photo(people: int = 2, seed: int = 0, boxes_known: bool = True) -> Photo:
    """A grey photo with red people, each its own rectangle."""
    rng = np.random.default_rng(seed)
    image = np.full((240, 320, 3), 120, np.uint8)
    ids = np.zeros((240, 320), np.uint8)
    boxes = []
    for n in range(people):
        x0, y0 = 20 + 100 * n, int(rng.integers(10, 60))
        boxes.append((x0, y0, x0 + 50, y0 + 130))
        image[y0 : y0 + 130, x0 : x0 + 50] = RED
        ids[y0 : y0 + 130, x0 : x0 + 50] = n + 1
    return Photo(
        image,
        ids,
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.arange(1, people + 1, dtype=np.uint8),
        np.zeros((0, 4), np.float32),
        "test",
        "test.png",
        boxes_known,
    )


def mix(paste: float = 0.5) -> Mix:
    photos = [photo(seed=n) for n in range(3)]
    return Mix([photos], [1.0], [photo(0)], cut_people(photos), paste=paste)


def assert_consistent(scene: Scene, side: int) -> None:
    assert scene.image.shape == (side, side, 3)
    assert scene.ids.shape == (side, side)
    assert len(scene.boxes) == len(scene.box_ids)
    for boxes in (scene.boxes, scene.ignore):
        assert (boxes >= -0.01).all()
        assert (boxes <= side + 0.01).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    for (x0, y0, x1, y1), number in zip(scene.boxes, scene.box_ids, strict=True):
        rows, columns = np.nonzero(scene.ids == number)
        if number and len(rows):
            assert columns.min() >= x0 - 2
            assert columns.max() <= x1 + 2
            assert rows.min() >= y0 - 2
            assert rows.max() <= y1 + 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([96, 128, 224]))
def test_boxes_and_masks_of_any_scene_agree(seed: int, side: int) -> None:
    assert_consistent(draw_scene(mix(), side, np.random.default_rng(seed)), side)


def test_the_same_seed_draws_the_same_scene() -> None:
    a, b = (draw_scene(mix(), 96, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.ids, b.ids)


@pytest.mark.parametrize("seed", range(8))
def test_person_pixels_of_a_view_are_red_and_others_are_not(seed: int) -> None:
    scene = photo_view(photo(), (96, 96), np.random.default_rng(seed), max_zoom=2.0)
    red = scene.image[:, :, 0] > 185
    person = (scene.ids > 0) & (scene.ids < CROWD)
    assert (red == person).mean() > 0.97


@pytest.mark.parametrize("seed", range(8))
def test_pasted_people_are_where_they_are_marked(seed: int) -> None:
    scene = pasted_scene(mix(), 128, np.random.default_rng(seed))
    person = (scene.ids > 0) & (scene.ids < CROWD)
    reddish = scene.image[:, :, 0].astype(int) - scene.image[:, :, 1] > 60
    assert (reddish[scene.ids != IGNORE] == person[scene.ids != IGNORE]).mean() > 0.95


def test_scales_reach_from_a_half_to_twice_that_of_a_photo_that_covers_the_view() -> None:
    def scales(draw: Callable[[np.random.Generator], Scene]) -> NDArray[np.float32]:
        """Widths of the people who are not cut at the sides, to that at which the photo just covers the view."""
        scenes = [draw(np.random.default_rng(seed)) for seed in range(80)]
        boxes = np.concatenate([scene.boxes for scene in scenes])
        whole = (boxes[:, 0] > 1) & (boxes[:, 2] < 95)
        return np.asarray((boxes[whole, 2] - boxes[whole, 0]) / (50 * 96 / 240), np.float32)

    photos = scales(lambda rng: photo_view(photo(1), (96, 96), rng, max_zoom=2.0))
    assert 0.85 < photos.min() < 1.1
    assert 1.5 < photos.max() < 2.3
    assert scales(lambda rng: mosaic_scene(mix(), 96, rng)).min() < 0.5


def test_people_of_four_photos_keep_different_numbers() -> None:
    scene = mosaic_scene(mix(), 224, np.random.default_rng(1))
    assert len(set(scene.box_ids.tolist())) == len(scene.box_ids)


def test_a_photo_of_people_not_told_apart_teaches_the_detector_nothing() -> None:
    scene = photo_view(photo(boxes_known=False), (96, 96), np.random.default_rng(0), max_zoom=1.2)
    assert len(scene.boxes) == 0
    np.testing.assert_array_equal(scene.ignore[0], [0, 0, 96, 96])


def test_cut_people_are_transparent_around_the_person() -> None:
    original = photo(1)
    x0, y0, x1, y1 = original.boxes[0].astype(int)
    (person,) = cut_people([original])
    assert person.shape == (y1 - y0, x1 - x0, 4)
    assert (person[4:-4, 4:-4, 3] == 255).all()


def test_a_whole_photo_is_not_changed_but_in_size() -> None:
    shown = photo()
    scene = whole_photo(shown, 320)
    assert_consistent(scene, 320)
    assert np.array_equal(scene.image[:240], shown.image)
    assert np.array_equal(scene.ids[:240], shown.ids)
    assert (scene.ids[240:] == IGNORE).all(), "the photo is 320x240"
    assert np.array_equal(scene.boxes, shown.boxes)
    half = whole_photo(shown, 160)
    assert np.allclose(half.boxes, shown.boxes / 2)
    assert len(whole_photo(photo(boxes_known=False), 160).boxes) == 0
    plain = Mix([[shown]], [1.0], [], [], paste=0, mosaic=0, augment=False)
    assert np.array_equal(draw_scene(plain, 320, np.random.default_rng(3)).image, scene.image)
