"""Changes of colour and sharpness that real cameras make; the geometry is changed in ``scenes``."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def camera_look(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw exposure, colour cast, saturation, blur, sensor noise and JPEG blocks at random.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        rng: source of chance.

    Returns:
        A new picture of the same shape.
    """
    levels = np.arange(256, dtype=np.float32) / 255
    gamma = np.exp(rng.normal(0, 0.25))
    gain, lift = np.exp(rng.normal(0, 0.15)), rng.normal(0, 0.05)
    cast = np.exp(rng.normal(0, 0.05, 3))
    table = np.clip((levels[:, None] ** gamma * gain + lift) * cast * 255, 0, 255).astype(np.uint8)
    picture = np.dstack([table[:, c][image[:, :, c]] for c in range(3)])

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]
    saturation = 0.0 if rng.random() < 0.06 else float(np.clip(rng.normal(0.95, 0.3), 0.1, 1.7))
    picture = np.clip(grey + saturation * (picture.astype(np.float32) - grey), 0, 255).astype(np.uint8)

    sharpness = rng.random()
    if sharpness < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4))
    elif sharpness < 0.32:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(0, length))), (length - 1, int(rng.integers(0, length))), 1.0)
        picture = cv2.filter2D(picture, -1, kernel / kernel.sum())
    if rng.random() < 0.4:
        noise = rng.standard_normal(picture.shape, np.float32) * rng.uniform(1, 9)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(picture, np.uint8)
