"""Every experiment is valid, and every network in it learns from a scene by its own loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from argos.config_experiment import Experiment, load_experiment
from argos.config_recipe import RecipeFile
from argos.engines.weights import load_card
from argos.errors import ConfigError
from argos.networks.essnet import EncoderDecoder
from argos.networks.published import TABLES
from argos.training.course import build
from argos.training.objectives import objective
from argos.training.photos import Photo
from argos.training.recipe import optimizer_for
from argos.training.scenes import Scene
from argos.training.stream import Batch, collate

FOLDER = Path(__file__).parents[2] / "experiments"
PATHS = sorted(FOLDER.glob("*.yaml"))
EXPERIMENTS = {path.stem: load_experiment(path) for path in PATHS}

NOW = {"asbunet_rivals", "qunet_bits", "qunet_before_deep", "qunet_before_segmenter", "isb_branches", "essnet_grouping",
       "dual_aspp_heads"}  # fmt: skip


def networks() -> dict[str, RecipeFile]:
    """One recipe for each network and objective of all experiments."""
    found: dict[str, tuple[str, RecipeFile]] = {}
    for name, experiment in EXPERIMENTS.items():
        for key, recipe in experiment.recipes.items():
            same = f"{recipe.model} {sorted(recipe.arguments.items())} {recipe.objective}"
            found.setdefault(same, (f"{name}-{key}", recipe))
    return dict(found.values())


def scenes(classes: int) -> Batch:
    """Two views of 64 px: a person each, or squares of the first classes."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(2):
        ids = np.zeros((64, 64), np.uint8)
        ids[8:60, 20:40] = 1
        if classes > 2:
            ids[:16, :16] = classes - 1
        box = np.array([[20, 8, 40, 60]], np.float32)
        drawn.append(Scene(rng.integers(0, 255, (64, 64, 3), np.uint8), ids, box, np.ones(1, np.uint8),
                           np.zeros((0, 4), np.float32)))  # fmt: skip
    return collate(drawn)


def photo_of(batch: Batch) -> Photo:
    return Photo(batch.images[0].permute(1, 2, 0).numpy(), batch.ids[0].numpy(), batch.boxes[0].numpy(),
                 batch.box_ids[0].numpy(), np.zeros((0, 4), np.float32), "test", "scene")  # fmt: skip


NETWORKS = networks()
FIRST = {f"{name}-{next(iter(experiment.recipes))}" for name, experiment in EXPERIMENTS.items() if experiment.recipes}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_learns_from_a_scene(name: str) -> None:
    """Two steps for the first variant of an experiment, the gradient of one for the others."""
    recipe = NETWORKS[name]
    course = recipe.course(name)
    torch.manual_seed(0)
    network = build(course)
    batch = scenes(getattr(network, "num_classes", 1))
    photos = [photo_of(batch)]
    aim = objective(course.objective, network, photos, photos)
    # of several branches only those of the shapes in the scene are asked
    learning = {key: one for key, one in aim.wrapped.named_parameters() if not key.startswith("branches")}
    before = {key: one.detach().clone() for key, one in learning.items()}
    optimizer = optimizer_for(aim.wrapped, course.recipe)
    for _ in range(2 if name in FIRST else 1):
        optimizer.zero_grad(set_to_none=True)
        total = torch.stack(list(aim.loss(aim.wrapped, batch).values())).sum()
        assert torch.isfinite(total)
        total.backward()  # type: ignore[no-untyped-call]
        if name in FIRST:
            optimizer.step()
    gradients = [key for key, one in learning.items() if one.grad is not None and bool(one.grad.any())]
    assert len(gradients) > 0.5 * len(learning), "most of it learns"
    branches = [one for key, one in aim.wrapped.named_parameters() if key.startswith("branches")]
    assert not branches or any(one.grad is not None and bool(one.grad.any()) for one in branches)
    if name in FIRST:
        assert sum(not torch.equal(before[key], one) for key, one in learning.items()) > 0.5 * len(learning)


