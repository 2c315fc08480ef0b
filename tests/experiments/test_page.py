"""RESULTS.md is what the experiments and their results say."""

from __future__ import annotations

from pathlib import Path

from argos.config_experiment import load_experiment
from argos.experiments.page import in_order, page

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    experiments = in_order([load_experiment(path) for path in (ROOT / "experiments").glob("*.yaml")])
    made = page(experiments, ROOT / "experiments" / "results")
    assert (ROOT / "RESULTS.md").read_text("utf-8") == made, "argos experiment --render writes it"


def test_every_picture_of_the_page_is_there() -> None:
    names = [line.partition("](")[2].rstrip(")") for line in (ROOT / "RESULTS.md").read_text("utf-8").splitlines()
             if line.startswith("![")]  # fmt: skip
    assert [name for name in names if not (ROOT / name).is_file()] == []
