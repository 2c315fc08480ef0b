"""``argos models``."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from main_job import own_models

from argos.cli import main
from argos.engines.weights import load_card

SHIPPED = ["asbunet", "qunet16", "ssdisb"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small networks of each task, as files with cards."""
    return own_models(tmp_path_factory.mktemp("models"))


def test_the_list_has_a_line_for_each_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["asbunet", "semantic"],
        ["qunet16", "proposal"],
        ["ssdisb", "instances"],
    ]
    assert main(["models", "list", "--json"]) == 0
    cards = json.loads(capsys.readouterr().out)
    assert [card["name"] for card in cards] == SHIPPED
    assert all(card["data"] and card["terms"] for card in cards)


def _letters(text: str) -> str:
    """Without the spaces, which differ where lines are broken."""
    return "".join(text.split())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_is_shown_with_its_data_terms_and_recipe(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    card = load_card(name)
    assert main(["models", "info", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{name}  ({card.task}, {card.network}")
    assert card.sha256 in text
    shown = _letters(text)
    for words in (card.summary, *card.data, card.terms, f"{card.recipe} Seed {card.seed}.", card.measured, card.limits):
        assert _letters(words) in shown
    assert main(["models", "info", name, "--json"]) == 0
    assert msgspec.convert(json.loads(capsys.readouterr().out), type(card)) == card


def test_a_card_without_arguments_closes_its_bracket(own: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(own["semantic"])]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "own-semantic  (semantic, asbunet)"
    assert main(["models", "info", str(own["instances"])]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "own-instances  (instances, ssd_isb.person {'multiplier': 0.25})"


def test_whole_models_are_verified_and_a_damaged_one_is_named(
    own: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    whole, damaged = str(own["proposal"]), str(own["semantic"])
    assert main(["models", "verify", whole, damaged]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["ok", "ok"]
    data = bytearray(own["semantic"].read_bytes())
    data[-1] ^= 1
    own["semantic"].write_bytes(data)
    assert main(["models", "verify", whole, damaged]) == 4
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{whole} ok"
    assert second.startswith(f"{damaged} {damaged}: digest ")
    assert "does not match its card" in second
    assert main(["models", "verify", whole, damaged, "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    assert report[whole] == "ok"
    assert "does not match its card" in report[damaged]


def test_the_shipped_models_are_verified_when_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == dict.fromkeys(SHIPPED, "ok")


def test_an_unknown_model_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", "qunet17"]) == 4
    assert "shipped are asbunet, qunet16, ssdisb" in capsys.readouterr().err
