"""Gather-scatter runs of networks that are not ours, where they are modules that the sparse engine can run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.block_held import Held
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.deployed import Deployed
from argos.engines.exported import ExportedInstances
from argos.engines.gather import SparseInstances, SparseSemantic
from argos.engines.own_instances import GivenInstances, OwnInstances
from argos.engines.own_network import OwnNetwork, named_outputs, said
from argos.engines.own_semantic import GivenSemantic, OwnSemantic
from argos.engines.segmenter import Instancewise, Segmenter, Semantic, Takes
from argos.engines.sparse import Semantics, SparseNetwork
from argos.errors import ArgosError, UsageError
from argos.types import Instances, some_of


class SparseOwnSemantic:
    """An ``OwnSemantic`` on the active blocks only.

    Attributes:
        sparse: the wrapped network; its counters tell what was executed.

    Raises:
        UsageError: the network is no module.
    """

    def __init__(self, segmenter: OwnSemantic, semantics: Semantics = "masked") -> None:
        self._segmenter = segmenter
        self.sparse = _sparse(segmenter.network, semantics)

    def pays(self, active: NDArray[np.bool_]) -> bool:
        """As ``SparseNetwork.pays``, for the picture before it is filled up."""
        return self.sparse.pays(_filled(active, self._segmenter.takes))

    @torch.inference_mode()
    def scores(
        self, pixels: NDArray[np.uint8], active: NDArray[np.bool_], held: Held | None = None
    ) -> NDArray[np.float32]:
        """Probability of a person, ``(H, W)`` float32, 0 outside of ``active`` ``(H, W)``; ``held`` of the camera."""
        own = self._segmenter
        outputs = _run(self.sparse, own.network, own.prepared(pixels[None]), active, own.takes, held)
        scores = own.decoded(outputs, (pixels.shape[0], pixels.shape[1]))[0]
        return np.asarray(
            torch.where(torch.from_numpy(active).to(scores.device), scores, 0.0).cpu().numpy(), np.float32
        )


class SparseOwnInstances:
    """An ``OwnInstances`` on the active blocks only.

    Attributes:
        segmenter: as given; its limits may be changed.
        sparse: the wrapped network; its counters tell what was executed.

    Raises:
        UsageError: the network is no module.
    """

    def __init__(self, segmenter: OwnInstances, semantics: Semantics = "masked") -> None:
        self.segmenter = segmenter
        self.sparse = _sparse(segmenter.network, semantics)

    def pays(self, active: NDArray[np.bool_]) -> bool:
        """As ``SparseNetwork.pays``, for the picture before it is filled up."""
        return self.sparse.pays(_filled(active, self.segmenter.takes))

    @torch.inference_mode()
    def instances(self, pixels: NDArray[np.uint8], active: NDArray[np.bool_], held: Held | None = None) -> Instances:
        """People with an active pixel in the middle of their box, in pixels of ``pixels`` ``(H, W, 3)``.

        What a network says of blocks that were not computed is chance, and is dropped.
        """
        own = self.segmenter
        outputs = _run(self.sparse, own.network, own.prepared(pixels[None]), active, own.takes, held)
        found = own.decoded(outputs, (pixels.shape[0], pixels.shape[1]))
        x, y = (found.boxes[:, 0] + found.boxes[:, 2]) // 2, (found.boxes[:, 1] + found.boxes[:, 3]) // 2
        return some_of(found, np.flatnonzero(active[y, x]))


def _filled(active: NDArray[np.bool_], takes: Takes) -> NDArray[np.bool_]:
    """The mask of a picture that is filled up to what a network takes."""
    height, width = takes.padded((active.shape[0], active.shape[1]))
    return np.pad(active, ((0, height - active.shape[0]), (0, width - active.shape[1])))


def runs_on_blocks(segmenter: Segmenter) -> bool:
    """Whether a segmenter may be asked for on active blocks; a module that turns out not to fit says so then."""
    if isinstance(segmenter, OwnSemantic | OwnInstances):
        return segmenter.network.module is not None
    if not isinstance(segmenter, SemanticSegmenter | InstanceSegmenter):
        return False
    return not (isinstance(segmenter.outputs, Deployed) and segmenter.outputs.precision != "float32")


def sparse_semantic(segmenter: Semantic, semantics: Semantics = "masked") -> SparseSemantic | SparseOwnSemantic:
    """A segmenter on active blocks.

    Args:
        segmenter: as the pipeline runs it on whole pictures.
        semantics: of ``SparseNetwork``.

    Raises:
        UsageError: it cannot be run so; the message names the other modes.
    """
    if isinstance(segmenter, SemanticSegmenter):
        return SparseSemantic(segmenter, semantics)
    if isinstance(segmenter, OwnSemantic):
        return SparseOwnSemantic(segmenter, semantics)
    raise UsageError(_refusal(_kind(segmenter), "is no network that can be looked into"))


def sparse_instances(segmenter: Instancewise, semantics: Semantics = "masked") -> SparseInstances | SparseOwnInstances:
    """A segmenter on active blocks, as ``sparse_semantic``."""
    if isinstance(segmenter, InstanceSegmenter):
        return SparseInstances(segmenter, semantics)
    if isinstance(segmenter, OwnInstances):
        return SparseOwnInstances(segmenter, semantics)
    if isinstance(segmenter, ExportedInstances):
        raise UsageError(_refusal(segmenter.network.name, "runs as a whole"))
    raise UsageError(_refusal(_kind(segmenter), "is no network that can be looked into"))


def _kind(segmenter: Segmenter) -> str:
    """What the user calls a segmenter."""
    return type(segmenter.segmenter if isinstance(segmenter, GivenSemantic | GivenInstances) else segmenter).__name__


def _refusal(name: str, why: str) -> str:
    return (
        f"{name}: {why}, so it does not run in mode gather; set regions.mode to pack, full or mask, or give the "
        "network as module:function with plain convolutions"
    )


def _sparse(network: OwnNetwork, semantics: Semantics) -> SparseNetwork:
    if network.module is None:
        raise UsageError(_refusal(network.name, "runs as a whole"))
    return SparseNetwork(network.module, semantics=semantics)


def _run(
    sparse: SparseNetwork,
    network: OwnNetwork,
    image: Tensor,
    active: NDArray[np.bool_],
    takes: Takes,
    held: Held | None,
) -> Mapping[str, Any]:
    try:
        return named_outputs(sparse.forward(image, _filled(active, takes), held), network.name)
    except ArgosError:
        raise
    except Exception as error:  # foreign code may raise anything
        raise UsageError(_refusal(network.name, f"cannot run on blocks ({said(error)})")) from error
