"""How the shipped weights are trained: one function per network, every number in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from argos.engines.weights import check_shapes, load_network, weights_path
from argos.errors import WeightsError
from argos.networks.qunet import WIDTHS, qunet
from argos.networks.unets import UNetLite
from argos.training import datasets
from argos.training.checkpoint import check_folder
from argos.training.fit import fit
from argos.training.hints import HintedASBUNet, hinted_loss, taught_loss
from argos.training.measure import coverage, iou_by_source
from argos.training.objectives import proposal_sheet
from argos.training.pretrained import read_state, started_from
from argos.training.recipe import Phase, Recipe
from argos.training.segmentation import qunet_loss, region_proposer, semantic_scorer
from argos.training.sheets import held_sheet, instance_finder, semantic_finder
from argos.training.teacher import label_boxes
from argos.training.widen import widened

LARGE_PEOPLE = (Phase(0.2, 384, 4), Phase(1.0, 576, 3))
"""Where it begins trained: the line shows frames at a long side of 640 px, and people who fill them are that large."""

N = TypeVar("N", bound=nn.Module)

STUDENT = "student."
"""Of the names of weights in a training with hints (``HintedASBUNet``); the rest of it is thrown away."""


def train_asbunet(
    folder: Path, minutes: float, start: str | None = None, teacher: str = "unet_lite", *, workers: int | None = None
) -> nn.Module:
    """ASBU-Net, specification C, 224 then 320 px views; 384 then 576 px where it begins trained.

    ``teacher`` labels photos with boxes only and gives hints.
    """
    from argos.networks.asbunet import asbunet

    about = _about(folder, start, teacher)
    torch.manual_seed(1)
    learner = HintedASBUNet(started(asbunet(), start))
    data, held = labelled_photos(teacher), datasets.validation_photos(datasets.data_folder())
    if start is None:
        phases, rate = (Phase(0.5, 224, 6), Phase(1.0, 320, 4)), 1e-3
    else:
        phases, rate = LARGE_PEOPLE, 6e-4
    recipe = Recipe(minutes, phases, peak_rate=rate, precision="bfloat16", workers=workers)
    tutor = tutor_of(teacher)

    def evaluate(network: nn.Module) -> dict[str, float]:
        assert isinstance(network, HintedASBUNet)
        return iou_by_source(semantic_scorer(network.student, 640), held)

    def draw(network: nn.Module) -> NDArray[np.uint8]:
        assert isinstance(network, HintedASBUNet)
        return held_sheet(semantic_finder(network.student), held)

    mix = datasets.semantic_mix(data, min_height=20)
    return fit(learner, mix, hinted_loss(tutor), recipe, folder, evaluate, about=about, draw=draw)


def train_qunet(
    folder: Path,
    minutes: float,
    start: str | None = None,
    teacher: str | None = None,
    width: int = 16,
    *,
    workers: int | None = None,
) -> nn.Module:
    """QU-Net at 144 then 240 px views: people appear at half the size the deep network sees.

    ``teacher`` labels photos with boxes only, and has a say where there are labels. ``start`` may be narrower.
    """
    about = _about(folder, start, teacher)
    torch.manual_seed(2)
    learner = started_qunet(width, start)
    data, held = labelled_photos(teacher), datasets.validation_photos(datasets.data_folder())
    recipe = Recipe(minutes, (Phase(0.5, 144, 12), Phase(1.0, 240, 6)), peak_rate=5e-3, weight_decay=0.0,
                    precision="bfloat16", workers=workers)  # fmt: skip
    mix = datasets.semantic_mix(data, min_height=12, near=True)

    people = [photo for photo in held if photo.source != "background"]

    def evaluate(network: nn.Module) -> dict[str, float]:
        return coverage(region_proposer(network, threshold=0.4), people)

    loss = qunet_loss if teacher is None else taught_loss(tutor_of(teacher))
    return fit(learner, mix, loss, recipe, folder, evaluate, about=about, draw=proposal_sheet(people))


def train_people(
    folder: Path,
    minutes: float,
    start: str | None = None,
    backbone: Path | None = None,
    *,
    workers: int | None = None,
) -> nn.Module:
    """SSD-ISB and a U-Net on one EfficientNet-Lite0, 256 then 384 px views; 384 then 576 px where they begin trained.

    Args:
        folder: of the training.
        minutes: length.
        start: ``DETECTOR+SEGMENTER``, two models that this recipe made before.
        workers: see ``Recipe``.
        backbone: ImageNet weights of the encoder. Without one of the two the encoder learns from nothing.
    """
    from argos.training.detection import evaluate_ssdisb
    from argos.training.joint import Joint, joint_for_training, joint_loss

    about = {**_about(folder, start, None), "backbone": backbone}
    torch.manual_seed(4)
    learner = joint_for_training(backbone, start)
    source = datasets.data_folder()
    data, held = datasets.training_photos(source), datasets.validation_photos(source)
    if start is None:
        phases, rate = (Phase(0.6, 256, 8), Phase(1.0, 384, 4)), 1.5e-3
    else:
        phases, rate = LARGE_PEOPLE, 6e-4
    recipe = Recipe(minutes, phases, peak_rate=rate, seed=4, pretrained="detector.backbone.",
                    workers=workers)  # fmt: skip

    def evaluate(network: nn.Module) -> dict[str, float]:
        assert isinstance(network, Joint)
        masks = iou_by_source(semantic_scorer(network.semantic(), 512), held)
        boxes = evaluate_ssdisb(network.detector, held, datasets.photos_of(source, "val_boxes"))
        return {**boxes, **{f"semantic_{key}": value for key, value in masks.items()}}

    def draw(network: nn.Module) -> NDArray[np.uint8]:
        """Pixels by the segmenter, and below them people by the detector."""
        assert isinstance(network, Joint)
        finders = (semantic_finder(network.semantic()), instance_finder(network.detector, 0.5, 0.5))
        return np.concatenate([held_sheet(find, held) for find in finders])

    mix = datasets.joint_mix(data)
    return fit(learner, mix, joint_loss, recipe, folder, evaluate, about=about, draw=draw)


def _about(folder: Path, start: str | None, teacher: str | None) -> dict[str, object]:
    about: dict[str, object] = {"data": datasets.data_folder(), "start": start, "teacher": teacher}
    check_folder(folder, about)  # reading the photos takes a minute
    return about


def labelled_photos(teacher: str | None) -> datasets.TrainingPhotos:
    """The training photos; with a teacher, a segmentation model, those with boxes only get its masks."""
    data = datasets.training_photos(datasets.data_folder())
    if teacher is None:
        return data
    network = load_network(teacher, task="semantic")[0]
    return replace(data, boxes=label_boxes(data.boxes, semantic_scorer(network, 416)))


def tutor_of(teacher: str) -> UNetLite:
    """The model that teaches.

    Raises:
        WeightsError: it is another network; what it computes in between could not be asked for.
    """
    network = load_network(teacher, task="semantic")[0]
    if not isinstance(network, UNetLite):
        raise WeightsError(f"--teacher {teacher}: only a unet_lite teaches ASBU-Net and QU-Net")
    return network


def started_qunet(width: int, start: str | None) -> nn.Module:
    """A QU-Net with the weights of a model, widened where that is narrower; or as it is for None.

    Raises:
        WeightsError: as ``started``; a model that is wider, or no QU-Net.
    """
    if start is None:
        return qunet(width)
    state = read_state(Path(start)) if start.endswith(".pt") else started_from(start)[0].state_dict()
    begun = state["out.weight"].shape[1] if "out.weight" in state else width
    if begun not in WIDTHS or begun >= width:
        return started(qunet(width), start)
    return widened(started(qunet(begun), start), width)


def started(network: N, start: str | None) -> N:
    """The network with the weights of a model (a shipped name or a path), or as it is for None.

    The path may be that of ``average.pt`` of a training.

    Raises:
        WeightsError: no such model, or one of another network or width.
    """
    if start is None:
        return network
    if not start.endswith(".pt"):
        found = started_from(start)[0].state_dict()
        check_shapes(weights_path(start), network.state_dict(), found, f"the {type(network).__name__} to train")
        network.load_state_dict(found)
        return network
    state = read_state(Path(start))
    student = {key.removeprefix(STUDENT): value for key, value in state.items() if key.startswith(STUDENT)}
    check_shapes(Path(start), network.state_dict(), student or state, "the network of the recipe")
    network.load_state_dict(student or state, strict=False)
    return network
