"""The networks of the deep place: shipped ones by name, the user's own by what the configuration says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from argos.config_network import NetworkInput, OwnInstancesModel, OwnSemanticModel, is_file
from argos.engines import own_instances, own_semantic
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter, for_inference
from argos.engines.exported import ExportedInstances, branches_of, exported_thresholds
from argos.engines.own_instances import GivenInstances, InstancesGives, OwnInstances
from argos.engines.own_network import OwnNetwork, load_own, of_module
from argos.engines.own_semantic import GivenSemantic, OwnSemantic, SemanticGives
from argos.engines.segmenter import Instancewise, Semantic, Takes
from argos.engines.weights import Card, Task, load_network
from argos.errors import WeightsError
from argos.networks.ssd_isb import SSDISB
from argos.types import Size

Network = Callable[[Tensor], Any]
"""Pictures as a network takes them -> what it gives; an ``nn.Module`` or a function."""

SemanticGiven = Semantic | Network
"""What may be given from Python: a segmenter, or a network as ``engine.models.semantic`` describes it."""

InstancesGiven = Instancewise | Network

THRESHOLDS: dict[Task, dict[str, float]] = {
    "semantic": {"threshold": 0.5},
    "instances": {"score_threshold": 0.5, "nms": 0.5},
}
"""Of networks without a card."""


def semantic_of(
    described: str | OwnSemanticModel, given: SemanticGiven | None, canvas: Size, device: str
) -> tuple[Semantic, Card]:
    """The segmenter of the task ``semantic`` and its card; the arguments as for ``own_semantic_of``.

    Raises:
        WeightsError: a model is missing, damaged or made for something else.
        UsageError: ONNX, and its package is missing.
    """
    if not isinstance(described, str) or given is not None:
        return own_semantic_of(described, given, canvas, device)
    network, card = load_network(described, device, "semantic")
    return SemanticSegmenter(for_inference(network)), card


def instances_of(
    described: str | OwnInstancesModel, given: InstancesGiven | None, canvas: Size, device: str
) -> tuple[InstanceSegmenter | OwnInstances | ExportedInstances | GivenInstances, Card]:
    """The segmenter of the task ``instances``, with the limits of its card, and the card; as ``semantic_of``."""
    if not isinstance(described, str) or given is not None:
        return own_instances_of(described, given, canvas, device)
    network, card = load_network(described, device, "instances")
    if not isinstance(network, SSDISB):
        raise WeightsError(f"{described}: engine.models.instances should be an SSD-ISB, got {card.network}")
    limits = card.thresholds
    return InstanceSegmenter(for_inference(network), limits["score_threshold"], limits["nms"]), card


def own_semantic_of(
    described: str | OwnSemanticModel, given: SemanticGiven | None, canvas: Size, device: str
) -> tuple[Semantic, Card]:
    """A semantic network of the user's own, tried out on one grey picture.

    Args:
        described: by the configuration; the name of a shipped model says nothing about one that is given.
        given: from Python, in place of the one in the configuration.
        canvas: size of the picture, where the network takes any.
        device: to run on.

    Raises:
        WeightsError: it cannot be loaded, or does not take or give what is said.
        UsageError: ONNX, and its package is missing.
    """
    if given is not None and hasattr(given, "scores"):
        return GivenSemantic(cast(Semantic, given)), own_card("given", "semantic", "", {}, {})
    model = described if isinstance(described, OwnSemanticModel) else OwnSemanticModel(network="given:network")
    network = load(model, given, device)
    thresholds = exported_thresholds(network, "semantic") or {}
    gives = SemanticGives() if model.output is None else SemanticGives(**model.output.model_dump())
    segmenter = OwnSemantic(network, takes_of(network, model.input, own_semantic.KEY), gives)
    own_semantic.try_out(segmenter, canvas)
    return segmenter, own_card(network.name, "semantic", network.sha256, thresholds, model.arguments)


def own_instances_of(
    described: str | OwnInstancesModel, given: InstancesGiven | None, canvas: Size, device: str
) -> tuple[OwnInstances | ExportedInstances | GivenInstances, Card]:
    """An instance network of the user's own, as ``own_semantic_of``; its limits are those of its card."""
    if given is not None and hasattr(given, "instances"):
        card = own_card("given", "instances", "", {}, {})
        return GivenInstances(
            cast(Instancewise, given), card.thresholds["score_threshold"], card.thresholds["nms"]
        ), card
    model = described if isinstance(described, OwnInstancesModel) else OwnInstancesModel(network="given:network")
    network = load(model, given, device)
    thresholds = exported_thresholds(network, "instances") or {}
    card = own_card(network.name, "instances", network.sha256, thresholds, model.arguments)
    score_threshold, nms = card.thresholds["score_threshold"], card.thresholds["nms"]
    if network.about is not None:
        for key in ("input", "output"):
            if getattr(model, key) is not None:
                raise WeightsError(
                    f"{own_instances.KEY}.{key}: {network.name} was written by argos export and says itself what it "
                    "takes and gives: remove the key"
                )
        return ExportedInstances(network, branches_of(network, model.weights), score_threshold, nms), card
    if model.weights is not None and is_file(model.network):
        raise WeightsError(
            f"{own_instances.KEY}.weights: {network.name} was not written by argos export and is a whole network: "
            "remove the key"
        )
    gives = InstancesGives() if model.output is None else InstancesGives(**model.output.model_dump())
    takes = takes_of(network, model.input, own_instances.KEY)
    segmenter = OwnInstances(network, takes, gives, score_threshold, nms)
    own_instances.try_out(segmenter, canvas)
    return segmenter, card


