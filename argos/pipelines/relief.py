"""Smaller networks that take over from the usual ones where results stay too old, see ``argos.pipelines.ladder``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argos.config import Config
from argos.engines.weights import Card
from argos.pipelines.build import people_of_config
from argos.pipelines.deep import InstancesGiven, SemanticGiven
from argos.pipelines.flight import Steps
from argos.pipelines.people import People
from argos.pipelines.views import Analysis, View
from argos.types import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """The usual line, and one with smaller networks; each frame goes through the one that its view asks for.

    Attributes:
        usual: for views that are not ``small``.
        small: for those that are.
        cards: of the models of ``small``, by role.
    """

    usual: People
    small: People
    cards: Mapping[str, Card]

    def steps(self, frames: Sequence[Frame], views: Sequence[View], refresh: Sequence[bool]) -> Steps[list[Analysis]]:
        """Analyse frames, those of one line together; as ``People.steps``."""
        given: list[Analysis | None] = [None] * len(frames)
        for people, small in ((self.usual, False), (self.small, True)):
            chosen = [n for n, view in enumerate(views) if view.small == small]
            if chosen:
                found = yield from people.steps(
                    [frames[n] for n in chosen], [views[n] for n in chosen], [refresh[n] for n in chosen]
                )
                for n, analysis in zip(chosen, found, strict=True):
                    given[n] = analysis
        return [analysis for analysis in given if analysis is not None]

    def forget(self, camera: str) -> None:
        """Unlearn what is known of the scene of a camera."""
        self.usual.forget(camera)
        self.small.forget(camera)


Line = People | Relief
"""What frames go through."""


def line_of_config(
    config: Config, semantic: SemanticGiven | None = None, instances: InstancesGiven | None = None
) -> tuple[Line, dict[str, Card]]:
    """Load the networks that the cameras need, and the smaller ones where the configuration names some.

    Args:
        config: validated configuration.
        semantic, instances: given from Python, in place of the models that the configuration names.

    Returns:
        The line, and the cards of its usual models by role.

    Raises:
        WeightsError, UsageError, DeviceError: as ``people_of_config``.
    """
    usual, cards = people_of_config(config, semantic, instances)
    models = config.engine.models
    if not has_small(config):
        return usual, cards
    smaller = {
        "semantic": models.semantic if models.semantic_small is None else models.semantic_small,
        "instances": models.instances if models.instances_small is None else models.instances_small,
    }
    engine = config.engine.model_copy(update={"models": models.model_copy(update=smaller)})
    small, small_cards = people_of_config(
        config.model_copy(update={"engine": engine}),
        semantic if models.semantic_small is None else None,
        instances if models.instances_small is None else None,
    )
    return Relief(usual, small, small_cards), cards


def has_small(config: Config) -> bool:
    """Whether the configuration names a smaller model for a task of one of its cameras."""
    models = config.engine.models
    named = {"semantic": models.semantic_small, "instances": models.instances_small}
    return any(named[task] is not None for camera in config.cameras.values() for task in camera.tasks)
