"""Every recipe of ``configs/train`` runs, and what is wrong in one is said with its place."""

from __future__ import annotations

import json
import math
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
from safetensors.torch import load_file
from torch import nn

from argos.cli import main
from argos.config_recipe import load_recipe
from argos.engines.weights import load_network, weights_path
from argos.errors import ConfigError
from argos.networks.essnet import essnet, essnet_a
from argos.networks.layers.grouping import GradualGroupConv2d
from argos.networks.ssd_isb import SSDISB
from argos.networks.table import NETWORKS
from argos.training import datasets
from argos.training.course import build, course_photos
from argos.training.detection import truths_of
from argos.training.formats.read import every_photo
from argos.training.losses import class_weights
from argos.training.losses_ssd import mask_loss
from argos.training.objectives import published_instances_loss
from argos.training.pretrained import encoder_of, take_what_fits
from argos.training.recipe import learning_rate, optimizer_for, parameter_groups, set_rates
from argos.training.scenes import Scene, draw_scene
from argos.training.stream import collate

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


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "average.pt", weights_only=True)
    return state


def alphas(state: dict[str, torch.Tensor]) -> set[float]:
    return {float(value) for key, value in state.items() if key.endswith(".alpha")}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], prefix: str) -> list[bool]:
    """Whether each matrix and vector of weights below a prefix has changed."""
    keys = [key for key in after if key.startswith(prefix) and key.endswith("weight")]
    return [not torch.equal(before[key], after[key]) for key in keys]


def test_the_encoder_of_one_training_begins_the_next(specs: dict[str, str], tmp_path: Path) -> None:
    assert main(arguments(FOLDER / "essnet_encoder.yaml", specs["classes"], tmp_path / "first")) == 0
    start = tmp_path / "first" / "average.pt"
    more = [f"start={start}", "rate=1.0e-6"]
    assert main(arguments(FOLDER / "essnet.yaml", specs["classes"], tmp_path / "second", *more)) == 0
    before, after = weights_of(tmp_path / "first"), weights_of(tmp_path / "second")
    encoder = [key for key in after if key.startswith("encoder.") and key.endswith("weight")]
    assert all(torch.allclose(before[key], after[key], atol=1e-5) for key in encoder), "it begins with them"
    assert all(moved(before, after, "encoder.")), "and they go on learning"
    assert not any(key.startswith("decoder") for key in before)
    said = take_what_fits(essnet_a(num_classes=11), start)
    assert "2 left out" in said, "the convolution to the classes of the encoder alone"


def test_groups_part_in_the_encoder_alone_which_is_then_almost_frozen_for_a_while(
    specs: dict[str, str], tmp_path: Path
) -> None:
    first, second, third = (tmp_path / name for name in ("encoder", "held", "free"))
    encoder = FOLDER / "essnet_gradual_encoder.yaml"
    assert main(arguments(encoder, specs["classes"], first, "steps=6", "workers=0")) == 0
    assert alphas(weights_of(first)) == {0.0}, "alpha has faded"
    whole = FOLDER / "essnet_gradual.yaml"
    given = [f"start={first / 'average.pt'}", "pretrained_until=0.5", "workers=0"]
    assert main(arguments(whole, specs["classes"], second, "steps=1", *given)) == 0
    held = weights_of(second)
    assert not any(moved(weights_of(first), held, "encoder.")), "5e-20 is below the last digit of every weight"
    assert alphas(held) == {0.0}, "it does not begin at 1 again"
    assert main(arguments(whole, specs["classes"], third, "steps=2", *given)) == 0
    assert all(moved(held, weights_of(third), "encoder.")), "from the half on it learns as fast as the decoder"
    assert alphas(weights_of(third)) == {0.0}
    shipped, _ = load_network(str(second / "essnet_gradual.safetensors"))
    assert {float(m.alpha) for m in shipped.modules() if isinstance(m, GradualGroupConv2d)} == {0.0}


def test_branches_learn_and_the_detector_stays(specs: dict[str, str], tmp_path: Path) -> None:
    begun = weights_path("ssdisb")
    assert main(arguments(FOLDER / "ssdisb_multi.yaml", specs["people"], tmp_path, f"start={begun}")) == 0
    before, after = load_file(begun), weights_of(tmp_path)
    detector = [key for key in before if not key.startswith("branches.")]
    assert all(torch.equal(before[key].float(), after[key].float()) for key in detector), "statistics, too"
    first = {key.removeprefix("branches.0."): value for key, value in before.items() if key.startswith("branches.0.")}
    branches = [f"branches.{number}.{key}" for number in range(10) for key in first]
    changed = {key for key in branches if not torch.equal(first[key.split(".", 2)[2]].float(), after[key].float())}
    assert changed
    assert len({key.split(".")[1] for key in changed}) < 10, "only those of the shapes in the photos are asked"


