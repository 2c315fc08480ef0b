"""Weights files are checked before they are believed."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from argos.engines.weights import SHIPPED, Card, digest, list_cards, load_card, load_network
from argos.errors import WeightsError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the shipped QU-Net that a test may damage."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(SHIPPED / f"qunet16{suffix}", tmp_path / f"own{suffix}")
    return tmp_path / "own.safetensors"


def rewrite(model: Path, **changes: object) -> None:
    card = msgspec.structs.replace(load_card(str(model)), **changes)
    model.with_suffix(".json").write_bytes(msgspec.json.encode(card))


@pytest.mark.parametrize("card", list_cards(), ids=lambda card: card.name)
def test_every_shipped_model_loads_and_its_card_is_complete(card: Card) -> None:
    network, _ = load_network(card.name)
    assert not network.training
    assert card.metrics
    assert card.terms
    assert card.limits
    assert card.data


def test_shipped_models_cover_the_tasks() -> None:
    assert {card.task for card in list_cards()} == {"proposal", "semantic", "instances", "classes"}


def test_loading_by_path_gives_the_same_network(model: Path) -> None:
    ours, shipped = load_network(str(model))[0], load_network("qunet16")[0]
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), shipped.parameters(), strict=True))


def test_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(
        WeightsError,
        match=r"qunet17: no such model; shipped are .*, essnet_camvid, qunet16, qunet32, qunet64, qunet8",
    ):
        load_network("qunet17")
    with pytest.raises(WeightsError, match="a model for proposal, not for semantic; shipped for semantic are"):
        load_network("qunet16", task="semantic")


def test_damaged_file_is_refused_by_its_digest(model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[-5] ^= 1
    model.write_bytes(data)
    with pytest.raises(WeightsError, match="does not match its card"):
        load_network(str(model))


def test_files_that_cannot_be_read_are_told(model: Path) -> None:
    with pytest.raises(WeightsError, match=rf"{model.parent}: cannot be read \(Is a directory\)"):
        digest(model.parent)
    model.with_suffix(".json").unlink()
    model.with_suffix(".json").mkdir()
    with pytest.raises(WeightsError, match=r"own.json: cannot be read \(Is a directory\)"):
        load_card(str(model))


def test_wrong_shape_names_tensor_and_both_shapes(model: Path) -> None:
    state = load_file(model)
    name = next(key for key, value in state.items() if value.ndim == 4)
    state[name] = torch.zeros(1, 2, 3, 3)
    save_file(state, model)
    rewrite(model, sha256=digest(model))
    with pytest.raises(WeightsError, match=rf"{name} is \(1, 2, 3, 3\), the network has"):
        load_network(str(model))


def test_missing_tensor_is_named(model: Path) -> None:
    state = load_file(model)
    name = sorted(state)[0]
    del state[name]
    save_file(state, model)
    rewrite(model, sha256=digest(model))
    with pytest.raises(WeightsError, match=f"{name} is missing"):
        load_network(str(model))


def test_model_for_another_task_is_refused(model: Path) -> None:
    with pytest.raises(WeightsError, match="a model for proposal, not for semantic"):
        load_network(str(model), task="semantic")


def test_missing_card_is_named(model: Path) -> None:
    model.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"own\.json: no card beside the weights"):
        load_network(str(model))


@pytest.mark.parametrize(
    ("task", "thresholds", "words"),
    [
        ("proposal", {}, "thresholds.threshold is missing; a model for proposal needs one between 0 and 1"),
        ("semantic", {"score_threshold": 0.5}, "thresholds.threshold is missing; a model for semantic"),
        ("instances", {"nms": 0.5}, "thresholds.score_threshold is missing; a model for instances"),
        ("instances", {"score_threshold": 0.5}, "thresholds.nms is missing; a model for instances"),
        ("proposal", {"threshold": 1.5}, "thresholds.threshold is 1.5; a model for proposal"),
    ],
)
def test_a_card_without_the_thresholds_of_its_task_is_refused(
    model: Path, task: str, thresholds: dict[str, float], words: str
) -> None:
    rewrite(model, task=task, thresholds=thresholds)
    with pytest.raises(WeightsError, match=f"own\\.json: {words}") as caught:
        load_network(str(model))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"widht": 16}, "arguments.widht is no argument of the network 'qunet', known: width, "),
        ({"width": "wide"}, "arguments do not build the network 'qunet': .*given: width = 'wide'"),
        ({"width": -16}, "arguments do not build the network 'qunet': .*given: width = -16"),
        ({"width": 8}, "weights do not fit the network of the card"),
    ],
)
def test_a_card_whose_arguments_build_no_network_is_refused(
    model: Path, arguments: dict[str, object], words: str
) -> None:
    rewrite(model, arguments=arguments)
    with pytest.raises(WeightsError, match=f"own.*: {words}") as caught:
        load_network(str(model))
    assert caught.value.exit_code == 4
