"""ASBU-Net's own measure: the Jaccard index beside a band around each person, and a penalty for people made up.

Reference:
    Bansal et al., ASBU-Net, section IV.C, Eq. 3. Printed, the band is not(ll or sl), which erases every person; the
    text says the inverse of the XOR of dilated and eroded label, and that is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.training.measure import Scorer
from argos.training.photos import IGNORE, Photo

BAND = 0.02
"""Reach of dilation and erosion, as a share of the square root of a person's area: the text gives no number."""

MADE_UP = 0.5
"""A found component with less than this share of its pixels on people is a misdetection."""


def ignore_band(person: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where outlines are not judged: dilated XOR eroded, each component by its own size.

    Args:
        person: ``(H, W)``.

    Returns:
        ``(H, W)``, True in the band.
    """
    count, components = cv2.connectedComponents(person.view(np.uint8))
    band = np.zeros(person.shape, np.bool_)
    for number in range(1, count):
        own = (components == number).view(np.uint8)
        reach = max(1, round(BAND * float(np.sqrt(own.sum()))))
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        band |= cv2.dilate(own, disk) != cv2.erode(own, disk)
    return band


def banded_jaccard(score: Scorer, photos: Sequence[Photo]) -> float:
    """Mean over the photos of the Jaccard index outside of the band, less 1 for each misdetection; at most 1.

    A photo without people and without misdetections counts 1.
    """
    values = []
    for photo in photos:
        judged = photo.ids != IGNORE
        person = (photo.ids > 0) & judged
        judged &= ~ignore_band(person)
        found = (score(photo.image) >= 0.5) & judged
        true = person & judged
        union = int((found | true).sum())
        jaccard = float((found & true).sum()) / union if union else 1.0
        values.append(jaccard - misdetections(found, person))
    return float(np.mean(values)) if values else 0.0


def misdetections(found: NDArray[np.bool_], person: NDArray[np.bool_]) -> int:
    """Found components of at least 16 pixels that lie mostly beside people; both arguments ``(H, W)``."""
    count, components = cv2.connectedComponents(found.view(np.uint8))
    sizes = np.bincount(components.ravel(), minlength=count)[1:]
    hits = np.bincount(components[person].ravel(), minlength=count)[1:]
    return int(((sizes >= 16) & (hits < MADE_UP * sizes)).sum())
