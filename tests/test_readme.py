"""What the README shows is what the checkout holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_subscriber_shown_is_the_sample_and_has_at_most_20_lines() -> None:
    sample = (ROOT / "samples" / "subscribe.py").read_text().strip()
    assert sample in TEXT
    assert len(sample.splitlines()) <= 20


PATHS = sorted(set(re.findall(r"`((?:argos|configs|samples|benchmarks|docs)/[\w./]+)`", TEXT)))


@pytest.mark.parametrize("name", PATHS)
def test_every_path_exists(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_test_command_is_the_one_continuous_integration_runs() -> None:
    assert "\nmake test " in TEXT
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


MODELS = re.findall(r"^\| `(\w+)` \| \w+ \| (.+?) \| ([\d.]+) MB \|$", TEXT, re.MULTILINE)


def test_every_shipped_model_is_in_the_table() -> None:
    assert sorted(name for name, *_ in MODELS) == sorted(card.stem for card in (ROOT / "argos/weights").glob("*.json"))


@pytest.mark.parametrize(("name", "measured", "size"), MODELS)
def test_the_table_says_what_the_cards_say(name: str, measured: str, size: str) -> None:
    card = json.loads((ROOT / f"argos/weights/{name}.json").read_text())
    for figure in measured.split(", "):
        metric, value = figure.rsplit(" ", 1)
        assert f"{card['metrics'][metric]:.3f}" == value, metric
    assert f"{(ROOT / f'argos/weights/{name}.safetensors').stat().st_size / 1e6:.1f}" == size
