"""What ``argos tune`` measured, kept between runs: one file for each machine, set of models and set of tasks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import msgspec
import torch

from argos.engines.weights import Card
from argos.kept import kept_path, read_kept, write_kept
from argos.machine import cores, instruction_limit, processor
from argos.packing.costs import Costs, Tasks
from argos.version import VERSION as ARGOS

log = logging.getLogger(__name__)

FORMAT = "argos-costs/1"

LEAST_MS, MOST_MS = 1e-3, 1e6
"""Of a run on ``PIXELS``: anything else was never measured, and the planner would divide by it."""

PIXELS = 1e5


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What times depend on; a file holds for these alone.

    Attributes:
        processor: its name.
        flags: its instruction sets.
        limit: of the instruction sets of oneDNN, ``instruction_limit``.
        cores: that this process may use.
        threads: that torch uses.
        device: ``cpu``, or the name of the GPU.
        engine: settings of the configuration that change how the deep networks are run.
        torch, argos: versions.
        models: role -> ``name@sha256:...`` and the arguments, of the proposal and of the tasks.
        tasks: that look at a frame together.
    """

    processor: str
    flags: tuple[str, ...]
    limit: str
    cores: float
    threads: int
    device: str
    engine: dict[str, Any]
    torch: str
    argos: str
    models: dict[str, str]
    tasks: Tasks

    @property
    def path(self) -> Path:
        """The file for these conditions."""
        return kept_path("costs", self)


class CostFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of a file.

    Attributes:
        format: ``FORMAT``.
        conditions: under which it was measured.
        costs: the result.
    """

    format: str
    conditions: Conditions
    costs: Costs


def conditions_of(tasks: Tasks, cards: Mapping[str, Card], device: str, engine: Mapping[str, Any]) -> Conditions:
    """The conditions of this process.

    Args:
        tasks: sorted.
        cards: of the loaded models by role, those of the tasks and ``proposal`` among them.
        device: the networks run on.
        engine: the settings that change how they run.
    """
    name, flags = processor()
    if device != "cpu":
        device = torch.cuda.get_device_name(device)
    models = {role: _named(cards[role]) for role in ("proposal", *tasks)}
    return Conditions(
        processor=name,
        flags=tuple(flags),
        limit=instruction_limit(),
        cores=cores()[1],
        threads=torch.get_num_threads(),
        device=device,
        engine=dict(engine),
        torch=str(torch.__version__),
        argos=ARGOS,
        models=models,
        tasks=tasks,
    )


def _named(card: Card) -> str:
    """A model and its arguments: one's own network may do more with the same weights."""
    return f"{card.identity} {json.dumps(card.arguments, sort_keys=True, default=str)}"


def save_costs(costs: Costs, conditions: Conditions) -> Path:
    """Write the file for some conditions, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    write_kept(conditions.path, CostFile(FORMAT, conditions, costs))
    return conditions.path


def load_costs(conditions: Conditions) -> Costs | None:
    """What was measured under the same conditions; None where nothing was, or the file is not for them."""
    path = conditions.path
    stored = read_kept(path, CostFile, "argos tune writes it anew")
    if stored is None:
        return None
    if stored.format != FORMAT or stored.conditions != conditions:
        log.warning("%s: ignored, measured under other conditions; argos tune writes it anew", path)
        return None
    if not _may_be(stored.costs):
        log.warning("%s: ignored, no run takes such times (%s); argos tune writes it anew", path, stored.costs)
        return None
    return stored.costs


def _may_be(costs: Costs) -> bool:
    """Whether costs can have been measured: no part is negative, and a run takes some time."""
    runs, parts = [costs.dense(PIXELS)], [costs.propose_ms, *astuple(costs.dense)]
    if costs.gather is not None:
        runs.append(costs.gather(PIXELS, PIXELS))
        parts += astuple(costs.gather)
    return min(parts) >= 0 and all(LEAST_MS <= ms <= MOST_MS for ms in runs)


def known_costs(
    tasks: Iterable[Tasks], cards: Mapping[str, Card], device: str, engine: Mapping[str, Any]
) -> dict[Tasks, Costs]:
    """What was measured on this machine for each of several sets of tasks, where it was; arguments as above."""
    found = {one: load_costs(conditions_of(one, cards, device, engine)) for one in set(tasks)}
    return {one: costs for one, costs in found.items() if costs is not None}