def test_a_group_is_held_back_until_its_time() -> None:
    recipe = load_recipe(FOLDER / "essnet_gradual.yaml").course("x").recipe
    assert (recipe.optimizer, recipe.momentum, recipe.weight_decay, recipe.average) == ("adam", 0.9, 2e-4, 0.0)
    optimizer = optimizer_for(essnet("DG2", gradual=True), recipe)
    rates = []
    for progress in (0.0, 0.0999, 0.1):
        set_rates(optimizer, recipe, learning_rate(recipe, progress, 0), progress)
        rates.append(sorted({float(group["lr"]) for group in optimizer.param_groups}))
    assert rates[0] == rates[1] == [pytest.approx(5e-20), 5e-4]
    assert rates[2] == [5e-4]
    assert learning_rate(recipe, 0.5, 0, plateaus=2) == pytest.approx(1.25e-4)


@pytest.mark.parametrize("name", ["essnet_encoder", "essnet", "essnet_gradual_encoder", "wspdnet_published"])
def test_networks_of_essnets_thesis_normalise_and_drop_as_it_says(name: str) -> None:
    network = build(load_recipe(FOLDER / f"{name}.yaml", ("start=null",)).course("x"))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.1)}
    assert {module.p for module in network.modules() if isinstance(module, (nn.Dropout, nn.Dropout2d))} >= {0.3}
    assert float(class_weights(torch.zeros(1))) == pytest.approx(1 / math.log(1.10))


def test_asbunets_statistics_move_by_a_hundredth_and_its_rate_falls_in_stairs() -> None:
    course = load_recipe(FOLDER / "asbunet_published.yaml").course("x")
    momenta = [module.momentum for module in build(course).modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(momenta) > 20
    assert set(momenta) == {0.01}, "an average decay of 0.99"
    others = build(load_recipe(FOLDER / "asbunet.yaml").course("x")).modules()
    assert {module.momentum for module in others if isinstance(module, nn.BatchNorm2d)} == {0.1}
    recipe = course.recipe
    (group, *_) = optimizer_for(build(course), recipe).param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.9, 1e-12)
    rates = [learning_rate(recipe, progress, 0) for progress in (0.0, 0.29, 0.3, 0.6, 0.9)]
    assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4, 1e-5])


@pytest.mark.parametrize(("name", "factor", "every"), [("ssdisb", 30, 10_000), ("ssdisb_multi", 150, 15_000)])
def test_masks_of_ssdisb_weigh_and_its_rate_falls_as_the_thesis_says(name: str, factor: int, every: int) -> None:
    course = load_recipe(FOLDER / f"{name}_published.yaml").course("x")
    recipe = course.recipe
    assert [learning_rate(recipe, 0.0, step) for step in (0, every - 1, every, 3 * every)] == pytest.approx(
        [4e-5, 4e-5, 4e-5 * 0.75, 4e-5 * 0.75**3]
    )
    assert (recipe.accumulate, recipe.phases[0].batch, recipe.phases[0].side) == (4, 6, 640)
    torch.manual_seed(0)
    network = build(course).eval()
    assert isinstance(network, SSDISB)
    scene = Scene(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8), np.array([[8, 8, 40, 60]], np.float32),
                  np.ones(1, np.uint8), np.zeros((0, 4), np.float32))  # fmt: skip
    scene.ids[8:60, 8:40] = 1
    batch, truths = collate([scene]), truths_of(collate([scene]))
    output = network(batch.images.float().div(255))
    unweighted = float(mask_loss(network.masks(output.features, [t.boxes for t in truths]), truths).detach())
    weighted = float(published_instances_loss(network, batch)["mask"].detach())
    assert unweighted > 0.1
    assert weighted == pytest.approx(factor * unweighted, rel=1e-4)


