"""Weights files and their cards: finding, checking, loading.

A model is two files side by side: ``NAME.safetensors`` (matrices as float16, vectors as float32, binary weights as
bits: ``sign_bits``) and ``NAME.json``, the card that says what it is, what it learnt from and how well it does.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from argos.engines.sign_bits import unpack_signs
from argos.errors import WeightsError
from argos.networks.table import NETWORKS

SHIPPED = Path(__file__).parents[1] / "weights"

Task = Literal["proposal", "semantic", "instances", "classes"]
"""Of the last, which tells several classes apart, no camera has a use: it is trained, measured and exported."""

THRESHOLDS: dict[Task, tuple[str, ...]] = {
    "proposal": ("threshold",),
    "semantic": ("threshold",),
    "instances": ("score_threshold", "nms"),
    "classes": (),
}
"""What the card of a model for each task has to say, each 0..1."""

MORE_THRESHOLDS: dict[Task, tuple[str, ...]] = {
    "proposal": (),
    "semantic": ("patch_threshold",),
    "instances": (),
    "classes": (),
}
"""What it may say besides; see ``packing.limits``."""


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known about a weights file.

    Attributes:
        name: of the model.
        task: what it can be used for.
        network: key of ``NETWORKS``.
        arguments: of its builder.
        summary: one sentence.
        thresholds: the thresholds it was tuned with (``threshold`` and maybe ``patch_threshold``, or
            ``score_threshold`` and ``nms``).
        data: what it learnt from, one line per source.
        terms: the terms of that data and what they mean for users.
        recipe: how it was trained.
        seed: of the training.
        metrics: measured on the validation split, by name.
        measured: how the metrics were measured.
        limits: what it is known to get wrong.
        sha256: digest of the safetensors file.
    """

    name: str
    task: Task
    network: str
    arguments: dict[str, Any]
    summary: str
    thresholds: dict[str, float]
    data: list[str]
    terms: str
    recipe: str
    seed: int
    metrics: dict[str, float]
    measured: str
    limits: str
    sha256: str

    @property
    def identity(self) -> str:
        """``name@sha256:`` and the first 12 digits, as published in results."""
        return f"{self.name}@sha256:{self.sha256[:12]}"


def list_cards() -> list[Card]:
    """Cards of the shipped models, by name."""
    return [load_card(path.stem) for path in sorted(SHIPPED.glob("*.json"))]


def load_card(name: str) -> Card:
    """Card of a shipped model, or of a weights file given by its path.

    Raises:
        WeightsError: no such model, or its card is broken.
    """
    path = weights_path(name).with_suffix(".json")
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no card beside the weights; a model needs both files") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise WeightsError(f"{path}: not a model card ({error})") from error
    for key in (*THRESHOLDS[card.task], *(key for key in MORE_THRESHOLDS[card.task] if key in card.thresholds)):
        value = card.thresholds.get(key)
        if value is None or not 0 <= value <= 1:
            found = "is missing" if value is None else f"is {value:g}"
            raise WeightsError(f"{path}: thresholds.{key} {found}; a model for {card.task} needs one between 0 and 1")
    return card


def weights_path(name: str) -> Path:
    """Path of the safetensors file of a shipped model's name or of a path.

    Raises:
        WeightsError: it does not exist.
    """
    path = Path(name) if name.endswith(".safetensors") or "/" in name else SHIPPED / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.safetensors"))) or "none"
        raise WeightsError(f"{name}: no such model; shipped are {known}, or give the path of a .safetensors file")
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error


def load_network(name: str, device: str = "cpu", task: Task | None = None) -> tuple[nn.Module, Card]:
    """Build the network of a card and load its weights, in evaluation mode and channels-last memory.

    Args:
        name: of a shipped model, or path of a safetensors file.
        device: ``cpu`` or ``cuda:N``.
        task: what it is to be used for; another one is an error.

    Raises:
        WeightsError: missing, not matching the digest of its card, of the wrong shape, or made for another task.
    """
    path, card = weights_path(name), load_card(name)
    if task and card.task != task:
        others = ", ".join(other.name for other in list_cards() if other.task == task)
        raise WeightsError(f"{name}: a model for {card.task}, not for {task}; shipped for {task} are {others}")
    found = digest(path)
    if found != card.sha256:
        raise WeightsError(
            f"{path}: digest {found[:12]}... does not match its card ({card.sha256[:12]}...); "
            "the file is damaged or not the one described: install it again"
        )
    if card.network not in NETWORKS:
        raise WeightsError(
            f"{path.with_suffix('.json')}: unknown network '{card.network}', known: {', '.join(NETWORKS)}"
        )
    network = _build(card, path.with_suffix(".json"))
    try:
        state = {key: value.float() for key, value in unpack_signs(load_file(path)).items()}
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file ({error})") from error
    check_shapes(path, network.state_dict(), state, "the network of the card")
    network.load_state_dict(state, strict=False)
    network = network.to(device).eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last), card  # type: ignore[call-overload]


def _build(card: Card, path: Path) -> nn.Module:
    """The network of a card, with weights drawn at random."""
    builder = NETWORKS[card.network]
    known = inspect.signature(builder).parameters
    for key in card.arguments:
        if key not in known:
            raise WeightsError(
                f"{path}: arguments.{key} is no argument of the network '{card.network}', known: {', '.join(known)}"
            )
    try:
        return builder(**card.arguments)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        given = ", ".join(f"{key} = {value!r}" for key, value in card.arguments.items())
        raise WeightsError(
            f"{path}: arguments do not build the network '{card.network}': {error or type(error).__name__} "
            f"(given: {given or 'none'})"
        ) from error


def check_shapes(
    path: Path, wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], network: str
) -> None:
    """Compare what a network needs with what a file holds; counters of batches may be missing.

    Args:
        path: of the file, for the message.
        wanted, found: state dicts.
        network: what needs them, for the message.

    Raises:
        WeightsError: they differ; with the first few differences.
    """
    needed = {key: tuple(value.shape) for key, value in wanted.items() if not key.endswith("num_batches_tracked")}
    faults = [f"{key} is missing" for key in needed if key not in found]
    faults += [f"{key} is unknown" for key in found if key not in wanted]
    faults += [
        f"{key} is {tuple(found[key].shape)}, the network has {shape}"
        for key, shape in needed.items()
        if key in found and tuple(found[key].shape) != shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise WeightsError(f"{path}: weights do not fit {network}: {'; '.join(faults[:3])}{more}")
