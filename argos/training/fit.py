"""The training loop: resumable, on CPU or GPU, with an averaged copy of the weights for evaluation."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.errors import DataError, WeightsError
from argos.training.checkpoint import Progress, alone_in, identity_of, keep_best, resume, save, take_best
from argos.training.journal import Journal
from argos.training.precision import arithmetic
from argos.training.recipe import Recipe, learning_rate, optimizer_for, set_rates
from argos.training.scenes import Mix
from argos.training.stream import Batch, SceneStream, batches
from argos.training.together import agree, all_of, average_gradients, part_of, share
from argos.training.unbroken import unbroken

CALIBRATION = 60
"""Batches from which the running statistics of the averaged network are measured in the end."""

MOST_SKIPPED = 20
"""Steps in a row without a finite loss and gradient after which a training has diverged; single ones are skipped."""

Loss = Callable[[nn.Module, Batch], Mapping[str, Tensor]]
"""Named parts of the loss, whose sum is minimised."""

Evaluate = Callable[[nn.Module], Mapping[str, float]]
"""Figures of the averaged network in evaluation mode; the first one is the better the higher."""

Draw = Callable[[nn.Module], NDArray[np.uint8]]
"""What the averaged network finds in a dozen photos, ``(H, W, 3)`` uint8 RGB."""


@dataclass(slots=True, eq=False)
class _Training:
    """What the loop works on.

    Attributes:
        network: that learns.
        average: its averaged copy, in evaluation mode.
        at: where the training is.
        stream: batches, from the first one that was not seen.
        loss, recipe, folder, evaluate, before_step, draw: of ``fit``.
        identity: goes into checkpoints.
        part, parts: of the processes of ``torchrun``, this one and how many.
        start: ``time.monotonic()`` at which the training would have begun without pauses.
        saved: likewise, of the last checkpoint.
        rate: of the last step.
        skipped, in_a_row: steps of this run without a finite loss and gradient, and how many of the last ones.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    at: Progress
    stream: Iterator[Batch]
    loss: Loss
    recipe: Recipe
    folder: Path
    evaluate: Evaluate
    before_step: Callable[[nn.Module, float], None]
    draw: Draw | None
    identity: Mapping[str, str]
    journal: Journal
    device: torch.device
    part: int
    parts: int
    start: float
    saved: float
    rate: float = 0.0
    skipped: int = 0
    in_a_row: int = 0

    @property
    def spent(self) -> float:
        """Seconds so far, without pauses."""
        return time.monotonic() - self.start

    @property
    def stopped(self) -> bool:
        """Whether too many evaluations were no better."""
        return bool(self.recipe.stop_after) and self.at.waited >= self.recipe.stop_after


