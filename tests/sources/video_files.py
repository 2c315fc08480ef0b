"""Small video files for tests, written by PyAV; the picture shows its own number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FPS = 15
BITS, DARK, LIGHT = 6, 40, 200


def numbered(n: int, height: int, width: int) -> NDArray[np.uint8]:
    """Picture ``n``: six bars, dark or light by the bits of the number, and a red square in the upper left corner."""
    bars = [DARK if n >> bit & 1 == 0 else LIGHT for bit in range(BITS)]
    row = np.array(bars, np.uint8)[np.arange(width) * BITS // width]
    image = np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))
    image[: height // 4, : width // 4] = (230, 20, 20)
    return image


def number_of(pixels: NDArray[np.uint8]) -> int:
    """The number a decoded picture shows, read above its middle."""
    height, width = pixels.shape[:2]
    centres = (np.arange(BITS) * 2 + 1) * width // (2 * BITS)
    light = pixels[height * 3 // 10 : height * 45 // 100, centres].mean(axis=(0, 2)) > (DARK + LIGHT) / 2
    return sum(1 << bit for bit in range(BITS) if light[bit])


def write_video(
    path: Path,
    frames: int = 30,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (180, 320),
    ticks_ms: Sequence[int] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    noise: bool = False,
    form: str | None = None,
    **muxer: str,
) -> Path:
    """Write numbered pictures.

    Args:
        path: of the file; its suffix chooses the container.
        frames: how many; at most 64 have a number of their own.
        ticks_ms: presentation time of each; default 15 frames per second.
        rotation: display rotation, degrees against the clock.
        mirrored: display left and right exchanged, after the rotation.
        noise: add seeded noise, so that packets have weight.
        form: container format where the suffix does not tell.
        muxer: options of the container.
    """
    rng = np.random.default_rng(7)
    with av.open(str(path), "w", format=form, options=muxer) as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.height, stream.width, stream.pix_fmt = size[0], size[1], pix_fmt
        stream.gop_size = 10
        if codec == "libx264":
            stream.options = {"x264-params": "scenecut=0"}
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        if ticks_ms is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for n in range(frames):
            image = numbered(n, *size)
            if noise:
                image[size[0] // 2 :] ^= rng.integers(0, 32, (size[0] - size[0] // 2, size[1], 3), np.uint8)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts = n if ticks_ms is None else ticks_ms[n]
            picture.time_base = Fraction(1, FPS) if ticks_ms is None else Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """Write half a second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for n in range(8):
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            block.sample_rate, block.pts = 16000, n * 1024
            container.mux(stream.encode(block))
        container.mux(stream.encode())
    return path
