"""Turn a finished training into a shipped model: fp16 safetensors with a card, measured the way the product runs it."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import torch
from safetensors.torch import save_file

from argos.engines.dense import AUTO_SIDE
from argos.engines.weights import Card, digest, load_network
from argos.training import datasets
from argos.training.cards import CARDS, RECIPE, SOURCES, TERMS
from argos.training.detection import evaluate_ssdisb
from argos.training.measure import coverage, iou_by_source
from argos.training.segmentation import region_proposer, semantic_scorer


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
    state = torch.load(run / "average.pt", weights_only=True)
    state = {
        own + key.removeprefix(prefix): _stored(value)
        for prefix, own in text.parts.items()
        for key, value in state.items()
        if key.startswith(prefix) and not key.endswith("num_batches_tracked")
    }
    scenes, minutes = _length(run)
    with TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / f"{name}.safetensors"
        save_file(state, path, metadata={"network": text.network})
        path.chmod(0o644)  # safetensors writes 0600
        card = Card(
            name=name,
            task=text.task,
            network=text.network,
            arguments=text.arguments,
            summary=text.summary,
            thresholds=text.thresholds,
            data=[SOURCES[source] for source in text.sources],
            terms=TERMS,
            recipe=RECIPE.format(scenes=f"{scenes:,}", minutes=minutes, own=text.own, name=text.run),
            seed=text.seed,
            metrics={},
            measured=text.measured,
            limits=text.limits,
            sha256=digest(path),
        )
        _write(card, path.with_suffix(".json"))
        card = msgspec.structs.replace(card, metrics=measure(str(path), card))
        _write(card, path.with_suffix(".json"))
        for suffix in (".safetensors", ".json"):
            path.with_suffix(suffix).replace(folder / f"{name}{suffix}")
    return card


def measure(path: str, card: Card) -> dict[str, float]:
    """The metrics of a card, on the validation split, as the line computes them; rounded to four digits."""
    network, _ = load_network(path)
    held = datasets.validation_photos(datasets.data_folder())
    people = [photo for photo in held if photo.source != "background"]
    if card.task == "instances":
        metrics = evaluate_ssdisb(network, AUTO_SIDE)
    elif card.task == "semantic":
        metrics = iou_by_source(semantic_scorer(network, AUTO_SIDE), held, card.thresholds["threshold"])
    else:
        propose = region_proposer(network, card.thresholds["threshold"])
        empty = [float(propose(photo.image).mean()) for photo in held if photo.source == "background"]
        metrics = {**coverage(propose, people), "empty_area": sum(empty) / max(1, len(empty))}
    return {key: round(float(value), 4) for key, value in metrics.items()}


def _stored(value: torch.Tensor) -> torch.Tensor:
    """Matrices as float16; vectors stay float32: running variances of integer sums exceed float16."""
    return (value.half() if value.ndim > 1 else value.float()).contiguous()


def _length(run: Path) -> tuple[int, float]:
    """Scenes seen and minutes spent, from checkpoint and log; pauses between resumed runs do not count."""
    minutes = float(torch.load(run / "last.pt", weights_only=True)["spent"]) / 60
    rates = [float(rate) for rate in re.findall(r"([\d.]+) scenes/s", (run / "log.txt").read_text())]
    return round(minutes * 60 * sum(rates) / max(1, len(rates))), minutes


def _write(card: Card, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
