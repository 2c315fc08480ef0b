"""Cut-out people put into a picture, in its light: without that a network learns to tell what was pasted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Place:
    """How a background looks as a whole.

    Attributes:
        cast: ``(3,)`` colour of the light, RGB, mean 1: that of the mean pixel.
        blur: sigma in pixels by which its edges are softer than those of a sharp photo.
    """

    cast: Floats
    blur: float


def place_of(background: NDArray[np.uint8]) -> Place:
    """Measure a background ``(H, W, 3)`` uint8 RGB.

    Slopes by curvature, both by their spread, grow with the width of edges whatever the contrast is. The numbers of the
    line were found by blurring 30 photos by 0 to 3 pixels.
    """
    mean = np.asarray(cv2.mean(background)[:3], np.float32) + 8  # next to black no colour is known
    grey = cv2.cvtColor(background, cv2.COLOR_RGB2GRAY)
    slope = cv2.meanStdDev(cv2.Sobel(grey, cv2.CV_16S, 1, 0))[1].item() / 8
    curvature = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1].item()
    return Place(mean / mean.mean(), max(0.0, 1.6 * (slope / (curvature + 1e-3) - 0.45)) if curvature > 1 else 0.0)


def jittered(person: NDArray[np.uint8], height: int, rng: np.random.Generator) -> Floats:
    """Scale a cut-out to a height, sometimes cut at the hips, flip it and change its light a little.

    Args:
        person: ``(h, w, 4)`` uint8 RGBA.
        height: in pixels.
        rng: source of chance.

    Returns:
        ``(height, W, 4)`` float32, colours times opacity, 0 to 255, and opacity, 0 to 1.
    """
    if rng.random() < 0.2:  # sitting behind a desk or standing behind a counter
        person = person[: int(person.shape[0] * rng.uniform(0.4, 0.75))]
    flip = rng.random() < 0.5
    width = max(4, round(person.shape[1] * height / person.shape[0] * np.exp(rng.normal(0, 0.08))))
    how = cv2.INTER_AREA if height < person.shape[0] else cv2.INTER_LINEAR
    opacity = person[:, :, 3]
    colours = cv2.multiply(person[:, :, :3], cv2.merge([opacity] * 3), scale=1 / 255)  # before resizing: no halo
    colours = cv2.resize(colours, (width, height), interpolation=how) * np.float32(np.exp(rng.normal(0, 0.2)))
    colours *= np.exp(rng.normal(0, 0.05, 3)).astype(np.float32)
    opacity = cv2.resize(opacity, (width, height), interpolation=how) * np.float32(1 / 255)
    layers = np.dstack([colours, opacity])
    return layers[:, ::-1] if flip else layers


def matched(person: Floats, around: NDArray[np.uint8], place: Place, rng: np.random.Generator) -> Floats:
    """Pull brightness, contrast, colour and sharpness of a person part of the way to those of where it will stand.

    Part of the way, by chance: people wear black before snow, and what is no clue to a network is not learnt.

    Args:
        person: ``(h, w, 4)`` float32 as from ``jittered``; sharp.
        around: ``(H, W, 3)`` uint8 RGB, the background behind and about it.
        place: of the whole background.
        rng: source of chance.

    Returns:
        The person in that light, of the same shape.
    """
    light, spread = _luminance(around)
    own, own_spread = _luminance(_bytes(person[:, :, :3]), (person[:, :, 3] > 0.9).astype(np.uint8))
    pull = rng.uniform(0.0, 0.7)
    gain = float(np.clip((spread + 8) / (own_spread + 8), 0.5, 1.6)) ** pull
    lift = own * (float(np.clip((light + 8) / (own + 8), 0.3, 3.0)) ** pull - gain)
    tint = np.clip(place.cast, 0.8, 1.25) ** np.float32(rng.uniform(0.0, 0.5))
    opacity = person[:, :, 3:]
    colours = np.clip(person[:, :, :3] * np.float32(gain) + opacity * np.float32(lift), 0, opacity * 255) * tint
    lit = np.dstack([colours, opacity])
    blur = min(place.blur * rng.uniform(0.5, 1.0), 2.0, 0.03 * len(person))
    return lit if blur < 0.3 else np.asarray(cv2.GaussianBlur(lit, (0, 0), blur), np.float32)


def paste(image: NDArray[np.uint8], ids: NDArray[np.uint8], person: Floats, x0: int, y0: int, number: int) -> None:
    """Blend a person as from ``jittered`` into the picture and mark it in the id mask, both in place."""
    top, left = max(0, -y0), max(0, -x0)
    bottom, right = min(person.shape[0], image.shape[0] - y0), min(person.shape[1], image.shape[1] - x0)
    if bottom <= top or right <= left:
        return
    part = person[top:bottom, left:right]
    window = (slice(y0 + top, y0 + bottom), slice(x0 + left, x0 + right))
    cover = part[:, :, 3:]
    image[window] = _bytes(image[window] * (1 - cover) + part[:, :, :3])
    ids[window][cover[:, :, 0] > 0.5] = number


def _luminance(picture: NDArray[np.uint8], mask: NDArray[np.uint8] | None = None) -> tuple[float, float]:
    """Mean and standard deviation, 0 to 255; of nothing both are 0."""
    mean, deviation = cv2.meanStdDev(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), mask=mask)
    return mean.item(), deviation.item()


def _bytes(colours: Floats) -> NDArray[np.uint8]:
    return np.clip(colours, 0, 255).astype(np.uint8)