def load(model: OwnSemanticModel | OwnInstancesModel, given: Network | None = None, device: str = "cpu") -> OwnNetwork:
    """The network that a section describes, or that is given in its place.

    Raises:
        WeightsError, UsageError: as ``load_own``.
    """
    if given is not None:
        return of_module(given, "the network given from Python", device)
    weights = None if model.weights is None or is_file(model.network) else Path(model.weights)
    return load_own(model.network, model.arguments, weights, device, torch.get_num_threads())


def takes_of(network: OwnNetwork, described: NetworkInput | None, key: str) -> Takes:
    """The pictures a network takes: what its file fixes, and what the configuration adds.

    Raises:
        WeightsError: they contradict each other.
    """
    takes = Takes() if described is None else Takes(**described.model_dump())
    if network.size is not None and takes.size not in (None, network.size):
        raise WeightsError(
            f"{key}.input.size: {network.name} takes {_shape(network.size)} and nothing else, got "
            f"{_shape(takes.size)}; remove the key"
        )
    if network.dtype == torch.uint8 and replace(takes, size=None, stride=1, order="rgb") != Takes(stride=1):
        raise WeightsError(f"{key}.input: {network.name} takes uint8, pixels as they are; remove range, mean and std")
    return replace(takes, size=takes.size or network.size)


def _shape(size: Size | None) -> str:
    return "any" if size is None else f"{size[0]}x{size[1]}"


def own_card(
    name: str,
    task: Task,
    sha256: str,
    thresholds: Mapping[str, float],
    arguments: Mapping[str, Any],
) -> Card:
    """A card for a network that has none: its name, its digest, its arguments and thresholds."""
    return Card(
        name=Path(name).stem if is_file(name) else name.rpartition("/")[2],  # published: no folders of this machine
        task=task,
        network="own",
        arguments=dict(arguments),
        summary="A network of the user's own.",
        thresholds={**THRESHOLDS[task], **thresholds},
        data=[],
        terms="those of its owner",
        recipe="",
        seed=0,
        metrics={},
        measured="",
        limits="",
        sha256=sha256 or "0" * 64,
    )
