"""A light network learns one camera from a heavier one: collect, label, split by time, train, measure, write.

What a proposer has to know for one camera is much less than what it has to know for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.dense import AUTO_SIDE
from argos.engines.weights import Card, load_card, load_network
from argos.errors import WeightsError
from argos.networks.qunet import QUNet
from argos.packing.limits import semantic_limits
from argos.sources.names import redact
from argos.training.checkpoint import check_folder
from argos.training.collect import collect, split_in_time
from argos.training.fit import fit
from argos.training.measure import coverage, iou_by_source
from argos.training.photos import Photo
from argos.training.pretrained import started_from
from argos.training.recipe import Phase, Recipe
from argos.training.scenes import Mix
from argos.training.segmentation import asbunet_loss, qunet_loss, region_proposer, semantic_scorer
from argos.training.sheets import finder_of, held_sheet
from argos.training.ship import write_model
from argos.training.stream import Batch
from argos.training.together import part_of


@dataclass(frozen=True, slots=True)
class Adapted:
    """What came of it.

    Attributes:
        path: of the weights.
        photos: learnt from, and measured on.
        before, after: measures on the later photos with the teacher's masks as truth, before and after.
    """

    path: Path
    photos: tuple[int, int]
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def worse(self) -> bool:
        """Whether the camera is better served by the model as it was before."""
        return _merit(self.after) < _merit(self.before)


def _merit(measures: Mapping[str, float]) -> float:
    """IoU; of a proposer what it covers of the people, less what it proposes of the frame."""
    if "pixels_covered" in measures:
        return measures["pixels_covered"] - measures["area"]
    return next(iter(measures.values()))


def adapt(
    student: str,
    source: str,
    teacher: str,
    folder: Path,
    *,
    minutes: float,
    every_s: float = 0.5,
    most: int = 300,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Adapted | None:
    """Train a model for one camera.

    Args:
        student: model to begin with, a QU-Net or a segmentation network: a shipped name or a path.
        source: as for ``argos run``.
        teacher: segmentation model that labels the frames.
        folder: of checkpoints and log, and of the model ``NAME.safetensors`` with its card.
        minutes: length of the training.
        every_s, most, progress: see ``collect``.
        workers: see ``Recipe``.

    Returns:
        What came of it; None in every process of ``torchrun`` but the first, which measures and writes.

    Raises:
        WeightsError: no such model, or one for another task.
        SourceError: see ``collect``.
        DataError: ``folder`` holds another training, of another camera for one; or see ``split_in_time``.
    """
    about = {"start": student, "source": redact(source), "teacher": teacher, "frames": f"{most} every {every_s:g} s"}
    check_folder(folder, about)  # collecting takes minutes
    network, card = started_from(student)
    if card.task not in ("semantic", "proposal"):
        raise WeightsError(f"{student}: only masks of people can be learnt from a teacher; use qunet16 or asbunet")
    network.train()
    score = semantic_scorer(load_network(teacher, task="semantic")[0], AUTO_SIDE)
    photos = collect(source, score, every_s=every_s, most=most, progress=progress)
    learnt, held = split_in_time(photos, source)

    def measure(asked: nn.Module) -> Mapping[str, float]:
        return _measure(asked, card.thresholds, held)

    first = part_of()[0] == 0
    before = measure(load_network(student)[0]) if first else {}
    recipe = Recipe(
        minutes,
        (Phase(0.5, 160, 10), Phase(1.0, 256, 5)),
        peak_rate=2e-3,
        weight_decay=0.0 if isinstance(network, QUNet) else 1e-2,
        average=0.99,
        precision="bfloat16",
        workers=workers,
    )
    mix = Mix([learnt], [1.0], [], [], paste=0.0, mosaic=0.2)
    loss: Callable[[nn.Module, Batch], Mapping[str, Tensor]] = (
        qunet_loss if isinstance(network, QUNet) else asbunet_loss
    )

    def draw(asked: nn.Module) -> NDArray[np.uint8]:
        return held_sheet(finder_of(asked, card), held, card.task == "proposal")

    trained = fit(network, mix, loss, recipe, folder, measure, about=about, draw=draw)
    if not first:
        return None
    written = write_model(
        folder,
        _card(card, load_card(teacher), source, (len(learnt), len(held)), minutes),
        trained.state_dict(),
        lambda path, own: measure(load_network(str(path))[0]),
    )
    return Adapted(folder / f"{written.name}.safetensors", (len(learnt), len(held)), before, written.metrics)


def _measure(network: nn.Module, thresholds: Mapping[str, float], held: list[Photo]) -> Mapping[str, float]:
    if isinstance(network, QUNet):
        measures = coverage(region_proposer(network, thresholds["threshold"]), held)
        return {key: measures[key] for key in ("pixels_covered", "area", "area_true")}
    return iou_by_source(semantic_scorer(network, AUTO_SIDE), held, semantic_limits(thresholds))


def _card(card: Card, teacher: Card, source: str, photos: tuple[int, int], minutes: float) -> Card:
    return msgspec.structs.replace(
        card,
        name=f"{card.name}-camera",
        summary=f"{card.summary} Adapted to one camera.",
        data=[*card.data, f"{photos[0]} frames of {redact(source)}, labelled by {teacher.identity}"],
        recipe=f"{minutes:g} minutes of `argos train {card.name} --from ...` from {card.identity}. {card.recipe}",
        seed=1,
        metrics={},
        measured=f"the last {photos[1]} of the frames, the masks of {teacher.identity} as truth, this card's threshold",
        limits="Made for one camera and its light; what the teacher gets wrong there it has learnt too.",
        sha256="",
    )
