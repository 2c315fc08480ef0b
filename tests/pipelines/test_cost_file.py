"""What argos tune keeps, and for whom it holds."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from argos.engines.weights import Card, Task
from argos.machine import cache_folder
from argos.packing.costs import Costs, GatherCost, Line
from argos.pipelines.cost_file import Conditions, conditions_of, known_costs, load_costs, save_costs

COSTS = Costs(14.25, Line(3.5, 512.0), GatherCost(7.0, 20.0, 900.0))
TASKS = ("instances", "semantic")
ENGINE = {"backend": "torch"}
ROLES: tuple[Task, ...] = ("proposal", "semantic", "instances")


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Card]:
    monkeypatch.setenv("ARGOS_CACHE", str(tmp_path / "cache"))
    return {
        str(role): Card(f"own-{role}", role, "any", {}, "", {}, [], "", "", 0, {}, "", "", f"{n}" * 64)
        for n, role in enumerate(ROLES)
    }


@pytest.fixture
def conditions(cards: dict[str, Card]) -> Conditions:
    return conditions_of(TASKS, cards, "cpu", ENGINE)


@pytest.mark.parametrize("costs", [COSTS, Costs(1.0, Line(0.0, 1.0))])
def test_what_is_kept_is_found_again(conditions: Conditions, costs: Costs) -> None:
    assert load_costs(conditions) is None
    path = save_costs(costs, conditions)
    assert path.parent == cache_folder() / "costs"
    assert load_costs(conditions) == costs
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "other",
    [
        {"processor": "another"},
        {"flags": ("avx2",)},
        {"limit": "AVX2"},
        {"cores": 64.0},
        {"threads": 63},
        {"device": "another"},
        {"engine": {"backend": "another"}},
        {"torch": "1.0"},
        {"models": {"proposal": "other@sha256:0"}},
        {"tasks": ("instances",)},
    ],
)
def test_another_machine_or_model_is_told_nothing(
    conditions: Conditions, other: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = save_costs(COSTS, conditions)
    changed = msgspec.structs.replace(conditions, **other)
    assert changed.path != path
    assert load_costs(changed) is None
    # a file that came from there, under the name of one of here
    changed.path.write_bytes(path.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert load_costs(changed) is None
    assert "measured under other conditions" in caplog.text


@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_a_limit_of_onednn_is_another_machine(
    cards: dict[str, Card], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    save_costs(COSTS, conditions_of(TASKS, cards, "cpu", ENGINE))
    monkeypatch.setenv(name, "AVX2")
    assert load_costs(conditions_of(TASKS, cards, "cpu", ENGINE)) is None


def test_the_same_weights_with_other_arguments_are_another_model(cards: dict[str, Card]) -> None:
    save_costs(COSTS, conditions_of(TASKS, cards, "cpu", ENGINE))
    cards["semantic"] = msgspec.structs.replace(cards["semantic"], arguments={"repeat": 50})
    assert load_costs(conditions_of(TASKS, cards, "cpu", ENGINE)) is None


def test_costs_nested_beyond_measure_are_a_damaged_file(
    conditions: Conditions, caplog: pytest.LogCaptureFixture
) -> None:
    path = save_costs(COSTS, conditions)
    path.write_text(path.read_text().replace('"backend": "torch"', '"backend": ' + "[" * 100_000))
    assert load_costs(conditions) is None
    assert f"{path}: ignored, not readable" in caplog.text


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": "argos-costs/1"}', b'{"format": "\xff"}'])
def test_a_damaged_file_is_ignored_and_named(
    conditions: Conditions, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = save_costs(COSTS, conditions)
    path.write_bytes(text)
    with caplog.at_level(logging.WARNING):
        assert load_costs(conditions) is None
    assert str(path) in caplog.text
    assert "argos tune" in caplog.text


@pytest.mark.parametrize(
    "costs",
    [
        Costs(0.0, Line(0.0, 0.0)),
        Costs(1.0, Line(-3.5, 512.0)),
        Costs(1.0, Line(1e300, 0.0)),
        Costs(1.0, Line(3.5, 512.0), GatherCost(0.0, 0.0, 0.0)),
    ],
)
def test_times_that_no_run_takes_are_ignored_and_named(
    conditions: Conditions, costs: Costs, caplog: pytest.LogCaptureFixture
) -> None:
    path = save_costs(costs, conditions)
    with caplog.at_level(logging.WARNING):
        assert load_costs(conditions) is None
    assert f"{path}: ignored, no run takes such times" in caplog.text


def test_a_file_of_another_version_is_ignored(conditions: Conditions) -> None:
    path = save_costs(COSTS, conditions)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "argos-costs/2"}))
    assert load_costs(conditions) is None


def test_only_measured_tasks_are_known(cards: dict[str, Card], conditions: Conditions) -> None:
    save_costs(COSTS, conditions)
    assert known_costs([TASKS, ("instances",), TASKS], cards, "cpu", ENGINE) == {TASKS: COSTS}
