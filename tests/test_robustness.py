"""The short forms of ``benchmarks/mutants.py``, ``kills.py``, ``soak.py`` and ``slow_subscribers.py``, and their page.

The long ones are for quiet machines.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CHECKOUT = Path(__file__).parents[1]
sys.path.append(str(CHECKOUT / "benchmarks"))

from mutations import mutate, mutate_text  # noqa: E402
from render_faults import PAGE, RESULTS, SECTIONS, page, read_figures  # noqa: E402
from soak import slope_of  # noqa: E402

pytestmark = [pytest.mark.timeout(900), pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


def run(script: str, *arguments: str, figures: Path) -> Any:
    """Run a benchmark that has to be content; its figures."""
    command = [sys.executable, f"benchmarks/{script}", *arguments, "--json", str(figures)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return json.loads(figures.read_text())


def test_a_hundred_mutants_of_each_kind_hurt_nobody(tmp_path: Path) -> None:
    told = run("mutants.py", "--count", "100", figures=tmp_path / "mutants.json")
    assert "| messages | 100 | " in page({"mutants.json": told})
    videos, messages, configs = told["kinds"]
    assert videos["good"] >= 30
    assert videos["pictures"] > 300
    assert videos["told"]["not_a_video"] > 5
    assert messages["told"]["SchemaError"] > 50
    assert configs["told"]["ConfigError"] > 50
    assert configs["good"] > 5
    assert [kind["tracebacks"] for kind in (videos, messages, configs)] == [[]] * 3


def test_the_same_seed_gives_the_same_mutants() -> None:
    data, text = bytes(range(256)) * 20, "version: 1\ncamera:\n  source: webcam:0\n"
    mutants = [mutate(data, random.Random(n)) for n in range(50)]
    assert mutants == [mutate(data, random.Random(n)) for n in range(50)]
    assert sum(mutant != data for mutant in mutants) > 40
    texts = [mutate_text(text, random.Random(n)) for n in range(50)]
    assert texts == [mutate_text(text, random.Random(n)) for n in range(50)]
    assert len(set(texts)) > 30
    assert mutate(b"a", random.Random(1)) is not None


def test_decoder_engine_and_subscriber_are_killed_and_all_goes_on(tmp_path: Path) -> None:
    figures = run("kills.py", "--count", "3", figures=tmp_path / "kills.json")
    assert "| engine (process) | 1 |" in page({"kills.json": figures})
    assert figures["kills"] == {"decoder (process)": 1, "engine (process)": 1, "subscriber (process)": 1}


def test_a_short_soak_reconnects_and_measures(tmp_path: Path) -> None:
    arguments = ("--minutes", "0.2", "--reconnects", "3", "--cameras", "2")
    figures = run("soak.py", *arguments, figures=tmp_path / "soak.json")
    assert figures["reconnects"] >= 3
    assert f" {figures['reconnects']} reconnects" in page({"soak.json": figures})
    assert set(figures["results"]) == {"cam0", "cam1"}
    assert figures["threads"]["total"] < 10  # growth itself is for hours on a quiet machine
    assert figures["descriptors"]["total"] < 10


def test_the_slope_has_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    at_s = np.arange(1000.0)
    flat = [slope_of(at_s, 500 + rng.normal(0, 3, 1000)) for _ in range(200)]
    assert 0.9 < np.mean([slope.low <= 0 <= slope.high for slope in flat]) < 0.99
    leak = slope_of(at_s, 500 + 0.02 * at_s + rng.normal(0, 3, 1000))
    assert leak.low < 0.02 * 999 < leak.high
    assert leak.low > 15


def test_slow_subscribers_cost_no_result_and_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "slow.json"
    command = [sys.executable, "benchmarks/slow_subscribers.py", "--rounds", "1", "--seconds", "1", "--json", str(path)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 7), done.stdout + done.stderr  # what they cost in time is for quiet machines
    figures = json.loads(path.read_text())
    alone, beside = figures["rounds"]
    assert [round_["missed"] for round_ in (alone, beside)] == [0, 0]
    assert [round_["results"] for round_ in (alone, beside)] == [90, 90]
    assert beside["memory_mb"] < 200
    assert "| with slow subscribers | 90 | 0 |" in page({"slow_subscribers.json": figures})


def test_the_page_is_what_the_committed_figures_give() -> None:
    assert PAGE.read_text() == page(read_figures(RESULTS)), "python benchmarks/render_faults.py"


def test_what_was_not_run_says_so_and_how_to() -> None:
    empty = page({})
    assert empty.count("*not run*: `make ") == len(SECTIONS)
    makefile = (CHECKOUT / "Makefile").read_text()
    for _, _, how in SECTIONS.values():
        assert f"\n{how.split()[1]}: " in makefile
