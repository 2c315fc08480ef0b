"""Ids that stay with people: association of the people of each frame with the tracks of the frames before.

Reference:
    Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, arXiv:2110.06864; for people
    seen again, boxes grown as in Yang et al., C-BIoU, arXiv:2211.14317.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from argos.kernels.assignment import assign
from argos.tracking.likeness import Floats, Mask, box_overlaps, grown, likenesses, sides_of
from argos.tracking.motion import FIRST_SPEED, corrected, joined, predicted, started
from argos.types import Instances, Size, some_of

UNCONFIRMED = -1
"""In ``Instances.ids``: nobody yet, or nobody any more."""

WEAK_IOU, NEW_IOU, AGAIN_IOU = 0.5, 0.3, 0.2
"""Least overlap with people of low score, of people seen once, and with those seen again after a while."""

GROWN_PER_S, MOST_GROWN = 0.4, 0.6
"""Share of its sides by which the box of somebody unseen grows in a second, and at most."""


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How people are followed.

    Attributes:
        score: people from this score on begin tracks and are always shown.
        low_score: people from this score on continue confirmed tracks.
        min_iou: least overlap with the place where a track is expected.
        confirm_frames: frames in a row after which somebody new gets an id.
        lost_s: seconds unseen after which a track ends.
    """

    score: float
    low_score: float
    min_iou: float = 0.1
    confirm_frames: int = 3
    lost_s: float = 2.0


@dataclass(slots=True, eq=False)
class _Track:
    """One person followed.

    Attributes:
        id: ``UNCONFIRMED`` until there is one.
        hits: frames in which the person was seen.
        missed: frames since the person was seen; 0 when seen in the present one.
        seen_s: when the person was last seen.
        mask: how.
    """

    id: int
    hits: int
    missed: int
    seen_s: float
    mask: Mask


