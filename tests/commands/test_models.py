"""``argos models``."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copyfile

import msgspec
import pytest
from main_job import own_models

from argos.cli import main
from argos.commands.models_networks import RULE_NAMES
from argos.engines.weights import load_card, weights_path
from argos.networks.count_rules import RULES
from argos.networks.table import NETWORKS

SHIPPED = [
    "asbunet",
    "dual_aspp_camvid",
    "essnet_camvid",
    "qunet16",
    "qunet32",
    "qunet64",
    "qunet8",
    "ssdisb",
    "ssdisb_multi",
    "unet_lite",
]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small networks of each task, as files with cards."""
    return own_models(tmp_path_factory.mktemp("models"))


def test_the_list_has_a_line_for_each_network_and_each_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--size", "64x64"]) == 0
    networks, note, models = capsys.readouterr().out.split("\n\n")
    head, *lines = networks.splitlines()
    assert head.split() == ["network", "task", "classes", "parameters", "GMACs", "weights", "source"]
    assert [line.split()[0] for line in lines] == list(NETWORKS)
    fields = {line.split()[0]: line.split() for line in lines}
    assert fields["asbunet"][1:6] == ["semantic", "1", "1,650,817", "0.184", "asbunet"]
    assert fields["essnet"][1:6] == ["semantic", "20", "421,056", "0.043", "-"]
    assert fields["ssd_isb.person"][4] == "-"  # its smallest map is 1x1
    assert note.startswith("one image of 64x64; trainable parameters")
    assert [line.split()[:2] for line in models.splitlines()[1:]] == [
        ["asbunet", "semantic"],
        ["dual_aspp_camvid", "classes"],
        ["essnet_camvid", "classes"],
        ["qunet16", "proposal"],
        ["qunet32", "proposal"],
        ["qunet64", "proposal"],
        ["qunet8", "proposal"],
        ["ssdisb", "instances"],
        ["ssdisb_multi", "instances"],
        ["unet_lite", "semantic"],
    ]


def test_the_list_as_json_counts_by_the_rule_of_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json", "--size", "96x64", "--count-rule", "tf-vars"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["size"], report["count_rule"]) == ([96, 64], "tf-vars")
    networks = {network["name"]: network for network in report["networks"]}
    assert list(networks) == list(NETWORKS)
    assert networks["asbunet"]["parameters"] == 1_656_385
    assert networks["ssd_isb.person"]["weights"] == ["ssdisb", "ssdisb_multi"]
    assert [card["name"] for card in report["models"]] == SHIPPED
    assert all(card["data"] and card["terms"] for card in report["models"])


def test_a_network_is_shown_with_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["models", "info", "essnet", "--set", "decoder=trans4x", "--set", "published=true"]
    assert main([*command, "--size", "1024x512", "--count-rule", "conv-only"]) == 0
    about, layers = capsys.readouterr().out.split("\n\n")
    assert "network      essnet, decoder = 'trans4x', published = True" in about
    assert "parameters   431,984" in about
    assert "GMACs        5.320" in about
    lines = {line.split()[0]: line for line in layers.splitlines()}
    assert lines["encoder.layer3.depthwise1"].split()[1:] == ["Conv2d", "k3x3", "dw", "64x128x256", "640", "18.87"]
    assert main([*command, "--size", "64x64", "--json"]) == 0
    network = json.loads(capsys.readouterr().out)["network"]
    assert network["arguments"] == {"decoder": "trans4x", "published": True}
    assert sum(layer["parameters"] for layer in network["layers"]) == network["parameters"]


def test_layers_of_a_model_are_shown_on_request(own: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(own["semantic"]), "--size", "64x64"]) == 0
    assert "layers at" not in capsys.readouterr().out
    assert main(["models", "info", str(own["semantic"]), "--size", "64x64", "--layers"]) == 0
    assert "\nconv1.conv " in capsys.readouterr().out


