"""Training photos from a camera: frames at intervals, labelled by a trained model."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from argos.errors import SourceError
from argos.sources.names import redact
from argos.sources.read import read
from argos.training.measure import Scorer
from argos.training.photos import CROWD, IGNORE, Photo
from argos.training.teacher import SURE, SURELY_NOT
from argos.types import Frame

LONG_SIDE = 512
"""Of the photos that are kept, pixels."""


def collect(
    source: str, score: Scorer, *, every_s: float, most: int, progress: Callable[[int], None] = lambda _: None
) -> list[Photo]:
    """Read a source until its end or ``most`` photos, in order of time.

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
        SourceError: the source cannot be read, or held fewer than ten such frames.
    """
    photos: list[Photo] = []
    due = -np.inf
    for frame in read(source, "collect"):
        if frame.pts_s < due:
            continue
        due = frame.pts_s + every_s - 1e-3  # times are sums of floats
        photos.append(_labelled(frame, score))
        progress(len(photos))
        if len(photos) == most:
            break
    if len(photos) < 10:
        raise SourceError(
            f"{redact(source)}: {len(photos)} frames at intervals of {every_s:g} s are too few to learn from; "
            "choose a longer source or a smaller --every", "ended")  # fmt: skip
    return photos


def _labelled(frame: Frame, score: Scorer) -> Photo:
    scores = score(frame.pixels)
    ids = np.full(scores.shape, IGNORE, np.uint8)
    ids[scores >= SURE] = CROWD
    ids[scores < SURELY_NOT] = 0
    factor = min(1.0, LONG_SIDE / max(frame.size))
    size = (round(frame.size[1] * factor), round(frame.size[0] * factor))
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
