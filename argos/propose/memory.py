"""What the deep network has already said about the places of a scene, so that it is not asked again for nothing.

The proposer is cheap and often wrong: a poster, a shelf or a lamp post is proposed in every frame of a fixed camera.
Where the deep network has looked and found nobody, and the picture has not changed since, the proposal is dropped;
where it has found somebody, the place is proposed again whatever the proposer says. Where nothing has changed at all,
the proposer is not asked again either, and where little has but where people are proposed, not at every frame: what
changed is proposed unasked. A moving camera changes everything all the time, and then nothing is dropped and, unless
people fill the picture, every frame is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.types import Frame, RegionMask

BLOCK = 8
"""Side of a remembered place in cells of the proposer's grid."""

SAMPLES = 4
"""Per side of a place: its picture is remembered as so many grey values squared."""

CHANGED = 7.0
"""Mean difference of the grey values of a place, 0..255, from which it counts as changed. Noise of a sensor at night
stays below: each value is the mean of four pixels."""

STILL = 4.0
"""Likewise, below which a place counts as the same for the proposer, who is asked about the whole picture again when
one place is not. Sensor noise with a standard deviation of 4 stays below."""

ANSWER_S = 1.0
"""How long an answer of the proposer is good while nothing changes, seconds of the source: what is too faint to count
as a change is missed no longer."""

HELD_S = 0.15
"""How long an answer is good while little changes but where somebody is proposed: a person walks 20 cm in that time,
and the places that have changed since are looked at besides."""

SURPRISES = 0.04
"""Share of the places, away from those proposed, that may have changed since an answer that is still held."""

REACH = 2
"""Places around a changed or occupied one that are believed no more than it: people have parts that look like the
background."""

SURE_AFTER = 3
"""A cell counts as empty when the deep network has found nobody so many times in a row: its scores waver."""

Places = NDArray[np.bool_]
"""``(h, w)``, one value for each block of cells."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a picture looked like, small and grey: ``SAMPLES`` values a side of each place, and its epoch."""

    grey: NDArray[np.uint8]
    epoch: int


