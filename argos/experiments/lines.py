"""Experiments without training: shipped models behind shipped proposals, on labelled photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from argos.config import config_from_sources
from argos.config_experiment import Experiment, Line
from argos.engines.count_macs import count_macs
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter, network_size
from argos.engines.weights import load_card, load_network
from argos.errors import DataError
from argos.experiments.models import PROPOSER, models_of_line
from argos.experiments.results import Run, add_result, digest_of, read_results
from argos.experiments.train import machine, today
from argos.networks.counting import bit_operations
from argos.networks.qunet import QUNet
from argos.pipelines.build import people_of_config, view_of
from argos.pipelines.people import People
from argos.pipelines.views import Analysis, View
from argos.propose.regions import grow
from argos.training.detection import score_people
from argos.training.photos import CROWD, IGNORE, Photo
from argos.types import Frame, Instances, RegionMask

SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1 << 40)}
"""Areas of people in pixels of the photo, as COCO and QU-Net's thesis (section 4.5) divide them."""

LOW_SCORE = 0.05
"""From which detections count for the average precision."""

PROPOSAL_SIZE = (320, 320)
"""At which operations of QU-Net are counted, as in its thesis."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the line made of a photo.

    Attributes:
        instances: people; None for a segmenter.
        person: ``(H, W)`` bool; None for a detector.
        share: of the full photo's pixels (gather: multiply-accumulates) that the deep network computed; in mode
            ``mask`` the proposed share, as QU-Net's thesis reckons.
        operations: of the deep network, and of QU-Net where it was asked, as the thesis counts them.
    """

    instances: Instances | None
    person: NDArray[np.bool_] | None
    share: float
    operations: float


def run_lines(
    experiment: Experiment, results: Path, photos: Sequence[Photo], only: Sequence[str] = ()
) -> Iterator[Run]:
    """Run what is not in the results yet; the arguments as for ``train_all``.

    Yields:
        Each run that was added.

    Raises:
        DataError: a model has another task than these photos can measure.
    """
    done = [(run.variant, run.setting, run.models) for run in read_results(results)]
    for key, line in chosen_lines(experiment, only).items():
        if (key, setting_of(line, len(photos)), models_of_line(line)) not in done:
            run = _run(key, line, photos)
            add_result(results, run)
            yield run


def try_lines(experiment: Experiment, photos: Sequence[Photo], only: Sequence[str] = ()) -> Iterator[Run]:
    """``run_lines`` without a file: every line is run, and nothing kept."""
    for key, line in chosen_lines(experiment, only).items():
        yield _run(key, line, photos)


def chosen_lines(experiment: Experiment, only: Sequence[str]) -> dict[str, Line]:
    """The lines of variants; of all of them for none."""
    variants = experiment.file.variants
    return {key: one.line for key, one in variants.items() if one.line and (not only or key in only)}


def _run(key: str, line: Line, photos: Sequence[Photo]) -> Run:
    return Run(
        variant=key,
        seed=0,
        setting=setting_of(line, len(photos)),
        figures=measure_line(line, photos),
        models=models_of_line(line),
        machine=machine(),
        date=today(),
    )


def setting_of(line: Line, photos: int) -> str:
    """Digest of a line, of the weights behind it, and of the number of photos."""
    models = [load_card(line.model).identity, load_card(PROPOSER).identity]
    return digest_of([line.model_dump(mode="json"), models, photos])


def measure_line(line: Line, photos: Sequence[Photo]) -> dict[str, float]:
    """Accuracy by size of people, and what was computed.

    Returns:
        ``computed`` (mean share of the full photo) and ``gops`` (10^9 operations per photo, proposal included). For
        instances ``ap``, ``ap50`` and AP and AR by size, masks and boxes (``box_``); for a segmenter ``iou``,
        ``precision``, and the share of the pixels of people that was found, ``found_`` all and by size.
    """
    task = load_card(line.model).task
    if task not in ("instances", "semantic"):
        raise DataError(f"{line.model}: is a model for {task}; a line has one for instances or semantic")
    people, view = _line(line, task)
    macs = _macs_per_pixel(people)
    proposal = load_network(PROPOSER, "cpu", "proposal")[0]
    assert isinstance(proposal, QUNet)
    asking = bit_operations(proposal, PROPOSAL_SIZE, extras=True)
    seen = [_see(people, view, line, photo, macs, asking) for photo in photos]
    figures = {
        "computed": float(np.mean([one.share for one in seen])),
        "gops": float(np.mean([one.operations for one in seen])) / 1e9,
    }
    figures |= _precision(seen, photos) if task == "instances" else _found_by_size(seen, photos)
    return {name: round(value, 5) for name, value in figures.items()}


