"""Experiment files: a question of a document, the figures it printed, and the trainings or runs that answer it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from argos.config import read_document, validate_section, without_repeats
from argos.config_faults import ConfigFaults, Fault, did_you_mean
from argos.config_recipe import RecipeFile
from argos.config_values import Section

Names = Annotated[dict[str, str], Field(default_factory=dict)]
Size = Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]


class Figure(Section):
    """One column of the table.

    Attributes:
        head: what stands over it.
        times: our figure is multiplied by this, to have the unit of the document.
        digits: behind the point.
    """

    head: str
    times: float = 1.0
    digits: Annotated[int, Field(ge=0, le=6)] = 2


class Line(Section):
    """A shipped model behind shipped proposals, run on the validation photos without any training.

    Attributes:
        model: of the deep place, a name of ``argos models list``.
        mode: how it is run; ``full`` needs no proposals.
        side: network pixels of the longer side of a photo.
    """

    model: str
    mode: Literal["full", "mask", "pack", "gather"]
    side: Annotated[int, Field(ge=64, multiple_of=32)] = 640


class Variant(Section):
    """One row of the table.

    Attributes:
        name: in the table; the key for none.
        recipe: keys that differ from the recipe of the experiment; ``arguments`` are put over its own, one by one.
        line: what is run, in an experiment without training.
        published: figures as printed, by the keys of ``figures``.
        note: beneath the table.
    """

    name: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    line: Line | None = None
    published: Names
    note: str = ""


class Claim(Section):
    """A finding of the document: one variant has more of a figure than another."""

    says: str
    more: str
    less: str
    figure: str


class ExperimentFile(Section):
    """An experiment.

    Attributes:
        title: of its section.
        source: document and table.
        question: that it answers.
        differs: how we do it otherwise than the document.
        when: ``now`` (within hours on two cores) or ``ready`` (its recipes are tested for a few steps).
        figures: columns; the first one is what a training is judged by.
        recipe: as of ``argos train``, without ``about``; None where shipped models are run.
        timed: (height, width) of the input at which the forward pass is timed and counted too.
        variants: rows, in order.
        claims: what the document finds.
    """

    title: str
    source: str
    question: str
    differs: str
    when: Literal["now", "ready"]
    figures: Annotated[dict[str, Figure], Field(min_length=1)]
    recipe: dict[str, Any] | None = None
    timed: Size | None = None
    variants: Annotated[dict[str, Variant], Field(min_length=1)]
    claims: Annotated[tuple[Claim, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _known(self) -> ExperimentFile:
        for key, variant in self.variants.items():
            if (variant.line is None) == (self.recipe is None):
                raise ValueError(f"variants.{key}: give a recipe for all of them, or a line for each variant")
            for figure in variant.published:
                _expect(figure, self.figures, f"variants.{key}.published")
        for claim in self.claims:
            _expect(claim.figure, self.figures, "claims: figure")
            for key in (claim.more, claim.less):
                _expect(key, self.variants, "claims: more, less")
        return self


def _expect(word: str, known: Mapping[str, Any], where: str) -> None:
    if word not in known:
        raise ValueError(
            f"{where}: there is no {word!r}{did_you_mean(word, known) or ': known are ' + ', '.join(known)}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """An experiment with the recipe of each variant; none where shipped models are run.

    Attributes:
        name: stem of its file.
        path: of the file.
    """

    name: str
    path: Path
    file: ExperimentFile
    recipes: Mapping[str, RecipeFile]


def load_experiment(path: Path) -> Experiment:
    """Read an experiment and every recipe that it makes.

    Args:
        path: the YAML file; folders of data in it start in the folder in which the command runs.

    Raises:
        ConfigFaults: every fault, one per line, with its position.
        ConfigError: the file cannot be read.
    """
    document = read_document(path, remedy="argos experiment --list shows those there are")
    faults: list[Fault] = list(document.faults)
    file = validate_section(ExperimentFile, document.data, document, [()], faults)
    if file is None or faults:
        raise ConfigFaults(without_repeats(document, faults))
    recipes: dict[str, RecipeFile] = {}
    for key, variant in file.variants.items():
        if file.recipe is None:
            continue
        written = {**file.recipe, **variant.recipe, "about": f"{file.source}: {variant.name or key}"}
        written["arguments"] = {**file.recipe.get("arguments", {}), **variant.recipe.get("arguments", {})}
        places = [("variants", key, "recipe"), ("recipe",)]
        recipe = validate_section(RecipeFile, written, document, places, faults)
        if recipe is not None:
            recipes[key] = recipe
    if faults:
        raise ConfigFaults(faults)
    return Experiment(path.stem, path, file, recipes)
