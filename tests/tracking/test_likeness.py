"""Overlaps against masks painted on a whole frame, and what masks decide that boxes cannot."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.tracking.likeness import box_overlaps, grown, likenesses, mask_overlap

SIDE = 40


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_mask_overlap_is_the_one_on_the_painted_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks, corners, painted = [], [], []
    for _ in range(2):
        h, w = rng.integers(1, 15, 2)
        x, y = int(rng.integers(0, SIDE - w)), int(rng.integers(0, SIDE - h))
        masks.append(rng.random((h, w)) < 0.6)
        corners.append((x, y))
        painted.append(np.zeros((SIDE, SIDE), np.bool_))
        painted[-1][y : y + h, x : x + w] = masks[-1]
    union = (painted[0] | painted[1]).sum()
    expected = (painted[0] & painted[1]).sum() / union if union else 0.0
    assert mask_overlap(masks[0], corners[0], masks[1], corners[1]) == expected


def test_box_overlaps_are_those_of_full_masks_and_empty_boxes_overlap_nothing() -> None:
    a = np.array([[0.0, 0, 10, 10], [5, 5, 5, 9]])
    b = np.array([[5.0, 0, 15, 10], [20, 20, 30, 30], [0, 0, 10, 10]])
    np.testing.assert_allclose(box_overlaps(a, b), [[1 / 3, 0, 1], [0, 0, 0]])
    assert box_overlaps(a[:0], b).shape == (0, 3)


def test_masks_tell_apart_who_shares_a_box() -> None:
    upper = np.triu(np.ones((20, 20), np.bool_))
    lower = ~upper
    box = np.array([[10.0, 10, 30, 30]])
    both = np.repeat(box, 2, axis=0)
    scores = likenesses(both, [upper, lower], both, [lower, upper], 0.1)
    np.testing.assert_allclose(scores, [[0.5, 1.0], [1.0, 0.5]])
    alone = likenesses(box, [upper], box, [lower], 0.1)  # no crowd: the box is enough, masks may have changed
    np.testing.assert_allclose(alone, [[1.0]])


def test_boxes_grow_at_each_end() -> None:
    np.testing.assert_allclose(grown(np.array([[10.0, 10, 20, 30]]), np.array([[5.0, 10.0]])), [[5, 0, 25, 40]])
    np.testing.assert_allclose(grown(np.array([[10.0, 10, 20, 30]]), np.array([[2.0]])), [[8, 8, 22, 32]])