class SceneMemory:
    """The memory of one camera; call ``look`` and ``recall`` before a frame is analysed and ``learn`` after it, of the
    sight it had then: other pictures may have been looked at meanwhile.

    Attributes:
        looks: uint8 on the proposer's grid, how often in a row the deep network has looked at a cell and found nobody
            in its place, which did not change. What is computed rarely ends where a place does: counted by places,
            what is proposed near the border of one would be looked at for ever.
        occupied: ``(h, w)`` bool, places where it found somebody when it last looked.
        sight: of the picture looked at.
    """

    def __init__(self) -> None:
        self.looks = np.zeros((0, 0), np.uint8)
        self.occupied: Places = np.zeros((0, 0), np.bool_)
        self._when_empty = np.zeros((0, 0), np.uint8)  # what the places looked like then
        self.sight = Sight(np.zeros((0, 0), np.uint8), -1)
        self._at_s, self._frame_size = 0.0, (0, 0)
        self._answer: NDArray[np.float32] | None = None
        self._when_asked, self._asked_s = self.sight.grey, 0.0  # what the picture looked like then

    def answer(self, threshold: float) -> RegionMask | None:
        """What was said about a picture that was much like the one looked at, and what has changed since; else None.

        Args:
            threshold: cells of at least this score are proposed.

        Returns:
            The scores of ``keep``; cells that reach the threshold, and those of places that have changed since.
        """
        age_s = self._at_s - self._asked_s
        if self._answer is None or not 0 <= age_s < ANSWER_S:
            return None
        changes, mask = self._changes(self._when_asked), self._answer >= threshold
        if (changes >= STILL).any():
            changed = changes >= CHANGED
            foreseen = _around(_touched(mask, changed.shape), 1)
            if age_s >= HELD_S or (changed & ~foreseen).mean() > SURPRISES:
                return None
            mask |= _cells(changed)
        return RegionMask(self._answer, mask, self._frame_size)

    def keep(self, scores: NDArray[np.float32]) -> None:
        """Remember what the proposer said about the picture looked at, ``(h, w)`` on its grid."""
        self._answer, self._when_asked, self._asked_s = scores, self.sight.grey, self._at_s

    def recall(self, proposed: RegionMask) -> RegionMask:
        """Correct the proposals for the picture looked at by what is remembered.

        Args:
            proposed: what the proposer says about it; sides of its grid are multiples of ``BLOCK``.

        Returns:
            The same scores; cells of places that are empty and unchanged dropped, those of occupied places added.
        """
        changed = self._looked_at() & (self._changes(self._when_empty) >= CHANGED)
        self.looks[_cells(changed)] = 0
        idle = (self.looks >= SURE_AFTER) & ~_cells(_around(changed | self.occupied, REACH))
        return RegionMask(proposed.scores, (proposed.mask & ~idle) | _cells(self.occupied), proposed.frame_size)

    def look(self, frame: Frame, small: NDArray[np.uint8]) -> None:
        """Take in the picture that the other calls speak about; a new epoch or grid forgets everything.

        Args:
            frame: whose picture it is.
            small: ``(h, w, 3)``, the picture on the proposer's grid.
        """
        rows, columns = small.shape[0] // BLOCK, small.shape[1] // BLOCK
        if self.occupied.shape != (rows, columns) or frame.epoch != self.sight.epoch:
            self.looks = np.zeros((rows * BLOCK, columns * BLOCK), np.uint8)
            self.occupied = np.zeros((rows, columns), np.bool_)
            self._when_empty = np.zeros((rows * SAMPLES, columns * SAMPLES), np.uint8)
            self._answer = None
        self._at_s, self._frame_size = frame.pts_s, frame.size
        # what is shrunk to the grid shows single pixels of a large frame, halving the result averages them
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, (columns * SAMPLES, rows * SAMPLES), interpolation=cv2.INTER_AREA)
        self.sight = Sight(np.asarray(grey, np.uint8), frame.epoch)

    def learn(
        self,
        sight: Sight,
        computed: NDArray[np.bool_],
        people: NDArray[np.bool_],
        weak: Sequence[NDArray[np.bool_]] = (),
    ) -> None:
        """Remember what the deep network said about a picture; nothing, where it is of another scene by now.

        Args:
            sight: of the picture.
            computed: ``(H, W)`` bool of any size over the whole frame, where it looked.
            people: likewise, where it found people.
            weak: likewise, where it perhaps found somebody, one mask for each: whoever is mostly where somebody was
                found before, as a track goes on; anything else may look a little like a person for ever.
        """
        if sight.epoch != self.sight.epoch or sight.grey.shape != self._when_empty.shape:
            return
        places = self.occupied.shape
        cells = ~_touched(~computed, self.looks.shape)  # in full: half a cell says nothing about the other half
        looked, found = ~_touched(~cells, places), _touched(people, places)
        for one in weak:
            there = _touched(one, places)
            if 2 * (there & self.occupied).sum() >= there.sum():
                found = found | there
        self.occupied = np.where(looked, found, self.occupied | found)
        # where parts of a place are looked at one after the other, it is to be as it was at the first
        first = _touched(cells, places) & ~self._looked_at()
        self.looks[cells & (self.looks < SURE_AFTER)] += 1
        self.looks[_cells(found)] = 0
        fresh = np.repeat(np.repeat((looked | first) & ~found, SAMPLES, axis=0), SAMPLES, axis=1)
        self._when_empty[fresh] = sight.grey[fresh]

    def _looked_at(self) -> Places:
        """Places with a cell that was looked at."""
        return _touched(self.looks > 0, self.occupied.shape)

    def _changes(self, since: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Mean difference of the grey values of each place between the picture looked at and an earlier one."""
        rows, columns = self.occupied.shape
        difference = cv2.absdiff(self.sight.grey, since).reshape(rows, SAMPLES, columns, SAMPLES)
        return np.asarray(difference.mean(axis=(1, 3)))


def _cells(places: Places) -> NDArray[np.bool_]:
    """The cells of places."""
    return np.repeat(np.repeat(places, BLOCK, axis=0), BLOCK, axis=1)


def _around(places: Places, reach: int) -> Places:
    """Places and those up to ``reach`` from them."""
    return np.asarray(cv2.dilate(places.view(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0)


def _touched(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> Places:
    """Places that hold any of a mask."""
    if mask.shape == shape:
        return mask
    rows, columns = (np.arange(count) * side // count for side, count in zip(mask.shape, shape, strict=True))
    # the mask of a whole frame is large: eight pixels at once where they fill a word
    whole = mask.shape[1] % 8 == 0 and mask.flags.c_contiguous
    bands = np.bitwise_or.reduceat(mask.view(np.uint64 if whole else np.uint8), rows, axis=0).view(np.uint8)
    return np.asarray(np.bitwise_or.reduceat(bands, columns, axis=1), np.bool_)
