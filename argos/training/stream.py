"""Endless batches of scenes, drawn ahead in other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from argos.machine import cores
from argos.training.recipe import Recipe, phase_at
from argos.training.scenes import Mix, Scene, draw_scene
from argos.training.unbroken import stop_on_sigterm

AHEAD = 4
"""Batches that each process draws in advance."""

MOST_WORKERS = 8
"""No more than that by default: each takes a core, and memory of its own."""


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

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch(
            self.images.to(device),
            self.ids.to(device),
            *(tuple(part.to(device) for part in parts) for parts in (self.boxes, self.box_ids, self.ignore)),
        )


def collate(drawn: list[Scene]) -> Batch:
    """Stack scenes of equal size."""
    return Batch(
        torch.from_numpy(np.stack([s.image for s in drawn])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([s.ids for s in drawn])),
        tuple(torch.from_numpy(s.boxes) for s in drawn),
        tuple(torch.from_numpy(s.box_ids) for s in drawn),
        tuple(torch.from_numpy(s.ignore) for s in drawn),
    )


class SceneStream(IterableDataset[Batch]):
    """Batches numbered from ``first``; a number and the seed say what is drawn, whoever draws it.

    Args:
        mix: what scenes are made of.
        recipe: phases and seed.
        start: ``time.monotonic()`` at which the training began; the clock is the same in worker processes.
        first: number of the first batch, so that a resumed run goes on with new scenes.
        part, parts: this process takes every ``parts``-th batch, where several train together.
    """

    def __init__(self, mix: Mix, recipe: Recipe, start: float, first: int, part: int = 0, parts: int = 1) -> None:
        self.mix, self.recipe, self.start, self.first = mix, recipe, start, first
        self.part, self.parts = part, parts

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        cv2.setNumThreads(1)
        number, stride = (self.first, 1) if worker is None else (self.first + worker.id, worker.num_workers)
        while True:
            rng = np.random.default_rng((self.recipe.seed, number, self.part, self.parts))
            step = number // self.recipe.accumulate
            phase = phase_at(self.recipe.progress(time.monotonic() - self.start, step), self.recipe.phases)
            yield collate([draw_scene(self.mix, phase.side, rng) for _ in range(phase.batch)])
            number += stride


def batches(stream: SceneStream) -> DataLoader[Batch]:
    """The stream drawn by the processes of its recipe; they take turns, so the order is that of one process."""
    workers = workers_here() if stream.recipe.workers is None else stream.recipe.workers
    ahead = AHEAD if workers else None
    return DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=ahead, worker_init_fn=_begin)


def _begin(worker: int) -> None:
    """SIGTERM for a whole group of processes ends those that draw in peace: one that fails would fail the training."""
    stop_on_sigterm()


def workers_here() -> int:
    """How many processes draw scenes where nothing else is said.

    One where a processor trains: the cores are busy with that. A GPU eats scenes faster than one core draws them: every
    core but one draws, up to eight, shared with the other trainings that ``torchrun`` has started on this machine.
    """
    if not torch.cuda.is_available():
        return 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_WORKERS, (int(cores()[1]) - 1) // here))
