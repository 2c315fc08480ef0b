"""People in front of something else than their room: a blurred one, or a picture.

The mask is softened at its edge and in time: an outline that trembles from frame to frame catches the eye more than one
that is a little late. Where no mask is known there is only the backdrop.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.types import Size

SETTLED_S = 0.08
"""After this long a change of the mask is shown to two thirds."""

GAP_S = 0.5
"""After a longer gap the mask begins anew."""

FEATHER = 1 / 250
"""Softness of the edge, share of the shorter side."""


class Cutout:
    """How much of each pixel is person, over the results of one camera."""

    def __init__(self) -> None:
        self._soft: NDArray[np.float32] | None = None
        self._size: Size = (0, 0)
        self._last_s = -math.inf

    def keep(self, people: NDArray[np.bool_], pts_s: float) -> None:
        """Take the next mask ``(H, W)``, at a time in seconds."""
        size = people.shape[0], people.shape[1]
        half = max(1, size[1] // 2), max(1, size[0] // 2)  # a quarter of the work, and the edge is soft anyway
        now = cv2.resize(people.astype(np.float32), half, interpolation=cv2.INTER_AREA)
        now = np.asarray(cv2.GaussianBlur(now, (0, 0), max(0.6, min(size) * FEATHER)), np.float32)
        passed = pts_s - self._last_s
        if self._soft is None or size != self._size or not 0 <= passed <= GAP_S:
            self._soft = now
        else:
            cv2.accumulateWeighted(now, self._soft, 1 - math.exp(-passed / SETTLED_S))
        self._size, self._last_s = size, pts_s

    def alpha(self) -> NDArray[np.float32]:
        """``(H, W)`` float32 in 0..1.

        Raises:
            ValueError: no mask was kept yet.
        """
        if self._soft is None:
            raise ValueError("no mask was kept yet")
        return np.asarray(cv2.resize(self._soft, self._size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def before(image: NDArray[np.uint8], alpha: NDArray[np.float32], backdrop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The people of a picture before a backdrop.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        alpha: ``(H, W)`` float32 in 0..1, how much of a pixel is person.
        backdrop: ``(h, w, 3)`` uint8 RGB; another size is scaled and cut to fill the picture.

    Returns:
        A new picture of the shape of ``image``.
    """
    share = alpha[:, :, None]
    behind = filling(backdrop, (image.shape[0], image.shape[1]))
    return np.asarray(behind + share * (image.astype(np.float32) - behind) + 0.5, np.uint8)


def filling(picture: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """The middle of a picture, scaled so that it fills ``size``."""
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture
    factor = max(size[0] / height, size[1] / width)
    rows, columns = min(height, round(size[0] / factor)), min(width, round(size[1] / factor))
    top, left = (height - rows) // 2, (width - columns) // 2
    part = picture[top : top + max(1, rows), left : left + max(1, columns)]
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size[::-1], interpolation=how), np.uint8)
