"""How long, how fast and on what a network learns; the schedules of the documents and ours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from argos.errors import DataError
from argos.training.precision import Precision


@dataclass(frozen=True, slots=True)
class Phase:
    """Views of one size: small ones first, many more fit into the same time.

    Attributes:
        until: share of the training at which the phase ends.
        side: of the views in pixels.
        batch: scenes per step.
    """

    until: float
    side: int
    batch: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the learning rate falls.

    Attributes:
        kind: ``cosine`` (3 % linear warm-up, then to 1 % of the peak), ``constant``, ``staircase`` (times ``factor``
            every ``every`` steps; thesis of Kolhatkar, Eq. 3.2), or ``plateau`` (times ``factor`` after ``patience``
            evaluations without a better one).
        factor: of ``staircase`` and ``plateau``.
        every: of ``staircase``; a number below 1 is a share of the training.
        patience: of ``plateau``.
    """

    kind: Literal["cosine", "constant", "staircase", "plateau"] = "cosine"
    factor: float = 0.5
    every: float = 0.3
    patience: int = 3


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast to learn.

    Attributes:
        minutes: wall-clock length; the schedule follows the share of it that has passed, so a run on a busy machine
            ends on time with a finished schedule.
        phases: sizes of the training views, in order; the last ends at 1.
        steps: length in steps instead: the same weights on every machine of one kind, however often it was resumed.
        peak_rate: highest learning rate.
        optimizer: AdamW, Adam, RMSProp, or gradient descent with momentum.
        momentum: of RMSProp and gradient descent, the first beta of the others.
        schedule: of the learning rate.
        weight_decay: of matrices; vectors do not decay.
        accumulate: batches per step, their gradients are averaged.
        average: decay of the exponential moving average of the weights, per step; 0 takes the last weights.
        precision: ``bfloat16`` computes matrix products in 16 bits where the device has instructions for it.
        stop_after: evaluations without a better one after which the training ends, with the best weights; 0: never.
        seed: of the data and the initial weights.
        pretrained: prefix of the names of parameters that start from a trained network. Empty: none do.
        pretrained_share: of the learning rate, for those.
        pretrained_until: share of the training after which those learn as fast as the others.
        norm_momentum: share of a batch in the running statistics of batch normalisation (a decay of 0.99, as Keras and
            TensorFlow count, is 0.01); None: as the network was built.
        evaluate_min: minutes between evaluations, where the length is in minutes.
        evaluate_steps: steps between them, where it is in steps, so that plateaus do not depend on how busy the machine
            is; 0: a twentieth of them, 100 or more.
        report_s, save_s: seconds between log lines, and between checkpoints.
        workers: processes that draw scenes; 0 draws them in the training process, None is ``stream.workers_here``.
    """

    minutes: float
    phases: tuple[Phase, ...]
    steps: int = 0
    peak_rate: float = 2e-3
    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"] = "adamw"
    momentum: float = 0.9
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay: float = 1e-2
    accumulate: int = 1
    average: float = 0.998
    precision: Precision = "float32"
    stop_after: int = 0
    seed: int = 1
    pretrained: str = ""
    pretrained_share: float = 0.2
    pretrained_until: float = 1.0
    norm_momentum: float | None = None
    evaluate_min: float = 40.0
    evaluate_steps: int = 0
    report_s: float = 30.0
    save_s: float = 120.0
    workers: int | None = None

    @property
    def evaluated_steps(self) -> int:
        """Steps between two evaluations, where the length is in steps."""
        return self.evaluate_steps or max(100, self.steps // 20)

    def progress(self, seconds: float, step: int) -> float:
        """Share of the training that is over after so many seconds and steps; above 1 when it is late."""
        return step / self.steps if self.steps else seconds / (self.minutes * 60)


def phase_at(progress: float, phases: tuple[Phase, ...]) -> Phase:
    """The phase in which ``progress`` 0..1 lies."""
    return next((phase for phase in phases if progress < phase.until), phases[-1])


def learning_rate(recipe: Recipe, progress: float, step: int, plateaus: int = 0) -> float:
    """The rate of a step.

    Args:
        recipe: peak and schedule.
        progress: share of the training that is over.
        step: steps so far.
        plateaus: how often the evaluations have stopped getting better.
    """
    schedule = recipe.schedule
    match schedule.kind:
        case "cosine" if progress < 0.03:
            share = 0.05 + 0.95 * progress / 0.03
        case "cosine":
            share = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - 0.03) / 0.97)))
        case "staircase":
            passed = progress / schedule.every if schedule.every < 1 else step / schedule.every
            share = schedule.factor ** math.floor(passed + 1e-9)
        case "plateau":
            share = schedule.factor**plateaus
        case "constant":
            share = 1.0
    return recipe.peak_rate * share


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, rate: float, progress: float) -> None:
    """Give each group of ``parameter_groups`` the rate, times its share while pretrained ones are held back."""
    for group in optimizer.param_groups:
        group["lr"] = rate * (group["share"] if progress < recipe.pretrained_until else 1.0)


def optimizer_for(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe over the parameters that learn.

    Raises:
        DataError: none do.
    """
    groups = parameter_groups(network.named_parameters(), recipe)
    if not groups:
        raise DataError("no parameter of the network learns: all of them have requires_grad off")
    match recipe.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=(recipe.momentum, 0.999))
        case "adam":
            return torch.optim.Adam(groups, lr=recipe.peak_rate, betas=(recipe.momentum, 0.999))
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=recipe.peak_rate, momentum=recipe.momentum)
        case "sgd":
            return torch.optim.SGD(groups, lr=recipe.peak_rate, momentum=recipe.momentum)


def parameter_groups(parameters: Iterable[tuple[str, nn.Parameter]], recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by how they are trained: vectors do not decay, pretrained ones learn more slowly."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            share = recipe.pretrained_share if recipe.pretrained and name.startswith(recipe.pretrained) else 1.0
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((share, decay), []).append(parameter)
    return [{"params": found, "share": share, "weight_decay": decay} for (share, decay), found in groups.items()]
