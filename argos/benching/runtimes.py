"""The same weights on the full frame by ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from argos.benching.contender import Contender, Networks, NotHereError, Setting
from argos.benching.whole import in_full
from argos.engines.core import Core
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.deployed import Backend, Deployed
from argos.errors import UsageError, WeightsError
from argos.pipelines.build import device_of
from argos.types import Instances


def by_onnxruntime(setting: Setting) -> Contender:
    """The full frame by ONNX Runtime."""
    return _by("onnxruntime", setting)


def by_openvino(setting: Setting) -> Contender:
    """The full frame by OpenVINO."""
    return _by("openvino", setting)


def core_of(setting: Setting) -> Core:
    """The networks of the tasks as one module.

    Raises:
        NotHereError: they are not ours, or not on the CPU.
    """
    if torch.device(device_of(setting.config.engine.device)).type != "cpu":
        raise NotHereError("measured on CPUs only")
    semantic, instances = _segmenters(setting)
    return Core(
        None if semantic is None else semantic.network,
        None if instances is None else instances.network,
    )


def _segmenters(setting: Setting) -> tuple[SemanticSegmenter | None, InstanceSegmenter | None]:
    view, people = setting.view, setting.people
    semantic = people.semantic if view.semantic is not None else None
    instances = people.instances if view.instances is not None else None
    if not isinstance(semantic, SemanticSegmenter | None) or not isinstance(instances, InstanceSegmenter | None):
        raise NotHereError("the networks are not those of ARGOS")
    return semantic, instances


def _by(backend: Backend, setting: Setting) -> Contender:
    deployed = Deployed(core_of(setting), backend, torch.get_num_threads())
    try:
        deployed.runtime  # noqa: B018  # loads it now
    except (UsageError, WeightsError) as error:
        raise NotHereError(str(error)) from error
    return in_full(setting, networks_by(deployed, setting))


def networks_by(deployed: Deployed, setting: Setting) -> Networks:
    """The segmenters of the tasks on one run of the networks for each picture."""
    semantic, instances = _segmenters(setting)

    def run(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32] | None, Sequence[Instances] | None]:
        found = deployed(pixels)
        return (
            replace(semantic, outputs=lambda _: found).scores(pixels) if semantic else None,
            replace(instances, outputs=lambda _: found).instances(pixels) if instances else None,
        )

    return run
