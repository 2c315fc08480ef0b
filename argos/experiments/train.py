"""Experiments that train: each variant with each seed, in an order in which early ends leave whole comparisons."""

from __future__ import annotations

import datetime
import logging
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from torch import nn

from argos.config_experiment import Experiment
from argos.config_recipe import RecipeFile
from argos.engines.dense import network_size, to_unit_floats
from argos.engines.weights import load_network
from argos.experiments.models import PROPOSER, models_of_recipe
from argos.experiments.results import Run, add_result, digest_of, read_results
from argos.machine import cores, processor
from argos.networks.comparing import forward_ms
from argos.networks.counting import tf_variables
from argos.networks.dynamic import DynamicUNet
from argos.networks.ssd_isb import SSDISB
from argos.packing.pack import BACKGROUND, resized
from argos.training.course import Course, CoursePhotos, build, course_photos, learn, task_of
from argos.training.detection import average_precision
from argos.training.journal import read_scalars
from argos.training.measure import iou_by_source
from argos.training.objectives import EVALUATED_SIDE
from argos.training.photos import Photo
from argos.training.segmentation import region_proposer, semantic_scorer

log = logging.getLogger(__name__)


def train_all(
    experiment: Experiment,
    results: Path,
    folder: Path,
    *,
    seeds: int = 3,
    only: Sequence[str] = (),
    minutes: float | None = None,
    steps: int | None = None,
) -> Iterator[Run]:
    """Train what is not in the results yet; goes on with a training that was broken off.

    Args:
        experiment: with recipes.
        results: JSON file; a run is added when it is done.
        folder: gets a folder for each training, ``VARIANT-SEED-SETTING``.
        seeds: 1, 2, ... are used.
        only: keys of variants; all for none.
        minutes, steps: length of each training, in place of the recipes'; at most one of them.

    Yields:
        Each run that was added.

    Raises:
        DataError, WeightsError: as ``course.follow``.
    """
    known: dict[Any, CoursePhotos] = {}
    for seed in range(1, seeds + 1):
        for key, recipe in experiment.recipes.items():
            if only and key not in only:
                continue
            if minutes is not None or steps is not None:
                recipe = recipe.model_copy(update={"minutes": minutes, "steps": steps})
            setting = setting_of(recipe)
            done = {(run.variant, run.seed, run.setting) for run in read_results(results)}
            if (key, seed, setting) in done:
                log.info("%s: %s with seed %d is done already", experiment.name, key, seed)
                continue
            course = recipe.model_copy(update={"seed": seed}).course(key)
            photos = _photos_once(course, known)
            log.info("%s: %s with seed %d", experiment.name, key, seed)
            models = models_of_recipe(recipe)
            run = _train(course, photos, folder / f"{key}-{seed}-{setting}", key, setting, experiment.file.timed)
            run = msgspec.structs.replace(run, models=models)
            add_result(results, run)
            yield run
    if experiment.file.timed is not None:
        _time_together(experiment, results, experiment.file.timed)


ROUNDS = 7
"""In which the variants of an experiment take turns to be timed."""


def _time_together(experiment: Experiment, results: Path, size: tuple[int, int]) -> None:
    """Time the forward pass of all variants that were run, in turns: at other times the machine is another one."""
    runs = read_results(results)
    networks = {
        run.variant: build(experiment.recipes[run.variant].course(run.variant))
        for run in runs
        if run.variant in experiment.recipes
    }
    times: dict[str, list[float]] = {key: [] for key in networks}
    for _ in range(ROUNDS):
        for key, network in networks.items():
            times[key].append(forward_ms(network, size, runs=1))
    for run in runs:
        if run.variant in times:
            figures = {**run.figures, "ms": round(statistics.median(times[run.variant]), 3)}
            add_result(results, msgspec.structs.replace(run, figures=figures, machine=machine()))


def _photos_once(course: Course, known: dict[Any, CoursePhotos]) -> CoursePhotos:
    """Variants of the same photos share them; only the last ones are kept, they take gigabytes."""
    key = (course.data, course.validation, course.subject, course.share, course.mosaic, course.min_height,
           course.augment, task_of(course))  # fmt: skip
    if key not in known:
        known.clear()
        known[key] = course_photos(course)
    return known[key]


def _train(
    course: Course, photos: CoursePhotos, folder: Path, key: str, setting: str, timed: tuple[int, int] | None
) -> Run:
    torch.manual_seed(course.recipe.seed)
    network = build(course)
    trained = learn(course, network, photos, folder)
    curve, figures = figures_of(folder / "scalars.jsonl")
    figures |= more_figures(trained, photos, timed)
    state = torch.load(folder / "last.pt", weights_only=True)
    recipe = course.recipe
    early = state["step"] < recipe.steps if recipe.steps else state["spent"] < recipe.minutes * 60
    ended = early if recipe.stop_after else is_flat(curve)
    return Run(
        variant=key,
        seed=recipe.seed,
        setting=setting,
        figures={name: round(float(value), 6) for name, value in figures.items()},
        curve=curve,
        steps=state["step"],
        minutes=round(state["spent"] / 60, 1),
        plateau=ended,
        machine=machine(),
        date=today(),
    )


