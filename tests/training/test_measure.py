"""Measures on photos with a known truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.training.measure import boundary_f, iou_by_source
from argos.training.photos import IGNORE, Photo
from argos.training.segmentation import covered_within


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


def test_outlines_are_judged_alike_along_rows_and_columns() -> None:
    wheel = np.zeros((200, 200), np.uint8)
    wheel = cv2.circle(wheel, (100, 100), 60, 1, -1)
    along, across = np.roll(wheel, 3, 1).astype(np.float32), np.roll(wheel, 3, 0).astype(np.float32)
    assert boundary_f(lambda _: along, [photo(wheel)]) == pytest.approx(boundary_f(lambda _: across, [photo(wheel)]))


def test_nobody_judges_ignored_pixels_and_empty_photos() -> None:
    ids = square(0)
    ids[:, 100:] = IGNORE
    half = photo(ids)
    assert boundary_f(lambda image: square(0).astype(np.float32), [half, photo(np.zeros((50, 50), np.uint8))]) == 1.0
    figures = iou_by_source(lambda image: np.zeros(image.shape[:2], np.float32), [photo(square(0) * 0, "background")])
    assert figures == {"empty_ok": 1.0}
    empty_clip = [photo(square(0) * 0, "clip"), photo(square(0) * 0, "clip")]
    assert iou_by_source(lambda image: np.zeros(image.shape[:2], np.float32), empty_clip) == {"empty_ok": 1.0}
    assert iou_by_source(lambda image: np.ones(image.shape[:2], np.float32), empty_clip) == {"empty_ok": 0.0}
    passed = [*empty_clip, photo(square(0), "clip")]
    assert iou_by_source(lambda image: square(0).astype(np.float32), passed[2:]) == {"iou_clip": 1.0}
    assert iou_by_source(lambda image: square(0).astype(np.float32), passed)["iou_clip"] == pytest.approx(1 / 3)


class Brightness(nn.Module):
    """A proposer: brighter pixels are people."""

    def forward(self, image: Tensor) -> Tensor:
        odds = image.float().mean(1, keepdim=True) / 24 - 4
        return torch.cat([torch.zeros_like(odds), odds], 1)


def test_people_are_covered_within_a_multiple_of_their_grown_area() -> None:
    """Four bands of one width: a bright person, a greyer one, a lamp between them in brightness, the dark."""
    ids = np.zeros((320, 320), np.uint8)
    ids[100:220, 40:80], ids[100:220, 120:160] = 1, 2
    shown = photo(ids)
    shown.image[:] = 20
    shown.image[100:220, 40:80], shown.image[100:220, 120:160], shown.image[100:220, 200:240] = 250, 120, 180
    both = covered_within(Brightness(), [shown], factor=1.6)
    assert both["pixels_covered_within"] == pytest.approx(1.0)
    assert both["area_grown"] == pytest.approx(2 * 48 * 128 / 320**2, rel=0.1)
    one = covered_within(Brightness(), [shown], factor=1.2)
    assert one["pixels_covered_within"] == pytest.approx(0.5, abs=0.01)
    assert one["threshold_within"] > both["threshold_within"]
    assert covered_within(Brightness(), [shown], factor=0.1)["pixels_covered_within"] == 0.0
    shown.image[:] = 255
    everything = covered_within(Brightness(), [shown])
    assert (everything["pixels_covered_within"], everything["threshold_within"]) == (0.0, 1.0), "whatever the threshold"
