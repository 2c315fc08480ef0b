"""The scene without people, learned from what was not covered."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

UNSEEN = 96
"""Grey of what is not known, or is filled."""

SIGHTINGS = 25
"""A pixel is known once it was seen without anybody this often: who is missed for a few frames is not remembered."""

LEARNED = 0.02
"""Share of each new picture in the learned one."""


class EmptyScene:
    """The scene behind the people of one camera."""

    def __init__(self) -> None:
        self._mean: NDArray[np.float32] | None = None
        self._seen: NDArray[np.uint8] | None = None

    def learn(self, image: NDArray[np.uint8], covered: NDArray[np.bool_]) -> None:
        """Take a picture ``(H, W, 3)``.

        The pixels of ``covered`` ``(H, W)`` teach nothing, and what is not known yet begins anew there.
        """
        if self._mean is None or self._seen is None or self._mean.shape != image.shape:
            self._mean, self._seen = np.zeros(image.shape, np.float32), np.zeros(image.shape[:2], np.uint8)
        cv2.copyTo(image.astype(np.float32), (self._seen == 0).astype(np.uint8), self._mean)
        cv2.accumulateWeighted(image, self._mean, LEARNED, mask=(~covered).astype(np.uint8))
        self._seen = np.where(
            covered, np.where(self._seen < SIGHTINGS, 0, SIGHTINGS), np.minimum(self._seen + 1, SIGHTINGS)
        ).astype(np.uint8)

    def picture(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The scene, ``(H, W, 3)`` uint8 of ``size``; grey where it is not known."""
        picture = np.full((*size, 3), UNSEEN, np.uint8)
        if self._mean is not None and self._seen is not None and self._mean.shape == picture.shape:
            known = (self._seen >= SIGHTINGS).astype(np.uint8)
            cv2.copyTo(np.clip(self._mean + 0.5, 0, 255).astype(np.uint8), known, picture)
        return picture