FLAT = 0.01
"""Gain in the last quarter of a training below which it has come to its end."""

LEAST_EVALUATIONS = 8


def is_flat(curve: Sequence[tuple[int, float]]) -> bool:
    """Whether the best figure of the last quarter of the steps is hardly better than the best before."""
    if len(curve) < LEAST_EVALUATIONS:
        return False
    start = 0.75 * curve[-1][0]
    before = [value for step, value in curve if step <= start]
    return bool(before) and max(value for step, value in curve if step > start) - max(before) < FLAT


def figures_of(scalars: Path) -> tuple[list[tuple[int, float]], dict[str, float]]:
    """Step and first figure of every evaluation of a training, and all figures of the last one."""
    curve: list[tuple[int, float]] = []
    last: dict[str, float] = {}
    for entry in read_scalars(scalars):
        if entry.pop("kind") == "figure":
            step = entry.pop("step")
            last = entry
            curve.append((step, round(float(next(iter(entry.values()))), 5)))
    return curve, last


def more_figures(network: nn.Module, photos: CoursePhotos, timed: tuple[int, int] | None) -> dict[str, float]:
    """What the evaluations of a training leave out.

    Returns:
        For SSD-ISB the twelve figures of COCO of its masks at IoU 0.5, ``mask_ap_small`` and so on. Where the forward
        pass is timed ``variables`` (convolution weights, biases, four of each batch normalisation).
    """
    figures: dict[str, float] = {}
    if isinstance(network, SSDISB):
        told_apart = [photo for photo in photos.held if photo.boxes_known and photo.box_ids.any()]
        found = average_precision(network, told_apart, "segm", EVALUATED_SIDE, iou=0.5)
        figures |= {f"mask_{name}": value for name, value in found.items()}
    if isinstance(network, DynamicUNet):
        figures |= computed_figures(network, photos.held)
    if timed is not None:
        figures["variables"] = float(tf_variables(network))
    return figures


@torch.inference_mode()
def computed_figures(network: DynamicUNet, held: Sequence[Photo]) -> dict[str, float]:
    """What a network with dynamic convolutions computes of itself; of a plain one, how it does behind QU-Net.

    Returns:
        ``computed``, share of the operations of the whole network; without decisions also ``iou_behind`` and
        ``computed_behind``, on photos of which only the proposals of the shipped QU-Net are left.
    """
    device = next(network.parameters()).device
    if network.budget is not None:
        shares = []
        for photo in held:
            rows, columns = photo.image.shape[:2]
            size = network_size((rows, columns), EVALUATED_SIDE / max(rows, columns))
            picture = to_unit_floats(np.ascontiguousarray(resized(photo.image, size)[None]), device)
            shares.append(network.computed(float(network.decide(picture).share)))
        return {"computed": float(np.mean(shares))}
    proposal, card = load_network(PROPOSER, "cpu", "proposal")
    propose = region_proposer(proposal, card.thresholds["threshold"])
    behind, areas = [], []
    for photo in held:
        rows, columns = photo.ids.shape
        proposed = cv2.resize(propose(photo.image).view(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
        behind.append(replace(photo, image=np.where(proposed[:, :, None], photo.image, np.uint8(BACKGROUND))))
        areas.append(float(proposed.mean()))
    by_source = iou_by_source(semantic_scorer(network, EVALUATED_SIDE), behind)
    ious = [value for name, value in by_source.items() if name.startswith("iou_")]
    return {"computed": 1.0, "iou_behind": float(np.mean(ious)), "computed_behind": float(np.mean(areas))}


LATER_KEYS = (
    ("", "evaluate_steps", None),
    ("", "pretrained_until", 1.0),
    ("", "norm_momentum", None),
    ("scenes", "augment", True),
)
"""Section, key and default of what recipes have had since results were kept: unset, it changes no digest."""


def setting_of(recipe: RecipeFile) -> str:
    """Digest of a recipe: without its name and seed, and of the paths of photos only the ends."""
    data = recipe.model_dump(mode="json", exclude={"about", "seed", "workers"})
    for section, key, value in LATER_KEYS:
        if (at := data[section] if section else data)[key] == value:
            del at[key]
    for key in ("data", "validation"):
        data[key] = [f"{kind}:{'/'.join(Path(rest).parts[-2:])}" for kind, _, rest in
                     (spec.partition(":") for spec in data[key])]  # fmt: skip
    return digest_of(data)


def machine() -> str:
    """What trains and measures here, in a few words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{processor()[0]}, {cores()[0]} cores"


def today() -> str:
    """ISO 8601, in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
