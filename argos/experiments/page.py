"""RESULTS.md: every experiment with its published figures and ours, from the files of results alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from argos.config_experiment import Experiment, Figure
from argos.experiments.results import Run, read_results
from argos.experiments.verdicts import by_variant, has_older_weights, is_current, judge, state_of

HEAD = """\
# Results

The documents' experiments, re-run by `argos experiment` on the data at hand. Made by `argos experiment --render` from
`experiments/*.yaml` and `experiments/results/*.json`: change those, not this page. Published figures stand as printed,
beside ours; none is left out because it disagrees.

- **converged**: three seeds or more, each trained until its first figure got no better: for several evaluations, or, where the
  length is fixed, by less than 0.01 in its last quarter. Mean, and lowest to highest.
- **not converged**: fewer seeds, or a training that was still getting better; with the curves.
- **measured**: nothing is trained, shipped models are run.
- **with older weights**: the shipped models that were run, or that the training began with, were others than those of today, or
  the result does not say which.
- **not run**: nothing is known yet.

A finding of a document *agrees* or *disagrees* with ours where every seed says the same, and is *undecided* where they
contradict each other. Our data is not the documents', and no encoder starts from ImageNet unless it is said: what can be
compared is the order of the rows and the differences between them.
"""  # noqa: E501 (prose)


def in_order(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Those to be run now first, then by name."""
    return sorted(experiments, key=lambda one: (one.file.when != "now", one.name))


def page(experiments: Sequence[Experiment], results: Path) -> str:
    """The whole page; the pictures it names are those of ``draw``."""
    runs = {experiment.name: read_results(results / f"{experiment.name}.json") for experiment in experiments}
    lines = [HEAD, "| experiment | from | rows |", "|---|---|---|"]
    for experiment in experiments:
        states = Counter(_in_short(experiment, own) for own in by_variant(experiment, runs[experiment.name]).values())
        said = ", ".join(f"{count} {state}" for state, count in states.items())
        lines.append(f"| [{experiment.file.title}](#{experiment.name}) | {experiment.file.source} | {said} |")
    for experiment in experiments:
        lines += ["", *section(experiment, runs[experiment.name], results)]
    return "\n".join(lines) + "\n"


def section(experiment: Experiment, runs: Sequence[Run], results: Path) -> list[str]:
    """The lines of one experiment."""
    file = experiment.file
    of = by_variant(experiment, runs)
    lines = [
        f'<a id="{experiment.name}"></a>',
        f"## {file.title}",
        f"*{file.source}.* {file.question}",
        "",
        f"Here: {file.differs}",
        "",
        f"`argos experiment {experiment.path.parent.name}/{experiment.path.name}`",
        "",
    ]
    printed = {name for variant in file.variants.values() for name in variant.published}
    heads = []
    for name, figure in file.figures.items():
        heads += [f"{figure.head}, published", f"{figure.head}, ours"] if name in printed else [figure.head]
    lines += [f"| | {' | '.join(heads)} | state |", f"|---|{'---|' * (len(heads) + 1)}"]
    for key, variant in file.variants.items():
        cells = []
        for name, figure in file.figures.items():
            cells += [variant.published.get(name, "-")] if name in printed else []
            cells.append(_ours(figure, [run.figures.get(name) for run in of[key]]))
        lines.append(f"| {variant.name or key} | {' | '.join(cells)} | {_state(experiment, of[key])} |")
    lines += [f"\n{variant.name or key}: {variant.note}" for key, variant in file.variants.items() if variant.note]
    if file.claims:
        lines += ["", *(_claim(experiment, n, of) for n in range(len(file.claims)))]
    if any(run.curve for run in runs):
        lines += ["", f"![{experiment.name}]({experiment.path.parent.name}/{results.name}/{experiment.name}.png)"]
    machines = sorted({f"{run.machine} ({run.date})" for run in runs})
    if machines:
        models = sorted({model for run in runs for model in run.models})
        with_models = f" With {', '.join(models)}." if models else ""
        lines += ["", f"Measured on {'; '.join(machines)}.{with_models}"]
    return lines


def _ours(figure: Figure, values: Sequence[float | None]) -> str:
    known = [value * figure.times for value in values if value is not None]
    if not known:
        return "-"
    mean = f"{sum(known) / len(known):.{figure.digits}f}"
    if len(known) == 1:
        return mean
    return f"{mean} ({min(known):.{figure.digits}f} to {max(known):.{figure.digits}f})"


def _in_short(experiment: Experiment, runs: Sequence[Run]) -> str:
    older = any(has_older_weights(experiment, run) for run in runs)
    return state_of(experiment, runs) + (" with older weights" if older else "")


def _state(experiment: Experiment, runs: Sequence[Run]) -> str:
    state = _in_short(experiment, runs)
    if not any(run.steps for run in runs):
        return state
    minutes = sum(run.minutes for run in runs) / len(runs)
    steps = round(sum(run.steps for run in runs) / len(runs))
    seeds = "1 seed" if len(runs) == 1 else f"{len(runs)} seeds"
    other = "" if is_current(experiment, runs[0]) else ", not by the recipe in the file"
    return f"**{state}**, {seeds}, {steps:,} steps, {minutes:.0f} min each{other}"


def _claim(experiment: Experiment, number: int, of: dict[str, list[Run]]) -> str:
    claim = experiment.file.claims[number]
    judged = judge(experiment, claim, of)
    digits = experiment.file.figures[claim.figure].digits
    facts = []
    if judged.published is not None:
        facts.append(f"published {judged.published:+.{digits}f}")
    if judged.ours:
        facts.append("ours " + ", ".join(f"{value:+.{digits}f}" for value in judged.ours))
    return f"- *{judged.verdict}*: {claim.says}" + (f" ({'; '.join(facts)})" if facts else "")


def draw(experiment: Experiment, runs: Sequence[Run], picture: Path) -> bool:
    """Draw the first figure of every training over its steps, one colour per variant; False where none has a curve."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    trained = [run for run in runs if run.curve]
    if not trained:
        return False
    figure = next(iter(experiment.file.figures.values()))
    keys = [key for key in experiment.file.variants if any(run.variant == key for run in trained)]
    drawing = Drawing(figsize=(7.5, 4.2), layout="constrained")
    FigureCanvasAgg(drawing)
    field = drawing.add_subplot(1, 1, 1, xlabel="step", title=experiment.file.title)
    for run in trained:
        place = keys.index(run.variant)
        name = experiment.file.variants[run.variant].name or run.variant
        steps, values = zip(*run.curve, strict=True)
        first = run is next(one for one in trained if one.variant == run.variant)
        line = ("-", "--", ":", "-.")[place // 10 % 4]
        scaled = [value * figure.times for value in values]
        label = name if first else None
        field.plot(steps, scaled, marker=".", label=label, color=f"C{place % 10}", linestyle=line)
    field.legend(fontsize=7, ncols=1 + len(keys) // 16)
    field.set_ylabel(figure.head)
    picture.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(picture, dpi=90)
    return True


def render(results: Path, to: Path, experiments: Sequence[Experiment]) -> None:
    """Write the page, and the curves beside the results.

    Args:
        results: folder of the results of the experiments.
        to: the page.
        experiments: in order.
    """
    for experiment in experiments:
        draw(experiment, read_results(results / f"{experiment.name}.json"), results / f"{experiment.name}.png")
    to.write_text(page(experiments, results), encoding="utf-8")
