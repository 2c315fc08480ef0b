"""Covers the frames of one camera, one after the other; what cannot be told for sure is covered."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from argos.privacy.background import EmptyScene
from argos.privacy.cover import Effect, cover
from argos.privacy.judge import Cause, Evidence, grown, judge, touching, unexplained
from argos.types import Frame

log = logging.getLogger(__name__)

REPEATED_S = 10.0
"""The same cause is logged again after this long."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is covered of a camera.

    Attributes:
        people: effect on people; None: they are shown.
        rest: effect on everything else; None: it is shown.
        on_uncertain: what is covered where the proposer sees somebody who was not found: what was proposed, or the
            whole frame. With nobody found at all, and for every other cause, the whole frame is covered.
        margin: growth of the people, share of the frame's shorter side.
        hold_s: what was covered stays covered for so many seconds.
        late_s: a mask that took longer is not trusted.
    """

    people: Effect | None
    rest: Effect | None = None
    on_uncertain: Literal["regions", "full_frame"] = "regions"
    margin: float = 0.01
    hold_s: float = 0.5
    late_s: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Covered:
    """A picture that may be shown.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 RGB.
        state: ``ok``, or ``fallback:CAUSE``, see ``Cause``.
        people: ``(H, W)`` bool, where people were covered.
    """

    pixels: NDArray[np.uint8]
    state: str
    people: NDArray[np.bool_]


class Guard:
    """Of one camera.

    Args:
        privacy: what is covered, and how; at least one of ``people`` and ``rest``.
    """

    def __init__(self, privacy: Privacy) -> None:
        self.privacy = privacy
        self._scene = EmptyScene() if "background" in (privacy.people, privacy.rest) else None
        self._covered_s: NDArray[np.float64] | None = None  # when each pixel was covered last, on the camera's clock
        self._newest = (0, 0.0)
        self._logged: tuple[Cause, float] | None = None

    def covered(self, frame: Frame, evidence: Evidence) -> Covered:
        """Cover a frame by what the networks say about it; called once for each frame, in order."""
        cause = judge(evidence, frame, self.privacy.late_s)
        if cause == "uncertain" and self.privacy.people is None:
            cause = None  # whoever was not found belongs to the rest, which is covered
        whole = cause is not None and not (cause == "uncertain" and self._only_regions(evidence))
        self._log(frame.camera, cause, whole)
        people = np.ones(frame.size, np.bool_)
        if cause in (None, "late", "uncertain"):  # who is known is held, though the whole frame be covered now
            known = self._people(frame, evidence)
            people = people if whole else known
        pixels = self._painted(frame.pixels, people, evidence, whole)
        if self._scene is not None:
            self._scene.learn(frame.pixels, people)
        return Covered(pixels, "ok" if cause is None else f"fallback:{cause}", people)

    def _only_regions(self, evidence: Evidence) -> bool:
        """Whether covering what was proposed is enough: a network that finds nobody at all may be blind."""
        return self.privacy.on_uncertain == "regions" and evidence.people is not None and bool(evidence.people.any())

    def _painted(
        self, pixels: NDArray[np.uint8], people: NDArray[np.bool_], evidence: Evidence, whole: bool
    ) -> NDArray[np.uint8]:
        privacy = self.privacy
        empty = None if self._scene is None else self._scene.picture((pixels.shape[0], pixels.shape[1]))
        painted = pixels
        if privacy.rest is not None:
            # exact: here it is the surroundings of people that nobody may see
            rest = np.ones_like(people) if whole or evidence.people is None else ~evidence.people
            painted = cover(painted, rest, privacy.rest, empty)
        if privacy.people is not None:
            painted = cover(painted, people, privacy.people, empty)
        return painted

    def _people(self, frame: Frame, evidence: Evidence) -> NDArray[np.bool_]:
        """Everybody found, now and in the last moments, and who was proposed but not found, ``(H, W)`` bool."""
        assert evidence.people is not None
        assert evidence.proposed is not None
        found = evidence.people
        missed = unexplained(evidence.proposed, found)
        if missed.any():
            found = found | touching(grown(missed, 2), frame.size)
        found = grown(found, max(2, round(self.privacy.margin * min(frame.size))))
        (epoch, last_s), before = self._newest, self._covered_s
        if before is None or before.shape != found.shape or frame.epoch != epoch or frame.pts_s < last_s:
            before = np.full(found.shape, -np.inf)
        self._newest, self._covered_s = (frame.epoch, frame.pts_s), before
        before[found] = frame.pts_s
        return before >= frame.pts_s - self.privacy.hold_s - 1e-6  # 0.8 - 0.5 is more than 0.3

    def _log(self, camera: str, cause: Cause | None, whole: bool) -> None:
        """One line when the whole frame is covered, and again every ``REPEATED_S`` or when the cause changes."""
        now = time.monotonic()
        if (
            cause is None
            or not whole
            or (self._logged and self._logged[0] == cause and now - self._logged[1] < REPEATED_S)
        ):
            return
        self._logged = cause, now
        log.warning(
            "camera '%s': the mask is %s, so the whole frame is covered",
            camera,
            cause if cause != "failed" else "missing because a network failed",
            extra={"event": "privacy.fallback", "camera": camera, "code": cause},
        )
