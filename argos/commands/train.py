"""``argos train NAME|RECIPE.yaml``: train one of the shipped networks, or any network by a recipe file."""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from argos.commands import train_own
from argos.commands.whole_numbers import at_least_one

if TYPE_CHECKING:
    from argos.engines.weights import Task

QUNETS = {f"qunet{width}": width for width in (8, 16, 32, 64)}
ADAPTED = "qunet16"
"""What learns a camera where no name is given."""
RECIPES = ("people", "asbunet", *QUNETS)
EVERY_S, FRAMES = 0.5, 300
"""Of a camera that is learnt: seconds between the frames that are kept, and how many at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos train``."""
    parser.add_argument("name", nargs="?", metavar="NAME|RECIPE.yaml", help="people (SSD-ISB and a U-Net on one "
                        "encoder), asbunet, qunet8 to qunet64, semantic (a network of your own: --network), or a "
                        "recipe file: configs/train/ holds the documents' and ours (default: qunet16 with --from, "
                        "semantic with --network)")  # fmt: skip
    parser.add_argument("--minutes", type=float, help="length; the schedule is spread over it (default: 60, or what "
                        "the recipe file says)")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a key of the recipe "
                        "file: --set steps=100, --set 'data=[coco:people.json]' (see argos eval --help)")  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder of checkpoints and log; continues there (default: runs/NAME)")
    parser.add_argument("--start", metavar="MODEL", help="begin with the weights of a shipped model, a path or "
                        "RUN/average.pt (that not with --from), instead of random ones; for people two of them: "
                        "ssdisb+unet_lite")  # fmt: skip
    parser.add_argument(
        "--backbone",
        type=Path,
        metavar="FILE",
        help="ImageNet weights of the encoder (torchvision, "
        "timm), for 'people' and for recipe files whose network has a classifier in it",
    )
    parser.add_argument("--teacher", metavar="MODEL", help="segmentation model that labels photos with boxes, for "
                        "QU-Net (default: none) and asbunet (default: unet_lite; it learns its maps too)")  # fmt: skip
    parser.add_argument("--from", dest="source", metavar="SOURCE", help="learn one camera or clip: its frames are "
                        "labelled by the teacher (default: unet_lite), no other data is needed")  # fmt: skip
    parser.add_argument("--every", type=float, metavar="S", help="with --from: seconds between the frames that are "
                        f"kept (default: {EVERY_S})")  # fmt: skip
    parser.add_argument("--frames", type=int, metavar="N",
                        help=f"with --from: most frames, 10 or more (default: {FRAMES})")  # fmt: skip
    parser.add_argument("--ship", action="store_true", help="do not train: write what the training in OUT made "
                        "to argos/weights, with the cards of the shipped models; for the project itself")  # fmt: skip
    train_own.add_arguments(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="processes that draw the scenes; 0 draws them in the "
                        "training process (default: 1, with a GPU one per core but one, at most 8)")  # fmt: skip
    parser.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads (default: all this "
                        "process may use)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Train, the averaged weights end in ``OUT/average.pt`` and in a model with its card; or ship what was trained."""
    import cv2
    import torch

    from argos.errors import UsageError
    from argos.machine import cores
    from argos.training import recipes
    from argos.training.ship import finish
    from argos.training.together import part_of
    from argos.training.unbroken import stop_on_sigterm

    stop_on_sigterm()
    if args.name is None:
        if args.source is None and args.network is None:
            raise UsageError("argos train needs the NAME of a network, a recipe file, or --from SOURCE to learn from")
        args.name = train_own.NAME if args.network else ADAPTED
    if args.minutes is not None and not (math.isfinite(args.minutes) and args.minutes > 0):
        raise UsageError(f"--minutes should be above 0, got {args.minutes:g}")
    if args.workers is not None and args.workers < 0:
        raise UsageError(f"--workers should be 0 or more, got {args.workers}")
    _refuse_what_it_does_not_take(args)
    args.every = EVERY_S if args.every is None else args.every
    args.frames = FRAMES if args.frames is None else args.frames
    if not (math.isfinite(args.every) and args.every > 0) or args.frames < 10:
        raise UsageError(f"--every should be above 0 and --frames at least 10, got {args.every:g} and {args.frames}")
    logging.getLogger("argos").setLevel(logging.INFO)
    torch.set_num_threads(args.threads or cores()[0])
    cv2.setNumThreads(1)
    if args.name == train_own.NAME:
        return train_own.run(args)
    if args.name.endswith((".yaml", ".yml")):
        return _by_file(args)
    if args.name not in RECIPES:
        known = ", ".join((*RECIPES, train_own.NAME))
        raise UsageError(f"no recipe {args.name!r}; there are {known}, and files: configs/train/*.yaml")
    if args.set:
        raise UsageError(f"--set {args.set[0]}: {args.name} is no recipe file; its numbers are in training/recipes.py")
    args.minutes = args.minutes or 60.0
    folder = args.out or Path("runs") / args.name
    if args.ship:
        return _ship(args.name, folder)
    if args.source is not None:
        return _adapt(args, args.out or Path("runs") / f"{args.name}-camera")
    if args.name == "people":
        recipes.train_people(folder, args.minutes, args.start, args.backbone, workers=args.workers)
    elif args.name == "asbunet":
        recipes.train_asbunet(folder, args.minutes, args.start, args.teacher or "unet_lite", workers=args.workers)
    else:
        recipes.train_qunet(folder, args.minutes, args.start, args.teacher, QUNETS[args.name], workers=args.workers)
    if part_of()[0] > 0:  # of several processes the first writes
        return 0
    said = "".join(f" --{key} {value}" for key in ("start", "backbone", "teacher") if (value := getattr(args, key)))
    _say_models(finish(args.name, folder, f"argos train {args.name}{said} --minutes {args.minutes:g}"))
    return 0


def _refuse_what_it_does_not_take(args: argparse.Namespace) -> None:
    """Refuse options that would do nothing, and that a card would tell of all the same.

    Raises:
        UsageError: there is one.
    """
    from argos.errors import UsageError

    own = args.name == train_own.NAME
    if args.network is not None and not own:
        raise UsageError(f"--network: {args.name} has a network; argos train {train_own.NAME} --network trains another")
    if args.ship and own:
        raise UsageError("--ship: your own network is none of the shipped models")
    given = {option for option, value in vars(args).items() if value is not None}
    for option in ("every", "frames"):
        if option in given and args.source is None:
            raise UsageError(f"--{option}: belongs to --from SOURCE, whose frames are collected")
    for option in ("source", "teacher", "start", "backbone", "minutes", "workers"):
        if option in given and args.ship:
            name = "from" if option == "source" else option
            raise UsageError(f"--{name}: --ship does not train; it takes the training in --out")
    if args.name == "people" and args.teacher is not None:
        raise UsageError("--teacher: people learns from labels alone; asbunet and QU-Net have a teacher")
    named = not args.name.endswith((".yaml", ".yml"))
    if named and args.name != "people" and args.backbone is not None:
        raise UsageError(f"--backbone: {args.name} does not begin as a classifier; people and recipe files may")


def _by_file(args: argparse.Namespace) -> int:
    """Train by a recipe file.

    Raises:
        ConfigError: the file is wrong.
        DataError, WeightsError: see ``course.follow``.
    """
    from argos.config_recipe import load_recipe
    from argos.engines.weights import load_card
    from argos.errors import UsageError
    from argos.training.course import follow
    from argos.training.together import part_of

    for option in ("start", "teacher", "source"):
        if getattr(args, option):
            raise UsageError(f"--{'from' if option == 'source' else option} is not for recipe files; --set sets keys")
    path = Path(args.name)
    overrides = list(args.set)
    if args.minutes:
        overrides.append(f"minutes={args.minutes}")
    if args.backbone:
        overrides.append(f"backbone={json.dumps(str(args.backbone))}")
    if args.workers is not None:
        overrides.append(f"workers={args.workers}")
    folder = args.out or Path("runs") / path.stem
    if args.ship:
        return _ship(path.as_posix(), folder)
    model = follow(load_recipe(path, tuple(overrides)).course(path.stem), folder)
    if part_of()[0] > 0:  # of several processes the first speaks
        return 0
    print(model or folder / "average.pt")
    if model is not None and (task := load_card(str(model)).task) != "classes":  # no camera has a use for those
        _say_models({task: model})
    return 0


def _ship(recipe: str, folder: Path) -> int:
    """Measure what a training made, and put it among the shipped models.

    Raises:
        UsageError: nothing that ships is made by this recipe.
    """
    from argos.engines.weights import SHIPPED
    from argos.errors import UsageError
    from argos.training.cards import made_by
    from argos.training.ship import ship

    models = made_by(recipe)
    if not models:
        raise UsageError(f"--ship: {recipe} is not among the shipped models; the training leaves its model in {folder}")
    for name in ("average.pt", "last.pt"):
        if not (folder / name).is_file():
            raise UsageError(f"--out {folder}: there is no {name}; name the folder of a finished training")
    for model in models:
        for key, value in ship(model, folder, SHIPPED).metrics.items():
            print(f"{model:<16} {key:<22} {value:.4f}", flush=True)
    return 0


def _adapt(args: argparse.Namespace, folder: Path) -> int:
    """Make a model for one camera and say what changed.

    Raises:
        UsageError: the recipe has no student to adapt.
    """
    from argos.engines.weights import load_card
    from argos.errors import UsageError
    from argos.training.adapt import adapt

    if args.name == "people":
        raise UsageError("--from: a teacher's masks do not make detections; choose qunet16, qunet8 or asbunet")

    def progress(count: int) -> None:
        if count % 20 == 0 or count == args.frames:
            logging.getLogger("argos").info("%d frames collected and labelled", count)

    adapted = adapt(
        args.start or args.name,
        args.source,
        args.teacher or "unet_lite",
        folder,
        minutes=args.minutes,
        every_s=args.every,
        most=args.frames,
        workers=args.workers,
        progress=progress,
    )
    if adapted is None:  # the first process of torchrun says it
        return 0
    print(f"learnt from {adapted.photos[0]} frames, measured on the {adapted.photos[1]} after them")
    print(f"{'':<22} {'before':>8} {'after':>8}")
    for key, value in adapted.after.items():
        print(f"{key:<22} {adapted.before[key]:>8.3f} {value:>8.3f}")
    if adapted.worse:
        print(f"worse than before: keep {args.start or args.name}, or train again with more --minutes or --frames")
    _say_models({load_card(str(adapted.path)).task: adapted.path})
    return 0


def _say_models(models: Mapping[Task, Path]) -> None:
    """Print what to write into a configuration for the models of each role to be used."""
    from argos.config_yaml import dump_yaml

    written = {role: str(path.resolve()) for role, path in models.items()}  # the configuration may lie elsewhere
    print("in the configuration:\n" + dump_yaml({"engine": {"models": written}}), end="")
