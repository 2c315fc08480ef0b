"""Measures on photos with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from argos.training.measure import boundary_f, iou_by_source
from argos.training.photos import IGNORE, Photo


def photo(ids: NDArray[np.uint8], source: str = "x") -> Photo:
    none = np.zeros((0, 4), np.float32)
    return Photo(np.repeat(ids[..., None], 3, 2), ids, none, np.zeros(0, np.uint8), none, source, "")


def square(shift: int) -> NDArray[np.uint8]:
    ids = np.zeros((200, 200), np.uint8)
    ids[60:140, 60 + shift : 140 + shift] = 1
    return ids


def shifted(by: int) -> float:
    """Of a square found ``by`` pixels beside the true one."""
    return boundary_f(lambda image: square(by).astype(np.float32), [photo(square(0))])


def test_outlines_within_reach_are_right_and_beyond_it_wrong() -> None:
    assert shifted(0) == 1.0
    assert shifted(2) == 1.0, "0.75 % of the diagonal are two pixels"
    assert shifted(8) == pytest.approx(0.5, abs=0.05), "the two long sides are wrong"
    assert boundary_f(lambda image: np.zeros((200, 200), np.float32), [photo(square(0))]) == 0.0


def test_nobody_judges_ignored_pixels_and_empty_photos() -> None:
    ids = square(0)
    ids[:, 100:] = IGNORE
    half = photo(ids)
    assert boundary_f(lambda image: square(0).astype(np.float32), [half, photo(np.zeros((50, 50), np.uint8))]) == 1.0
    figures = iou_by_source(lambda image: np.zeros(image.shape[:2], np.float32), [photo(square(0) * 0, "background")])
    assert figures == {"empty_ok": 1.0}
