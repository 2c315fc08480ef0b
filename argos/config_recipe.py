"""Recipe files: what a network is trained for, on what, how long and how fast, in YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from argos.config import read_document, validate_section, without_repeats
from argos.config_faults import ConfigFaults, Fault
from argos.config_values import Section, Share
from argos.training.course import Course
from argos.training.formats.rendered import held_out
from argos.training.objectives import Name as Objective
from argos.training.recipe import Phase, Recipe, Schedule
from argos.training.subjects import Shapes, Subject

Specs = Annotated[tuple[str, ...], Field(strict=False)]


class PhaseSection(Section):
    """Views of one size, until a share of the training is over."""

    until: Annotated[float, Field(gt=0, le=1)] = 1.0
    side: Annotated[int, Field(ge=32, multiple_of=32)]
    batch: PositiveInt


class ScheduleSection(Section):
    """How the learning rate falls; see ``argos.training.recipe.Schedule``."""

    kind: Literal["cosine", "constant", "staircase", "plateau"] = "cosine"
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    every: PositiveFloat = 0.3
    patience: PositiveInt = 3


class ScenesSection(Section):
    """What the views show: windows of photos, mosaics of four, people pasted on empty backgrounds.

    ``share`` of the scenes are pasted, ``mosaic`` of the rest are mosaics; people come from the photos with masks.
    ``min_height`` in pixels of the view. ``augment: false`` shows each photo whole and as it is.
    """

    share: Share = 0.45
    mosaic: Share = 0.65
    min_height: PositiveFloat = 22.0
    augment: bool = True

    @model_validator(mode="after")
    def _plain(self) -> ScenesSection:
        if not self.augment and (self.share or self.mosaic):
            raise ValueError("augment: false shows photos as they are: set share and mosaic to 0")
        return self


class SubjectSection(Section):
    """What of the photos a training is about; see ``argos.training.subjects.Subject``."""

    crops: Annotated[float, Field(ge=0, le=1)] | None = None
    shapes: Shapes | None = None
    classes: Annotated[tuple[Annotated[int, Field(ge=0, le=253)], ...], Field(strict=False, min_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> SubjectSection:
        if sum(value is not None for value in (self.crops, self.shapes, self.classes)) != 1:
            raise ValueError("subject is one of crops, shapes and classes")
        return self


class RecipeFile(Section):
    """A recipe.

    Attributes:
        about: where it comes from: document and section, or what is new in it.
        model: a network of ``argos models list``.
        arguments: of its builder.
        objective: see ``argos.training.objectives.objective``.
        data, validation: photos as ``argos eval --data`` takes them; the project's data for none, and other rendered
            people to measure on where all ``data`` are rendered.
        subject: what of these photos it is about; all of them for none.
        start: weights that fit by name and shape are taken: ``average.pt`` of a training, or ``.safetensors``.
        anew: prefix of the names of weights that are not taken from ``start``.
        backbone: weights of an image classifier for the encoder.
        phases: sizes of the views.
        others: of ``argos.training.recipe.Recipe``.
    """

    about: str
    model: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    objective: Objective
    data: Specs = ()
    validation: Specs = ()
    subject: SubjectSection | None = None
    start: str | None = None
    anew: str = ""
    backbone: str | None = None
    scenes: ScenesSection = Field(default_factory=ScenesSection)
    phases: Annotated[tuple[PhaseSection, ...], Field(strict=False, min_length=1)]
    minutes: PositiveFloat | None = None
    steps: PositiveInt | None = None
    rate: PositiveFloat
    optimizer: Literal["adamw", "adam", "rmsprop", "sgd"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: ScheduleSection = Field(default_factory=ScheduleSection)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    accumulate: PositiveInt = 1
    average: Share = 0.998
    precision: Literal["float32", "bfloat16"] = "float32"
    stop_after: Annotated[int, Field(ge=0)] = 0
    evaluate_min: PositiveFloat = 40.0
    evaluate_steps: PositiveInt | None = None
    workers: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=0)] = 1
    pretrained: str = ""
    pretrained_share: Share = 0.2
    pretrained_until: Share = 1.0
    norm_momentum: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _classes_as_they_are(self) -> RecipeFile:
        if self.objective == "classes" and (self.scenes.share or self.scenes.mosaic):
            raise ValueError("pasting and mosaics tell people apart by the numbers that are classes here: "
                             "write scenes: {share: 0, mosaic: 0}")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _one_length(self) -> RecipeFile:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("a training is so many minutes or so many steps long: give one of the two")
        if self.phases[-1].until != 1 or [p.until for p in self.phases] != sorted({p.until for p in self.phases}):
            raise ValueError("phases: 'until' should rise, and be 1 in the last one")
        return self

    def course(self, name: str) -> Course:
        """What the trainer follows; the model that comes out is called ``name``."""
        same = ("optimizer", "momentum", "weight_decay", "accumulate", "average", "precision", "stop_after",
                "evaluate_min", "workers", "seed", "pretrained", "pretrained_share", "pretrained_until",
                "norm_momentum")  # fmt: skip
        recipe = Recipe(
            minutes=self.minutes or 0.0,
            steps=self.steps or 0,
            evaluate_steps=self.evaluate_steps or 0,
            phases=tuple(Phase(**phase.model_dump()) for phase in self.phases),
            peak_rate=self.rate,
            schedule=Schedule(**self.schedule.model_dump()),
            **{key: getattr(self, key) for key in same},
        )
        return Course(
            name=name,
            about=self.about,
            model=self.model,
            arguments=self.arguments,
            objective=self.objective,
            data=self.data,
            validation=self.validation or held_out(self.data),
            start=None if self.start is None else Path(self.start),
            anew=self.anew,
            backbone=None if self.backbone is None else Path(self.backbone),
            recipe=recipe,
            subject=None if self.subject is None else Subject(**self.subject.model_dump()),
            **self.scenes.model_dump(),
        )


def _with_one_length(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """``overrides``, and null for the length that they leave to the file where they set the other."""
    keys = {key.strip() for key, _, value in (override.partition("=") for override in overrides) if value != "null"}
    lengths = keys & {"minutes", "steps"}
    if len(lengths) != 1:
        return overrides
    return ("steps=null" if lengths == {"minutes"} else "minutes=null", *overrides)


def load_recipe(path: Path, overrides: tuple[str, ...] = ()) -> RecipeFile:
    """Read a recipe file.

    Args:
        path: the YAML file; ``start`` and ``backbone`` in it start in the folder in which the command runs.
        overrides: ``KEY=VALUE`` as of ``argos run --set``; ``steps=N`` takes the place of the file's ``minutes``, and
            the other way round.

    Raises:
        ConfigFaults: every fault, one per line, with its position.
        ConfigError: the file cannot be read.
    """
    document = read_document(path, _with_one_length(overrides), "configs/train/ holds recipes to begin with")
    faults: list[Fault] = list(document.faults)
    recipe = validate_section(RecipeFile, document.data, document, [()], faults)
    if recipe is None or faults:
        raise ConfigFaults(without_repeats(document, faults))
    return recipe
