"""The training loop: resumable, on CPU or GPU, with an averaged copy of the weights for evaluation."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.errors import DataError, WeightsError
from argos.training.checkpoint import identity_of, keep_best, resume, save, take_best
from argos.training.journal import Journal
from argos.training.precision import arithmetic
from argos.training.recipe import Recipe, learning_rate, optimizer_for, set_rates
from argos.training.scenes import Mix
from argos.training.stream import Batch, SceneStream, batches
from argos.training.together import agree, all_of, average_gradients, part_of, share

log = logging.getLogger(__name__)

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
        DataError: the folder holds another training, or this one has diverged.
        WeightsError: its checkpoint is damaged.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    part, parts = part_of()
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimizer = optimizer_for(network, recipe)
    identity = identity_of(network, recipe, about)
    at = resume(folder, network, average, optimizer, identity)
    journal = Journal(folder, recipe.report_s, at.step, quiet=part > 0)

    start = time.monotonic() - at.spent
    scenes = SceneStream(mix, recipe, start, at.step * recipe.accumulate, part, parts)
    stream = iter(batches(scenes))
    saved = evaluated = time.monotonic()
    skipped = in_a_row = 0
    rate = 0.0
    network.train()

    def diverged(what: str) -> DataError:
        text = f"step {at.step}: {what} at a rate of {rate:g}, the training has diverged; begin anew with a smaller one"
        journal.say(text)
        return DataError(f"{folder}: {text}")

    def examine() -> Mapping[str, float]:
        if part > 0:
            return {}
        try:
            figures = evaluate(average)
            if draw is not None:
                journal.shows(draw(average))
        except WeightsError as error:
            if skipped:  # it says damaged weights or a device that computes wrongly, and has not seen the training
                raise diverged(f"the network gives NaN and {skipped} steps were not finite") from error
            raise
        journal.evaluated(at.step, figures)
        return figures

    def judge() -> bool:
        """Whether these are the best weights so far, and kept: the checkpoint has to know their figure."""
        figure = agree(next(iter(examine().values()), 0.0))
        best = at.judge(figure, recipe.schedule.patience) and bool(recipe.stop_after)
        if best and part == 0:
            keep_best(folder, average)
        return best

    def due() -> bool:
        if recipe.steps:
            return at.step < recipe.steps and at.step % recipe.evaluated_steps == 0
        return agree(time.monotonic() - evaluated) > recipe.evaluate_min * 60

    def stopped() -> bool:
        return bool(recipe.stop_after) and at.waited >= recipe.stop_after

    if at.step and agree(recipe.progress(at.spent, at.step)) >= 1:
        journal.say(f"step {at.step} the length was over before, nothing is left to train; more of it goes on")
    while not stopped() and (progress := agree(recipe.progress(time.monotonic() - start, at.step))) < 1:
        rate = learning_rate(recipe, progress, at.step, at.plateaus)
        set_rates(optimizer, recipe, rate, progress)
        before_step(network, progress)
        losses, seen = _step(network, loss, list(islice(stream, recipe.accumulate)), optimizer, recipe, device)
        at.step += 1
        in_a_row = 0 if losses else in_a_row + 1
        skipped += not losses
        if in_a_row == MOST_SKIPPED:
            raise diverged(f"loss or gradient not finite in {in_a_row} steps in a row")
        at.seen += seen * parts
        if losses:
            average_into(average, network, min(recipe.average, (1 + at.step) / (10 + at.step)))
        else:
            restore_statistics(network, average)
        journal.stepped(at.step, progress, rate, losses, seen, time.monotonic() - start)

        if due():
            if judge():
                saved = -float("inf")
            evaluated = time.monotonic()
            if stopped():
                journal.say(f"step {at.step} no better in {at.waited} evaluations, the training ends here")
                break
        now = time.monotonic()
        if now - saved > recipe.save_s and part == 0:
            at.spent = now - start
            save(folder, network, average, optimizer, at, identity)
            saved = now
    else:
        if recipe.stop_after and not stopped():
            judge()  # the last weights may be the best
    if recipe.stop_after and part == 0:
        take_best(folder, average)
    if recipe.average and part == 0:
        enough = min(CALIBRATION, at.step * recipe.accumulate)
        recalibrate(average, loss, (batch.to(device) for batch in islice(stream, enough)))
    share(average)  # running statistics are of the scenes that a process has seen
    at.spent = time.monotonic() - start
    if part == 0:
        save(folder, network, average, optimizer, at, identity)
    examine()
    journal.say(f"done, step {at.step}")
    journal.close()
    return average


def _step(
    network: nn.Module,
    loss: Loss,
    taken: list[Batch],
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    device: torch.device,
) -> tuple[dict[str, float], int]:
    """One step over accumulated batches; the parts of the loss, averaged, and how many scenes were seen.

    There are no parts where loss or gradient is not finite: nothing is learnt from such a step.
    """
    optimizer.zero_grad(set_to_none=True)
    sums: dict[str, float] = {}
    finite, seen = True, 0
    for batch in taken:
        with arithmetic(recipe.precision, device):
            losses = loss(network, batch.to(device))
            total = torch.stack(list(losses.values())).sum() / len(taken)
        total.backward()  # type: ignore[no-untyped-call]
        finite = finite and bool(torch.isfinite(total.detach()))
        seen += len(batch.images)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / len(taken)
    average_gradients(network)
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    if not all_of(finite and bool(torch.isfinite(norm))):  # who skips a step alone has another network from then on
        return {}, seen
    optimizer.step()
    return sums, seen


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
