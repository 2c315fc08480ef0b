"""Photo, truth and finding of a network of classes stand side by side, each class in its colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.drawing.overlay import PALETTE
from argos.errors import DataError
from argos.training.class_sheets import LEGEND_HEIGHT, NOT_JUDGED, class_colours, class_sheet, judge_classes
from argos.training.photos import IGNORE, Photo


class Bright(nn.Module):
    """Class 1 where the picture is bright, 0 elsewhere, of three."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([torch.full_like(image[:, :1], 0.5), image[:, :1], torch.zeros_like(image[:, :1])], 1)


def photo(ids: NDArray[np.uint8], name: str) -> Photo:
    """Bright in its lower half."""
    image = np.zeros((*ids.shape, 3), np.uint8)
    image[len(ids) // 2 :] = 255
    none = np.zeros((0, 4), np.float32)
    return Photo(image, ids, none, np.zeros(0, np.uint8), none, "x", name)


def half_ids(lower: int) -> NDArray[np.uint8]:
    ids = np.zeros((40, 60), np.uint8)
    ids[20:] = lower
    return ids


def test_the_worst_comes_first_by_its_mean_iou() -> None:
    unlabelled = half_ids(1)
    unlabelled[:20] = IGNORE
    judged = judge_classes(
        Bright(), [photo(half_ids(1), "right"), photo(half_ids(2), "other"), photo(unlabelled, "half")], 3
    )
    assert [(one.photo.name, one.score) for one in judged] == [("other", 0.5), ("right", 1.0), ("half", 1.0)]
    with pytest.raises(DataError, match="far: label 7, and the network has 3 classes"):
        judge_classes(Bright(), [photo(half_ids(7), "far")], 3)


def test_truth_and_finding_are_beside_the_photo_in_the_colours_of_the_legend() -> None:
    ids = half_ids(2)
    ids[:, :10] = IGNORE
    (one,) = judge_classes(Bright(), [photo(ids, "")], 3)
    sheet = class_sheet([one], 3, columns=1, width=308)  # cells of 300 pixels, of 100 for each of the three
    legend, cell = sheet[:LEGEND_HEIGHT], sheet[LEGEND_HEIGHT + 4 :, 4:]
    assert [tuple(legend[-2, x].tolist()) for x in (60, 160, 260)] == [*PALETTE[:3]]
    low = 50  # of 67 rows
    assert cell[low, 50].tolist() == [255] * 3
    assert (tuple(cell[low, 105].tolist()), tuple(cell[low, 180].tolist())) == (NOT_JUDGED, PALETTE[2])
    assert tuple(cell[low, 280].tolist()) == PALETTE[1], "found to be another class"
    assert class_sheet([], 3).shape == (0, 1800, 3)


def test_every_class_has_a_colour_of_its_own() -> None:
    colours = class_colours(40)[:40]
    assert len({tuple(colour) for colour in colours.tolist()}) == 40
