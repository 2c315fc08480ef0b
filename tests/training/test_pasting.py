"""People pasted into a picture take on some of its light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from argos.training.pasting import Place, jittered, matched, paste, place_of

NEUTRAL = Place(np.ones(3, np.float32), 0.0)


def cutout(level: int) -> NDArray[np.float32]:
    """A person, 60x30, of two greys about a level, transparent at the sides."""
    person = np.zeros((60, 30, 4), np.float32)
    person[:, 5:25, 3] = 1
    person[:30, 5:25, :3], person[30:, 5:25, :3] = level - 30, level + 30
    return person


def body(person: NDArray[np.float32]) -> NDArray[np.float32]:
    return person[:, 5:25, :3]


@pytest.mark.parametrize(("own", "around"), [(200, 30), (60, 220)])
def test_brightness_is_pulled_part_of_the_way(own: int, around: int) -> None:
    wall = np.random.default_rng(0).normal(around, 30, (80, 60, 3)).clip(0, 255).astype(np.uint8)
    means = np.array(
        [body(matched(cutout(own), wall, NEUTRAL, np.random.default_rng(seed))).mean() for seed in range(30)]
    )
    low, high = sorted((own, around))
    assert (means > low - 2).all()
    assert (means < high + 2).all()
    assert np.abs(means - own).max() > 0.3 * (high - low), "some go a good part of the way"
    assert np.abs(means - own).min() < 0.1 * (high - low), "some stay as they are"


def test_contrast_falls_before_a_plain_wall_and_what_is_transparent_stays_so() -> None:
    plain = np.full((80, 60, 3), 130, np.uint8)
    for seed in range(20):
        lit = matched(cutout(130), plain, NEUTRAL, np.random.default_rng(seed))
        assert 0.45 * 30 < body(lit).std() < 30.01
        assert not lit[:, :5].any()


def test_light_of_a_colour_colours_a_little() -> None:
    warm = Place(np.array([1.5, 1.0, 0.5], np.float32), 0.0)
    around = np.full((80, 60, 3), 130, np.uint8)
    reds = [body(matched(cutout(130), around, warm, np.random.default_rng(s))).mean((0, 1)) for s in range(20)]
    ratios = np.array([red / blue for red, _, blue in reds])
    assert (ratios >= 1).all()
    assert 1.1 < ratios.max() < 1.3


def test_a_blurred_background_is_recognised_and_blurs_the_person() -> None:
    photo = np.random.default_rng(1).integers(0, 255, (12, 12, 3), np.uint8)
    photo = np.asarray(cv2.resize(photo, (240, 240), interpolation=cv2.INTER_NEAREST), np.uint8)
    sharp, soft = place_of(photo), place_of(np.asarray(cv2.GaussianBlur(photo, (0, 0), 2.0), np.uint8))
    assert sharp.blur < 0.3
    assert soft.blur == pytest.approx(2.0, abs=0.7)
    assert place_of(np.full((64, 64, 3), 90, np.uint8)).blur == 0, "where nothing is, nothing is known"
    edges = [
        np.abs(np.diff(matched(cutout(130), photo, place, np.random.default_rng(3))[:, :, 3], axis=1)).max()
        for place in (sharp, soft)
    ]
    assert edges[0] == 1
    assert edges[1] < 0.5


def test_a_person_beyond_the_border_is_cut() -> None:
    image, ids = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    paste(image, ids, cutout(130), -10, 20, 7)
    assert (ids == 7).sum() == 20 * 15
    assert (image[ids == 7] == 100).all()
    before = image.copy()
    paste(image, ids, cutout(130), 45, 0, 8)
    np.testing.assert_array_equal(image, before)


def test_a_resized_person_has_no_halo() -> None:
    rgba = np.zeros((300, 120, 4), np.uint8)
    rgba[..., :3] = 255  # white where it is transparent
    rgba[20:280, 30:90] = (10, 10, 10, 255)
    for seed in range(10):
        person = jittered(rgba, 50, np.random.default_rng(seed))
        assert person.shape[0] == 50
        assert (person[:, :, :3] <= 25 * person[:, :, 3:] + 1.5).all()
