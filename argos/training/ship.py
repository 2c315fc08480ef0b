"""Turn a finished training into a shipped model: fp16 safetensors, measured as the product loads it, with a card."""

from __future__ import annotations

import itertools
import logging
import re
from pathlib import Path

import msgspec
import torch
from safetensors.torch import save_file

from argos.engines.weights import Card, digest, load_network
from argos.training import datasets
from argos.training.cards import CARDS, RECIPE, SOURCES, TERMS
from argos.training.measure import coverage, iou_by_source
from argos.training.segmentation import scorer

log = logging.getLogger(__name__)


def ship(name: str, run: Path, folder: Path) -> Card:
    """Write ``folder/NAME.safetensors`` and its card from the averaged weights of a training.

    Args:
        name: key of ``CARDS``.
        run: folder of the training.
        folder: where the model goes.

    Returns:
        The card, with what was measured on the validation split.
    """
    text = CARDS[name]
    state = torch.load(run / "average.pt", weights_only=True)
    prefix = "detector."
    if any(key.startswith(prefix) for key in state):  # the scaffold around the detector stays behind
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    state = {key: _stored(value) for key, value in state.items() if not key.endswith("num_batches_tracked")}
    path = folder / f"{name}.safetensors"
    save_file(state, path, metadata={"network": text.network})
    path.chmod(0o644)  # safetensors writes 0600
    scenes, minutes = _length(run / "log.txt")
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
    _write(card, folder)
    card = msgspec.structs.replace(card, metrics=measure(str(path), card))
    _write(card, folder)
    return card


def measure(path: str, card: Card) -> dict[str, float]:
    """The metrics of a card, on the validation split, rounded to four digits."""
    network, _ = load_network(path)
    held = datasets.validation_photos(datasets.data_folder())
    if card.task == "instances":
        from argos.training.detection import evaluate_ssdisb

        metrics = evaluate_ssdisb(network)
    elif card.task == "semantic":
        metrics = iou_by_source(scorer(network, 384), held, card.thresholds["threshold"])
    else:
        score, threshold = scorer(network, 320), card.thresholds["threshold"]
        people = [photo for photo in held if photo.source != "background"]
        metrics = {**iou_by_source(score, held, threshold), **coverage(score, people, threshold, dilation=6)}
    return {key: round(float(value), 4) for key, value in metrics.items()}


def _stored(value: torch.Tensor) -> torch.Tensor:
    """Matrices as float16; vectors stay float32: running variances of integer sums exceed float16."""
    return (value.half() if value.ndim > 1 else value.float()).contiguous()


def _length(log_file: Path) -> tuple[int, float]:
    """Scenes seen and minutes spent, from the training log."""
    lines = log_file.read_text().splitlines()
    rates = [(line[:8], float(m[1])) for line in lines if (m := re.search(r"([\d.]+) scenes/s", line))]
    seconds = [int(t[:2]) * 3600 + int(t[3:5]) * 60 + int(t[6:8]) for t, _ in rates]
    spans = [b - a for a, b in itertools.pairwise(seconds)]
    scenes = sum(rate * span for (_, rate), span in zip(rates[1:], spans, strict=True))
    return round(scenes), (seconds[-1] - seconds[0]) / 60


def _write(card: Card, folder: Path) -> None:
    data = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (folder / f"{card.name}.json").write_bytes(data + b"\n")
