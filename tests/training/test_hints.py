"""ASBU-Net learns from the masks and the maps of a teacher, QU-Net from the masks; only the student ships."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from argos.networks.asbunet import asbunet
from argos.networks.qunet import qunet
from argos.networks.unets import UNetLite, unet_lite
from argos.training.cards import CARDS
from argos.training.hints import HintedASBUNet, hinted_loss, taught_loss
from argos.training.photos import IGNORE
from argos.training.pretrained import started_from
from argos.training.scenes import Scene
from argos.training.segmentation import qunet_loss
from argos.training.stream import Batch, collate

Taught = Callable[[UNetLite], Callable[[nn.Module, Batch], Mapping[str, torch.Tensor]]]


def noise(label: int) -> Batch:
    """Two pictures of noise with the same label everywhere."""
    rng = np.random.default_rng(0)
    none, ids = np.zeros((0, 4), np.float32), np.full((64, 64), label, np.uint8)
    images = rng.integers(0, 255, (2, 64, 64, 3)).astype(np.uint8)
    return collate([Scene(image, ids, none, np.zeros(0, np.uint8), none) for image in images])


def test_guesses_have_the_shape_of_the_teachers_maps() -> None:
    logits, (at8, at16) = HintedASBUNet(asbunet())(torch.rand(2, 3, 64, 96))
    assert logits.shape == (2, 64, 96)
    assert (at8.shape, at16.shape) == ((2, 40, 8, 12), (2, 112, 4, 6))


def test_hints_fall_and_only_the_student_learns() -> None:
    torch.manual_seed(0)
    teacher = unet_lite().eval()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    network = HintedASBUNet(asbunet()).train()
    loss, batch = hinted_loss(teacher), noise(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    hints = []
    for _ in range(12):
        parts = loss(network, batch)
        optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()
        hints.append(float(parts["hint"].detach()))
    assert hints[-1] < 0.8 * hints[0]
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


@pytest.mark.parametrize(
    ("student", "taught"),
    [(lambda: HintedASBUNet(asbunet()), hinted_loss), (lambda: qunet(8), taught_loss)],
    ids=["asbunet", "qunet"],
)
def test_ignored_pixels_take_the_teachers_word(student: Callable[[], nn.Module], taught: Taught) -> None:
    torch.manual_seed(0)
    teacher, network = unet_lite().eval(), student().eval()
    loss = taught(teacher)
    sure = teacher.decoder.score
    assert sure.bias is not None
    losses = []
    for says in (-20.0, 20.0):  # nobody anywhere, then people everywhere
        torch.nn.init.zeros_(sure.weight)
        torch.nn.init.constant_(sure.bias, says)
        losses.append({label: float(loss(network, noise(label))["bce"]) for label in (0, 1, IGNORE)})
    nobody, everybody = losses
    assert abs(nobody[IGNORE] - nobody[0]) < 1e-4, "teacher and label agree that nobody is there"
    assert abs(everybody[IGNORE] - everybody[1]) < 1e-4
    assert nobody[IGNORE] != everybody[IGNORE]


def test_in_bfloat16_qunet_learns_the_same() -> None:
    """Codes and signs have few digits; a normalisation in 8 of them would not."""
    network = started_from("qunet8")[0].train()
    photo = cv2.resize(cv2.imread(str(Path(__file__).parents[2] / "docs" / "people.jpg")), (192, 96))
    ids = (photo.mean(2) > photo.mean()).astype(np.uint8)  # any task
    none = np.zeros((0, 4), np.float32)
    batch = collate([Scene(photo, ids, none, np.zeros(0, np.uint8), none)] * 2)
    gradients = []
    for wanted in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=wanted):
            parts = qunet_loss(network, batch)
        torch.stack(list(parts.values())).sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.98


def test_the_card_ships_the_student_alone() -> None:
    (prefix,) = CARDS["asbunet"].parts
    shipped = {key.removeprefix(prefix) for key in HintedASBUNet(asbunet()).state_dict() if key.startswith(prefix)}
    assert shipped == set(asbunet().state_dict())
