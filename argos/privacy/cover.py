"""Pictures with a part that nobody can make out any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.styles import blurred, pixelated
from argos.privacy.background import UNSEEN

Effect = Literal["blur", "pixelate", "fill", "background"]

Polygon = Sequence[tuple[float, float]]
"""Corners ``(x, y)`` as shares of width and height."""


def cover(
    image: NDArray[np.uint8], where: NDArray[np.bool_], effect: Effect, empty: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Cover a part of a picture.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        where: ``(H, W)`` bool, what is covered.
        effect: how; ``fill`` with grey, ``background`` with ``empty``.
        empty: ``(H, W, 3)`` uint8, the scene without people; grey where it is not known.

    Returns:
        A new picture; outside of ``where`` the same.

    Raises:
        ValueError: the part has another size, or the background is missing.
    """
    if where.shape != image.shape[:2]:
        raise ValueError(f"what is covered should have the size of the picture, {image.shape[:2]}, got {where.shape}")
    if effect == "background" and empty is None:
        raise ValueError("effect 'background' needs the picture of the empty scene")
    covered = np.ascontiguousarray(image).copy()
    if where.any():
        match effect:
            case "blur":
                # what a blur alone leaves of somebody close to the camera is too coarse for a face after the squares
                over = blurred(pixelated(image))
            case "pixelate":
                over = pixelated(image)
            case "fill":
                over = np.full_like(covered, UNSEEN)
            case "background":
                assert empty is not None
                over = empty
        cv2.copyTo(over, where.astype(np.uint8), covered)
    return covered


def areas_filled(image: NDArray[np.uint8], areas: Sequence[Polygon]) -> NDArray[np.uint8]:
    """A picture whose areas are grey, their edges included; the picture itself where there are none."""
    if not areas:
        return image
    height, width = image.shape[:2]
    filled = np.ascontiguousarray(image).copy()
    for area in areas:
        corners = np.rint(np.array(area) * (width, height)).astype(np.int32)
        cv2.fillPoly(filled, [corners], (UNSEEN, UNSEEN, UNSEEN))
    return filled
