"""The short forms of ``benchmarks/mutants.py``, ``kills.py`` and ``soak.py``; the long ones are for quiet machines."""

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
    videos, messages, configs = run("mutants.py", "--count", "100", figures=tmp_path / "mutants.json")
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
    assert figures["kills"] == {"decoder (process)": 1, "engine (process)": 1, "subscriber (process)": 1}


def test_a_short_soak_reconnects_and_measures(tmp_path: Path) -> None:
    arguments = ("--minutes", "0.2", "--reconnects", "3", "--cameras", "2")
    figures = run("soak.py", *arguments, figures=tmp_path / "soak.json")
    assert figures["reconnects"] >= 3
    assert set(figures["results"]) == {"cam0", "cam1"}
    assert figures["threads"] < 10  # growth itself is for hours on a quiet machine
    assert figures["descriptors"] < 10


def test_the_slope_has_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    at_s = np.arange(1000.0)
    flat = [slope_of(at_s, 500 + rng.normal(0, 3, 1000)) for _ in range(200)]
    assert 0.9 < np.mean([slope.low <= 0 <= slope.high for slope in flat]) < 0.99
    leak = slope_of(at_s, 500 + 0.02 * at_s + rng.normal(0, 3, 1000))
    assert leak.low < 0.02 * 999 < leak.high
    assert leak.low > 15
