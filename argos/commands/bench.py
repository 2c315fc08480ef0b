"""``argos bench SOURCE``: pack, gather and mask against the full frame and other opponents, speed and quality."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argos.commands.whole_numbers import at_least_one
from argos.errors import PublishError, UsageError

if TYPE_CHECKING:
    from argos.packing.planner import AskedMode

OPPONENTS_HELP = """\
opponents, each with the same networks and thresholds as the modes:
  full-bf16, pack-bf16      modes in bfloat16, where the processor has it (engine.precision; extra 'openvino')
  full-bf16-torch   the full frame in bfloat16 by torch
  full-int8, pack-int8      modes in 8 bits, by ONNX Runtime (engine.precision)
  full-int8-openvino, pack-int8-openvino   the same by OpenVINO (extra 'openvino')
  full-torch        the full frame by torch
  full-onnxruntime  the full frame by ONNX Runtime
  full-openvino     the full frame by OpenVINO (extra 'openvino')
  shrunk            the full frame shrunk to the pixels that pack computes
  tiles             overlapping tiles of 512 pixels, one inference each
  motion            regions by OpenCV's MOG2 instead of QU-Net, packed
  motion-boxes      the same regions, one inference each

`full` is the reference of every ratio: the same networks on the full frame at the same scale, every frame.
What cannot run here stays in the table with the reason. `pixels computed` counts those of the deep networks.

examples:
  argos bench samples/people.mp4 --truth samples/people_truth.json --out people.json
  argos bench door.yaml --opponents shrunk,tiles --frames 200"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos bench``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = OPPONENTS_HELP
    parser.add_argument("source", metavar="CONFIG|SOURCE", help="a file, directory of images, fake://..., or a "
                        "camera.yaml with one of them")  # fmt: skip
    parser.add_argument(
        "--frames", type=at_least_one, metavar="N", default=60, help="frames measured, from the first (default: 60)"
    )
    parser.add_argument(
        "--opponents", metavar="NAME,...", default="all", help="beside the modes: all, none or some (default: all)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument("--truth", type=Path, help="ground truth of the source, as samples/people_truth.json")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of the table")


def run(args: argparse.Namespace) -> int:
    """Measure; prints the table.

    Raises:
        UsageError: not one camera, one that is live, an unknown opponent, or a truth of something else.
        SourceError: no frame can be read.
        PublishError: ``--out`` cannot be written.
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
                         "never shows the same twice; record it first (argos record SOURCE --packets-only -o DIR) "
                         "and name DIR/CAMERA")  # fmt: skip
    prepare_threads(config.engine.threads)
    config = config.model_copy(update={"outputs": (), "publish": config.publish.model_copy(update={"bind": None})})

    import cv2
    import torch

    from argos.benching import report as reports
    from argos.benching.compare import compare
    from argos.benching.opponents import chosen
    from argos.benching.rates import decode_fps, first_frames, pipeline_fps
    from argos.pipelines.truth import Truth

    cv2.setNumThreads(1)  # as in use
    if config.engine.threads is not None:
        torch.set_num_threads(config.engine.threads)
    opponents = chosen(args.opponents)
    truth = Truth(args.truth) if args.truth else None
    if args.out:
        _try_out(args.out)  # before minutes are spent
    frames = first_frames(config, args.frames)
    if truth is not None:
        truth.check(frames)

    def progress(done: int) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{done}/{len(frames)} frames", end="\n" if done == len(frames) else "", file=sys.stderr, flush=True
            )

    comparison = compare(config, frames, None if truth is None else truth.person, opponents, progress)
    decode = decode_fps(config, len(frames))
    pipeline: dict[AskedMode, list[float]] = {"full": [], "pack": []}
    for _ in range(2):
        for mode, rates in pipeline.items():
            rates.append(pipeline_fps(config, mode, len(frames)))
    report: dict[str, Any] = {
        "command": _command(args),
        "machine": reports.machine(),
        "size": list(frames[0].size),
        "frames": len(frames),
        "tasks": list(camera.tasks),
        **reports.as_json(comparison),
        "decode_fps": decode,
        "pipeline_fps": pipeline,
        "decode_over_pipeline": max(decode) / max(pipeline["pack"]),
        "pack_over_full": sum(pipeline["pack"]) / sum(pipeline["full"]),
    }
    if args.out:
        args.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report) if args.json else reports.table(report))
    return 0


def _try_out(path: Path) -> None:
    """Open the file of the figures; what is in it stays, and one that is not there yet is not left behind.

    Raises:
        PublishError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        path.open("a").close()
        if new:
            path.unlink()
    except OSError as error:
        raise PublishError(f"--out: {path} cannot be written ({error.strerror}); name another file") from error


def _command(args: argparse.Namespace) -> str:
    """The call that gives these figures again."""
    words = ["argos", "bench", args.source, "--frames", str(args.frames)]
    if args.opponents != "all":
        words += ["--opponents", args.opponents]
    for change in args.set:
        words += ["--set", change]
    if args.truth:
        words += ["--truth", str(args.truth)]
    return shlex.join(words)
