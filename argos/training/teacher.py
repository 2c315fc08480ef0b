"""A trained segmentation says what photos with boxes only do not: which pixels of a box are the person."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from argos.training.measure import Scorer
from argos.training.photos import CROWD, IGNORE, Photo

SURE, SURELY_NOT = 0.65, 0.25
"""Scores from which a pixel is labelled person, and below which background; what lies between stays ignored."""

LEAST_SEEN = 0.1
"""Share of a box that the teacher has to call person; of a box with less it knows nothing."""


def label_boxes(photos: Sequence[Photo], score: Scorer) -> list[Photo]:
    """Fill the ignored pixels of photos with a teacher's labels; what people have labelled stays.

    Args:
        photos: with boxes only, their insides ignored.
        score: of the teacher.

    Returns:
        The photos with new id masks, in which people are not told apart.
    """
    labelled = []
    for photo in photos:
        scores = score(photo.image)
        sure = scores >= SURE
        known = np.zeros(photo.ids.shape, np.bool_)
        missed = np.zeros(photo.ids.shape, np.bool_)
        for box in photo.boxes:
            x0, y0, x1, y1 = (max(0, round(float(v))) for v in box)
            inside = (slice(y0, y1), slice(x0, x1))
            (known if sure[inside].size and sure[inside].mean() >= LEAST_SEEN else missed)[inside] = True
        ids = photo.ids.copy()
        unknown = ids == IGNORE
        ids[unknown & known & ~missed & (scores < SURELY_NOT)] = 0
        ids[unknown & sure] = CROWD
        labelled.append(dataclasses.replace(photo, ids=ids))
    return labelled
