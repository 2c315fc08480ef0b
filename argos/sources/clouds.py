"""Repeating cloud noise: folds of cloth, stains of floors."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIZE = 512
"""Side of the noise texture, which repeats."""


@cache
def _noise_texture() -> Floats:
    """Repeating cloud noise, ``(SIZE, SIZE)`` float32, mean 0, deviation 1."""
    rng = np.random.default_rng(7)
    spectrum = np.fft.rfft2(rng.normal(size=(SIZE, SIZE)))
    fy = np.fft.fftfreq(SIZE)[:, None] * SIZE
    fx = np.fft.rfftfreq(SIZE)[None, :] * SIZE
    frequency = np.hypot(fx, fy)
    spectrum *= np.where(frequency < 3, 0, 1 / np.maximum(frequency, 1) ** 1.7) * np.exp(-((frequency / 90) ** 2))
    clouds = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return np.asarray((clouds - clouds.mean()) / clouds.std(), np.float32)


def noise(x: Floats, y: Floats) -> Floats:
    """Cloud noise at ``(x, y)``, any shape, the same for both; it repeats every unit."""
    width = 1024  # remap wants pictures with sides below 32767, not long lists
    padded = max(1, -(-x.size // width)) * width  # at least a row, where nobody is seen of what is asked for
    maps = np.zeros((2, padded), np.float32)
    maps[0, : x.size], maps[1, : x.size] = x.ravel(), y.ravel()
    maps = np.mod(maps, 1.0) * SIZE
    found = cv2.remap(
        _noise_texture(), maps[0].reshape(-1, width), maps[1].reshape(-1, width), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    return np.asarray(found, np.float32).reshape(-1)[: x.size].reshape(x.shape)
