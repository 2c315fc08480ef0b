"""What is covered is gone, what is not stays as it was."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.config_privacy import Covering
from argos.privacy.background import SIGHTINGS, UNSEEN, EmptyScene
from argos.privacy.cover import Effect, areas_filled, cover
from argos.privacy.judge import LARGEST_KERNEL, grown

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
PART = np.zeros((60, 80), np.bool_)
PART[10:50, 20:60] = True


@pytest.mark.parametrize("effect", get_args(Effect))
def test_a_covered_part_keeps_nothing_of_its_detail_and_the_rest_stays(effect: Effect) -> None:
    covered = cover(NOISE, PART, effect, np.full_like(NOISE, 7))
    np.testing.assert_array_equal(covered[~PART], NOISE[~PART])
    same = (covered[PART] == NOISE[PART]).all(axis=1).mean()
    assert same < 0.01
    detail = covered[PART].astype(float) - covered[PART].mean(axis=0)
    original = NOISE[PART].astype(float) - NOISE[PART].mean(axis=0)
    assert abs((detail * original).mean()) < 0.1 * (original**2).mean()


def test_nothing_to_cover_gives_an_equal_picture_of_its_own() -> None:
    covered = cover(NOISE, np.zeros_like(PART), "blur")
    np.testing.assert_array_equal(covered, NOISE)
    assert not np.shares_memory(covered, NOISE)


def test_a_part_of_another_size_and_a_missing_background_are_refused() -> None:
    with pytest.raises(ValueError, match=r"size of the picture, \(60, 80\), got \(60, 79\)"):
        cover(NOISE, PART[:, 1:], "fill")
    with pytest.raises(ValueError, match="needs the picture of the empty scene"):
        cover(NOISE, PART, "background")


def test_the_configuration_knows_every_effect() -> None:
    assert get_args(Covering) == ("none", *get_args(Effect))


@settings(deadline=None)
@given(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.5, 1), st.floats(0.5, 1))
def test_an_area_is_filled_up_to_its_edges(left: float, top: float, right: float, bottom: float) -> None:
    filled = areas_filled(NOISE, [((left, top), (right, top), (right, bottom), (left, bottom))])
    inside = np.zeros((60, 80), np.bool_)
    inside[int(np.ceil(top * 60)) : int(bottom * 60), int(np.ceil(left * 80)) : int(right * 80)] = True
    assert (filled[inside] == UNSEEN).all()
    far = np.ones((60, 80), np.bool_)
    far[max(0, int(top * 60) - 1) : int(bottom * 60) + 2, max(0, int(left * 80) - 1) : int(right * 80) + 2] = False
    np.testing.assert_array_equal(filled[far], NOISE[far])


def test_without_areas_the_picture_is_not_copied() -> None:
    assert areas_filled(NOISE, []) is NOISE


def test_the_empty_scene_shows_what_was_seen_long_enough_without_anybody() -> None:
    scene = EmptyScene()
    assert (scene.picture((60, 80)) == UNSEEN).all()
    for _ in range(SIGHTINGS - 1):
        scene.learn(NOISE, PART)
    assert (scene.picture((60, 80)) == UNSEEN).all()
    scene.learn(NOISE, PART)
    np.testing.assert_array_equal(scene.picture((60, 80))[~PART], NOISE[~PART])
    assert (scene.picture((60, 80))[PART] == UNSEEN).all()


def test_somebody_missed_for_a_moment_is_not_remembered_and_a_known_scene_stays_behind_people() -> None:
    scene, nobody = EmptyScene(), np.zeros_like(PART)
    for _ in range(SIGHTINGS - 1):
        scene.learn(NOISE, nobody)
    scene.learn(NOISE, PART)
    assert (scene.picture((60, 80))[PART] == UNSEEN).all()
    for _ in range(SIGHTINGS):
        scene.learn(np.full_like(NOISE, 50), nobody)
    known = scene.picture((60, 80))
    assert (known[PART] == 50).all()
    scene.learn(NOISE, PART)
    np.testing.assert_array_equal(scene.picture((60, 80))[PART], known[PART])


def test_another_size_is_another_scene() -> None:
    scene = EmptyScene()
    for _ in range(SIGHTINGS):
        scene.learn(NOISE, np.zeros_like(PART))
    assert (scene.picture((30, 40)) == UNSEEN).all()


@pytest.mark.parametrize("reach", [1, LARGEST_KERNEL, LARGEST_KERNEL + 1, 40])
def test_growing_by_distances_covers_all_that_the_kernel_does_and_a_pixel_more(reach: int) -> None:
    rng = np.random.default_rng(reach)
    mask = np.zeros((180, 240), np.bool_)
    mask[rng.integers(0, 180, 9), rng.integers(0, 240, 9)] = True
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    least = cv2.dilate(mask.view(np.uint8), kernel).view(np.bool_)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 5, 2 * reach + 5))
    most = cv2.dilate(mask.view(np.uint8), kernel).view(np.bool_)
    found = grown(mask, reach)
    assert (found >= least).all()
    assert (found <= most).all()
