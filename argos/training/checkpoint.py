"""Where a training stands, on disk; only the training that wrote it goes on from there."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from argos.errors import DataError, PublishError, WeightsError
from argos.training.pretrained import reason_of
from argos.training.recipe import Recipe

LENGTH = {"minutes", "steps", "stop_after", "evaluate_min", "evaluate_steps", "report_s", "save_s", "workers"}
"""What of a recipe may change when a training goes on: how long it is, and what its weights do not depend on."""


@dataclass(slots=True)
class Progress:
    """Where a training is.

    Attributes:
        step: steps so far.
        seen: scenes so far, of all processes.
        spent: seconds so far, without the pauses between resumed runs.
        best: highest first figure of an evaluation; minus infinity before the first.
        waited: evaluations since then.
        plateaus: how often the schedule has lowered the rate because of that.
        evaluated_s: what ``spent`` was at the last evaluation, so that pauses do not put the next one off.
        evaluated_step: step of the last evaluation that came to its end.
    """

    step: int = 0
    seen: int = 0
    spent: float = 0.0
    best: float = -float("inf")
    waited: int = 0
    plateaus: int = 0
    evaluated_s: float = 0.0
    evaluated_step: int = 0

    def judge(self, figure: float, patience: int) -> bool:
        """Take the first figure of an evaluation into account; whether it is the best so far."""
        if figure > self.best:
            self.best, self.waited = figure, 0
            return True
        self.waited += 1
        if self.waited % patience == 0:
            self.plateaus += 1
        return False


def identity_of(network: nn.Module, recipe: Recipe, about: Mapping[str, object]) -> dict[str, str]:
    """What makes a training this one: the network, the recipe but for its length, and what the caller knows.

    Args:
        network: that learns.
        recipe: of the training.
        about: data or source, start, teacher; whatever is to stay the same.
    """
    size = sum(parameter.numel() for parameter in network.parameters())
    rules = {field.name.removeprefix("peak_"): getattr(recipe, field.name) for field in fields(recipe)
             if field.name not in LENGTH}  # fmt: skip
    everything = {**about, "network": f"{type(network).__name__} of {size:,} parameters", **rules}
    return {key: str(value) for key, value in everything.items()}


def check_folder(folder: Path, about: Mapping[str, object]) -> None:
    """Refuse a folder that cannot be written, or holds another training: reading photos takes minutes.

    What was written before folders said what they hold passes.

    Args:
        folder: of a training, or where one begins.
        about: some of ``identity_of``, or all of it.

    Raises:
        DataError: with what differs, and the remedy; or another process trains there.
        WeightsError: the checkpoint is damaged.
        PublishError: the folder, or the one that it would be made in, cannot be written.
    """
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        raise PublishError(f"{folder}: cannot be written ({there} is not a folder); --out names another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PublishError(f"{folder}: cannot be written (no permission in {there}); --out names another one")
    if (folder / LOCK).exists() and os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first takes it
        with alone_in(folder):
            pass
    path = folder / "last.pt"
    if path.exists():
        _check(path, _read(path), about)


LOCK = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a folder meanwhile; the system lets go when this one ends, in whatever way.

    Raises:
        DataError: another one trains there.
        PublishError: the folder cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise DataError(
                f"{folder}: another process trains in it; wait for its end, or choose another folder with --out"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield


def save(
    folder: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    at: Progress,
    identity: Mapping[str, str],
) -> None:
    """Write ``last.pt`` and ``average.pt``; a run that ends in between leaves those of before."""
    state = {"network": network.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(),
             "identity": dict(identity), **asdict(at)}  # fmt: skip
    _write(folder / "last.pt", state)
    _write(folder / "average.pt", average.state_dict())


def keep_best(folder: Path, average: nn.Module) -> None:
    """Write ``best.pt``, the averaged weights of the best evaluation."""
    _write(folder / "best.pt", average.state_dict())


def take_best(folder: Path, average: nn.Module) -> None:
    """Load the weights of the best evaluation, where they were kept.

    Raises:
        WeightsError: the file is damaged.
    """
    if (folder / "best.pt").exists():
        average.load_state_dict(_read(folder / "best.pt"))


def resume(
    folder: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, str],
) -> Progress:
    """Go on from ``folder/last.pt``, where there is one.

    Raises:
        DataError: it is of another training.
        WeightsError: it is damaged, or its weights are those of another network.
    """
    path = folder / "last.pt"
    if not path.exists():
        return Progress()
    state = _read(path)
    _check(path, state, identity)
    try:
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        state.setdefault("evaluated_s", 0.0)  # checkpoints were without it
        state.setdefault("evaluated_step", state["step"])
        return Progress(**{key: state[key] for key in asdict(Progress())})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path}: not a checkpoint of this training ({reason}); {_REMEDY}") from error


_REMEDY = "choose another folder with --out, or remove this one"


def _write(path: Path, value: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    with writing(path):
        try:
            torch.save(value, part)
        except RuntimeError as error:  # what torch makes of a full disk
            part.unlink(missing_ok=True)
            raise OSError(0, str(error).partition("\n")[0]) from error
        part.replace(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say which file of a training cannot be written.

    Raises:
        PublishError: in place of an ``OSError`` of the block, or of what safetensors makes of one.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PublishError(
            f"{path}: cannot be written ({reason}); with room and permission the same command goes on from its last "
            "checkpoint"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # whatever wrote it had
    except Exception as error:  # zip and pickle raise what they like
        raise WeightsError(
            f"{path}: damaged, it cannot be read as a checkpoint ({reason_of(error)}); {_REMEDY}"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds a {type(state).__name__}, no checkpoint; {_REMEDY}")
    return state


def _resolved(text: str) -> str:
    """A text with the paths in it written out, so that one folder has one name."""
    return re.sub(r"[^\s'\",()=?&:]*/[^\s'\",()=?&:]*", lambda path: str(Path(path[0]).resolve()), text)


def _check(path: Path, state: Mapping[str, Any], about: Mapping[str, object]) -> None:
    known: Mapping[str, str] = state.get("identity", {})
    others = [f"{key} is {known[key]!r} there and {str(value)!r} here" for key, value in about.items()
              if key in known and _resolved(known[key]) != _resolved(str(value))]  # fmt: skip
    if others:
        raise DataError(f"{path.parent} holds another training: {'; '.join(others)}; {_REMEDY}")
