"""Analysis and covering of frames in one call: what comes out of it may be shown, whatever the networks did."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from argos.config import Camera
from argos.pipelines.flight import Job, Steps
from argos.pipelines.relief import Line
from argos.pipelines.views import Analysis, View
from argos.privacy.cover import Polygon, areas_filled
from argos.privacy.guard import REPEATED_S, Guard, Privacy
from argos.privacy.judge import Evidence
from argos.types import Frame, Regions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a frame gave, and what may be seen of it.

    Attributes:
        analysis: of the frame; without people and mask where a network failed.
        pixels: ``(H, W, 3)`` uint8 RGB, the covered picture.
        privacy: ``off``, ``ok`` or ``fallback:CAUSE``.
    """

    analysis: Analysis
    pixels: NDArray[np.uint8]
    privacy: str


def privacy_of(camera: Camera) -> Privacy | None:
    """What is covered of a camera; None where nothing is."""
    chosen = camera.privacy
    if not chosen.is_on:
        return None
    return Privacy(
        people=None if chosen.people == "none" else chosen.people,
        rest=None if chosen.rest == "none" else chosen.rest,
        on_uncertain=chosen.on_uncertain,
        margin=chosen.margin,
        hold_s=chosen.hold_s,
        late_s=chosen.late_s,
    )


class Shield:
    """Stands between the cameras and everything that shows their pictures.

    Args:
        cameras: their configurations, by name.
    """

    def __init__(self, cameras: Mapping[str, Camera]) -> None:
        self._areas: dict[str, Sequence[Polygon]] = {name: camera.mask_areas for name, camera in cameras.items()}
        chosen = {name: privacy_of(camera) for name, camera in cameras.items()}
        self._guards = {name: Guard(privacy) for name, privacy in chosen.items() if privacy is not None}
        self._told_s = -REPEATED_S

    def cover(self, name: str, camera: Camera | None) -> None:
        """Cover a camera so from now on; None: it is gone."""
        self._areas[name] = () if camera is None else camera.mask_areas
        privacy = None if camera is None else privacy_of(camera)
        self._guards.pop(name, None)
        if privacy is not None:
            self._guards[name] = Guard(privacy)

    def view(self, camera: str, view: View) -> View:
        """The view of a camera; a covered one has its proposer asked about every frame, as a witness."""
        return replace(view, watched=True) if camera in self._guards else view

    def steps(
        self, people: Line, frames: Sequence[Frame], views: Sequence[View], refresh: Sequence[bool]
    ) -> Steps[list[Shown]]:
        """Analyse frames together and cover them; arguments and jobs as those of ``People.steps``.

        The areas nobody may see are filled before the networks look. Where a network raises an error, the frames are
        covered whole and the next ones are tried again; with a camera among them that is not covered, it is raised.
        """
        frames = [self._without_areas(frame) for frame in frames]
        failed = False
        try:
            analyses = yield from people.steps(frames, views, refresh)
        except Exception as error:
            if not all(frame.camera in self._guards for frame in frames):
                raise
            self._tell(error)
            analyses, failed = [_nothing_known(frame) for frame in frames], True
        if self._guards:
            # a frame without a run of the networks is over at once: the frames before it are covered first, so that
            # whom they show is held
            yield Job(_wait_for_turn)
        # without the time that what was found waited for frames before it, and for whoever takes the results
        took_s = sum(sum(analysis.spans_ms.values()) for analysis in analyses) / 1e3
        return [
            self._shown(frame, view, analysis, took_s, failed)
            for frame, view, analysis in zip(frames, views, analyses, strict=True)
        ]

    def _without_areas(self, frame: Frame) -> Frame:
        pixels = areas_filled(frame.pixels, self._areas.get(frame.camera, ()))
        return frame if pixels is frame.pixels else replace(frame, pixels=pixels)

    def _shown(self, frame: Frame, view: View, analysis: Analysis, took_s: float, failed: bool) -> Shown:
        guard = self._guards.get(frame.camera)
        if guard is None:
            return Shown(analysis, frame.pixels, "off")
        start = time.perf_counter()
        evidence = Evidence(
            people=_people(frame, view, analysis),
            proposed=analysis.proposed,
            index=frame.index,
            epoch=frame.epoch,
            took_s=took_s,
            failed=failed,
        )
        covered = guard.covered(frame, evidence)
        spans_ms = {**analysis.spans_ms, "cover": (time.perf_counter() - start) * 1e3}
        return Shown(replace(analysis, spans_ms=spans_ms), covered.pixels, covered.state)

    def _tell(self, error: Exception) -> None:
        """Log an error with its traceback, at most every ``REPEATED_S``."""
        now = time.monotonic()
        if now - self._told_s >= REPEATED_S:
            self._told_s = now
            log.error("a network failed: %s", error, exc_info=error, extra={"event": "privacy.failed"})


def _people(frame: Frame, view: View, analysis: Analysis) -> NDArray[np.bool_] | None:
    """Pixels of anybody, the weak ones that no tracker has confirmed included; None without what was asked for."""
    if (view.instances is not None and analysis.instances is None) or (
        view.semantic is not None and analysis.semantic is None
    ):
        return None
    people = np.zeros(frame.size, np.bool_) if analysis.instances is None else analysis.instances.union()
    return people if analysis.semantic is None else people | analysis.semantic.mask


def _wait_for_turn() -> None:
    """No work: what follows a job is done frame by frame, in order (``Flight.finish``)."""


def _nothing_known(frame: Frame) -> Analysis:
    nowhere = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), frame.size)
    return Analysis("skip", nowhere, None, None, 0.0, {})
