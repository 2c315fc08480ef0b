"""Every recipe of ``configs/train`` runs, and what is wrong in one is said with its place."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from argos.cli import main
from argos.config_recipe import load_recipe
from argos.engines.weights import load_network
from argos.errors import ConfigError
from argos.networks.essnet import essnet_a
from argos.networks.layers.grouping import GradualGroupConv2d
from argos.networks.table import NETWORKS
from argos.training.course import build
from argos.training.pretrained import encoder_of, take_what_fits
from argos.training.recipe import parameter_groups

FOLDER = Path(__file__).parents[2] / "configs" / "train"
RECIPES = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A COCO file of two photos with a person each, and a CamVid folder of one."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for folder in ("images", "camvid/images", "camvid/labels"):
        (root / folder).mkdir(parents=True)
    images, annotations = [], []
    for number in (1, 2):
        cv2.imwrite(str(root / "images" / f"{number}.png"), rng.integers(0, 255, (96, 128, 3), np.uint8))
        images.append({"id": number, "file_name": f"{number}.png"})
        x = 20 * number
        outline = [[x, 10, x + 30, 10, x + 30, 90, x, 90]]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": [x, 10, 30, 80], "area": 2400,
                            "segmentation": outline})  # fmt: skip
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (root / "people.json").write_text(json.dumps(document))
    cv2.imwrite(str(root / "camvid/images/1.png"), rng.integers(0, 255, (96, 128, 3), np.uint8))
    cv2.imwrite(str(root / "camvid/labels/1.png"), rng.integers(0, 12, (96, 128), np.uint8))
    return {"people": f"coco:{root}/people.json", "classes": f"camvid:{root}/camvid?labels=classes"}


def arguments(path: Path, data: str, out: Path, *more: str) -> list[str]:
    """Two steps of a recipe on small views."""
    overrides = [f"data=[{data!r}]", f"validation=[{data!r}]", "phases=[{side: 64, batch: 2}]", "minutes=null"]
    overrides += ["steps=2", "start=null", *more]
    return ["train", str(path), "--out", str(out), "--threads", "1", *(a for o in overrides for a in ("--set", o))]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_two_steps_of_every_recipe(path: Path, specs: dict[str, str], tmp_path: Path) -> None:
    recipe = load_recipe(path)
    kind = "classes" if recipe.objective.startswith("classes") else "people"
    assert main(arguments(path, specs[kind], tmp_path)) == 0
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["step"] == 2
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 1800
    assert sheet.std() > 10, "the photos that are measured on"
    if recipe.objective != "classes_encoder":
        network, card = load_network(str(tmp_path / f"{path.stem}.safetensors"))
        assert sum(p.numel() for p in network.parameters()) > 1000
        assert card.metrics, "it was measured"
        assert card.summary == recipe.about


def test_only_the_first_of_several_processes_writes_the_model(specs: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "argos"]
    more = arguments(FOLDER / "asbunet.yaml", specs["people"], tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *more], check=True, timeout=170, env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == str(tmp_path / "asbunet.safetensors")
    assert done.stdout.count("asbunet.safetensors") == 2, "once more in the key to write, and nothing by the other"
    assert load_network(str(tmp_path / "asbunet.safetensors"))[1].metrics


def test_the_encoder_of_one_training_begins_the_next(specs: dict[str, str], tmp_path: Path) -> None:
    assert main(arguments(FOLDER / "essnet_encoder.yaml", specs["classes"], tmp_path / "first")) == 0
    start = tmp_path / "first" / "average.pt"
    assert main(arguments(FOLDER / "essnet.yaml", specs["classes"], tmp_path / "second", f"start={start}")) == 0
    before, after = (torch.load(tmp_path / n / "average.pt", weights_only=True) for n in ("first", "second"))
    learnt = [key for key, value in before.items() if key.startswith("encoder.") and key.endswith("weight")]
    assert learnt
    assert all(torch.allclose(before[key], after[key], atol=1e-9) for key in learnt), "the encoder hardly moves"
    assert not any(key.startswith("decoder") for key in before)
    said = take_what_fits(essnet_a(num_classes=11), start)
    assert "2 left out" in said, "the convolution to the classes of the encoder alone"


def test_a_network_of_several_classes_is_measured_and_no_camera_takes_it(
    specs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(FOLDER / "dual_aspp.yaml", specs["classes"], tmp_path)) == 0
    model = str(tmp_path / "dual_aspp.safetensors")
    capsys.readouterr()
    assert main(["eval", model, "--data", specs["classes"], "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)["measured"]
    assert measured == load_network(model)[1].metrics
    assert {"miou", "iou_0"} <= set(measured)
    assert main(["eval", model, "--data", specs["classes"], "--sheet", str(tmp_path)]) == 2
    assert main(["run", "fake://people", "--set", f"engine.models.semantic={model}", "--frames", "1",
                 "--set", "camera.tasks=[semantic]"]) == 4  # fmt: skip
    assert "a model for classes, not for semantic" in capsys.readouterr().err


def test_a_recipe_file_says_how_many_processes_draw() -> None:
    path = FOLDER / "qunet.yaml"
    assert load_recipe(path).course("x").recipe.workers is None
    assert load_recipe(path, ("workers=3",)).course("x").recipe.workers == 3
    with pytest.raises(ConfigError, match="workers: should be at least 0, got -1"):
        load_recipe(path, ("workers=-1",))


def test_groups_part_while_the_training_goes_on(specs: dict[str, str], tmp_path: Path) -> None:
    assert main(arguments(FOLDER / "essnet_gradual.yaml", specs["classes"], tmp_path, "steps=6")) == 0
    network = essnet_a("DG4", num_classes=11, gradual=True)
    network.load_state_dict(torch.load(tmp_path / "average.pt", weights_only=True))
    alphas = {float(m.alpha) for m in network.modules() if isinstance(m, GradualGroupConv2d)}
    assert alphas == {0.0}
    shipped, _ = load_network(str(tmp_path / "essnet_gradual.safetensors"))
    assert {float(m.alpha) for m in shipped.modules() if isinstance(m, GradualGroupConv2d)} == {0.0}


def test_a_wrong_recipe_is_said_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "about: x\nmodel: asbunet\nobjectiv: person\nobjective: persons\nphases: []\nrate: -1\nminutes: 3\nsteps: 4\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{path}:3:1: objectiv: unknown key")
    assert "did you mean 'objective'?" in lines[0]
    assert lines[1].startswith(f"{path}:4:12: objective: ")
    assert lines[2].startswith(f"{path}:5:9: phases: ")
    assert lines[3].startswith(f"{path}:6:7: rate: ")
    path.write_text("about: x\nmodel: asbunet\nobjective: person\nphases: [{side: 64, batch: 2}]\nrate: 1\n")
    with pytest.raises(ConfigError, match="so many minutes or so many steps long"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("change", "says", "status"),
    [
        ("model=asbu", "no network 'asbu'", 2),
        ("arguments={specification: D}", "arguments of asbunet: specification must be one of", 2),
        ("arguments={width: 3}", "arguments of asbunet: .*width", 2),
        ("objective=instances", "objective instances: is for a SSDISB, the model is a ASBUNet", 2),
        ("objective=classes", "should have num_classes of 2 or more, got 1", 2),
        ("backbone=nothing.pth", "backbone: asbunet has no encoder of a classifier", 2),
        ("start=nothing.pt", "nothing.pt: cannot be read as weights", 4),
    ],
)
def test_what_does_not_fit_is_said_before_the_training(
    specs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, says: str, status: int
) -> None:
    assert main(arguments(FOLDER / "asbunet.yaml", specs["people"], tmp_path, change)) == status
    assert re.search(says, capsys.readouterr().err)
    assert not (tmp_path / "last.pt").exists()


def torchvision_names(encoder: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of MobileNetV2 as torchvision saves them: its names in its order, and more than the encoder takes."""
    names = ["features.0.0", "features.0.1"]
    for block in range(1, 18):
        layers = ("0.0", "0.1", "1", "2") if block == 1 else ("0.0", "0.1", "1.0", "1.1", "2", "3")
        names += [f"features.{block}.conv.{layer}" for layer in layers]
    of_layer = iter(names)
    state: dict[str, torch.Tensor] = {}
    layer = ""
    for key, value in encoder.state_dict().items():
        if key.endswith("weight"):  # the first of each layer
            layer = next(of_layer)
        state[f"{layer}.{key.rpartition('.')[2]}"] = torch.rand_like(value.float())
    return {**state, "features.18.0.weight": torch.zeros(1280, 320, 1, 1), "classifier.1.bias": torch.zeros(1000)}


