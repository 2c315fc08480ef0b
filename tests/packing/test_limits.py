"""Pixels that are person by the limits of a camera."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from argos.packing.limits import SemanticLimits, person_mask, semantic_limits


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.5, 0.8]))
def test_patches_without_a_sure_pixel_are_dropped(height: int, width: int, seed: int, share: float) -> None:
    """Against labelled patches; what lies in a hole of a patch is kept or dropped with it."""
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random((height, width)) < share, rng.random((height, width)), 0.0).astype(np.float32)
    found = person_mask(scores, SemanticLimits(0.3, 0.9))
    patches, count = label(scores >= 0.3, np.ones((3, 3)))
    expected = np.zeros((height, width), np.bool_)
    for n in range(1, count + 1):
        if (scores[patches == n] >= 0.9).any():
            expected |= patches == n
    outer, _ = label(np.pad(~(scores >= 0.3), 1, constant_values=True))  # what no patch encloses
    outside = outer == outer[0, 0]
    touches = np.array([(np.pad(patches == n, 1) & _beside(outside)).any() for n in range(1, count + 1)], np.bool_)
    if touches.all():  # no patch lies in a hole of another
        np.testing.assert_array_equal(found, expected)
    assert not (found & (scores < 0.3)).any()


def _beside(mask: np.ndarray) -> np.ndarray:
    """The mask and all that touches it."""
    grown = np.pad(mask, 1)
    return np.any([grown[y : y + mask.shape[0], x : x + mask.shape[1]] for y in range(3) for x in range(3)], axis=0)


def test_without_a_limit_for_patches_every_pixel_counts() -> None:
    scores = np.array([[0.6, 0.0, 0.4]], np.float32)
    for limits in (SemanticLimits(0.5), SemanticLimits(0.5, 0.5), SemanticLimits(0.5, 0.2)):
        np.testing.assert_array_equal(person_mask(scores, limits), [[True, False, False]])
    np.testing.assert_array_equal(person_mask(scores, SemanticLimits(0.5, 0.7)), [[False, False, False]])


def test_limits_are_those_of_a_card() -> None:
    assert semantic_limits({"threshold": 0.4}) == SemanticLimits(0.4, 0.0)
    assert semantic_limits({"threshold": 0.4, "patch_threshold": 0.9}) == SemanticLimits(0.4, 0.9)