def test_all_the_experiments_asked_for_now_are_there() -> None:
    assert {name for name, experiment in EXPERIMENTS.items() if experiment.file.when == "now"} == NOW


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_an_experiment_compares_things_that_differ(name: str) -> None:
    experiment = EXPERIMENTS[name]
    settings = [recipe.model_dump(exclude={"about"}) for recipe in experiment.recipes.values()]
    assert all(one not in settings[:n] for n, one in enumerate(settings)), "two variants are the same"
    lines = [variant.line for variant in experiment.file.variants.values() if variant.line]
    assert len(lines) + len(settings) == len(experiment.file.variants)
    assert len(set(map(str, lines))) == len(lines)
    assert {load_card(line.model).task for line in lines} <= {"instances", "semantic"}
    lengths = {(recipe.steps, recipe.minutes) for recipe in experiment.recipes.values()}
    assert len(lengths) <= 1, "variants of unequal length"
    for variant in experiment.file.variants.values():
        assert all(float(printed) >= 0 for printed in variant.published.values())


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_what_a_document_finds_is_what_it_printed(name: str) -> None:
    file = EXPERIMENTS[name].file
    for claim in file.claims:
        more, less = (file.variants[key].published.get(claim.figure) for key in (claim.more, claim.less))
        if more and less:
            assert float(more) > float(less), claim.says


@pytest.mark.parametrize("kind", ["variables", "banded_jaccard", "ms"])
def test_printed_figures_of_asbunet_are_those_of_the_tables(kind: str) -> None:
    table, quantity = {"variables": ("asbunet:7", "variables"), "banded_jaccard": ("asbunet:6", "accuracy"),
                       "ms": ("asbunet:6", "ms")}[kind]  # fmt: skip
    cells = {row.name: cell.printed for row in TABLES[table].rows for cell in row.cells if cell.quantity == quantity}
    own = EXPERIMENTS["asbunet_rivals"].file.variants.values()
    assert {variant.published[kind] for variant in own} <= set(cells.values())


def test_gradual_groups_are_those_of_the_plain_ones_in_the_end() -> None:
    recipes = EXPERIMENTS["essnet_grouping"].recipes
    for plain, gradual in (("dg2", "dg2_gradual"), ("dg4", "dg4_gradual")):
        first, second = (build(recipes[key].course(key)) for key in (plain, gradual))
        assert isinstance(first, EncoderDecoder)
        assert sum(p.numel() for p in first.parameters()) < sum(p.numel() for p in second.parameters())


def load(tmp_path: Path, text: str) -> Experiment:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_experiment(path)


GOOD = """\
title: t
source: s
question: q
differs: d
when: now
figures: {iou: {head: IoU}}
recipe: {model: asbunet, objective: person, phases: [{side: 64, batch: 2}], steps: 2, rate: 0.001}
variants: {a: {}, b: {recipe: {rate: 0.01, arguments: {activation: swish}}}}
"""


def test_variants_differ_from_the_recipe_where_they_say_so(tmp_path: Path) -> None:
    experiment = load(tmp_path, GOOD)
    assert {key: recipe.rate for key, recipe in experiment.recipes.items()} == {"a": 0.001, "b": 0.01}
    assert experiment.recipes["b"].arguments == {"activation": "swish"}
    assert experiment.recipes["b"].about == "s: b"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rate: 0.01,", "rate: fast,", r"mine.yaml:8:\d+: variants.b.recipe.rate: "),
        ("rate: 0.001}", "raet: 0.001}", r"mine.yaml:7:\d+: recipe.raet: unknown key - did you mean 'rate'"),
        ("when: now", "when: later", r"mine.yaml:5:7: when: "),
        ("a: {}", "a: {published: {iuo: '1'}}", r"variants.a.published: there is no 'iuo' - did you mean 'iou'"),
        ("recipe: {model", "recipes: {model", "recipes: unknown key"),
        ("a: {}", "a: {line: {model: ssdisb, mode: full}}", "give a recipe for all of them, or a line for each"),
    ],
)
def test_what_is_wrong_in_an_experiment_is_said(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, GOOD.replace(old, new))


def test_a_claim_names_variants_of_the_experiment(tmp_path: Path) -> None:
    claim = "claims: [{says: x, more: a, less: c, figure: iou}]\n"
    with pytest.raises(ConfigError, match="claims: more, less: there is no 'c'"):
        load(tmp_path, GOOD + claim)
