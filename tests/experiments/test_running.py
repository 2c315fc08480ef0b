"""An experiment from its file to the page: trained, broken off, judged and drawn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch

from argos.cli import main
from argos.config_experiment import load_experiment
from argos.engines.weights import load_card
from argos.errors import PublishError
from argos.experiments import lines
from argos.experiments.lines import measure_line
from argos.experiments.models import models_of, models_of_recipe
from argos.experiments.page import page
from argos.experiments.results import Run, add_result, read_results
from argos.experiments.train import computed_figures, is_flat, setting_of
from argos.experiments.verdicts import by_variant, has_older_weights, judge, state_of
from argos.networks.dynamic import dynamic_unet
from argos.sources.read import read
from argos.training.formats.read import read_photos
from argos.training.photos import IGNORE, Photo
from argos.training.subjects import Subject, of_subject

TEXT = """\
title: Small ERFNets
source: nobody, Table 0
question: Which one?
differs: everything.
when: now
figures: {{miou: {{head: IoU, times: 100}}}}
recipe:
  model: essnet
  arguments: {{num_classes: 11}}
  objective: classes
  data: ["camvid:{data}?labels=classes&side=96"]
  validation: ["camvid:{data}?labels=classes&side=96"]
  scenes: {{share: 0, mosaic: 0}}
  phases: [{{side: 64, batch: 2}}]
  steps: {steps}
  rate: 0.001
variants:
  d: {{published: {{miou: "68.39"}}}}
  dg4: {{name: grouped, recipe: {{arguments: {{module: DG4}}}}, published: {{miou: "61.42"}}}}
