"""The documents' losses and measures, by hand on small pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from argos.training.bands import banded_jaccard, ignore_band, misdetections
from argos.training.losses import class_weights, inverse_frequency_loss
from argos.training.measure import class_figures
from argos.training.objectives import class_shares, classes_loss
from argos.training.photos import IGNORE, Photo
from argos.training.stream import Batch


def photo(ids: NDArray[np.uint8]) -> Photo:
    none = np.zeros((0, 4), np.float32)
    return Photo(np.repeat(ids[..., None], 3, 2), ids, none, np.zeros(0, np.uint8), none, "x", "")


def test_eq_3_5_weighs_a_class_by_the_inverse_of_its_pixels() -> None:
    person = torch.zeros(1, 4, 4)
    person[0, 0, 0] = 1  # 1 of 16
    valid = torch.ones_like(person)
    sure = torch.stack([10 - 20 * person, 20 * person - 10], 1)
    assert float(inverse_frequency_loss(sure, person, valid, (0.5, 1.0))) < 0.01
    none_found = torch.stack([torch.full_like(person, 10.0), torch.full_like(person, -10.0)], 1)
    # the one person pixel is wrong by 20 and weighs as much as the fifteen others together; its dice is 1/2: nothing
    # of one pixel, smoothed by 1
    dice = 0.5 * (1 - 31 / 32) + 1.0 * (1 - 1 / 2)
    assert float(inverse_frequency_loss(none_found, person, valid, (0.5, 1.0))) == pytest.approx(
        20 / 2 + dice, abs=1e-3
    )
    valid[0, 0, 0] = 0
    assert float(inverse_frequency_loss(none_found, person, valid, (0.5, 1.0))) < 0.01, "ignored"


def test_eq_3_8_bounds_the_weight_of_rare_classes() -> None:
    weights = class_weights(torch.tensor([0.9, 0.1, 0.0]))
    assert weights.tolist() == pytest.approx([1 / math.log(2.0), 1 / math.log(1.2), 1 / math.log(1.1)])
    assert class_shares([photo(np.array([[0, 0, 1, IGNORE]], np.uint8))], 2).tolist() == pytest.approx([2 / 3, 1 / 3])


def test_shares_of_classes_are_those_of_all_data_sets_in_a_row() -> None:
    first, second = photo(np.zeros((1, 4), np.uint8)), photo(np.ones((1, 4), np.uint8))
    assert class_shares([first] * 300 + [second] * 100, 2).tolist() == pytest.approx([0.75, 0.25])


def test_labels_are_thinned_out_to_small_logits() -> None:
    ids = torch.zeros(1, 16, 16, dtype=torch.uint8)
    ids[:, :8] = 1
    batch = Batch(torch.zeros(1, 3, 16, 16, dtype=torch.uint8), ids, (), (), ())

    class Upper(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(1, 2, 2, 2)
            logits[:, 1, 0], logits[:, 0, 1] = 20.0, 20.0
            return logits

    assert float(classes_loss(torch.ones(2))(Upper(), batch)["entropy"]) < 1e-6
    nothing = replace(batch, ids=torch.full_like(batch.ids, IGNORE))
    assert float(classes_loss(torch.ones(2))(Upper(), nothing)["entropy"]) == 0, "a step is not lost to it"


def test_mean_iou_of_the_classes_that_occur() -> None:
    class Zero(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(1, 3, *image.shape[-2:])
            logits[:, 0] = 1
            return logits

    ids = np.zeros((10, 10), np.uint8)
    ids[:3], ids[9] = 1, IGNORE
    assert class_figures(Zero(), [photo(ids)], 3) == pytest.approx({"miou": 1 / 3, "iou_0": 2 / 3, "iou_1": 0.0})


def square(size: int = 60) -> NDArray[np.bool_]:
    mask = np.zeros((200, 200), np.bool_)
    mask[50 : 50 + size, 50 : 50 + size] = True
    return mask


def test_the_band_is_where_dilated_and_eroded_differ() -> None:
    band = ignore_band(square())
    assert not band[80, 80], "eq. 3 as printed would erase the inside of everybody"
    assert band[50, 80]
    assert band[49, 80]
    assert not band[45, 80]
    assert ignore_band(square(140)).sum() / 140 > band.sum() / 60, "a larger person has a wider band"


def test_banded_jaccard_forgives_outlines_and_not_misdetections() -> None:
    truth = photo(square().astype(np.uint8))
    exact = square().astype(np.float32)
    loose = exact.copy()
    loose[49:111, 49:111] = 1.0
    assert banded_jaccard(lambda _: exact, [truth]) == 1.0
    assert banded_jaccard(lambda _: loose, [truth]) > 0.998, "but for the corners that a disk does not reach"
    made_up = exact.copy()
    made_up[150:170, 150:170] = 1.0
    assert misdetections(made_up > 0.5, square()) == 1
    assert banded_jaccard(lambda _: made_up, [truth]) < 0.0
    assert banded_jaccard(lambda _: exact * 0, [photo(np.zeros((200, 200), np.uint8))]) == 1.0
