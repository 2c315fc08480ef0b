"""``argos experiment FILE...``: run experiments of the documents, and write the page of their results."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from argos.commands.whole_numbers import at_least_one
from argos.errors import UsageError

if TYPE_CHECKING:
    from argos.config_experiment import Experiment
    from argos.experiments.results import Run

STOPPED = 130

EPILOG = """\
Each variant is trained with each seed, the first seed of all of them first. What is done is in results/NAME.json beside
the experiment and is not done again; Ctrl-C stops, and the same command goes on.

examples:
  argos experiment --list
  argos experiment experiments/qunet_before_deep.yaml          # no training: minutes
  argos experiment experiments/essnet_grouping.yaml            # hours, in as many sittings as you like
  argos experiment experiments/dual_aspp_heads.yaml --only v3small_deeplab v3small_dual --seeds 1 --steps 400
  argos experiment --render                                    # RESULTS.md and the curves, from what is there"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos experiment``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="experiments/NAME.yaml")
    parser.add_argument("--list", action="store_true", help="say what there is and what was run, and do nothing")
    parser.add_argument("--only", nargs="+", action="extend", default=[], metavar="VARIANT", help="these alone")
    parser.add_argument("--seeds", type=int, metavar="N", help="of each training, from 1 (default: 3)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="length of each training, in place of the experiment's")
    length.add_argument("--minutes", type=float, help="likewise, by the clock; a slower network then takes fewer steps")
    parser.add_argument("--photos", type=int, metavar="N", help="try an experiment without training on N photos of the "
                        "validation split: prints, keeps nothing")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"), help="folder of checkpoints and logs "
                        "(default: runs/experiments)")  # fmt: skip
    parser.add_argument("--folder", type=Path, default=Path("experiments"), help="of the experiments, for --list and "
                        "--render (default: experiments); their results are in results/ in it")  # fmt: skip
    parser.add_argument("--render", action="store_true", help="write RESULTS.md beside the folder of the experiments")
    parser.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads (default: all this "
                        "process may use)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run, list or render.

    Raises:
        ConfigError: an experiment is wrong.
        UsageError: nothing to do, or an unknown variant.
        DataError, WeightsError: see ``train_all`` and ``run_lines``.
        PublishError: the results or the page cannot be written.
    """
    from argos.config_experiment import load_experiment
    from argos.training.unbroken import stop_on_sigterm

    stop_on_sigterm()
    if not (args.files or args.list or args.render):
        raise UsageError("name an experiment (argos experiment --list shows them), or give --render")
    for name, least in (("seeds", 1), ("steps", 1), ("minutes", 0.01), ("photos", 1)):
        if (given := getattr(args, name)) is not None and not least <= given < math.inf:
            raise UsageError(f"--{name} should be at least {least}, got {given}")
    experiments = [load_experiment(path) for path in args.files]
    for experiment in experiments:
        unknown = [key for key in args.only if key not in experiment.file.variants]
        if unknown:
            known = ", ".join(experiment.file.variants)
            raise UsageError(f"--only {unknown[0]}: {experiment.path} has no such variant; it has {known}")
    if args.list:
        _list(args.folder)
        return 0
    _prepare(args.threads)
    try:
        for experiment in experiments:
            for done in _runs(experiment, args):
                figures = " ".join(f"{name} {value:.4f}" for name, value in done.figures.items())
                print(f"{experiment.name} {done.variant} seed {done.seed}: {figures}", flush=True)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint")
        return STOPPED
    if args.render:
        _render(args.folder)
    return 0


def _prepare(threads: int | None) -> None:
    import cv2
    import torch

    from argos.machine import cores

    logging.getLogger("argos").setLevel(logging.INFO)
    torch.set_num_threads(threads or cores()[0])
    cv2.setNumThreads(1)


def _runs(experiment: Experiment, args: argparse.Namespace) -> Iterator[Run]:
    from argos.experiments.lines import run_lines, try_lines
    from argos.experiments.train import train_all
    from argos.training import datasets

    results = experiment.path.parent / "results" / f"{experiment.name}.json"
    if experiment.file.recipe is None:
        for option in ("seeds", "steps", "minutes"):
            if getattr(args, option) is not None:
                raise UsageError(f"--{option}: nothing is trained in {experiment.path}; try it with --photos 10")
        photos = datasets.validation_photos(datasets.data_folder())
        if args.photos is not None:
            return try_lines(experiment, photos[:: max(1, len(photos) // args.photos)][: args.photos], args.only)
        return run_lines(experiment, results, photos, args.only)
    if args.photos is not None:
        raise UsageError(f"--photos: {experiment.path} trains; try it with --minutes 1")
    out = args.out / experiment.name
    return train_all(
        experiment, results, out, seeds=args.seeds or 3, only=args.only, minutes=args.minutes, steps=args.steps
    )


def _all(folder: Path) -> list[Experiment]:
    from argos.config_experiment import load_experiment
    from argos.experiments.page import in_order

    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise UsageError(f"{folder}: no experiments (*.yaml) here; --folder names their folder")
    return in_order([load_experiment(path) for path in paths])


def _list(folder: Path) -> None:
    from argos.experiments.results import read_results

    for experiment in _all(folder):
        runs = read_results(folder / "results" / f"{experiment.name}.json")
        variants = experiment.file.variants
        print(f"{experiment.path}: {experiment.file.title} ({experiment.file.source}), {experiment.file.when}")
        for key in variants:
            seeds = [str(run.seed) for run in runs if run.variant == key]
            print(f"  {key:<24} {'run: seeds ' + ', '.join(seeds) if seeds else 'not run'}")


def _render(folder: Path) -> None:
    from argos.errors import PublishError
    from argos.experiments.page import render

    page = folder.resolve().parent / "RESULTS.md"
    try:
        render(folder / "results", page, _all(folder))
    except OSError as error:
        raise PublishError(f"{page}: cannot be written ({error.strerror})") from error
    print(page)
