"""Networks in place: on the blocks of a frame that hold proposed cells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argos.engines.block_held import Held
from argos.engines.dense import InstanceSegmenter
from argos.engines.gather import SparseInstances, SparseJoint
from argos.engines.gather_own import SparseOwnInstances, SparseOwnSemantic, sparse_instances, sparse_semantic
from argos.engines.joint import JointSegmenter
from argos.engines.own_instances import OwnInstances
from argos.engines.segmenter import PADDING, Instancewise, Semantic
from argos.engines.sparse import Semantics, SparseNetwork
from argos.errors import UsageError
from argos.packing.costs import Tasks
from argos.types import Frame, Instances, Size

log = logging.getLogger(__name__)

WARMED = (0.05, 0.2, 0.4)
"""Active shares of the pictures on which networks are tried before the first frame."""

Found = tuple[NDArray[np.float32] | None, Instances | None]
"""Scores ``(H, W)`` and people of one picture; None of a task that is not looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Finder:
    """One network on active blocks.

    Attributes:
        task: under which is kept what it held; of both ``joint``.
        sparse: the network.
        pays: of the active pixels, whether a run is expected to take less time than the whole picture.
        find: of ``(H, W, 3)`` uint8, ``(H, W)`` bool active pixels, and what it held of the camera.
    """

    task: str
    sparse: SparseNetwork
    pays: Callable[[NDArray[np.bool_]], bool]
    find: Callable[[NDArray[np.uint8], NDArray[np.bool_], Held | None], Found]

    def run(
        self, pixels: NDArray[np.uint8], active: NDArray[np.bool_], held: Held | None
    ) -> tuple[NDArray[np.float32] | None, Instances | None, int, int]:
        """What ``find`` gives, and the multiply-accumulates of this run and of a dense one.

        All at once: the counters are those of another frame as soon as that runs.
        """
        return *self.find(pixels, active, held), self.sparse.executed_macs, self.sparse.dense_macs


class InPlace:
    """The networks of a line on active blocks, built when they are first asked for, and what they held of cameras.

    Args:
        semantic, instances: of the line.
        joint: both in one, where they share an encoder.
        semantics: see ``engines.sparse``.
    """

    def __init__(
        self,
        semantic: Semantic | None,
        instances: Instancewise | None,
        joint: JointSegmenter | None,
        semantics: Semantics,
    ) -> None:
        self._semantic, self._instances, self._joint = semantic, instances, joint
        self.semantics: Semantics = semantics
        self._of_people: SparseInstances | SparseOwnInstances | None = None
        self._of_both: SparseJoint | None = None
        self._built: dict[str, Finder] = {}
        self._warm: set[str] = set()
        self._held: dict[tuple[str, str], tuple[int, Held]] = {}  # by camera and task, with the epoch

    def finders(self, tasks: Tasks) -> list[Finder]:
        """The networks that some tasks take, in the order in which they run.

        Raises:
            UsageError: one of them cannot be run on blocks.
        """
        both = self._joint is not None and len(tasks) == 2
        given = {"semantic": self._semantic, "instances": self._instances}
        names = ["joint"] if both else [task for task, one in given.items() if one is not None and task in tasks]
        return [self._finder(name) for name in names]

    def keep_from(self, instances: Instancewise, joint: JointSegmenter | None) -> None:
        """Find people of other scores from now on; the networks stay."""
        self._instances, self._joint = instances, joint
        if self._of_both is not None and joint is not None:
            self._of_both.joint = joint
        if isinstance(self._of_people, SparseInstances) and isinstance(instances, InstanceSegmenter):
            self._of_people.segmenter = instances
        if isinstance(self._of_people, SparseOwnInstances) and isinstance(instances, OwnInstances):
            self._of_people.segmenter = instances

    def refused(self, tasks: Iterable[Tasks], size: Size) -> tuple[str, UsageError] | None:
        """Run the networks that some cameras need on one block of a grey picture, so that one that does not fit is told
        before the first frame.

        Args:
            tasks: of each camera.
            size: of the picture.

        Returns:
            The first task whose network cannot be run so, and why; None where all can.

        Raises:
            UsageError: one cannot be run on blocks in any semantics.
        """
        pixels, active = np.full((*size, 3), PADDING, np.uint8), np.zeros(size, np.bool_)
        active[size[0] // 2, size[1] // 2] = True
        for finder in self._finders(tasks):
            try:
                finder.find(pixels, active, None)
            except UsageError as error:
                return finder.task, error
        return None

    def take(self, semantics: Semantics) -> None:
        """Run in other semantics from now on; the networks are built anew."""
        self.semantics = semantics
        self._of_people = self._of_both = None
        self._built, self._warm, self._held = {}, set(), {}

    def warm(self, tasks: Iterable[Tasks], size: Size) -> None:
        """Run the networks that some cameras need once, so that kernels are compiled before their first frame.

        Args:
            tasks: of each camera.
            size: of the pictures.

        Raises:
            UsageError: a network cannot be run on blocks; the message names the layer.
        """
        pixels = np.full((*size, 3), PADDING, np.uint8)
        for finder in self._finders(tasks):
            if finder.task in self._warm:
                continue
            for share in WARMED:
                active = np.zeros(size, np.bool_)
                active[:, : round(share * size[1])] = True
                finder.find(pixels, active, None)
                if share == WARMED[0] and not finder.pays(active):
                    words = "engine.sparse: %s: active blocks depend on so much that whole frames are computed instead"
                    log.warning(words, self.semantics)
            self._warm.add(finder.task)

    def held_of(self, frame: Frame, task: str) -> Held | None:
        """What the network of a task held of this camera in this epoch; None where nothing is held."""
        if self.semantics != "previous":
            return None
        epoch, held = self._held.get((frame.camera, task), (frame.epoch, Held()))
        if epoch != frame.epoch:
            held = Held()
        self._held[frame.camera, task] = frame.epoch, held
        return held

    def let_go(self, camera: str) -> None:
        """Forget what the networks held of a camera."""
        for key in [key for key in self._held if key[0] == camera]:
            del self._held[key]

    def _finders(self, tasks: Iterable[Tasks]) -> list[Finder]:
        """Those that any of some cameras needs, each once."""
        return list({finder.task: finder for of_camera in tasks for finder in self.finders(of_camera)}.values())

    def _finder(self, name: str) -> Finder:
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def _build(self, name: str) -> Finder:
        if name == "joint":
            assert self._joint is not None
            both = self._of_both = SparseJoint(self._joint, self.semantics)
            return Finder(name, both.sparse, both.sparse.pays, both.segment)
        if name == "semantic":
            assert self._semantic is not None
            masks = sparse_semantic(self._semantic, self.semantics)
            pays = masks.pays if isinstance(masks, SparseOwnSemantic) else masks.sparse.pays
            return Finder(name, masks.sparse, pays, lambda *given: (masks.scores(*given), None))
        assert self._instances is not None
        people = self._of_people = sparse_instances(self._instances, self.semantics)
        pays = people.pays if isinstance(people, SparseOwnInstances) else people.sparse.pays
        return Finder(name, people.sparse, pays, lambda *given: (None, people.instances(*given)))
