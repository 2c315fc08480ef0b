"""Turn a finished training into a shipped model: safetensors with a card, measured the way the product runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file
from torch import Tensor

from argos.engines.dense import AUTO_SIDE
from argos.engines.sign_bits import LATENTS, binary_weights, latents_of, pack_signs
from argos.engines.weights import Card, Task, digest, load_network
from argos.networks.ssd_isb import SSDISB
from argos.networks.table import NETWORKS
from argos.packing.limits import semantic_limits
from argos.training import datasets
from argos.training.cards import CARDS, SOURCES, CardText, made_by
from argos.training.checkpoint import writing
from argos.training.detection import average_precision, evaluate_ssdisb
from argos.training.measure import boundary_f, class_figures, coverage, iou_by_source
from argos.training.photos import Photo
from argos.training.segmentation import covered_within, region_proposer, semantic_scorer

THRESHOLDS: dict[Task, dict[str, float]] = {
    "semantic": {"threshold": 0.5},
    "proposal": {"threshold": 0.4},
    "instances": {"score_threshold": 0.5, "nms": 0.5},
    "classes": {},
}
"""Of a model for which nobody has chosen better ones."""


def ship(name: str, run: Path, folder: Path) -> Card:
    """Write ``folder/NAME.safetensors`` and its card from the averaged weights of a training.

    Args:
        name: key of ``CARDS``.
        run: folder of the training.
        folder: where the model goes, replaced only when it has been measured.

    Returns:
        The card, with what was measured on the validation split.
    """
    text = CARDS[name]
    scenes, minutes = _length(run)
    card = Card(
        name=name,
        task=text.task,
        network=text.network,
        arguments=text.arguments,
        summary=text.summary,
        thresholds=text.thresholds,
        data=[SOURCES[source] for source in text.sources],
        terms=text.terms,
        recipe=text.recipe.format(
            scenes=f"{scenes:,}", minutes=minutes, own=text.own, name=text.run, options=text.options
        ),
        seed=text.seed,
        metrics={},
        measured=text.measured,
        limits=text.limits,
        sha256="",
    )
    return write_model(folder, card, _learnt(run, text), lambda path, card: measure(str(path), card))


def finish(recipe: str, run: Path, command: str) -> dict[Task, Path]:
    """Write the models of a named recipe beside its checkpoints, from the averaged weights.

    Their cards say how they were made and what was measured, and nothing that somebody has to look at first.

    Args:
        recipe: name of the recipe.
        run: folder of the training.
        command: that trained.

    Returns:
        The weights by what they are for, each with its card beside it.
    """
    written = {}
    for name, text in made_by(recipe).items():
        card = neutral_card(name, text.task, text.network, text.arguments, text.summary, f"`{command}`", text.seed)
        write_model(run, card, _learnt(run, text), lambda path, card: measure(str(path), card))
        written[text.task] = run / f"{name}.safetensors"
    return written


def neutral_card(
    name: str,
    task: Task,
    network: str,
    arguments: dict[str, Any],
    summary: str,
    recipe: str,
    seed: int,
    data: Sequence[str] = (),
    validation: Sequence[str] = (),
) -> Card:
    """The card of a model nobody has looked at yet, without metrics and digest; see ``Card``.

    Args:
        name, task, network, arguments, summary, recipe, seed: of the card.
        data, validation: specifications of the photos; those of the project for none.
    """
    return Card(
        name=name,
        task=task,
        network=network,
        arguments=arguments,
        summary=summary,
        thresholds=THRESHOLDS[task],
        data=list(data) or ["the photos of the project, see the cards of the shipped models"],
        terms="those of the photos it learnt from",
        recipe=recipe,
        seed=seed,
        metrics={},
        measured=BY_EVAL + (", ".join(validation) or PROJECTS),
        limits="not looked at",
        sha256="",
    )


def write_model(
    folder: Path,
    card: Card,
    state: Mapping[str, Tensor],
    measured: Callable[[Path, Card], Mapping[str, float]],
) -> Card:
    """Write ``folder/NAME.safetensors`` and its card; both appear together, when the stored weights are measured.

    Args:
        folder: where the model goes.
        card: without metrics and digest.
        state: weights; counters of batches are left out, and of binary weights all but signs and scale: what a
            training needs of them goes to ``NAME.latents``.
        measured: path of the stored weights and the card so far -> the metrics.

    Returns:
        The card as written.

    Raises:
        PublishError: the folder cannot be written.
    """
    with torch.device("meta"):
        binary = binary_weights(NETWORKS[card.network](**card.arguments))
    stored = {
        key: _stored(value)
        for key, value in pack_signs(state, binary).items()
        if not key.endswith("num_batches_tracked")
    }
    with writing(folder / f"{card.name}.safetensors"):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as scratch:
            path = Path(scratch) / f"{card.name}.safetensors"
            save_file(stored, path, metadata={"network": card.network})
            card = msgspec.structs.replace(card, sha256=digest(path))
            if binary:
                save_file(latents_of(state, binary), path.with_suffix(LATENTS), metadata={"of": card.sha256})
            _write(card, path.with_suffix(".json"))
            metrics = {key: round(float(value), 4) for key, value in measured(path, card).items()}
            card = msgspec.structs.replace(card, metrics=metrics)
            _write(card, path.with_suffix(".json"))
            for suffix in (".safetensors", ".json", *([LATENTS] if binary else [])):
                path.with_suffix(suffix).chmod(0o644)  # safetensors writes 0600
                path.with_suffix(suffix).replace(folder / f"{card.name}{suffix}")
    return card


def measure(path: str, card: Card, held: datasets.Held | None = None) -> dict[str, float]:
    """The metrics of a card, as the line computes them; rounded to four digits.

    Args:
        path: of the weights.
        card: of the model.
        held: what to measure on; the validation split of the project's data for ``None``.
    """
    network, _ = load_network(path)
    if held is None:
        held = datasets.held_for(card.task, datasets.data_folder())
    photos = held.photos
    if card.task == "classes":
        metrics = class_figures(network, photos, int(network.num_classes))  # type: ignore[arg-type]
    elif card.task == "instances":
        metrics = evaluate_ssdisb(network, photos, held.boxed, AUTO_SIDE)
    elif card.task == "semantic":
        metrics = iou_by_source(semantic_scorer(network, AUTO_SIDE), photos, semantic_limits(card.thresholds))
    else:
        propose = region_proposer(network, card.thresholds["threshold"])
        empty = [float(propose(photo.image).mean()) for photo in photos if photo.source == "background"]
        people = [photo for photo in photos if photo.source != "background"]
        metrics = coverage(propose, people) if people else {}
        if empty:
            metrics["empty_area"] = sum(empty) / len(empty)
        metrics |= covered_within(network, people) if people else {}
    return {key: round(float(value), 4) for key, value in metrics.items()}


def more_measures(path: str, card: Card, photos: Sequence[Photo]) -> dict[str, float]:
    """What a card does not say: COCO's figures of boxes and masks, or the F measure of the outlines.

    A proposer has no other measures.
    """
    network, _ = load_network(path)
    figures: dict[str, float] = {}
    if isinstance(network, SSDISB):
        known = [photo for photo in photos if photo.boxes_known]
        boxed, masked = any(len(photo.boxes) for photo in known), any(photo.box_ids.any() for photo in known)
        for kind in (kind for kind, judged in (("bbox", boxed), ("segm", masked)) if judged):
            found = average_precision(network, known, kind, AUTO_SIDE)
            figures |= {f"{kind}_{name}": value for name, value in found.items()}
    elif card.task == "semantic":
        figures["boundary_f"] = boundary_f(
            semantic_scorer(network, AUTO_SIDE), photos, semantic_limits(card.thresholds)
        )
    return {key: round(float(value), 4) for key, value in figures.items()}


BY_EVAL, PROJECTS = "by `argos eval` on: ", "the validation photos of the project"


def on_the_projects_photos(card: Card) -> bool:
    """Whether the figures of a card are of the photos on which ``argos eval`` measures by itself."""
    return card.measured in {BY_EVAL + PROJECTS, *(text.measured for text in CARDS.values())}


def _learnt(run: Path, text: CardText) -> dict[str, Tensor]:
    """The averaged weights of the part of a training that a card is about, under their names in its network."""
    trained = torch.load(run / "average.pt", map_location="cpu", weights_only=True)
    return {
        own + key.removeprefix(prefix): value
        for prefix, own in text.parts.items()
        for key, value in trained.items()
        if key.startswith(prefix)
    }


def _stored(value: Tensor) -> Tensor:
    """Matrices as float16, vectors as float32: running variances of sums exceed float16. Bits and their scales stay."""
    if value.dtype in (torch.uint8, torch.float64):
        return value
    return (value.half() if value.ndim > 1 else value.float()).contiguous()


def _length(run: Path) -> tuple[int, float]:
    """Scenes seen and minutes spent, from the checkpoint; pauses between resumed runs do not count."""
    state = torch.load(run / "last.pt", map_location="cpu", weights_only=True)
    return int(state["seen"]), float(state["spent"]) / 60


def _write(card: Card, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
