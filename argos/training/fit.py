"""The training loop: resumable, scheduled by time, with an averaged copy of the weights for evaluation."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from argos.training.scenes import Mix, Scene, draw_scene

log = logging.getLogger(__name__)


CALIBRATION = 60
"""Batches from which the running statistics of the averaged network are measured in the end."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Scenes as tensors.

    Attributes:
        images: ``(N, 3, S, S)`` uint8.
        ids: ``(N, S, S)`` uint8 id masks.
        boxes, box_ids, ignore: one array per picture, as in ``Scene``.
    """

    images: Tensor
    ids: Tensor
    boxes: tuple[Tensor, ...]
    box_ids: tuple[Tensor, ...]
    ignore: tuple[Tensor, ...]


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
class Recipe:
    """How long and how fast to learn.

    Attributes:
        minutes: wall-clock length; the learning rate follows the share of it that has passed, so a run on a busy
            machine ends on time with a finished schedule.
        phases: sizes of the training views, in order of time; the last ends at 1.
        peak_rate: highest learning rate (AdamW, 3 % linear warm-up, cosine to 1 % of the peak).
        weight_decay: of AdamW.
        average: decay of the exponential moving average of the weights, per step.
        seed: of the data and the initial weights.
        pretrained: prefix of the names of parameters that start from a trained network; they learn at a fifth of
            the rate. Empty: none do.
        report_s, save_s: seconds between log lines, and between checkpoints.
        workers: processes that draw scenes; 0 draws them in the training process.
    """

    minutes: float
    phases: tuple[Phase, ...]
    peak_rate: float = 2e-3
    weight_decay: float = 1e-2
    average: float = 0.998
    seed: int = 1
    pretrained: str = ""
    report_s: float = 30.0
    save_s: float = 120.0
    workers: int = 1


class SceneStream(IterableDataset[Batch]):
    """Endless batches of scenes, in the size of the present phase; each worker draws its own.

    Args:
        mix: what scenes are made of.
        recipe: phases and seed.
        start: ``time.monotonic()`` at which the training began; the clock is the same in worker processes.
        offset: added to the seed, so that a resumed run sees new scenes.
    """

    def __init__(self, mix: Mix, recipe: Recipe, start: float, offset: int) -> None:
        self.mix, self.recipe, self.start, self.offset = mix, recipe, start, offset

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self.recipe.seed, self.offset, worker.id if worker else 0))
        while True:
            phase = phase_at((time.monotonic() - self.start) / (self.recipe.minutes * 60), self.recipe.phases)
            yield collate([draw_scene(self.mix, phase.side, rng) for _ in range(phase.batch)])


def phase_at(progress: float, phases: tuple[Phase, ...]) -> Phase:
    """The phase in which ``progress`` 0..1 lies."""
    return next((phase for phase in phases if progress < phase.until), phases[-1])


def collate(drawn: list[Scene]) -> Batch:
    """Stack scenes of equal size."""
    return Batch(
        torch.from_numpy(np.stack([s.image for s in drawn])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([s.ids for s in drawn])),
        tuple(torch.from_numpy(s.boxes) for s in drawn),
        tuple(torch.from_numpy(s.box_ids) for s in drawn),
        tuple(torch.from_numpy(s.ignore) for s in drawn),
    )


def learning_rate(progress: float, peak: float) -> float:
    """Warm-up over the first 3 %, then a cosine to 1 % of ``peak`` at ``progress`` 1."""
    if progress < 0.03:
        return peak * (0.05 + 0.95 * progress / 0.03)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - 0.03) / 0.97))))


PRETRAINED_SHARE = 0.2
"""Of the learning rate, for parameters that start from a trained network."""


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters by how they are trained: vectors do not decay, pretrained ones learn more slowly."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            share = PRETRAINED_SHARE if recipe.pretrained and name.startswith(recipe.pretrained) else 1.0
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((share, decay), []).append(parameter)
    return [{"params": found, "share": share, "weight_decay": decay} for (share, decay), found in groups.items()]


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move ``average`` towards ``network``: parameters by ``decay``, running statistics copied."""
    for mean, now in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    for mean_buffer, now_buffer in zip(average.buffers(), network.buffers(), strict=True):
        mean_buffer.copy_(now_buffer)