class Tracker:
    """Follows the people of one camera; deterministic: equal input gives equal ids.

    Ids count 1, 2, 3, ... within an epoch, in the order of confirmation; a new epoch begins anew.

    Args:
        settings: thresholds and times.
    """

    def __init__(self, settings: TrackSettings) -> None:
        self.settings = settings
        self._epoch: int | None = None
        self._now_s = 0.0
        self._last_id = 0
        self._tracks: list[_Track] = []
        self._motion = started(np.zeros((0, 4)))

    def update(self, people: Instances, pts_s: float, epoch: int = 0) -> Instances:
        """Take the people of the next frame.

        Args:
            people: all from ``low_score`` on; ids are ignored.
            pts_s: presentation time of the frame in seconds, never decreasing within an epoch.
            epoch: of the source; another one than before forgets everybody.

        Returns:
            The people who are shown, in the same order: those from ``score`` on, and weaker ones who continue a
            confirmed track. ``ids`` is ``UNCONFIRMED`` for those without a confirmed track.
        """
        if epoch != self._epoch:
            self._forget(epoch, pts_s)
        self._advance(max(0.0, pts_s - self._now_s))
        boxes = people.boxes.astype(np.float64)
        strong = people.scores >= self.settings.score
        weak = ~strong & (people.scores >= self.settings.low_score)
        track_of = self._associate(boxes, people.masks, np.flatnonzero(strong), np.flatnonzero(weak))
        self._follow(track_of, boxes, people.masks)
        for person in np.flatnonzero(strong).tolist():
            if person not in track_of:
                track_of[person] = self._begin(boxes[person], people.masks[person])
        ids = np.full(len(people), UNCONFIRMED, np.int64)
        for person, row in sorted(track_of.items()):
            ids[person] = self._id_of(self._tracks[row])
        self._end(people.size)
        return _chosen(people, ids, strong | (ids != UNCONFIRMED))

    def _forget(self, epoch: int, now_s: float) -> None:
        self._epoch, self._now_s, self._last_id, self._tracks = epoch, now_s, 0, []
        self._motion = started(np.zeros((0, 4)))

    def _advance(self, seconds: float) -> None:
        """Predict where everybody is now."""
        unseen = np.array([track.missed > 0 for track in self._tracks], np.bool_)
        self._motion = predicted(self._motion, seconds, unseen)
        for track in self._tracks:
            track.missed += 1
        self._now_s += seconds

    def _associate(
        self, boxes: Floats, masks: Sequence[Mask], strong: NDArray[np.intp], weak: NDArray[np.intp]
    ) -> dict[int, int]:
        """Person -> track, in five rounds; what one round leaves is offered to the next."""
        taken: dict[int, int] = {}
        rows = np.arange(len(self._tracks))
        free_row, free_person = np.ones(len(rows), np.bool_), np.ones(len(boxes), np.bool_)
        confirmed = np.array([track.id != UNCONFIRMED for track in self._tracks], np.bool_)
        current = np.array([track.missed == 1 for track in self._tracks], np.bool_)
        for chosen, columns, least, where in (
            (rows[confirmed], strong, self.settings.min_iou, self._as_predicted),
            (rows[confirmed & current], weak, WEAK_IOU, self._as_predicted),
            (rows[~confirmed], strong, NEW_IOU, self._as_predicted),
            (rows[~confirmed], strong, NEW_IOU, self._within_a_walk),
            (rows[confirmed & ~current], strong, AGAIN_IOU, self._after_a_while),
        ):
            free_rows, free_columns = chosen[free_row[chosen]], columns[free_person[columns]]
            if len(free_rows) == 0 or len(free_columns) == 0:
                continue
            scores = where(free_rows, boxes[free_columns], [masks[k] for k in free_columns.tolist()], least)
            for row, column in assign(scores, least).tolist():
                person, row = int(free_columns[column]), int(free_rows[row])
                taken[person] = row
                free_row[row] = free_person[person] = False
        return taken

    def _as_predicted(self, rows: NDArray[np.intp], seen: Floats, masks: Sequence[Mask], least: float) -> Floats:
        """Likeness of tracks, where they are expected, to people who are seen."""
        known = [self._tracks[row].mask for row in rows.tolist()]
        return likenesses(self._motion.edges[rows], known, seen, masks, least)

    def _within_a_walk(self, rows: NDArray[np.intp], seen: Floats, masks: Sequence[Mask], least: float) -> Floats:
        """Overlaps of boxes grown to where a brisk walk leads: nobody knows yet where who is new is going."""
        return self._grown_overlaps(rows, seen, lambda sides, unseen_s: FIRST_SPEED * unseen_s * sides[:, 1:])

    def _after_a_while(self, rows: NDArray[np.intp], seen: Floats, masks: Sequence[Mask], least: float) -> Floats:
        """Overlaps of boxes grown in each direction by a share of what they measure there."""
        return self._grown_overlaps(rows, seen, lambda sides, unseen_s: min(GROWN_PER_S * unseen_s, MOST_GROWN) * sides)

    def _grown_overlaps(
        self, rows: NDArray[np.intp], seen: Floats, margin: Callable[[Floats, float], Floats]
    ) -> Floats:
        """Overlaps after both sides grew by what the time since a track was seen allows.

        Args:
            rows: of tracks.
            seen: ``(M, 4)`` boxes.
            margin: sides ``(N, 2)`` and seconds -> what is added at each end, ``(N, 2)`` or ``(N, 1)``.
        """
        edges = self._motion.edges[rows]
        unseen_s = [self._now_s - self._tracks[row].seen_s for row in rows.tolist()]
        return np.concatenate(
            [
                box_overlaps(*(grown(boxes, margin(sides_of(boxes), seconds)) for boxes in (edges[n : n + 1], seen)))
                for n, seconds in enumerate(unseen_s)
            ]
        )

    def _follow(self, track_of: dict[int, int], boxes: Floats, masks: Sequence[Mask]) -> None:
        """Correct the tracks that were seen."""
        people, rows = np.array(list(track_of), np.intp), np.array(list(track_of.values()), np.intp)
        self._motion = corrected(self._motion, rows, boxes[people])
        for person, row in track_of.items():
            track = self._tracks[row]
            track.hits, track.missed, track.seen_s, track.mask = track.hits + 1, 0, self._now_s, masks[person]

    def _begin(self, box: Floats, mask: Mask) -> int:
        """A new track, not yet confirmed; its row."""
        self._motion = joined(self._motion, started(box[None]))
        self._tracks.append(_Track(UNCONFIRMED, 1, 0, self._now_s, mask))
        return len(self._tracks) - 1

    def _id_of(self, track: _Track) -> int:
        """The id of a track that was just seen; the next one if that confirms it."""
        if track.id == UNCONFIRMED and track.hits >= self.settings.confirm_frames:
            self._last_id += 1
            track.id = self._last_id
        return track.id

    def _end(self, size: Size) -> None:
        """Drop who was never confirmed and is not seen, who is unseen for too long, and who walked out of the frame."""
        centres = (self._motion.edges[:, :2] + self._motion.edges[:, 2:]) / 2
        in_frame: NDArray[np.bool_] = (centres >= 0) & (centres < (size[1], size[0]))
        inside = np.logical_and(in_frame[:, 0], in_frame[:, 1])
        kept = [
            row
            for row, track in enumerate(self._tracks)
            if track.missed == 0
            or (track.id != UNCONFIRMED and inside[row] and self._now_s - track.seen_s <= self.settings.lost_s)
        ]
        self._tracks = [self._tracks[row] for row in kept]
        self._motion = self._motion.taken(np.array(kept, np.intp))


def _chosen(people: Instances, ids: NDArray[np.int64], shown: NDArray[np.bool_]) -> Instances:
    rows = np.flatnonzero(shown)
    return replace(some_of(people, rows), ids=ids[rows])
