"""``argos train semantic --network ...``: a network of one's own learns people, ready for ``camera.yaml``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argos.config_network import OwnSemanticModel

NAME = "semantic"
"""Of the recipe."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The argument that only this recipe has."""
    parser.add_argument(
        "--network",
        metavar="NETWORK",
        help="for semantic: module:function or file.py:function that returns the torch.nn.Module to train, with "
        "--set input.mean=[...], --set output.name=... as below engine.models.semantic; or a camera.yaml with them",
    )


def run(args: argparse.Namespace) -> int:
    """Train, write ``OUT/weights.safetensors``, and print the keys that use it.

    Raises:
        UsageError: no network, or one that is a file and cannot learn.
        ConfigError, WeightsError, SourceError: see ``described``, ``build_own`` and ``collect``.
    """
    import torch

    from argos.config_network import is_file
    from argos.engines.own_network import build_own, fill
    from argos.engines.own_semantic import SemanticGives
    from argos.engines.segmenter import Takes
    from argos.errors import UsageError
    from argos.sources.names import redact
    from argos.training import datasets
    from argos.training.checkpoint import check_folder
    from argos.training.own import photos_of_camera, photos_of_folder, train_own

    model = described(args.network, args.set)
    if is_file(model.network):
        raise UsageError(f"--network {model.network}: a file does not learn; name the function that builds the network")
    torch.manual_seed(1)
    network = build_own(model.network, model.arguments)
    start = args.start or model.weights
    if start is not None:
        fill(network, Path(start))
    folder = args.out or Path("runs") / NAME
    teacher = args.teacher or ("unet_lite" if args.source else None)
    about = {"arguments": model.arguments, "start": start, "teacher": teacher,
             "source": datasets.data_folder() if args.source is None else redact(args.source)}  # fmt: skip
    check_folder(folder, about)  # collecting takes minutes
    if args.source is not None:
        mix, held = photos_of_camera(
            args.source, teacher or "unet_lite", every_s=args.every, most=args.frames, progress=_progress
        )
    else:
        mix, held = photos_of_folder(args.teacher)
    takes = Takes() if model.input is None else Takes(**model.input.model_dump())
    gives = SemanticGives() if model.output is None else SemanticGives(**model.output.model_dump())
    learnt = train_own(
        network, model.network, takes, gives, mix, held, folder, args.minutes or 60.0, about, args.workers
    )
    if learnt is None:  # the first process of torchrun says it
        return 0
    print(f"measured on {learnt.photos} pictures that it did not learn from")
    for key, value in learnt.figures.items():
        print(f"{key:<22} {value:>8.3f}")
    print(f"in the configuration:\n{keys_of(model, learnt.weights)}", end="")
    return 0


def described(network: str | None, changes: list[str]) -> OwnSemanticModel:
    """The network of ``--network`` and ``--set``, checked as the configuration is.

    Raises:
        UsageError: no network is named.
        ConfigError: with every fault.
    """
    from argos.config import config_from_sources, load_config
    from argos.config_network import OwnSemanticModel
    from argos.errors import UsageError

    if network is None:
        raise UsageError("argos train semantic needs --network module:function, file.py:function or a camera.yaml")
    key = "engine.models.semantic"
    below = [f"{key}.{change}" for change in changes]
    if network.endswith((".yaml", ".yml")):
        model = load_config(Path(network), below).engine.models.semantic
    else:
        model = config_from_sources(["fake://people"], [f"{key}.network={network}", *below]).engine.models.semantic
    if not isinstance(model, OwnSemanticModel):
        raise UsageError(f"{network}: {key} is {model!r}, a model with a card; write network: module:function there")
    return model


def keys_of(model: OwnSemanticModel, weights: Path) -> str:
    """The keys of ``camera.yaml`` that run the trained network."""
    from argos.config_yaml import dump_yaml

    said = model.model_dump(mode="json", exclude_unset=True) | {"weights": str(weights.resolve())}
    return dump_yaml({"engine": {"models": {"semantic": said}}})


def _progress(count: int) -> None:
    if count % 20 == 0:
        logging.getLogger("argos").info("%d frames collected and labelled", count)
