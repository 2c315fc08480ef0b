"""The named recipes end in models that load, and ship from the folder of a training."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from argos.cli import main
from argos.engines.weights import list_cards, load_network
from argos.errors import PublishError
from argos.networks.table import NETWORKS
from argos.training import datasets, fit
from argos.training.cards import CARDS, made_by
from argos.training.ship import neutral_card, ship, write_model

SIDE = 96


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one photo in each set."""
    folder = tmp_path / "data"
    rng = np.random.default_rng(0)
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [30, 10, 40, 80], "area": 3200, "iscrowd": 0}
    outlined = {**person, "segmentation": [[30, 10, 70, 10, 70, 90, 30, 90]]}
    for name, files in (
        ("persons", ("instances_train", "instances_val", "instances_incomplete")),
        ("persons_more", ("instances_train", "instances_val")),
        ("persons_boxes", ("boxes_train", "boxes_val")),
    ):
        (folder / name / "images").mkdir(parents=True)
        image = rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        cv2.imwrite(str(folder / name / "images" / "one.jpg"), image)
        for file in files:
            document = {"images": [{"id": 1, "file_name": "one.jpg", "source": "coco"}],
                        "annotations": [person if file.startswith("boxes") else outlined],
                        "categories": [{"id": 1, "name": "person"}]}  # fmt: skip
            (folder / name / f"{file}.json").write_text(json.dumps(document))
    for name in ("backgrounds", "cutouts", "camvid/train/images", "camvid/train/labels"):
        (folder / name).mkdir(parents=True)
    for n in range(2):
        cv2.imwrite(str(folder / "backgrounds" / f"{n}.jpg"), np.full((SIDE, SIDE, 3), 120, np.uint8))
    cv2.imwrite(str(folder / "cutouts" / "1.png"), np.full((60, 30, 4), 255, np.uint8))
    cv2.imwrite(str(folder / "camvid/train/images/1.png"), rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8))
    cv2.imwrite(str(folder / "camvid/train/labels/1.png"), rng.integers(0, 12, (SIDE, SIDE), np.uint8))
    monkeypatch.setenv("ARGOS_DATA", str(folder))
    monkeypatch.setattr(fit, "CALIBRATION", 2)  # a minute otherwise
    monkeypatch.setattr(datasets, "RENDERED_ROOMS", 2)
    monkeypatch.setattr(datasets, "RENDERED_PEOPLE", 2)
    return folder


def test_a_named_recipe_ends_in_a_model_and_the_keys_that_use_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "qunet8", "--minutes", "0.01", "--out", str(run), "--threads", "1"]) == 0
    path = run / "qunet8.safetensors"
    assert f"engine:\n  models: {{proposal: {path}}}" in capsys.readouterr().out
    _, card = load_network(str(path), task="proposal")
    assert card.limits == "not looked at"
    assert card.recipe == "`argos train qunet8 --minutes 0.01`"
    assert card.metrics["area_true"] > 0
    assert main(["eval", str(path), "--threads", "1"]) == 0, "the figures are those of its card"
    shipped = ship("qunet8", run, tmp_path / "shipped")
    assert shipped.limits == CARDS["qunet8"].limits
    bits = load_file(tmp_path / "shipped" / "qunet8.safetensors")
    assert all(torch.equal(value, bits[key]) for key, value in load_file(path).items())
    assert any(key.endswith(".signs") for key in bits)


def test_a_recipe_that_makes_nothing_that_ships_says_where_its_model_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "configs/train/transfer.yaml", "--ship", "--out", str(tmp_path)]) == 2
    assert f"the training leaves its model in {tmp_path}" in capsys.readouterr().err


def test_every_named_recipe_knows_its_models() -> None:
    assert set(made_by("people")) == {"unet_lite", "ssdisb"}
    for recipe in ("asbunet", "qunet8", "qunet16", "qunet32", "qunet64"):
        assert set(made_by(recipe)) == {recipe}


def test_make_weights_runs_the_chain_of_every_card() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(["make", "-nB", "weights"], cwd=root, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if "argos train" in line]
    for card in list_cards():
        recipe = CARDS[card.name].run
        steps = [line for line in lines if f"argos train {recipe} " in line and "--minutes" in line]
        asked = re.search(r"`argos train .* --minutes (\d+)`", card.recipe)
        assert asked is not None
        assert f"--minutes {asked[1]} " in steps[-1], "the last training is the one of the card"
        outs = [line.partition("--out ")[2].split()[0] for line in steps]
        for before, step in pairwise(range(len(steps))):
            begun = f"start={outs[before]}/" if recipe.endswith(".yaml") else f"--start {outs[before]}/"
            assert begun in steps[step], "each begins with the one before"
        shipped = next(line for line in lines if f"argos train {recipe} --ship --out {outs[-1]}" in line)
        assert lines.index(shipped) > lines.index(steps[-1])


def test_a_model_for_which_there_is_no_room_is_named(tmp_path: Path) -> None:
    card, limits = neutral_card("big", "proposal", "qunet", {"width": 8}, "", "", 1), getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(PublishError, match=r"big.safetensors: cannot be written \(.*File too large"):
            write_model(tmp_path, card, NETWORKS["qunet"](width=8).state_dict(), lambda path, card: {})
    finally:
        setrlimit(RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir()), "what is half there takes room"


@pytest.mark.parametrize(
    ("options", "says", "status"),
    [
        ("people --teacher unet_lite", "--teacher: people learns from labels alone", 2),
        ("qunet16 --backbone x.pth", "--backbone: qunet16 does not begin as a classifier", 2),
        ("qunet16 --network x.py:net", "--network: qunet16 has a network", 2),
        ("semantic --network x.py:net --ship", "--ship: your own network is none of the shipped models", 2),
        ("qunet16 --every 7", "--every: belongs to --from SOURCE", 2),
        ("configs/train/transfer.yaml --frames 12", "--frames: belongs to --from SOURCE", 2),
        ("qunet16 --every nan --from nowhere.mp4", "--every should be above 0 and --frames at least 10, got nan", 2),
        ("qunet16 --ship --from nowhere.mp4", "--from: --ship does not train; it takes the training in --out", 2),
        ("qunet16 --ship --start nobody", "--start: --ship does not train", 2),
        ("nowhere.yaml", "cannot be read (No such file or directory) - configs/train/ holds recipes", 2),
        ("people --ship --out nowhere", "--out nowhere: there is no average.pt", 2),
        ("qunet16 --start dual_aspp_camvid --from nowhere.mp4", "only masks of people can be learnt from a teacher", 4),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    options: str, says: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["train", *options.split()]) == status
    assert says in capsys.readouterr().err
    assert main(["train", *options.split(), "--threads", "0"]) == 2
    assert "--threads: should be a whole number, 1 or more, got '0'" in capsys.readouterr().err
