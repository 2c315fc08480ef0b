"""A whole training from names: build the network, read the photos, learn, measure, write a model that loads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from argos.engines.weights import Task
from argos.errors import DataError
from argos.networks.layers.grouping import GradualGroupConv2d, alpha_at, set_alpha
from argos.networks.table import NETWORKS
from argos.training import datasets
from argos.training.checkpoint import check_folder
from argos.training.fit import fit
from argos.training.formats.read import every_photo, read_photos
from argos.training.objectives import Name, objective
from argos.training.photos import Photo, cut_people
from argos.training.pretrained import encoder_of, load_backbone, take_what_fits
from argos.training.recipe import Recipe
from argos.training.scenes import Mix
from argos.training.ship import measure, neutral_card, write_model
from argos.training.subjects import Subject, of_subject
from argos.training.together import part_of

log = logging.getLogger(__name__)

LOOKED_AT = 1000
"""Pictures of each set that are decoded before the training begins, so that those that cannot be read are counted; what
is broken of the others is named when it is drawn."""

TASKS: dict[str, Task] = {
    "person": "semantic",
    "person_budget": "semantic",
    "proposal": "proposal",
    "instances": "instances",
    "branches": "instances",
    "classes": "classes",
}


@dataclass(frozen=True, slots=True)
class Course:
    """A recipe and what it is applied to; see ``config_recipe.RecipeFile`` for the names.

    Attributes:
        name: of the model that comes out.
        about: goes into its card.
        share, mosaic, min_height, augment: of the scenes, see ``Mix``.
        subject: what of the photos it is about; all of them for None.
        anew: prefix of the names of weights that are not taken from ``start``.
    """

    name: str
    about: str
    model: str
    arguments: dict[str, Any]
    objective: Name
    data: tuple[str, ...]
    validation: tuple[str, ...]
    start: Path | None
    backbone: Path | None
    share: float
    mosaic: float
    min_height: float
    recipe: Recipe
    subject: Subject | None = None
    anew: str = ""
    augment: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class CoursePhotos:
    """Photos to learn from, photos to measure on, and scenes of the former."""

    learnt: Sequence[Photo]
    held: Sequence[Photo]
    mix: Mix


def follow(course: Course, folder: Path) -> Path | None:
    """Train; goes on where it was when ``folder`` holds a training.

    Returns:
        The weights, with their card beside them; None for an encoder that is trained alone, which ends in
        ``folder/average.pt``, and in every process of ``torchrun`` but the first.

    Raises:
        DataError: photos, annotations, or the network and the objective do not fit; ``folder`` holds another training.
        WeightsError: ``start`` or ``backbone`` does not fit, or the checkpoint in ``folder`` is damaged.
    """
    torch.manual_seed(course.recipe.seed)
    network = build(course)
    check_folder(folder, what_of(course))
    photos = course_photos(course)
    trained = learn(course, network, photos, folder)
    task = task_of(course)
    if task is None or part_of()[0] > 0:
        return None
    how = f"{course.about} {course.recipe}"
    card = neutral_card(course.name, task, course.model, course.arguments, course.about, how, course.recipe.seed,
                        course.data, course.validation)  # fmt: skip
    own = datasets.Held(photos.held) if course.validation else None
    write_model(folder, card, trained.state_dict(), lambda path, card: measure(str(path), card, own))
    return folder / f"{course.name}.safetensors"


def task_of(course: Course) -> Task | None:
    """What the model that comes out is for; None where it is an encoder alone."""
    return TASKS.get(course.objective.removesuffix("_published"))


def learn(course: Course, network: nn.Module, photos: CoursePhotos, folder: Path) -> nn.Module:
    """Train a network of ``build`` without writing a model; goes on where it was when ``folder`` holds a training.

    Returns:
        The averaged network, or what the objective wrapped around it.

    Raises:
        DataError, WeightsError: as ``follow``.
    """
    aim = objective(course.objective, network, photos.learnt, photos.held)
    if course.start is not None:
        log.info("%s: %s", course.start, take_what_fits(aim.wrapped, course.start, course.anew))
    # groups that have parted in an earlier training stay apart
    parting = any(isinstance(module, GradualGroupConv2d) and module.alpha > 0 for module in network.modules())

    def before_step(_: nn.Module, progress: float) -> None:
        if parting:
            set_alpha(aim.wrapped, alpha_at(progress))

    about = what_of(course)
    return fit(aim.wrapped, photos.mix, aim.loss, course.recipe, folder, aim.evaluate, before_step, about, aim.draw)


def what_of(course: Course) -> dict[str, object]:
    """What a resumed training has to share besides network and recipe."""
    return {
        "model": course.model,
        "arguments": course.arguments,
        "objective": course.objective,
        "data": ", ".join(course.data) or datasets.data_folder(),
        "validation": ", ".join(course.validation) or datasets.data_folder(),
        "subject": course.subject,
        "scenes": (course.share, course.mosaic, course.min_height),
        "augment": course.augment,
        "start": course.start,
        "anew": course.anew,
        "backbone": course.backbone,
    }


def build(course: Course) -> nn.Module:
    """The network of a course, where they are given with a classifier's weights and another momentum of its statistics.

    Raises:
        DataError: no such network, wrong arguments, or no place for a classifier.
        WeightsError: the classifier is another one, or cannot be read.
    """
    if course.model not in NETWORKS:
        raise DataError(f"model: no network {course.model!r}; `argos models list` shows them")
    try:
        network = NETWORKS[course.model](**course.arguments)
    except (TypeError, ValueError) as error:
        raise DataError(f"arguments of {course.model}: {error}") from error
    if course.backbone is not None:
        encoder = encoder_of(network)
        if encoder is None:
            raise DataError(f"backbone: {course.model} has no encoder of a classifier")
        log.info("%s: %s", course.backbone, load_backbone(encoder, course.backbone))
    if course.recipe.norm_momentum is not None:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = course.recipe.norm_momentum
    return network


def course_photos(course: Course) -> CoursePhotos:
    """Read the photos of a course.

    Raises:
        DataError: a specification, or what it names, is wrong.
    """
    if course.subject is not None and not (course.data and course.validation):
        raise DataError("subject: data and validation should name the photos that it is made of")
    held: Sequence[Photo]
    if course.validation:
        held, missed = every_photo(course.validation)
        _say_read("validation", len(held) + missed, missed)
    else:
        held = datasets.validation_photos(datasets.data_folder())
    if not course.data:
        everything = datasets.training_photos(datasets.data_folder())
        if task_of(course) == "instances":
            mix = datasets.joint_mix(everything)
        else:
            mix = datasets.semantic_mix(everything, course.min_height)
        mix = replace(mix, paste=course.share, mosaic=course.mosaic, augment=course.augment)
        return CoursePhotos(everything.masks, held, mix)
    sets = [read_photos(spec) for spec in course.data]
    _say_read("data", sum(map(len, sets)), sum(files.left_out(LOOKED_AT) for files in sets))
    groups: list[Sequence[Photo]] = list(sets)
    if course.subject is not None:
        groups = [of_subject(photos, course.subject) for photos in groups]
        held = of_subject(held, course.subject)
        for spec, photos in (*zip(course.data, groups, strict=True), ("validation", held)):
            if not photos:
                raise DataError(f"{spec}: no photo in it is of the subject, {course.subject}")
    empty = [photos for photos in groups if photos[0].source == "background"]
    if len(empty) == len(groups):
        raise DataError("data: the photos are of nobody; name some with people, and where they are, as well")
    learnt = [photo for photos in groups for photo in photos] if course.share else groups[0]
    backgrounds = [photo for photos in empty for photo in photos]
    people = cut_people(learnt) if course.share and backgrounds else []
    share = course.share if people else 0.0
    weights = [float(len(photos)) for photos in groups]
    mix = Mix(groups, weights, backgrounds, people, share, course.mosaic, course.min_height, augment=course.augment)
    return CoursePhotos(learnt, held, mix)


def _say_read(key: str, photos: int, left_out: int) -> None:
    log.log(logging.WARNING if left_out else logging.INFO, "%s: %d pictures, %d cannot be read and are left out",
            key, photos, left_out)  # fmt: skip
