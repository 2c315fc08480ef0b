"""Changes of light, colour and sharpness that real cameras make; the geometry is changed in ``scenes``."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHADOWS, NIGHTS = 0.2, 0.1
"""Share of the pictures in which something casts a shadow, and of those that are taken in too little light."""

DISPLAY_GAMMA = 2.2
"""Of the curve between the light on a sensor and the numbers in a picture."""

_LINEAR = (np.arange(256, dtype=np.float32) / 255) ** DISPLAY_GAMMA
_STEPS = 4096  # finer than 8 bits: the curve is steep where it is dark
_ENCODED = np.asarray(np.rint(255 * np.linspace(0, 1, _STEPS) ** (1 / DISPLAY_GAMMA)), np.uint8)


def camera_look(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a shadow, exposure, colour cast, saturation, blur, sensor noise and JPEG blocks at random.

    In the order in which they come about: light on the scene, the lens, the sensor, what the camera makes of it.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        rng: source of chance.

    Returns:
        A new picture of the same shape.
    """
    picture = shadowed(image, rng) if rng.random() < SHADOWS else image
    sharpness = rng.random()
    if sharpness < 0.25:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4)), np.uint8)
    elif sharpness < 0.32:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(0, length))), (length - 1, int(rng.integers(0, length))), 1.0)
        picture = np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)
    if rng.random() < NIGHTS:
        picture = low_light(picture, rng)
    elif rng.random() < 0.4:
        noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(1, 9))
        picture = np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)
    picture = _developed(picture, rng)
    if rng.random() < 0.4:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(picture, np.uint8)


def shadowed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Darken a soft-edged strip across the picture: narrow as that of a pole, or wide as that of a house.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        rng: source of chance.

    Returns:
        A new picture of the same shape; nowhere lighter, and what is dark is a little bluer: the sky lights it.
    """
    height, width = image.shape[:2]
    small = (max(8, width // 4), max(8, height // 4))  # the edges are soft
    side = max(small)
    along, across = rng.uniform(0.3, 2.0) * side, side * np.exp(rng.uniform(np.log(0.06), np.log(1.2)))
    turn = rng.uniform(0, np.pi)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) + rng.normal(0, 0.2, (4, 2))
    corners = (square * (along, across) / 2) @ axes + rng.uniform(0, 1, 2) * small
    mask = np.zeros(small[::-1], np.uint8)
    cv2.fillPoly(mask, [np.asarray(np.rint(corners), np.int32)], 255)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 0.05 * side)), np.uint8)
    mask = np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    levels = np.arange(256, dtype=np.float32)[:, None] / 255
    depth = rng.uniform(0.25, 0.7) * np.array([1.0, 0.97, 0.9])
    left = np.asarray(255 * (1 - depth * levels), np.uint8)  # of the light, by mask and channel
    share = cv2.LUT(cv2.merge([mask] * 3), left[None])
    return np.asarray(cv2.multiply(image, share, scale=1 / 255), np.uint8)


def low_light(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take the picture with a thirtieth to a third of the light, as a sensor does: noise first, gain after it.

    The noise of the light grows with its root, that of the readout is always there; the gain, which makes up for a part
    of what is missing, amplifies both.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, in good light.
        rng: source of chance.

    Returns:
        A new picture of the same shape.
    """
    light = np.exp(rng.uniform(np.log(1 / 30), np.log(1 / 3)))
    gain = light ** -rng.uniform(0.3, 0.95)
    full_well, readout = np.exp(rng.uniform(np.log(1500), np.log(12_000))), rng.uniform(2, 8)  # in electrons
    electrons = cv2.LUT(image, np.float32(full_well * light) * _LINEAR)
    noise = rng.standard_normal(image.shape, np.float32)
    electrons += noise * np.sqrt(electrons + np.float32(readout**2))
    steps = np.clip(electrons * np.float32(gain * (_STEPS - 1) / full_well), 0, _STEPS - 1)
    return np.asarray(_ENCODED[steps.astype(np.int16)], np.uint8)


def _developed(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Gamma, gain, lift, colour cast and saturation."""
    levels = np.arange(256, dtype=np.float32) / 255
    gamma = np.exp(rng.normal(0, 0.25))
    gain, lift = np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.05)
    cast = np.exp(rng.normal(0, 0.05, 3))
    table = np.clip((levels[:, None] ** gamma * gain + lift) * cast * 255, 0, 255).astype(np.uint8)
    saturation = 0.0 if rng.random() < 0.06 else float(np.clip(rng.normal(0.95, 0.3), 0.1, 1.7))
    mixing = saturation * np.eye(3) + (1 - saturation) * np.array([0.299, 0.587, 0.114])  # grey in every row
    return np.asarray(cv2.transform(cv2.LUT(picture, table[None]), mixing), np.uint8)
