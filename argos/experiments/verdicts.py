"""What runs say: the state of a variant, and whether a finding of a document is ours too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from argos.config_experiment import Claim, Experiment
from argos.experiments.models import models_of
from argos.experiments.results import Run
from argos.experiments.train import setting_of

State = Literal["not run", "not converged", "converged", "measured"]
Verdict = Literal["not run", "not converged", "undecided", "agrees", "disagrees"]

ENOUGH_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a claim.

    Attributes:
        published: difference of the figures as printed; None where one of them is not.
        ours: differences, one per seed that both variants have.
    """

    verdict: Verdict
    published: float | None
    ours: tuple[float, ...]


def by_variant(experiment: Experiment, runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs of each variant that can be put together, by seed: those of the recipe in the file, else the newest ones."""
    found: dict[str, list[Run]] = {}
    for key in experiment.file.variants:
        own = [run for run in runs if run.variant == key]
        current = [run for run in own if is_current(experiment, run)]
        newest = max(own, key=lambda run: run.date).setting if own else ""
        found[key] = sorted(current or [run for run in own if run.setting == newest], key=lambda run: run.seed)
    return found


def is_current(experiment: Experiment, run: Run) -> bool:
    """Whether a run followed the recipe that is in the file now; one of another length did not."""
    recipe = experiment.recipes.get(run.variant)
    return recipe is None or run.setting == setting_of(recipe)


def has_older_weights(experiment: Experiment, run: Run) -> bool:
    """Whether the shipped models behind a run are others now; of a run that does not say which they were, too."""
    return run.models != models_of(experiment, run.variant)


def state_of(experiment: Experiment, runs: Sequence[Run]) -> State:
    """State of one variant.

    Args:
        experiment: of the variant.
        runs: of it.

    Returns:
        ``converged``: three seeds or more, each of which ended because it got no better. ``not converged``: fewer, or
        one that was over before. ``measured``: nothing is trained.
    """
    if not runs:
        return "not run"
    if experiment.file.recipe is None:
        return "measured"
    return "converged" if len(runs) >= ENOUGH_SEEDS and all(run.plateau for run in runs) else "not converged"


def judge(experiment: Experiment, claim: Claim, runs: Mapping[str, Sequence[Run]]) -> Judged:
    """Hold a finding of the document against ours, seed by seed.

    Returns:
        ``agrees`` or ``disagrees`` when both variants have converged and every seed says the same; ``undecided`` when
        they contradict each other. Without training one run decides.
    """
    figure = experiment.file.figures[claim.figure]
    printed = [experiment.file.variants[key].published.get(claim.figure) for key in (claim.more, claim.less)]
    more, less = ({run.seed: run.figures.get(claim.figure) for run in runs[key]} for key in (claim.more, claim.less))
    ours = tuple(
        (a - b) * figure.times for seed, a in more.items() if a is not None and (b := less.get(seed)) is not None
    )
    published = float(printed[0]) - float(printed[1]) if printed[0] and printed[1] else None
    states = {state_of(experiment, runs[key]) for key in (claim.more, claim.less)}
    verdict: Verdict = "undecided"
    if not ours:
        verdict = "not run"
    elif "not converged" in states:
        verdict = "not converged"
    elif min(ours) > 0:
        verdict = "agrees"
    elif max(ours) < 0:
        verdict = "disagrees"
    return Judged(verdict, published, ours)