def test_what_runs_on_blocks_is_told(own: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The share of the work in both semantics, and every layer that sees whole maps by its name."""
    assert main(["models", "info", str(own["semantic"]), "--blocks", "25", "--size", "320x192"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "multiply-accumulates;" in line]
    assert [line[0] for line in lines] == ["masked", "exact"]
    masked, exact = (int(line[1].removesuffix("%")) for line in lines)
    assert 10 < masked < exact <= 100
    assert main(["models", "info", "unet.efficientnet", "--blocks", "25%", "--size", "128x128", "--json"]) == 0
    blocks = json.loads(capsys.readouterr().out)["network"]["blocks"]
    assert "refused" in blocks["exact"]  # squeeze-and-excite pools whole maps
    assert any("mean" in layer["name"] or "pool" in layer["name"] for layer in blocks["masked"]["dense"])
    assert main(["models", "info", "asbunet", "--blocks", "0"]) == 2


def test_published_numbers_stand_beside_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "compare", "--table", "rtseg:5.7", "--table", "rtseg:5.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "rtseg:5.7  RT-Seg thesis, Table 5.7: Single-Branch; 640x640; 3 equal"
    assert lines[3].split() == ["SB-MN0.75", "variables", "3,358,647", "3,358,647", "0", "equal"]
    (different,) = (line for line in lines if "unexplained  " in line)
    assert different.split()[:7] == ["Single-Shape", "variables", "8,862,738", "8,508,434", "-4.00", "%", "unexplained"]
    assert "12 equal branches" in different
    assert main(["models", "compare", "--table", "rtseg:5.7", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rtseg:5.7"]
    assert [(row["row"], row["ours"], row["status"]) for row in rows] == [
        ("SB-Default", 5_790_631, "equal"),
        ("SB-MN0.75", 3_358_647, "equal"),
        ("SB-FCN16", 5_765_991, "equal"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--table", "essnet:9"], "--table essnet:9: no such table; known are asbunet:6, "),
        (["info", "essnet", "--set", "decoder"], "--set decoder: should be KEY=VALUE"),
        (["info", "essnet", "--set", "rate=2"], "--set rate: no argument of essnet; known are module, num_classes"),
        (["info", "essnet", "--set", "num_classes=0"], "num_classes should be at least 1, got 0"),
        (["info", "asbunet", "--set", "num_classes=2"], "--set: the card of asbunet fixes the arguments"),
        (["info", "ssd_isb.multi_shape", "--size", "64x64"], "--size 64x64: too small for this network"),
        (["list", "--size", "640"], "should be WIDTHxHEIGHT in pixels, as in 640x352, got '640'"),
    ],
)
def test_a_wrong_argument_names_what_is_known(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_rules_are_offered_by_the_names_they_have() -> None:
    assert tuple(RULES) == RULE_NAMES


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
    assert msgspec.convert(json.loads(capsys.readouterr().out)["card"], type(card)) == card


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


def test_what_lies_beside_binary_weights_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in (".safetensors", ".json", ".latents"):
        copyfile(weights_path("qunet8").with_suffix(suffix), tmp_path / f"qunet8{suffix}")
    path = tmp_path / "qunet8.safetensors"
    assert main(["models", "verify", str(path)]) == 0
    copyfile(weights_path("qunet16").with_suffix(".latents"), tmp_path / "qunet8.latents")
    assert main(["models", "verify", str(path)]) == 4
    assert "qunet8.latents: belongs to other weights than qunet8.safetensors beside it" in capsys.readouterr().out
    (tmp_path / "qunet8.latents").write_bytes(b"damaged")
    assert main(["models", "verify", str(path)]) == 4
    assert "qunet8.latents: cannot be read" in capsys.readouterr().out


def test_the_shipped_models_are_verified_when_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == dict.fromkeys(SHIPPED, "ok")


def test_an_unknown_model_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", "qunet17"]) == 4
    error = capsys.readouterr().err
    assert f"shipped are {', '.join(SHIPPED)}" in error
    assert "networks are qunet, " in error
