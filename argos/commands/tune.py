"""``argos tune [CONFIG]``: measure what mode ``auto`` has to know of this machine, and keep it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from argos.errors import ArgosError, PublishError, UsageError, WeightsError

if TYPE_CHECKING:
    from argos.packing.costs import Costs, Tasks
    from argos.pipelines.backend import Program
    from argos.pipelines.tune import Measured

log = logging.getLogger(__name__)

EXAMPLES = """examples:
  argos tune                     the shipped models with the default settings
  argos tune camera.yaml         the models, tasks and scale of a configuration
  argos tune --set camera.tasks=[semantic,instances] --json

It measures every program that can run the deep networks here (engine.backend), of which auto then takes the fastest.
Without this mode auto learns from the frames themselves, but never tries gather. What is kept holds for this processor,
these versions, models and tasks; under others it is ignored. It lies in $ARGOS_CACHE/costs, by default
~/.cache/argos/costs. Run it while nothing else is busy.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos tune``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a camera.yaml (default: the default settings)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, metavar="S", help="for each program and set of tasks, after a "
        "round to warm up (default: 10); three rounds are run in any case"
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the table")


def run(args: argparse.Namespace) -> int:
    """Measure, keep, print.

    Raises:
        ConfigError: with every fault of the configuration.
        PublishError: the file cannot be written.
    """
    from argos.commands.run import configuration
    from argos.engines.threads import limit_threads, prepare_threads

    config = configuration([args.config or "fake://people"], args.set, None)
    prepare_threads(config.engine.threads)

    import cv2

    from argos.pipelines.backend import fastest_program, is_any_deployed, programs
    from argos.pipelines.build import device_of, engine_settings, people_of_config, view_of
    from argos.pipelines.cost_file import conditions_of, save_costs
    from argos.pipelines.tune import measure

    cv2.setNumThreads(1)
    limit_threads(config.engine.threads)

    def progress(words: str) -> None:
        if sys.stderr.isatty() and not args.quiet:
            print(f"\r{words:<40}", end="", file=sys.stderr, flush=True)

    device, lines, settings = device_of(config.engine.device), {}, {}
    refused: ArgosError | None = None
    for program in programs(config.engine.backend, config.engine.precision, device):
        one = config.model_copy(update={"engine": config.engine.model_copy(update={"backend": program})})
        try:
            lines[program], cards = people_of_config(one)
        except (UsageError, WeightsError) as error:  # of a program that is missing, or cannot run these weights
            refused = error
            continue
        settings[program] = engine_settings(config, program)
        if not is_any_deployed(lines[program].semantic, lines[program].instances):
            break  # torch, or networks of one's own, which run alike under every other program
    if refused is not None:
        if not lines:
            raise refused
        log.warning("%s; the others are measured", refused)
    known: dict[Program, dict[Tasks, Costs]] = {program: {} for program in lines}
    reports = []
    views = {tuple(sorted(camera.tasks)): view_of(camera, config, cards) for camera in config.cameras.values()}
    for tasks, view in views.items():
        for program, measured in measure(lines, view, args.seconds, progress).items():
            conditions = conditions_of(tasks, cards, device, settings[program])
            try:
                path = save_costs(measured.costs, conditions)
            except OSError as error:
                raise PublishError(f"{conditions.path}: cannot be written ({error.strerror}); set ARGOS_CACHE to a "
                                   "folder that can") from error  # fmt: skip
            known[program][tasks] = measured.costs
            by = {"program": program, "models": conditions.models, "file": str(path)}
            reports.append(_report(tasks, measured) | by)
    progress("")
    machine = {"processor": conditions.processor, "cores": conditions.cores, "threads": conditions.threads}
    fastest = fastest_program(known, views, config.engine.packing.canvas)
    report = {"machine": machine | {"device": conditions.device}, "tasks": reports, "fastest": fastest}
    print(json.dumps(report) if args.json else _table(report))
    return 0


def _report(tasks: Tasks, measured: Measured) -> dict[str, Any]:
    """The figures of one set of tasks."""
    from argos.packing.account import SHARE
    from argos.packing.planner import LEAVE
    from argos.pipelines.tune import break_even

    costs = measured.costs
    pixels = max(point.pixels for point in measured.points if point.run == "full")
    return {
        "tasks": list(tasks),
        "rounds": measured.rounds,
        "costs": asdict(costs),
        "frame_pixels": pixels,
        "pays_up_to": break_even(costs, pixels, LEAVE),
        "crowded_asked_every": costs.propose_ms / (SHARE * costs.dense(pixels)),
        "points": [asdict(point) for point in measured.points],
    }


def _table(report: dict[str, Any]) -> str:
    machine = report["machine"]
    lines = [f"{machine['processor']}, {machine['threads']} threads, {machine['device']}"]
    for one in report["tasks"]:
        whole = one["frame_pixels"]
        models = ", ".join(one["models"].values())
        lines += ["", f"{' and '.join(one['tasks'])} by {one['program']}: {models}; {one['rounds']} rounds", ""]
        lines += [
            "| run | pixels of the frame | active | ms median (p10-p90) | by the costs kept |",
            "|---|---|---|---|---|",
        ]
        for point in one["points"]:
            share = "-" if point["run"] == "propose" else f"{point['pixels'] / whole:.0%}"
            active = f"{point['active'] / point['pixels']:.0%}" if point["run"] == "gather" else "-"
            spread = f"{point['ms']:.1f} ({point['ms_p10']:.1f}-{point['ms_p90']:.1f})"
            lines.append(f"| {point['run']} | {share} | {active} | {spread} | {point['model_ms']:.1f} |")
        pays = ", ".join(f"{mode} up to {part:.0%}" for mode, part in one["pays_up_to"].items())
        lines += ["", f"pays on a full frame: {pays} of its pixels; a crowded camera is asked about every "
                  f"{max(1.0, one['crowded_asked_every']):.1f} frames", f"kept in {one['file']}"]  # fmt: skip
    if len({one["program"] for one in report["tasks"]}) > 1:
        lines += ["", f"fastest on canvases: {report['fastest']}, which engine.backend: auto takes"]
    return "\n".join(lines)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"should be a number of seconds, above 0 and up to 3600, got {text!r}")
    return seconds
