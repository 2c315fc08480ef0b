"""``argos eval MODEL``: measure a model on the validation photos and compare with its card, or on photos of yours."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from argos.commands.whole_numbers import at_least_one

if TYPE_CHECKING:
    from argos.training.photos import Photo

MISSED = 7
"""Exit status when a figure differs from the card's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos eval``."""
    parser.add_argument("model", help="a shipped name, or the path of a .safetensors file with its card beside it")
    parser.add_argument("--data", metavar="SPEC", action="append", help="measure on these photos, without the card: "
                        "coco:annotations.json?images=DIR, cityscapes:ROOT?split=val, camvid:FOLDER (its "
                        "classes with ?labels=classes), "
                        "voc:VOC2012?split=val, folder:IMAGES?masks=DIR or ?ids=DIR, folder:IMAGES (nobody is in "
                        "them), fake://people?n=5&seed=1&frames=200&size=640x360 (rendered people, no data needed); "
                        "several add up")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="more figures: all twelve of COCO for instances, the "
                        "boundary's F measure for semantic")  # fmt: skip
    parser.add_argument("--sheet", type=Path, metavar="FOLDER", help="also write MODEL_worst.png, the 24 photos with "
                        "the worst masks, and MODEL_best.png, the 12 best; of classes the photo, the truth and what "
                        "was found")  # fmt: skip
    parser.add_argument("--tolerance", type=float, default=0.01, help="greatest difference from a figure of the card; "
                        "more is exit status 7 (default: 0.01)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads (default: all this "
                        "process may use)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Measure, print, and draw the sheets.

    Raises:
        WeightsError: no such model.
        ArgosError: no data; ``ARGOS_DATA`` names its folder.
        PublishError: a sheet cannot be written.
    """
    import cv2
    import torch

    from argos.engines.weights import load_card, weights_path
    from argos.machine import cores
    from argos.training import datasets
    from argos.training.formats.read import every_photo
    from argos.training.ship import measure, more_measures, on_the_projects_photos

    torch.set_num_threads(args.threads or cores()[0])
    cv2.setNumThreads(1)
    card = load_card(args.model)
    if args.sheet is not None:
        _make_folder(args.sheet)  # measuring takes minutes
    if args.data is None:
        held = datasets.held_for(card.task, datasets.data_folder())
        said = card.metrics
        if not on_the_projects_photos(card):
            said = {}
            print(f"the figures of its card are of other photos: {card.measured}", file=sys.stderr)
    else:
        own, left_out = every_photo(args.data, whole=True)
        held, said = datasets.Held(own, left_out=left_out), {}
    path = str(weights_path(args.model))
    found = measure(path, card, held)
    far = [key for key, value in said.items() if abs(found.get(key, -1.0) - value) > args.tolerance]
    if args.all:
        found |= more_measures(path, card, held.photos)
    sheets = [] if args.sheet is None else [str(path) for path in _sheets(args.model, args.sheet, held.photos)]
    if args.json:
        print(json.dumps({"model": card.identity, "card": said, "measured": found, "differ": far,
                          "left_out": held.left_out, "sheets": sheets}))  # fmt: skip
    else:
        print(f"{card.identity}\n{'figure':<22} {'measured':>9} {'card':>9}")
        for key, value in found.items():
            column = f"{said[key]:>9.4f}" if key in said else f"{'-':>9}"
            print(f"{key:<22} {value:>9.4f} {column}{'  differs' if key in far else ''}")
        if held.left_out:
            print(f"{'left out':<22} {held.left_out:>9} pictures that cannot be read; the log names them")
        for sheet in sheets:
            print(sheet)
    return MISSED if far else 0


def _make_folder(folder: Path) -> None:
    from argos.errors import PublishError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PublishError(f"{folder}: cannot be written ({error.strerror})") from error


def _sheets(model: str, folder: Path, photos: Sequence[Photo]) -> list[Path]:
    import cv2

    from argos.engines.weights import load_network
    from argos.errors import PublishError
    from argos.training.class_sheets import class_sheet, judge_classes
    from argos.training.sheets import finder_of, judge, sheet_of

    network, card = load_network(model)
    if card.task == "classes":
        classes = int(network.num_classes)  # type: ignore[arg-type]
        told = judge_classes(network, photos, classes)
        pictures = {"worst": class_sheet(told[:24], classes), "best": class_sheet(told[:-13:-1], classes)}
    else:
        judged = judge(finder_of(network, card), photos, card.task == "proposal")
        pictures = {"worst": sheet_of(judged[:24]), "best": sheet_of(judged[:-13:-1])}
    paths = []
    for name, picture in pictures.items():
        path = folder / f"{card.name}_{name}.png"
        if not cv2.imwrite(str(path), picture[:, :, ::-1]):
            raise PublishError(f"{path}: cannot be written")
        paths.append(path)
    return paths
