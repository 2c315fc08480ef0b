"""Training photos from a camera: frames at intervals, labelled by a trained model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from argos.errors import DataError, SourceError
from argos.sources.names import redact
from argos.sources.options import Reconnect, SourceOptions, SourceState
from argos.sources.read import read
from argos.training.measure import Scorer
from argos.training.photos import CROWD, IGNORE, Photo
from argos.training.segmentation import LEAST_AREA
from argos.training.teacher import SURE, SURELY_NOT
from argos.types import Frame

log = logging.getLogger(__name__)

LONG_SIDE = 512
"""Of the photos that are kept, pixels."""

PATIENCE = SourceOptions(reconnect=Reconnect(give_up_after=20))
"""With a camera that does not answer: about a minute, as long as one takes to start."""

FEWEST = 10
"""Photos from which something can be learnt."""

HELD = 0.2
"""Share of the photos, the last ones, that is measured on and not learnt from."""


def collect(
    source: str, score: Scorer, *, every_s: float, most: int, progress: Callable[[int], None] = lambda _: None
) -> list[Photo]:
    """Read a source until its end or ``most`` photos, in order of time; where it breaks off, what came before counts.

    Args:
        source: as for ``argos run``; nothing of it is written.
        score: of the teacher, asked about each frame that is kept.
        every_s: seconds between them on the clock of the source.
        most: photos.
        progress: called with the number of photos so far.

    Returns:
        Photos whose id mask says person where the teacher is sure, background where it is sure of that, and ignore
        between; people are not told apart.

    Raises:
        SourceError: the source cannot be read, does not answer, or held fewer than ten such frames.
    """
    photos: list[Photo] = []
    due, epoch = -np.inf, 0
    try:
        for frame in read(source, "collect", PATIENCE, on_state=_say_fault):
            if frame.pts_s < due and frame.epoch == epoch:  # a camera begins its time anew when it is connected again
                continue
            due, epoch = frame.pts_s + every_s - 1e-3, frame.epoch  # times are sums of floats
            photos.append(_labelled(frame, score))
            progress(len(photos))
            if len(photos) == most:
                break
    except SourceError as error:
        if len(photos) < FEWEST:
            raise
        log.warning("%s; the %d frames before that are learnt from", error, len(photos))
    if len(photos) < FEWEST:
        raise SourceError(
            f"{redact(source)}: {len(photos)} frames at intervals of {every_s:g} s are too few to learn from; "
            "choose a longer source or a smaller --every", "ended")  # fmt: skip
    return photos


def _say_fault(state: SourceState) -> None:
    if state.message and state.state != "ended":  # that one is raised
        log.warning("%s: %s", state.state, state.message)


def split_in_time(photos: Sequence[Photo], source: str) -> tuple[list[Photo], list[Photo]]:
    """Photos to learn from, and the last ones to measure on.

    Args:
        photos: of ``collect``.
        source: that they are from, for messages.

    Returns:
        Both; where nobody is in the last ones, the specks that the teacher took for people are ignored in them.

    Raises:
        DataError: nobody is in those to learn from.
    """
    first_held = round(len(photos) * (1 - HELD))
    learnt, held = list(photos[:first_held]), list(photos[first_held:])
    if not any(map(_shows_people, learnt)):
        raise DataError(
            f"{redact(source)}: the teacher sees nobody in the {len(learnt)} frames to learn from; take them while "
            "people pass, over a longer time (--every, --frames), or ask another --teacher"
        )
    if not any(map(_shows_people, held)):
        log.warning("%s: the teacher sees nobody in the last %d frames, on which is measured; the figures say only "
                    "what is found where nobody is", redact(source), len(held))  # fmt: skip
        held = [replace(photo, ids=np.where(photo.ids == CROWD, np.uint8(IGNORE), photo.ids)) for photo in held]
    return learnt, held


def _shows_people(photo: Photo) -> bool:
    """Whether there is as much of people as is ever proposed as a region; a teacher sees specks of people anywhere."""
    return float(((photo.ids > 0) & (photo.ids < IGNORE)).mean()) >= LEAST_AREA


def _labelled(frame: Frame, score: Scorer) -> Photo:
    scores = score(frame.pixels)
    ids = np.full(scores.shape, IGNORE, np.uint8)
    ids[scores >= SURE] = CROWD
    ids[scores < SURELY_NOT] = 0
    factor = min(1.0, LONG_SIDE / max(frame.size))
    size = (max(1, round(frame.size[1] * factor)), max(1, round(frame.size[0] * factor)))
    return Photo(
        np.asarray(cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.uint8),
        np.zeros((0, 4), np.float32),
        "camera",
        f"frame {frame.index}",
        boxes_known=False,
    )