def fit(
    network: nn.Module,
    mix: Mix,
    loss: Callable[[nn.Module, Batch], Mapping[str, Tensor]],
    recipe: Recipe,
    folder: Path,
    evaluate: Callable[[nn.Module], Mapping[str, float]],
    evaluate_every_min: float = 40.0,
) -> nn.Module:
    """Train ``network``; continues from ``folder/last.pt`` where there is one.

    Args:
        network: moved to channels-last memory.
        mix: what the scenes are made of.
        loss: named parts of the loss, whose sum is minimised.
        recipe: how long and how fast.
        folder: gets ``last.pt`` (checkpoint), ``average.pt`` (averaged weights) and ``log.txt``.
        evaluate: called with the averaged network in evaluation mode.
        evaluate_every_min: minutes between evaluations.

    Returns:
        The averaged network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(parameter_groups(network, recipe), lr=recipe.peak_rate)
    spent, step = _resume(folder / "last.pt", network, average, optimizer)

    start = time.monotonic() - spent
    ahead = 4 if recipe.workers else None
    scenes = SceneStream(mix, recipe, start, step)
    stream = DataLoader(scenes, batch_size=None, num_workers=recipe.workers, prefetch_factor=ahead)
    reported = saved = evaluated = time.monotonic()
    sums: dict[str, float] = {}
    steps = seen = 0
    network.train()
    for batch in stream:
        progress = (time.monotonic() - start) / (recipe.minutes * 60)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress, recipe.peak_rate) * group["share"]
        parts = loss(network, batch)
        total = torch.stack(list(parts.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        if torch.isfinite(total.detach()):
            optimizer.step()
        step, steps, seen = step + 1, steps + 1, seen + len(batch.images)
        average_into(average, network, min(recipe.average, (1 + step) / (10 + step)))
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + float(part.detach())

        now = time.monotonic()
        if now - reported > recipe.report_s:
            text = " ".join(f"{name} {value / steps:.4f}" for name, value in sums.items())
            _say(folder, f"step {step} {100 * progress:.1f}% {seen / (now - reported):.1f} scenes/s {text}")
            reported, sums, steps, seen = now, {}, 0, 0
        if now - saved > recipe.save_s:
            _save(folder, network, average, optimizer, now - start, step)
            saved = now
        if now - evaluated > evaluate_every_min * 60:
            _say(folder, f"step {step} " + " ".join(f"{k} {v:.4f}" for k, v in evaluate(average).items()))
            evaluated = time.monotonic()
    recalibrate(average, loss, (batch for batch, _ in zip(stream, range(CALIBRATION), strict=False)))
    _save(folder, network, average, optimizer, time.monotonic() - start, step)
    _say(folder, f"done, step {step} " + " ".join(f"{k} {v:.4f}" for k, v in evaluate(average).items()))
    return average


@torch.no_grad()
def recalibrate(
    network: nn.Module, loss: Callable[[nn.Module, Batch], Mapping[str, Tensor]], batches: Iterable[Batch]
) -> None:
    """Measure the running statistics of an averaged network anew: those of the last network do not belong to it.

    With 1-bit weights the difference is large, because the sign of an average is not the average of the signs.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.train()
    for n, batch in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 / n  # the mean over all batches so far; the first one replaces what was there
        loss(network, batch)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _say(folder: Path, text: str) -> None:
    log.info(text)
    with (folder / "log.txt").open("a") as file:
        file.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _save(
    folder: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, spent: float, step: int
) -> None:
    state = {"network": network.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(),
             "spent": spent, "step": step}  # fmt: skip
    torch.save(state, folder / "last.part")
    (folder / "last.part").replace(folder / "last.pt")
    torch.save(average.state_dict(), folder / "average.part")
    (folder / "average.part").replace(folder / "average.pt")


def _resume(path: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[float, int]:
    if not path.exists():
        return 0.0, 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return float(state["spent"]), int(state["step"])
