"""A semantic network that is not ours learns people: from the labelled photos, or from one camera and a teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from argos.engines.dense import AUTO_SIDE
from argos.engines.own_network import OwnNetwork, of_module
from argos.engines.own_semantic import OwnSemantic, SemanticGives
from argos.engines.segmenter import Takes
from argos.engines.weights import load_network
from argos.errors import WeightsError
from argos.packing.limits import person_mask
from argos.training import datasets
from argos.training.checkpoint import writing
from argos.training.collect import collect, split_in_time
from argos.training.fit import fit
from argos.training.measure import HALF, Scorer, iou_by_source
from argos.training.photos import Photo
from argos.training.recipe import Phase, Recipe
from argos.training.recipes import labelled_photos
from argos.training.scenes import Mix
from argos.training.segmentation import mask_loss, scorer, semantic_scorer
from argos.training.sheets import held_sheet
from argos.training.stream import Batch
from argos.training.together import part_of

SIDES = ((0.6, 160, 8), (1.0, 256, 4))
"""Share of the training, side of the views and views per step, for networks that take any size."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of a training.

    Attributes:
        weights: safetensors file.
        photos: measured on.
        figures: IoU by source on those, which the network has not seen.
    """

    weights: Path
    photos: int
    figures: Mapping[str, float]


def train_own(
    network: nn.Module,
    name: str,
    takes: Takes,
    gives: SemanticGives,
    mix: Mix,
    held: Sequence[Photo],
    folder: Path,
    minutes: float,
    about: Mapping[str, object] = {},
    workers: int | None = None,
) -> Learnt | None:
    """Train a network by the loss of ours: weighted cross-entropy and dice on its log odds of person.

    Args:
        network: learns in place.
        name: of the network, for messages.
        takes, gives: its pictures and its map, of logits; the same as later in the pipeline.
        mix: what the scenes are made of.
        held: photos to measure on.
        folder: of checkpoints, log and ``weights.safetensors``; continues there.
        minutes: length.
        about: see ``fit``.
        workers: see ``Recipe``.

    Returns:
        What came of it; None in every process of ``torchrun`` but the first, which measures and writes.

    Raises:
        WeightsError: it is of TorchScript, fails, gives no logits, or something else than ``gives`` says; or as
            ``fit``.
        DataError: ``folder`` holds another training.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise WeightsError(f"{name}: a module of TorchScript does not learn; name a function that builds it in Python")
    if gives.meaning != "logits":
        raise WeightsError(
            f"{name}: gives {gives.meaning}, and training needs logits: leave the last sigmoid, softmax or argmax out"
        )
    recipe = Recipe(minutes, phases_of(takes), peak_rate=2e-3, average=0.99, workers=workers)

    def score_of(trained: nn.Module) -> Scorer:
        segmenter = OwnSemantic(of_module(trained, name, str(next(trained.parameters()).device)), takes, gives)
        return scorer(segmenter, max(takes.size or (AUTO_SIDE,)))

    def measure(trained: nn.Module) -> dict[str, float]:
        return iou_by_source(score_of(trained), held)

    def draw(trained: nn.Module) -> NDArray[np.uint8]:
        score = score_of(trained)
        return held_sheet(lambda image: person_mask(score(image), HALF), held)

    about = {**about, "model": name, "input": takes, "output": gives}
    trained = fit(network, mix, own_loss(name, takes, gives), recipe, folder, measure, about=about, draw=draw)
    if part_of()[0] > 0:
        return None
    path = folder / "weights.safetensors"
    write_weights(trained, path)
    return Learnt(path, len(held), measure(trained))


def write_weights(network: nn.Module, path: Path) -> None:
    """Write the state of a network as a safetensors file that everybody may read.

    Raises:
        PublishError: it cannot be written.
    """
    # copies: a layer under two names is two entries of one memory, which the format refuses
    state = {key: value.detach().cpu().contiguous().clone() for key, value in network.state_dict().items()}
    with writing(path):
        save_file(state, path)
        path.chmod(0o644)  # it is written for its owner alone; the service that runs it is another


def own_loss(name: str, takes: Takes, gives: SemanticGives) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a network that takes and gives what is said.

    Args:
        name: of the network, for messages.
        takes, gives: as in the pipeline.

    The loss raises ``WeightsError`` where the network fails, or gives something else than ``gives`` says.
    """

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        own = OwnSemantic(OwnNetwork(name, network, batch.images.device), takes, gives)
        size = (batch.images.shape[2], batch.images.shape[3])
        image = takes.normalised(takes.filled(batch.images)).contiguous(memory_format=torch.channels_last)
        filled = takes.padded(size)
        odds = own.odds(own.network.run(image), filled, len(image))
        if torch.is_grad_enabled() and not odds.requires_grad:
            raise WeightsError(f"{name}: gives what its weights do not learn from: leave detach and comparisons out")
        if odds.shape[1:] != filled:
            odds = F.interpolate(odds[:, None], filled, mode="bilinear")[:, 0]
        return mask_loss(odds[:, : size[0], : size[1]], batch.ids, positive_weight=1.5)

    return loss


def phases_of(takes: Takes) -> tuple[Phase, ...]:
    """Views in sizes that a network takes, small ones first."""
    if takes.size is not None:
        return (Phase(1.0, min(takes.size), 4),)
    stride = takes.stride
    return tuple(Phase(until, max(stride, round(side / stride) * stride), batch) for until, side, batch in SIDES)


def photos_of_camera(
    source: str, teacher: str, *, every_s: float, most: int, progress: Callable[[int], None]
) -> tuple[Mix, list[Photo]]:
    """What one camera shows, labelled by a teacher: scenes of the first frames, and the last ones to measure on.

    Raises:
        SourceError, DataError, WeightsError: see ``collect``, ``split_in_time`` and ``load_network``.
    """
    score = semantic_scorer(load_network(teacher, task="semantic")[0], AUTO_SIDE)
    photos = collect(source, score, every_s=every_s, most=most, progress=progress)
    learnt, held = split_in_time(photos, source)
    return Mix([learnt], [1.0], [], [], paste=0.0, mosaic=0.2), held


def photos_of_folder(teacher: str | None) -> tuple[Mix, list[Photo]]:
    """Scenes of the project's training photos, and its validation photos.

    Raises:
        ArgosError: there is no data; ``ARGOS_DATA`` names its folder.
    """
    mix = datasets.semantic_mix(labelled_photos(teacher), min_height=20)
    return mix, datasets.validation_photos(datasets.data_folder())
