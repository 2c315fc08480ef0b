"""What was measured, as JSON beside the experiments: nothing is in RESULTS.md that is not in one of these files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from argos.errors import DataError, PublishError


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One variant with one seed, done.

    Attributes:
        variant: key of the experiment file.
        seed: of data and weights; 0 where nothing is trained.
        setting: digest of the recipe or line that was followed; another one in the file now means another experiment.
        figures: by name, as measured in the end.
        curve: step and first figure of each evaluation.
        steps: of the training.
        minutes: that it took.
        models: shipped models behind it, see ``models.models_of``; results kept before this was said have none.
        plateau: the first figure had stopped getting better: the training ended because of it, or see ``is_flat``.
        machine: on which.
        date: ISO 8601 day on which it ended.
    """

    variant: str
    seed: int
    setting: str
    figures: dict[str, float]
    curve: list[tuple[int, float]] = []
    steps: int = 0
    minutes: float = 0.0
    models: list[str] = []
    plateau: bool = False
    machine: str
    date: str


def read_results(path: Path) -> list[Run]:
    """Runs of one experiment; none where there is no file.

    Raises:
        DataError: the file is not one of these.
    """
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Run])
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{path}: cannot be read as results ({error}); remove it to measure anew") from error


def add_result(path: Path, run: Run) -> None:
    """Write a run into the file of its experiment, in place of an older one of the same variant, seed and setting.

    Raises:
        PublishError: it cannot be written.
    """
    others = [old for old in read_results(path) if _key(old) != _key(run)]
    runs = sorted([*others, run], key=_key)
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.format(msgspec.json.encode(runs), indent=1) + b"\n")
        part.replace(path)
    except OSError as error:
        raise PublishError(
            f"{path}: cannot be written ({error.strerror}); with room and permission the same command goes on from here"
        ) from error


def _key(run: Run) -> tuple[str, int, str]:
    return run.variant, run.seed, run.setting


def digest_of(setting: object) -> str:
    """Twelve hex digits for plain data; equal for equal data."""
    return hashlib.sha256(msgspec.json.encode(setting, order="sorted")).hexdigest()[:12]
