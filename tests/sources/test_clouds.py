"""Cloud noise: any shape, also none, and it repeats."""

from __future__ import annotations

import numpy as np

from argos.sources.clouds import noise


def test_noise_has_the_shape_of_what_is_asked_for_also_when_that_is_nothing() -> None:
    for shape in ((0,), (3,), (5, 0), (40, 50)):
        x = np.full(shape, 0.25, np.float32)
        assert noise(x, x).shape == shape


def test_noise_repeats_every_unit() -> None:
    x = np.linspace(0, 0.9, 2000, dtype=np.float32)
    np.testing.assert_allclose(noise(x, x), noise(x + 3, x - 2), atol=0.02)