def fit(
    network: nn.Module,
    mix: Mix,
    loss: Loss,
    recipe: Recipe,
    folder: Path,
    evaluate: Evaluate,
    before_step: Callable[[nn.Module, float], None] = lambda network, progress: None,
    about: Mapping[str, object] = {},
    draw: Draw | None = None,
) -> nn.Module:
    """Train ``network``; continues from ``folder/last.pt`` where there is one.

    Args:
        network: moved to channels-last memory, and to the GPU where there is one.
        mix: what the scenes are made of.
        loss: what is minimised.
        recipe: how long and how fast.
        folder: gets ``last.pt`` (checkpoint), ``average.pt`` (averaged weights), ``log.txt``, ``scalars.jsonl``,
            ``curves.png``, ``sheet.png``, and TensorBoard's events where that is installed.
        evaluate: called now and then, and in the end.
        before_step: called with the network and the share of the training that is over.
        about: what else makes the training this one, by name: data or source, start, teacher.
        draw: makes ``sheet.png`` at each evaluation.

    Returns:
        The averaged network, the same in every process of ``torchrun``; only the first one evaluates and writes.

    Raises:
        DataError: the folder holds another training, another process trains in it, or this one has diverged.
        WeightsError: its checkpoint is damaged.
        PublishError: the folder cannot be written; what was written before stays.
        KeyboardInterrupt: after a checkpoint of the last whole step.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    part, parts = part_of()
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimizer = optimizer_for(network, recipe)
    identity = identity_of(network, recipe, about)
    with alone_in(folder) if part == 0 else nullcontext():
        at = resume(folder, network, average, optimizer, identity)
        journal = Journal(folder, recipe.report_s, at.step, quiet=part > 0)
        now = time.monotonic()
        stream = batches(SceneStream(mix, recipe, now - at.spent, at.step * recipe.accumulate, part, parts))
        training = _Training(network, average, optimizer, at, iter(stream), loss, recipe, folder, evaluate, before_step,
                             draw, identity, journal, device, part, parts, now - at.spent, now)  # fmt: skip
        try:
            _learn(training)
        except KeyboardInterrupt:
            _save(training)
            journal.say(f"step {at.step} stopped; the same command goes on from here")
            raise
        _finish(training)
    return average


def _learn(training: _Training) -> None:
    """Take steps until the length is over, or until nothing gets better."""
    at, recipe, journal = training.at, training.recipe, training.journal
    training.network.train()
    if at.step and _progress(training) >= 1:
        journal.say(f"step {at.step} the length was over before, nothing is left to train; more of it goes on")
    if at.step > at.evaluated_step and recipe.steps and _is_due(training) and _judge(training):
        _save(training)  # the evaluation that a stop cut short
    while not training.stopped and (progress := _progress(training)) < 1:
        _take_step(training, progress)
        if _is_due(training) and _judge(training):
            _save(training)  # the checkpoint has to know their figure
        if time.monotonic() - training.saved > recipe.save_s:
            _save(training)
    if training.stopped:
        journal.say(f"step {at.step} no better in {at.waited} evaluations, the training ends here")
    elif recipe.stop_after:
        _judge(training)  # the last weights may be the best


def _finish(training: _Training) -> None:
    """Choose the weights, measure their running statistics, write and evaluate them."""
    at, recipe, average = training.at, training.recipe, training.average
    if recipe.stop_after and training.part == 0:
        take_best(training.folder, average)
    if recipe.average and training.part == 0:
        enough = min(CALIBRATION, at.step * recipe.accumulate)
        _draw_anew(training)
        recalibrate(average, training.loss, (batch.to(training.device) for batch in islice(training.stream, enough)))
    share(average)  # running statistics are of the scenes that a process has seen
    _save(training)
    _examine(training)
    training.journal.say(f"done, step {at.step}")
    training.journal.close()


def _progress(training: _Training) -> float:
    """Share of the training that is over, the same in every process."""
    return agree(training.recipe.progress(training.spent, training.at.step))


def _take_step(training: _Training, progress: float) -> None:
    """One step of the network and of its average; nothing but a count where loss or gradient is not finite.

    Raises:
        DataError: that happened ``MOST_SKIPPED`` times in a row.
    """
    network, recipe, at = training.network, training.recipe, training.at
    training.rate = learning_rate(recipe, progress, at.step, at.plateaus)
    set_rates(training.optimizer, recipe, training.rate, progress)
    taken = list(islice(training.stream, recipe.accumulate))
    _draw_anew(training)
    with unbroken():  # a checkpoint of half a step is none
        training.before_step(network, progress)
        losses = _descend(network, training.loss, taken, training.optimizer, recipe, training.device)
        seen = sum(len(batch.images) for batch in taken)
        at.step += 1
        at.seen += seen * training.parts
        if losses:
            average_into(training.average, network, min(recipe.average, (1 + at.step) / (10 + at.step)))
        else:
            restore_statistics(network, training.average)
    training.in_a_row = 0 if losses else training.in_a_row + 1
    training.skipped += not losses
    if training.in_a_row == MOST_SKIPPED:
        raise _diverged(training, f"loss or gradient not finite in {MOST_SKIPPED} steps in a row")
    training.journal.stepped(at.step, progress, training.rate, losses, seen, training.spent)


def _draw_anew(training: _Training) -> None:
    """Begin the random numbers of this step and process: resumed, on a GPU and beside other processes alike."""
    seeds = training.recipe.seed, training.at.step, training.part
    torch.manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))


def _is_due(training: _Training) -> bool:
    """Whether to evaluate now: by steps where the length is in steps, else by the clock of the first process."""
    recipe, step = training.recipe, training.at.step
    if recipe.steps:
        return step < recipe.steps and step % recipe.evaluated_steps == 0
    return agree(training.spent - training.at.evaluated_s) > recipe.evaluate_min * 60


def _judge(training: _Training) -> bool:
    """Evaluate; whether these are the best weights so far, and kept because the best ones are wanted."""
    recipe = training.recipe
    figure = agree(next(iter(_examine(training).values()), 0.0))
    with unbroken():
        training.at.evaluated_s, training.at.evaluated_step = training.spent, training.at.step
        best = training.at.judge(figure, recipe.schedule.patience) and bool(recipe.stop_after)
        if best and training.part == 0:
            keep_best(training.folder, training.average)
    return best


def _examine(training: _Training) -> Mapping[str, float]:
    """Figures and sheet of the averaged network; none in other processes than the first.

    Raises:
        DataError: it gives NaN after steps that were not finite.
    """
    if training.part > 0:
        return {}
    try:
        figures = training.evaluate(training.average)
        if training.draw is not None:
            training.journal.shows(training.draw(training.average))
    except WeightsError as error:
        if training.skipped:  # it says damaged weights or a device that computes wrongly, and has not seen the training
            raise _diverged(training, f"the network gives NaN and {training.skipped} steps were not finite") from error
        raise
    training.journal.evaluated(training.at.step, figures)
    return figures


def _diverged(training: _Training, what: str) -> DataError:
    text = (
        f"step {training.at.step}: {what} at a rate of {training.rate:g}, "
        "the training has diverged; begin anew with a smaller one"
    )
    training.journal.say(text)
    return DataError(f"{training.folder}: {text}")


def _save(training: _Training) -> None:
    """Write a checkpoint, in the first process."""
    training.saved = time.monotonic()
    training.at.spent = training.spent
    if training.part == 0:
        save(training.folder, training.network, training.average, training.optimizer, training.at, training.identity)


def _descend(
    network: nn.Module,
    loss: Loss,
    taken: list[Batch],
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    device: torch.device,
) -> dict[str, float]:
    """One step down the gradient averaged over batches; the parts of the loss, averaged.

    There are no parts where loss or gradient is not finite: nothing is learnt from such a step.
    """
    optimizer.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    finite = True
    for batch in taken:
        with arithmetic(recipe.precision, device):
            losses = loss(network, batch.to(device))
            total = torch.stack(list(losses.values())).sum() / len(taken)
        total.backward()  # type: ignore[no-untyped-call]
        finite = finite and bool(torch.isfinite(total.detach()))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / len(taken)
    average_gradients(network)
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    if not all_of(finite and bool(torch.isfinite(norm))):  # who skips a step alone has another network from then on
        return {}
    optimizer.step()
    return sums


@torch.no_grad()
def restore_statistics(network: nn.Module, average: nn.Module) -> None:
    """Take back the running statistics of a step that is skipped: NaN in them would stay for good."""
    for now, before in zip(network.buffers(), average.buffers(), strict=True):
        now.copy_(before)


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move ``average`` towards ``network``: parameters by ``decay``, running statistics copied."""
    for mean, now in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    for mean_buffer, now_buffer in zip(average.buffers(), network.buffers(), strict=True):
        mean_buffer.copy_(now_buffer)


@torch.no_grad()
def recalibrate(network: nn.Module, loss: Loss, drawn: Iterable[Batch]) -> None:
    """Measure the running statistics of an averaged network anew: those of the last network do not belong to it.

    With 1-bit weights the difference is large, because the sign of an average is not the average of the signs.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    network.train()
    for n, batch in enumerate(drawn, start=1):
        for norm in norms:
            norm.momentum = 1 / n  # the mean over all batches so far; the first one replaces what was there
        loss(network, batch)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