@pytest.mark.parametrize("model", ["unet.mobilenet_v2", "dual_aspp"])
def test_a_classifier_begins_the_encoder_of_a_recipe(
    specs: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture, model: str
) -> None:
    encoder = NETWORKS[model]().encoder
    assert isinstance(encoder, nn.Module)
    state = torchvision_names(encoder)
    torch.save(state, tmp_path / "mobilenet_v2.pth")
    course = replace(load_recipe(FOLDER / "transfer.yaml", ("steps=2", "minutes=null")).course("x"), model=model,
                     backbone=tmp_path / "mobilenet_v2.pth")  # fmt: skip
    begun = encoder_of(build(course))
    assert begun is not None
    assert torch.equal(begun.state_dict()["stem.0.weight"], state["features.0.0.weight"])
    shares = {group["share"] for group in parameter_groups(build(course).named_parameters(), course.recipe)}
    assert shares == {0.2, 1.0}
    if model == "unet.mobilenet_v2":
        command = arguments(FOLDER / "transfer.yaml", specs["people"], tmp_path / "run", "rate=1.0e-9", "average=0")
        assert main([*command, "--backbone", str(tmp_path / "mobilenet_v2.pth")]) == 0
        learnt, _ = load_network(str(tmp_path / "run" / "transfer.safetensors"))
        stem = learnt.state_dict()["encoder.stem.0.weight"]
        assert torch.allclose(stem, state["features.0.0.weight"], atol=1e-3)
        assert "tensors loaded, features.0.0.weight to features.14.conv.0.1.running_var" in caplog.text


