"""The point that stands for a person."""

from __future__ import annotations

import numpy as np

from argos.analytics.anchors import anchor_point

BOX = (10, 20, 20, 40)


def test_mask_bottom_is_the_middle_of_the_lowest_row() -> None:
    mask = np.zeros((20, 10), np.bool_)
    mask[:15, 2:4] = True
    mask[14, 6:8] = True  # the other foot
    assert anchor_point("mask_bottom", BOX, mask) == (15.0, 35.0)


def test_points_of_the_box() -> None:
    mask = np.zeros((20, 10), np.bool_)
    assert anchor_point("center", BOX, mask) == (15.0, 30.0)
    assert anchor_point("bottom_center", BOX, mask) == (15.0, 40.0)
    assert anchor_point("mask_bottom", BOX, mask) == (15.0, 40.0)  # nothing in the mask
    assert anchor_point("mask_bottom", BOX, ~mask) == (15.0, 40.0)
