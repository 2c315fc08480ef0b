"""Shipped models behind the runs of an experiment, by name and digest."""

from __future__ import annotations

from pathlib import Path

from argos.config_experiment import Experiment, Line
from argos.config_recipe import RecipeFile
from argos.engines.weights import SHIPPED, load_card

PROPOSER = "qunet16"
"""Proposes in every experiment that asks for proposals."""


def models_of(experiment: Experiment, variant: str) -> list[str]:
    """What a variant would run or begin with today, ``name@sha256:`` and 12 digits each; none where nothing is shipped.

    Raises:
        WeightsError: a line names a model that is not there.
    """
    line = experiment.file.variants[variant].line
    return models_of_line(line) if line else models_of_recipe(experiment.recipes[variant])


def models_of_line(line: Line) -> list[str]:
    """The deep model, and the proposer where it is asked."""
    return [load_card(name).identity for name in (line.model, *([] if line.mode == "full" else [PROPOSER]))]


def models_of_recipe(recipe: RecipeFile) -> list[str]:
    """What the weights begin with, and the proposer before which a network without decisions of its own is measured."""
    begun = [Path(path).stem for path in (recipe.start, recipe.backbone) if path and _is_shipped(path)]
    behind = recipe.model == "dynamic_unet" and recipe.arguments.get("budget", 0) is None
    return [load_card(name).identity for name in (*begun, *([PROPOSER] if behind else []))]


def _is_shipped(path: str) -> bool:
    """By the end of the path: recipes name it from the folder in which the command runs."""
    return Path(path).parts[-3:-1] == SHIPPED.parts[-2:] and (SHIPPED / Path(path).name).is_file()