def test_a_set_without_photos_is_said_before_the_training(
    specs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}))
    assert main(arguments(FOLDER / "asbunet.yaml", f"coco:{empty}", tmp_path)) == 2
    assert f"{empty}: no pictures to use, 0 images are in it" in capsys.readouterr().err
    assert main(arguments(FOLDER / "asbunet.yaml", specs["people"], tmp_path, "subject={shapes: all}")) == 2
    assert f"{specs['people']}: no photo in it is of the subject" in capsys.readouterr().err
    assert not (tmp_path / "last.pt").exists()


def test_pictures_that_cannot_be_read_are_counted_when_the_training_begins(
    specs: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(specs["people"].partition(":")[2])
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes((path.parent / "images" / name).read_bytes())
    (tmp_path / "2.png").write_bytes(b"no picture")
    assert main(arguments(FOLDER / "qunet.yaml", f"coco:{path}?images={tmp_path}", tmp_path / "run")) == 0
    lines = [record.getMessage() for record in caplog.records]
    counted = lines.index("data: 2 pictures, 1 cannot be read and are left out")
    assert any("2.png: not a readable picture" in line for line in lines[:counted])
    assert "validation: 2 pictures, 1 cannot be read and are left out" in lines


def test_a_short_training_that_diverges_does_not_blame_the_device(
    specs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(FOLDER / "asbunet.yaml", specs["people"], tmp_path, "rate=1e30", "steps=6")) == 2
    assert re.search(r"step 6: .* the training has diverged; begin anew with a smaller one", capsys.readouterr().err)


@pytest.mark.parametrize("minutes", ["0", "-3", "nan", "inf"])
@pytest.mark.parametrize("name", ["qunet16", "semantic", "configs/train/qunet.yaml"])
def test_a_training_has_a_length(name: str, minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", name, "--minutes", minutes]) == 2
    assert f"--minutes should be above 0, got {minutes}" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "start"), [("qunet16", "asbunet"), ("qunet16", "qunet8")])
def test_a_start_of_another_network_is_said(
    name: str, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "persons").mkdir()
    monkeypatch.setenv("ARGOS_DATA", str(tmp_path))
    assert main(["train", name, "--start", start, "--out", str(tmp_path / "run")]) == 4
    assert re.search(f"{start}.safetensors: weights do not fit the QUNet to train: .*", capsys.readouterr().err)


def test_options_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nobody"]) == 2
    assert "no recipe 'nobody'; there are people, asbunet, qunet8, qunet16, qunet32, qunet64" in capsys.readouterr().err
    assert main(["train", "asbunet", "--set", "rate=1"]) == 2
    assert main(["train", "asbunet", "--workers", "-1"]) == 2
    assert "--workers should be 0 or more, got -1" in capsys.readouterr().err
    assert main(["train", "configs/train/qunet.yaml", "--start", "x"]) == 2
    assert "--start is not for recipe files" in capsys.readouterr().err
