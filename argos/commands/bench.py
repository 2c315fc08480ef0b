"""``argos bench SOURCE``: pack, gather and mask against the full frame, speed and quality in one table."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argos.errors import UsageError

if TYPE_CHECKING:
    from argos.packing.planner import AskedMode
    from argos.pipelines.bench import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos bench``."""
    parser.add_argument("source", metavar="CONFIG|SOURCE", help="a file, directory of images, fake://..., or a "
                        "camera.yaml with one of them")  # fmt: skip
    parser.add_argument(
        "--frames", type=_positive, metavar="N", default=60, help="frames measured, from the first (default: 60)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument("--truth", type=Path, help="ground truth of the source, as samples/people_truth.json")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the table")


def run(args: argparse.Namespace) -> int:
    """Measure; prints the table.

    Raises:
        UsageError: not one camera, or one that is live.
        SourceError: no frame can be read.
    """
    from argos.commands.run import configuration
    from argos.engines.threads import prepare_threads
    from argos.sources.names import is_live, redact

    config = configuration([args.source], args.set, None)
    if len(config.cameras) != 1:
        raise UsageError("argos bench compares modes on one camera; give one source")
    camera = next(iter(config.cameras.values()))
    if is_live(camera.source.url):
        raise UsageError(f"{redact(camera.source.url)}: argos bench reads a source again and again, and a live one "
                         "never shows the same twice; record it first (argos run SOURCE --record DIR)")  # fmt: skip
    prepare_threads(config.engine.threads)
    config = config.model_copy(update={"outputs": (), "publish": config.publish.model_copy(update={"bind": None})})

    from argos.pipelines import bench
    from argos.pipelines.truth import Truth

    frames = bench.first_frames(config, args.frames)
    truth = Truth(args.truth).person if args.truth else None

    def progress(done: int) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{done}/{len(frames)} frames", end="\n" if done == len(frames) else "", file=sys.stderr, flush=True
            )

    rows = bench.compare_modes(config, frames, truth, progress)
    decode = bench.decode_fps(config, len(frames))
    pipeline: dict[AskedMode, list[float]] = {"full": [], "pack": []}
    for _ in range(2):
        for mode, rates in pipeline.items():
            rates.append(bench.pipeline_fps(config, mode, len(frames)))
    report: dict[str, Any] = {
        "command": _command(args),
        "machine": bench.machine(),
        "size": list(frames[0].size),
        "frames": len(frames),
        "tasks": list(camera.tasks),
        "modes": [asdict(row) for row in rows],
        "decode_fps": decode,
        "pipeline_fps": pipeline,
        "decode_over_pipeline": max(decode) / max(pipeline["pack"]),
        "pack_over_full": sum(pipeline["pack"]) / sum(pipeline["full"]),
    }
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report) if args.json else _table(report, rows))
    return 0


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"should be a whole number, 1 or more, got {text!r}")
    return number


def _command(args: argparse.Namespace) -> str:
    """The call that gives these figures again."""
    words = ["argos", "bench", args.source, "--frames", str(args.frames)]
    for change in args.set:
        words += ["--set", change]
    if args.truth:
        words += ["--truth", str(args.truth)]
    return shlex.join(words)


def _table(report: dict[str, Any], rows: list[Row]) -> str:
    height, width = report["size"]
    lines = [
        f"{report['frames']} frames of {width}x{height}, tasks {', '.join(report['tasks'])}; "
        f"{report['machine']['cpu']}, {report['machine']['threads']} threads",
        "",
        "| mode | ms median (p10-p90) | fps | x full | pixels computed | IoU with full | IoU with truth |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        against = "-" if row.iou_truth is None else f"{row.iou_truth:.3f}"
        lines.append(
            f"| {row.mode} | {row.ms:.1f} ({row.ms_p10:.1f}-{row.ms_p90:.1f}) | {row.fps:.1f} | {row.speed_up:.2f} | "
            f"{row.share:.1%} | {row.iou_full:.3f} | {against} |"
        )
    pipeline = ", ".join(f"{mode} {max(rates):.1f}" for mode, rates in report["pipeline_fps"].items())
    lines += [
        "",
        f"decoding alone {max(report['decode_fps']):.0f} fps; whole pipeline, fps: {pipeline}; "
        f"pack over full {report['pack_over_full']:.2f}; decoding over pipeline {report['decode_over_pipeline']:.1f}",
    ]
    return "\n".join(lines)
