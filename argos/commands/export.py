"""``argos export MODEL``: a model as a file for other programs, checked against the network on real images."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argos.commands.models_networks import parse_size
from argos.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from argos.engines.weights import Card

EXIT_DIFFERS = 7
LOSS = 0.02
"""Of IoU, the largest fall by ``--int8``."""
FRAMES, TOLERANCE = 5, 1e-4
"""On which a file in floats is checked, and how far it may be apart."""
LAYOUTS = {
    "proposal": "uint8 RGB 0..255, NCHW; output: logits of background and region",
    "semantic": "float32 RGB 0..1, NCHW; output: logits",
    "classes": "float32 RGB 0..1, NCHW; output: logits of the classes, maybe smaller than the image",
    "instances": "float32 RGB 0..1, NCHW; outputs: deltas, logits, anchors of the boxes, then the maps at 1/8, 1/16 "
    "and 1/32; the masks of boxes are not in the file",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos export``."""
    parser.add_argument("model", help="a shipped model (argos models list), or the path of a .safetensors file")
    parser.add_argument("--to", choices=("onnx", "torch.export"), default="onnx",
                        help="format (default: onnx, which needs the extra 'export')")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="PATH", help="default: the model's name with .onnx or .pt2, here")
    parser.add_argument("--size", type=parse_size, default=(352, 640), metavar="WIDTHxHEIGHT",
                        help="of the images that the file takes, one at a time (default: 640x352)")  # fmt: skip
    parser.add_argument("--images", default="fake://people?n=5&seed=1", metavar="SOURCE",
                        help="file, directory or video whose frames check the result (default: rendered)")  # fmt: skip
    parser.add_argument("--frames", type=int, metavar="N",
                        help=f"frames it is checked on, without --int8 (default: {FRAMES})")  # fmt: skip
    parser.add_argument("--tolerance", type=float, metavar="SHARE",
                        help="largest difference of an output, as a share of its largest element, without --int8 "
                        f"(default: {TOLERANCE:g}); status 7 when it is exceeded")  # fmt: skip
    parser.add_argument("--int8", action="store_true",
                        help="ONNX of a segmentation model in 8-bit integers, by static quantisation; every fourth "
                        "frame calibrates it, on the others its accuracy is printed before and after")  # fmt: skip
    parser.add_argument("--truth", type=Path, metavar="FILE",
                        help="COCO file with the person masks of --images, for --int8 (default: NAME_truth.json beside "
                        "it; without one the masks of both files are compared)")  # fmt: skip
    parser.add_argument("--photos", type=int, metavar="N",
                        help="for --int8: also N validation photos of the data folder (default: 0)")  # fmt: skip
    parser.add_argument("--loss", type=float, metavar="IOU",
                        help=f"largest fall of an IoU by --int8, else the status is 7 (default: {LOSS})")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Export, check, and say how far the file is from the network.

    Raises:
        WeightsError: no such model.
        SourceError: no frame to check the file on.
        UsageError: the format cannot hold the network, its packages are missing, or options do not fit together.
        PublishError: the file cannot be written.
    """
    from argos.engines.export import SUFFIXES, compare_outputs, export, load_exported, replacing
    from argos.engines.weights import load_network

    if args.int8 and args.to != "onnx":
        raise UsageError(f"--int8 writes ONNX, not {args.to}; leave --to out")
    for option in ("truth", "photos", "loss"):
        if getattr(args, option) is not None and not args.int8:
            raise UsageError(f"--{option}: for --int8 alone; floats are held against the network (--tolerance)")
    for option in ("frames", "tolerance"):
        if getattr(args, option) is not None and args.int8:
            raise UsageError(
                f"--{option}: not for --int8, which has frames enough to calibrate on and is held to --loss"
            )
    if args.photos is not None and args.photos < 0:
        raise UsageError(f"--photos should be at least 0, got {args.photos}")
    network, card = load_network(args.model)
    path = args.out or Path(f"{card.name}{'_int8' if args.int8 else ''}{SUFFIXES[args.to]}")
    if path.suffix.lower() != SUFFIXES[args.to]:
        fitting = next(
            (f"; or write --to {to}" for to, suffix in SUFFIXES.items() if suffix == path.suffix.lower()), ""
        )
        raise UsageError(f"--out {path}: a file of {args.to} ends in {SUFFIXES[args.to]}{fitting}")
    height, width = args.size
    about: dict[str, Any] = {
        "model": card.identity,
        "task": card.task,
        "size": [width, height],
        "layout": LAYOUTS[card.task],
        "thresholds": card.thresholds,
        "terms": card.terms,
    }
    if args.int8:
        return _run_int8(network, card, args, path, about)
    with replacing(path) as part:
        images = _images(args, as_bytes=card.task == "proposal")
        export(network, images[0], args.to, part, about)
    difference = compare_outputs(network, load_exported(path), images)
    tolerance = TOLERANCE if args.tolerance is None else args.tolerance
    fits = difference.relative <= tolerance
    if args.json:
        print(json.dumps({"path": str(path), **about, **asdict(difference), "tolerance": tolerance, "ok": fits}))
    else:
        shapes = ", ".join("x".join(str(side) for side in shape) for shape in difference.outputs)
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB, from {card.identity}")
        print(f"input    1x3x{height}x{width}, {LAYOUTS[card.task]}")
        print(f"outputs  {shapes}")
        print(
            f"check    {difference.relative:.1e} of the largest element apart on {difference.images} frames of "
            f"{args.images}; tolerance {tolerance:g}: {'ok' if fits else 'exceeded'}"
        )
    return 0 if fits else EXIT_DIFFERS


def _run_int8(network: nn.Module, card: Card, args: argparse.Namespace, path: Path, about: dict[str, Any]) -> int:
    from argos.commands.export_int8 import export_int8, show
    from argos.engines.export import replacing

    with replacing(path) as part:
        found = export_int8(network, card, args, part, about)
    allowed = LOSS if args.loss is None else args.loss
    fits = found.loss <= allowed
    if args.json:
        report = {"path": str(path), **about, **asdict(found), "loss": found.loss, "allowed": allowed, "ok": fits}
        print(json.dumps(report))
    else:
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB, from {card.identity}")
        print(f"input    1x3x{args.size[0]}x{args.size[1]}, {LAYOUTS[card.task]}")
        print("\n".join(show(found)))
        print(f"check    largest fall {found.loss:.4f}; allowed {allowed:g}: {'ok' if fits else 'exceeded'}")
    return 0 if fits else EXIT_DIFFERS


def _images(args: argparse.Namespace, as_bytes: bool) -> list[Tensor]:
    """The first frames of the source as the network takes them, ``(1, 3, H, W)``."""
    import cv2
    import torch

    from argos.errors import SourceError
    from argos.sources.read import read, redact

    count = FRAMES if args.frames is None else args.frames
    if count < 1:
        raise UsageError(f"--frames should be at least 1, got {count}")
    height, width = args.size
    images = []
    for frame in islice(read(args.images, "export", fail_fast=True), count):
        pixels = torch.from_numpy(cv2.resize(frame.pixels, (width, height)))
        image = pixels.permute(2, 0, 1)[None].contiguous()
        images.append(image if as_bytes else image.float() / 255)
    if not images:
        raise SourceError(f"{redact(args.images)}: no frames to check the file on", "no_images")
    return images
