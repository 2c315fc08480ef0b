"""Rendered people as photos: a training without any data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from argos.cli import main
from argos.config_recipe import load_recipe
from argos.errors import DataError
from argos.training.formats.read import read_photos
from argos.training.formats.rendered import PER_SCENE, held_out

RECIPE = Path(__file__).parents[2] / "configs" / "train" / "qunet.yaml"
SPEC = "fake://people?n=6&seed=3&size=192x144&frames=9"


def test_what_is_marked_is_what_is_drawn() -> None:
    crowded, empty = (read_photos(f"fake://people?n={n}&seed=3&size=192x144&frames=1")[0] for n in (6, 0))
    assert (crowded.source, empty.source) == ("rendered", "background")
    assert (crowded.image.shape, empty.ids.max(), len(empty.boxes)) == ((144, 192, 3), 0, 0)
    changed = np.abs(crowded.image.astype(int) - empty.image).max(2) > 40  # the same scene without the people
    assert (changed & (crowded.ids > 0)).sum() > 0.5 * (crowded.ids > 0).sum()
    assert changed[crowded.ids > 0].mean() > 20 * changed[crowded.ids == 0].mean()
    assert crowded.box_ids.tolist() == list(range(1, len(crowded.boxes) + 1))
    for number, box in zip(crowded.box_ids, crowded.boxes, strict=True):
        rows, columns = np.nonzero(crowded.ids == number)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_the_same_seed_gives_the_same_pictures_in_any_order() -> None:
    forth, back, other = (read_photos(spec) for spec in (SPEC, SPEC, SPEC.replace("seed=3", "seed=4")))
    assert len(forth) == 9
    first = list(forth)
    for index in (8, 2, 0):
        np.testing.assert_array_equal(back[index].image, first[index].image)
        np.testing.assert_array_equal(back[index].ids, first[index].ids)
    assert (first[0].image != other[0].image).mean() > 0.5
    within, across = (np.median(np.abs(first[n].image.astype(int) - first[0].image)) for n in (1, PER_SCENE))
    assert across > 2 * within, "another scene"


def test_training_sees_them_shrunk_and_measuring_in_their_size() -> None:
    spec = "fake://people?frames=1&size=640x360"
    assert read_photos(spec)[0].image.shape == (288, 512, 3)
    assert read_photos(spec, whole=True)[0].image.shape == (360, 640, 3)
    assert len(read_photos("fake://people")) == 200


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("fake://people?fps=3", "no key 'fps' for fake; there are: n, seed, size, frames"),
        ("fake://people?n=many", "n: should be a whole number, got 'many'"),
        ("fake://people?size=5", "size: should be WIDTHxHEIGHT, got '5'"),
        ("fake://people?frames=0", "frames: should be 1 or more, got 0"),
        ("fake://dogs", "the only rendered source is fake://people"),
        ("fake:people", "the only rendered source is fake://people"),
    ],
)
def test_a_wrong_option_is_said(spec: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_photos(spec)


def test_rendered_sets_are_measured_on_other_scenes_and_photos_on_the_projects() -> None:
    (held,) = held_out([SPEC])
    assert held == "fake://people?n=6&seed=1000003&size=192x144&frames=2"
    assert held_out(["fake://people"]) == ("fake://people?seed=1000001&frames=50",)
    assert held_out([SPEC, "coco:mine.json"]) == ()
    assert load_recipe(RECIPE, (f"data=[{SPEC!r}]",)).course("x").validation == (held,)
    named = load_recipe(RECIPE, (f"data=[{SPEC!r}]", "validation=[coco:a.json]"))
    assert named.course("x").validation == ("coco:a.json",)
    assert load_recipe(RECIPE).course("x").validation == ()


def test_a_training_and_a_measurement_without_any_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARGOS_DATA", str(tmp_path / "none"))
    small = "fake://people?n={}&seed={}&size=96x64&frames={}"
    data = f"data={[small.format(6, 1, 8), small.format(0, 2, 4)]}"
    overrides = [data, "phases=[{side: 64, batch: 2}]", "minutes=null", "steps=2", "start=null", "workers=0"]
    sets = [argument for override in overrides for argument in ("--set", override)]
    assert main(["train", str(RECIPE), "--out", str(tmp_path / "run"), "--threads", "1", *sets]) == 0
    model = str(tmp_path / "run" / "qunet.safetensors")
    capsys.readouterr()
    assert main(["eval", model, "--data", small.format(6, 9, 1), "--json", "--threads", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"]
    assert main(["eval", model, "--data", "fake://people?m=6"]) == 2
    assert "no key 'm' for fake" in capsys.readouterr().err