def test_dual_aspp_published_sees_whole_photos_as_they_are(specs: dict[str, str]) -> None:
    given = (f"data=[{specs['classes']!r}]", f"validation=[{specs['classes']!r}]")
    photos = course_photos(load_recipe(FOLDER / "dual_aspp_published.yaml", given).course("x"))
    first, second = (draw_scene(photos.mix, 64, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.array_equal(first.image, second.image), "nothing is left to chance"
    assert set(np.unique(first.ids[:48])) <= {*range(11), 255}
    assert (first.ids[48:] == 255).all(), "the photo is 4:3"
    with pytest.raises(ConfigError, match="scenes: augment: false shows photos as they are: set share and mosaic to 0"):
        load_recipe(FOLDER / "qunet.yaml", ("scenes.augment=false",))


def test_scenes_of_the_projects_data_are_those_of_the_recipe(
    specs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = every_photo([specs["people"]])[0][0]
    own = datasets.TrainingPhotos([photo], [photo], [photo], [photo], [])
    monkeypatch.setattr(datasets, "data_folder", Path)
    monkeypatch.setattr(datasets, "rendered_rooms", lambda: [photo])
    monkeypatch.setattr(datasets, "training_photos", lambda _: own)
    monkeypatch.setattr(datasets, "validation_photos", lambda _: [photo])
    for name in ("ssdisb_published", "ssdisb_multi_published"):
        mix = course_photos(load_recipe(FOLDER / f"{name}.yaml").course("x")).mix
        assert (mix.paste, mix.mosaic, mix.augment) == (0.0, 0.0, True), name
    mix = course_photos(load_recipe(FOLDER / "asbunet.yaml").course("x")).mix
    assert (mix.paste, mix.mosaic, mix.min_height) == (0.45, 0.65, 20.0)


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
    assert main(["run", "fake://people", "--set", f"engine.models.semantic={model}", "--frames", "1",
                 "--set", "camera.tasks=[semantic]"]) == 4  # fmt: skip
    assert "a model for classes, not for semantic" in capsys.readouterr().err


def test_a_recipe_file_says_how_many_processes_draw() -> None:
    path = FOLDER / "qunet.yaml"
    assert load_recipe(path).course("x").recipe.workers is None
    assert load_recipe(path, ("workers=3",)).course("x").recipe.workers == 3
    with pytest.raises(ConfigError, match="workers: should be at least 0, got -1"):
        load_recipe(path, ("workers=-1",))


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


def test_a_length_that_is_set_takes_the_place_of_the_one_in_the_file() -> None:
    said, changed = load_recipe(FOLDER / "qunet.yaml"), load_recipe(FOLDER / "qunet.yaml", ("steps=2000",))
    assert (said.minutes, said.steps, changed.minutes, changed.steps) == (90, None, None, 2000)
    changed = load_recipe(FOLDER / "ssdisb_published.yaml", ("minutes=2",))
    assert (changed.minutes, changed.steps) == (2, None)
    assert load_recipe(FOLDER / "qunet.yaml", ("steps=null",)).minutes == 90
    with pytest.raises(ConfigError, match="give one of the two"):
        load_recipe(FOLDER / "qunet.yaml", ("steps=2000", "minutes=2"))


@pytest.mark.parametrize(
    ("change", "says", "status"),
    [
        ("model=asbu", "no network 'asbu'", 2),
        ("arguments={specification: D}", "arguments of asbunet: specification must be one of", 2),
        ("arguments={width: 3}", "arguments of asbunet: .*width", 2),
        ("objective=instances", "objective instances: is for a SSDISB, the model is a ASBUNet", 2),
        ("objective=classes; scenes={share: 0, mosaic: 0}", "should have num_classes of 2 or more, got 1", 2),
        ("objective=classes", "by the numbers that are classes here: write scenes: {share: 0, mosaic: 0}", 2),
        ("seed=-1", "seed: should be at least 0, got -1", 2),
        ("momentum=1", "momentum: should be less than 1, got 1", 2),
        ("backbone=nothing.pth", "backbone: asbunet has no encoder of a classifier", 2),
        ("start=nothing.pt", "nothing.pt: cannot be read as weights", 4),
    ],
)
def test_what_does_not_fit_is_said_before_the_training(
    specs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, says: str, status: int
) -> None:
    assert main(arguments(FOLDER / "asbunet.yaml", specs["people"], tmp_path, *change.split("; "))) == status
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


def test_a_list_that_is_no_yaml_is_one_fault_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(FOLDER / "dual_aspp.yaml")
    assert main(["train", recipe, "--set", "data=[camvid:PATH?labels=classes]", "--set", "phases=[{side: 6?}]"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "data: not YAML: expected ',' or ']', but got '?'" in first
    assert first.endswith(""" - put each text in quotes: --set 'data=["camvid:PATH?labels=classes"]'""")
    assert "phases: not YAML: " in second
    assert "in quotes" not in second


def test_a_set_without_photos_is_said_before_the_training(
    specs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}))
    assert main(arguments(FOLDER / "asbunet.yaml", f"coco:{empty}", tmp_path)) == 2
    assert f"{empty}: no pictures to use, 0 images are in it" in capsys.readouterr().err
    assert main(arguments(FOLDER / "asbunet.yaml", specs["people"], tmp_path, "subject={shapes: all}")) == 2
    assert f"{specs['people']}: no photo in it is of the subject" in capsys.readouterr().err
    nobody = f"folder:{Path(specs['people'].partition(':')[2]).parent / 'images'}"
    for recipe in ("asbunet", "qunet"):
        assert main(arguments(FOLDER / f"{recipe}.yaml", specs["people"], tmp_path, f"validation=[{nobody!r}]")) == 2
        assert "argos: validation: the photos are of nobody" in capsys.readouterr().err
    assert main(arguments(FOLDER / "qunet.yaml", specs["people"], tmp_path, f"data=[{nobody!r}]")) == 2
    assert "argos: data: the photos are of nobody" in capsys.readouterr().err
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


@pytest.mark.parametrize(("name", "start"), [("qunet16", "asbunet"), ("qunet8", "qunet16")])
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