def _line(line: Line, task: str) -> tuple[People, View]:
    """The line of ``argos run`` for single photos: nothing is remembered and nothing refreshed."""
    overrides = [f"camera.tasks=[{task}]", f"engine.models.{task}={line.model}", "camera.regions.memory=false"]
    if task == "instances":
        overrides += [f"camera.instances.score_threshold={LOW_SCORE}"]
    config = config_from_sources(["fake://people"], overrides)
    people, cards = people_of_config(config)
    camera = next(iter(config.cameras.values()))
    return people, replace(view_of(camera, config, cards), mode=line.mode)


def _macs_per_pixel(people: People) -> float:
    """Of the deep network on a whole picture; the branches of SSD-ISB, which run on what it found, are not in it."""
    deep = people.semantic or people.instances
    assert isinstance(deep, SemanticSegmenter | InstanceSegmenter)
    size = (320, 320)
    device = next(deep.network.parameters()).device
    return count_macs(deep.network, torch.zeros(1, 3, *size, device=device)) / (size[0] * size[1])


def _see(people: People, view: View, line: Line, photo: Photo, macs: float, asking: float) -> Seen:
    frame = Frame(np.ascontiguousarray(photo.image), "photo", 0, 0.0)
    scale = line.side / max(frame.size)
    (analysis,) = people.step([frame], [replace(view, scale=scale)], [False])
    share = _share(people, view, frame, analysis)
    rows, columns = network_size(frame.size, scale)
    operations = macs * rows * columns * share + (asking if line.mode != "full" else 0.0)
    person = None if analysis.semantic is None else analysis.semantic.mask
    return Seen(analysis.instances, person, share, operations)


def _share(people: People, view: View, frame: Frame, analysis: Analysis) -> float:
    if analysis.mode != "mask":
        return analysis.deep_share
    scores = people.proposer(frame).scores
    proposed = RegionMask(scores, scores >= view.proposal_threshold, frame.size)
    return float(grow(proposed, dilation=view.dilation, min_area=view.min_area).mask.mean())


def _precision(seen: Sequence[Seen], photos: Sequence[Photo]) -> dict[str, float]:
    """Figures of COCO on the photos whose people are told apart."""
    pairs = [(one.instances, photo) for one, photo in zip(seen, photos, strict=True) if photo.boxes_known]
    found, told_apart = [people for people, _ in pairs if people is not None], [photo for _, photo in pairs]
    masks, boxes = (score_people(found, told_apart, kind) for kind in ("segm", "bbox"))
    wanted = ("ap", "ap50", "ap_small", "ap_medium", "ap_large", "ar_small", "ar_medium", "ar_large")
    return {name: masks[name] for name in wanted} | {f"box_{name}": boxes[name] for name in wanted}


def _found_by_size(seen: Sequence[Seen], photos: Sequence[Photo]) -> dict[str, float]:
    """Pixels of all photos together; of people not told apart there is no size."""
    total: dict[str, int] = defaultdict(int)
    hit: dict[str, int] = defaultdict(int)
    overlap = said = union = 0
    for one, photo in zip(seen, photos, strict=True):
        assert one.person is not None
        known = photo.ids != IGNORE
        person, found = (photo.ids > 0) & known, one.person & known
        overlap, said, union = (
            overlap + int((person & found).sum()),
            said + int(found.sum()),
            union + int((person | found).sum()),
        )
        total["all"], hit["all"] = total["all"] + int(person.sum()), hit["all"] + int((person & found).sum())
        for number in np.unique(photo.ids[person & (photo.ids < CROWD)]).tolist():
            own = photo.ids == number
            area = int(own.sum())
            size = next(name for name, (low, high) in SIZES.items() if low <= area < high)
            total[size], hit[size] = total[size] + area, hit[size] + int((own & found).sum())
    figures = {"iou": overlap / max(1, union), "precision": overlap / max(1, said)}
    return figures | {f"found_{size}": hit[size] / total[size] for size in ("all", *SIZES) if total[size]}
