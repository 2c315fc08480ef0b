"""The loop learns, stops on time and goes on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from argos.training.fit import Batch, Phase, Recipe, fit, learning_rate, phase_at
from argos.training.losses import dice_loss, person_targets, weighted_bce
from argos.training.measure import coverage, iou_by_source
from argos.training.photos import Photo
from argos.training.scenes import Mix


def red_photo() -> Photo:
    image = np.full((64, 64, 3), 90, np.uint8)
    ids = np.zeros((64, 64), np.uint8)
    image[16:48, 16:48] = (220, 30, 30)
    ids[16:48, 16:48] = 1
    box = np.asarray([[16, 16, 48, 48]], np.float32)
    return Photo(image, ids, box, np.ones(1, np.uint8), np.zeros((0, 4), np.float32), "red", "red.png")


def red_loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    person, valid = person_targets(batch.ids)
    logits = network(batch.images.float() / 255)[:, 0]
    return {"bce": weighted_bce(logits, person, valid, 1.0), "dice": dice_loss(logits, person, valid)}


def train(folder: Path, minutes: float) -> nn.Module:
    torch.manual_seed(0)
    mix = Mix([[red_photo()]], [1.0], [red_photo()], [], paste=0.0)
    recipe = Recipe(minutes, (Phase(1.0, 32, 4),), peak_rate=0.1, average=0.5, report_s=0.2, workers=0)
    return fit(nn.Conv2d(3, 1, 1), mix, red_loss, recipe, folder, lambda _: {"fine": 1.0})


def test_training_finds_red_people_and_resumes_where_it_ended(tmp_path: Path) -> None:
    network = train(tmp_path, minutes=0.05)

    def score(image: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            return torch.sigmoid(network(pixels)[0, 0]).numpy()

    assert iou_by_source(score, [red_photo()])["iou_red"] > 0.9
    covered = coverage(lambda image: score(image) > 0.5, [red_photo()])
    assert covered["people_covered"] == 1.0
    assert covered["area"] < 0.5
    steps = torch.load(tmp_path / "last.pt", weights_only=True)["step"]
    again = train(tmp_path, minutes=0.05)  # its time is up: it only evaluates
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == steps
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_learning_rate_warms_up_and_ends_near_zero() -> None:
    assert learning_rate(0.0, 1.0) == pytest.approx(0.05)
    assert learning_rate(0.03, 1.0) == pytest.approx(1.0)
    assert learning_rate(1.0, 1.0) == pytest.approx(0.01)


def test_phases_follow_each_other() -> None:
    small, large = Phase(0.5, 128, 10), Phase(1.0, 224, 8)
    assert phase_at(0.2, (small, large)) is small
    assert phase_at(0.5, (small, large)) is large
    assert phase_at(1.3, (small, large)) is large


def test_ignored_pixels_weigh_nothing() -> None:
    ids = torch.tensor([[[0, 1, 255, 254]]], dtype=torch.uint8)
    person, valid = person_targets(ids)
    assert person.tolist() == [[[0, 1, 0, 1]]]
    assert valid.tolist() == [[[1, 1, 0, 1]]]
    logits = torch.tensor([[[-20.0, 20.0, 20.0, 20.0]]])
    assert float(weighted_bce(logits, person, valid, 3.0)) < 1e-6
    assert float(dice_loss(logits, person, valid)) < 1e-3
