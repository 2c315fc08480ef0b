"""Light, noise and sharpness of training scenes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from argos.training.augment import camera_look, low_light, shadowed


def grey(level: int, side: int = 120) -> NDArray[np.uint8]:
    return np.full((side, side, 3), level, np.uint8)


def test_a_shadow_darkens_a_part_with_a_soft_edge() -> None:
    parts, softest = [], []
    for seed in range(40):
        picture = shadowed(grey(200), np.random.default_rng(seed))
        assert picture.max() <= 200, "nowhere lighter"
        assert (picture[:, :, 2] >= picture[:, :, 0]).all(), "bluer, if anything"
        parts.append((picture[:, :, 0] < 190).mean())
        if picture.min() < 150:
            softest.append(np.abs(np.diff(picture[:, :, 0].astype(int), axis=1)).max() / (200 - int(picture.min())))
    assert np.percentile(parts, [10, 90]).tolist() == pytest.approx([0.1, 0.75], abs=0.15)
    assert np.median(softest) < 0.3, "no edge of one pixel"


def test_in_low_light_a_sensor_gives_darker_and_noisier_pictures() -> None:
    levels = np.repeat(np.linspace(40, 240, 6).astype(np.uint8), 40)
    chart = np.dstack([np.tile(levels, (200, 1))] * 3)
    for seed in range(10):
        seen = low_light(chart, np.random.default_rng(seed)).astype(float)
        bars = seen.reshape(200, 6, 40, 3).transpose(1, 0, 2, 3).reshape(6, -1)
        mean, spread = bars.mean(1), bars.std(1)
        assert (mean < np.linspace(40, 240, 6)).all(), "the gain makes up for a part only"
        assert (np.diff(mean) > 0).all()
        linear = (bars / 255) ** 2.2
        assert linear[1].mean() / linear[1].std() < linear[5].mean() / linear[5].std(), "less light, less signal"
        assert spread[3] > 1


def test_the_look_of_a_camera_is_drawn_by_the_given_chance_and_leaves_its_input_alone() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (96, 80, 3), np.uint8)
    before = picture.copy()
    for seed in range(30):
        one, same = (camera_look(picture, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(one, same)
        assert one.shape == picture.shape
        assert one.dtype == np.uint8
        assert one.flags.c_contiguous
    np.testing.assert_array_equal(picture, before)