claims: [{{says: groups cost, more: d, less: dg4, figure: miou}}]
"""

BEFORE = Path(__file__).parents[2] / "experiments" / "qunet_before_deep.yaml"


def write(root: Path, steps: int = 2) -> Path:
    """An experiment on one photo."""
    rng = np.random.default_rng(0)
    data = root / "camvid" / "train"
    for folder in ("images", "labels"):
        (data / folder).mkdir(parents=True)
    cv2.imwrite(str(data / "images" / "1.png"), rng.integers(0, 255, (96, 128, 3), np.uint8))
    cv2.imwrite(str(data / "labels" / "1.png"), rng.integers(0, 12, (96, 128), np.uint8))
    path = root / "experiments" / "small.yaml"
    path.parent.mkdir()
    path.write_text(TEXT.format(data=data, steps=steps))
    return path


def test_an_experiment_runs_once_and_is_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    folder = ["--folder", str(path.parent)]
    assert main(["experiment", "--render", *folder]) == 0
    assert "| grouped | 61.42 | - | not run |" in (tmp_path / "RESULTS.md").read_text()
    out = ["--out", str(tmp_path / "runs"), "--threads", "1"]
    assert main(["experiment", str(path), "--seeds", "2", "--only", "d", *out]) == 0
    assert main(["experiment", str(path), "--seeds", "1", *out]) == 0
    runs = read_results(path.parent / "results" / "small.json")
    assert [(run.variant, run.seed, run.steps, run.plateau) for run in runs] == [
        ("d", 1, 2, False), ("d", 2, 2, False), ("dg4", 1, 2, False)]  # fmt: skip
    assert all(0 <= run.figures["miou"] <= 1 and run.curve[-1][0] == 2 for run in runs)
    capsys.readouterr()
    assert main(["experiment", str(path), "--seeds", "1", "--render", *out, *folder]) == 0
    assert "small d seed" not in capsys.readouterr().out, "both are done"
    text = (tmp_path / "RESULTS.md").read_text()
    assert "2 not converged" in text
    assert "**not converged**, 2 seeds, 2 steps" in text
    assert "- *not converged*: groups cost (published +6.97; ours " in text
    assert "![small](experiments/results/small.png)" in text
    assert (path.parent / "results" / "small.png").stat().st_size > 5000
    assert main(["experiment", "--list", *folder]) == 0
    assert "d                        run: seeds 1, 2" in capsys.readouterr().out


def test_the_length_given_takes_the_place_of_the_experiments(tmp_path: Path) -> None:
    path = write(tmp_path, steps=100_000)
    given = ["--only", "d", "--seeds", "1", "--steps", "3", "--out", str(tmp_path / "runs"), "--threads", "1"]
    assert main(["experiment", str(path), *given]) == 0
    (run,) = read_results(path.parent / "results" / "small.json")
    assert (run.steps, run.plateau) == (3, False)


def test_variants_are_timed_in_turns_and_again_when_the_command_is_run_again(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text() + "timed: [32, 64]\n")
    given = ["--seeds", "1", "--out", str(tmp_path / "runs"), "--threads", "1"]
    assert main(["experiment", str(path), *given]) == 0
    file = path.parent / "results" / "small.json"
    first = read_results(file)
    assert [run.variant for run in first] == ["d", "dg4"]
    assert all(run.figures["ms"] > 0 and run.figures["variables"] > 1000 for run in first)
    assert main(["experiment", str(path), *given]) == 0
    again = read_results(file)
    assert [run.figures["miou"] for run in again] == [run.figures["miou"] for run in first]
    assert [run.figures["ms"] for run in again] != [run.figures["ms"] for run in first]


def test_a_stopped_experiment_keeps_no_half_results(tmp_path: Path) -> None:
    path = write(tmp_path, steps=100_000)
    hears = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # in the background it is ignored
    )
    command = [sys.executable, "-c", hears + "from argos.cli import main; raise SystemExit(main())"]
    command += ["experiment", str(path), "--out", str(tmp_path / "runs"), "--threads", "1"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        deadline = time.monotonic() + 90
        while not list((tmp_path / "runs").glob("**/events*")) + list((tmp_path / "runs").glob("*/*")):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 130
    assert "stopped; the same command goes on" in said
    assert not (path.parent / "results").exists(), "nothing that is not done is a result"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name an experiment"),
        (["PATH", "--only", "x"], "--only x: .* has no such variant; it has d, dg4"),
        (["PATH", "--photos", "3"], "--photos: .* trains"),
        (["PATH", "--seeds", "0"], "--seeds should be at least 1, got 0"),
        (["PATH", "--photos", "0"], "--photos should be at least 1, got 0"),
        (["PATH", "--minutes", "nan"], "--minutes should be at least 0.01, got nan"),
        ([str(BEFORE), "--steps", "5"], "--steps: nothing is trained in .*_deep.yaml; try it with --photos 10"),
        ([str(BEFORE), "--seeds", "7"], "--seeds: nothing is trained"),
        (["PATH", "--steps", "0"], "--steps should be at least 1, got 0"),
        (["--list", "--folder", "nowhere"], "nowhere: no experiments"),
    ],
)
def test_what_cannot_be_run_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    path = write(tmp_path)
    assert main(["experiment", *(str(path) if word == "PATH" else word for word in arguments)]) == 2
    assert re.search(says, capsys.readouterr().err)


def runs_of(values: dict[str, list[float]], plateau: bool, setting: dict[str, str]) -> list[Run]:
    return [
        Run(variant=key, seed=n, setting=setting[key], figures={"miou": value}, curve=[(10, value)], steps=10,
            plateau=plateau, machine="m", date="2026-01-01")
        for key, figures in values.items() for n, value in enumerate(figures, start=1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "plateau", "verdict"),
    [
        ({}, True, "not run"),
        ({"d": [0.5, 0.6, 0.5], "dg4": [0.4, 0.5, 0.4]}, True, "agrees"),
        ({"d": [0.5, 0.6, 0.5], "dg4": [0.4, 0.5, 0.4]}, False, "not converged"),
        ({"d": [0.5, 0.6], "dg4": [0.4, 0.5]}, True, "not converged"),
        ({"d": [0.4, 0.4, 0.4], "dg4": [0.5, 0.5, 0.5]}, True, "disagrees"),
        ({"d": [0.4, 0.6, 0.4], "dg4": [0.5, 0.5, 0.5]}, True, "undecided"),
    ],
)
def test_a_finding_is_judged_seed_by_seed(
    tmp_path: Path, values: dict[str, list[float]], plateau: bool, verdict: str
) -> None:
    experiment = load_experiment(write(tmp_path))
    setting = {key: setting_of(recipe) for key, recipe in experiment.recipes.items()}
    runs = by_variant(experiment, runs_of(values, plateau, setting))
    assert judge(experiment, experiment.file.claims[0], runs).verdict == verdict


def test_runs_of_another_length_are_not_mixed_in(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path))
    setting = {key: setting_of(recipe) for key, recipe in experiment.recipes.items()}
    assert setting["d"] != setting["dg4"]
    short = runs_of({"d": [0.1]}, True, {"d": "another"})
    whole = runs_of({"d": [0.0, 0.6, 0.7]}, True, setting)[1:]
    assert [run.seed for run in by_variant(experiment, short + whole)["d"]] == [2, 3]
    assert state_of(experiment, by_variant(experiment, short + whole)["d"]) == "not converged", "two seeds"
    path = tmp_path / "experiments" / "results" / "small.json"
    for run in short:
        add_result(path, run)
    assert ", not by the recipe in the file" in page([experiment], path.parent)
    for value in (0.8, 0.9):
        add_result(path, runs_of({"d": [value]}, True, setting)[0])
    runs = read_results(path)
    assert {run.setting: run.figures["miou"] for run in runs} == {"another": 0.1, setting["d"]: 0.9}
    assert len(runs) == 2, "a run takes the place of one of its own length, and of no other"
    assert [run.figures["miou"] for run in by_variant(experiment, runs)["d"]] == [0.9]


def test_results_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    (run,) = runs_of({"d": [0.1]}, True, {"d": "one"})
    with pytest.raises(PublishError, match=r"small\.json: cannot be written \(.*the same command goes on from here"):
        add_result(tmp_path / "results" / "small.json", run)


def test_a_training_is_flat_when_its_last_quarter_gains_little() -> None:
    rising = [(n, n / 20) for n in range(1, 13)]
    level = [(n, min(n, 8) / 20) for n in range(1, 13)]
    assert not is_flat(rising)
    assert is_flat(level)
    assert not is_flat(level[-5:]), "too few to tell"


def test_the_setting_does_not_depend_on_where_the_data_is(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    settings = [setting_of(load_experiment(write(root)).recipes["d"]) for root in (first, second)]
    assert settings[0] == settings[1]


def people_photo(size: tuple[int, int] = (200, 300)) -> Photo:
    """A tall person on the left, another in the middle, a strip of which nothing is known."""
    ids = np.zeros(size, np.uint8)
    ids[20:180, 10:70] = 1
    ids[40:160, 120:260] = 2
    ids[:, 290:] = IGNORE
    boxes = np.array([[10, 20, 70, 180], [120, 40, 260, 160]], np.float32)
    image = np.repeat((ids * 60)[:, :, None], 3, 2)
    return Photo(image, ids, boxes, np.array([1, 2], np.uint8), np.zeros((0, 4), np.float32), "test", "two")


def test_a_crop_shows_one_person_and_the_margin_shrinks_it() -> None:
    photo = people_photo()
    tight, wide = (of_subject([photo], Subject(crops=margin)) for margin in (0.0, 0.1))
    assert [crop.image.shape for crop in tight] == [(320, 192, 3)] * 2
    first = tight[0]
    assert set(np.unique(first.ids)) <= {0, 1, IGNORE}
    assert (first.image[first.ids == 1] == 60).mean() > 0.95, "the mask lies on the person"
    shares = [[(crop.ids == 1).mean() for crop in crops] for crops in (tight, wide)]
    assert all(b == pytest.approx(a / 1.2**2, rel=0.05) for a, b in zip(*shares, strict=True))
    assert (wide[1].ids == IGNORE).any(), "beyond the photo nothing is known"


def test_shapes_are_those_of_single_shape() -> None:
    photo = people_photo()  # at 640: 128x341 and 299x256 pixels
    assert of_subject([photo], Subject(shapes="all")) == [], "too large for all of them"
    small = Photo(photo.image, photo.ids, photo.boxes / 4, photo.box_ids, photo.ignore, "test", "small")
    (kept,) = of_subject([small], Subject(shapes="all"))
    assert kept is small
    (only,) = of_subject([small], Subject(shapes="matching"))
    assert len(only.boxes) + len(only.ignore) == 2


def test_chosen_classes_are_people_and_nothing_else_is() -> None:
    photo = people_photo()
    (chosen,) = of_subject([photo], Subject(classes=(2,)))
    assert ((chosen.ids == 254) == (photo.ids == 2)).all()
    assert ((chosen.ids == IGNORE) == (photo.ids == IGNORE)).all()
    assert not chosen.boxes_known


def measured(name: str, variants: int) -> list[dict[str, float]]:
    """Figures of the first variants on the first frame of the sample clip; labels are made up."""
    root = Path(__file__).parents[2]
    frame = next(iter(read(str(root / "samples" / "people.mp4"), "clip")))
    ids = np.zeros(frame.size, np.uint8)
    ids[10:200, 10:60] = 1
    photo = Photo(frame.pixels, ids, np.array([[10, 10, 60, 200]], np.float32), np.ones(1, np.uint8),
                  np.zeros((0, 4), np.float32), "clip", "first")  # fmt: skip
    file = load_experiment(root / "experiments" / f"{name}.yaml").file
    chosen = [variant.line for variant in file.variants.values() if variant.line][:variants]
    figures = [measure_line(line, [photo]) for line in chosen]
    assert all(set(file.figures) - set(one) <= {"found_small", "found_medium"} for one in figures)
    return figures


def test_a_shipped_detector_is_measured_in_every_mode() -> None:
    full, mask, pack, gather = measured("qunet_before_deep", 4)
    assert full["computed"] == 1.0
    assert 0 < mask["computed"] < gather["computed"] < 1
    assert mask["gops"] < gather["gops"] < full["gops"]
    assert pack["gops"] > 0


def test_a_shipped_segmenter_is_measured() -> None:
    full, mask = measured("qunet_before_segmenter", 2)
    assert mask["computed"] < full["computed"] == 1.0
    assert 0 <= mask["found_all"] <= 1


def test_runs_of_shipped_models_say_which_and_are_old_when_others_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = load_experiment(BEFORE)
    asked: list[str] = []
    monkeypatch.setattr(lines, "measure_line", lambda line, _: asked.append(line.mode) or {"gops": 1.0})
    results = tmp_path / "qunet_before_deep.json"
    assert len(list(lines.run_lines(experiment, results, [], ["full", "mask"]))) == 2
    deep, proposer = load_card("ssdisb"), load_card("qunet16")
    runs = {run.variant: run for run in read_results(results)}
    assert runs["full"].models == [f"ssdisb@sha256:{deep.sha256[:12]}"]
    assert runs["mask"].models == [deep.identity, proposer.identity]
    text = page([experiment], tmp_path)
    assert "| 2 measured, 2 not run |" in text
    assert f"With {proposer.identity}, {deep.identity}." in text
    assert list(lines.run_lines(experiment, results, [], ["full", "mask"])) == [], "nothing is run twice"

    add_result(results, msgspec.structs.replace(runs["mask"], models=[deep.identity, "qunet16@sha256:000000000000"]))
    assert "| 1 measured, 1 measured with older weights, 2 not run |" in page([experiment], tmp_path)
    add_result(results, msgspec.structs.replace(runs["full"], models=[]))
    assert "| 2 measured with older weights, 2 not run |" in page([experiment], tmp_path), "it does not say which"
    asked.clear()
    assert len(list(lines.run_lines(experiment, results, [], ["full", "mask"]))) == 2
    assert asked == ["full", "mask"], "they are run anew"
    assert "| 2 measured, 2 not run |" in page([experiment], tmp_path)


def test_trainings_that_begin_with_shipped_models_say_which() -> None:
    begun = load_experiment(BEFORE.with_name("isb_branches.yaml"))
    assert models_of(begun, "multi_shape") == [load_card("ssdisb").identity]
    measured_behind = load_experiment(BEFORE.with_name("dynamic_convolutions.yaml"))
    assert models_of(measured_behind, "plain") == [load_card("qunet16").identity]
    assert models_of(measured_behind, "dynamic") == []
    recipe = begun.recipes["multi_shape"]
    assert models_of_recipe(recipe.model_copy(update={"start": "runs/mine/average.pt"})) == []
    old = Run(variant="multi_shape", seed=1, setting=setting_of(recipe), figures={}, steps=9, machine="m", date="d")
    assert has_older_weights(begun, old)
    assert not has_older_weights(begun, msgspec.structs.replace(old, models=models_of(begun, "multi_shape")))


def test_keys_that_recipes_got_later_leave_the_digest_of_kept_results(tmp_path: Path) -> None:
    recipe = load_experiment(write(tmp_path)).recipes["d"]
    assert setting_of(recipe) == "fa831e66c66d", "as it was before; a new key belongs into LATER_KEYS"
    assert setting_of(recipe.model_copy(update={"norm_momentum": 0.01})) != setting_of(recipe)


def test_camvid_can_be_read_smaller(tmp_path: Path) -> None:
    write(tmp_path)
    (photo,) = read_photos(f"camvid:{tmp_path}/camvid/train?labels=classes&side=64")
    assert photo.image.shape == (48, 64, 3)


def test_what_decides_for_itself_is_measured_beside_proposals() -> None:
    torch.manual_seed(0)
    photo = people_photo()
    own = computed_figures(dynamic_unet().eval(), [photo])
    assert dynamic_unet().fixed < own["computed"] < 1
    behind = computed_figures(dynamic_unet(budget=None).eval(), [photo])
    assert behind["computed"] == 1.0
    assert 0 <= behind["computed_behind"] <= 1
    assert 0 <= behind["iou_behind"] <= 1
