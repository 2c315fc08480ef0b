"""``fake://people?n=5&seed=1``: rendered people with exact ground truth, for tests, demonstrations and training.

No camera, no footage and no network is needed; the same seed gives the same bytes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from urllib.parse import parse_qsl, urlsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.errors import SourceError
from argos.sources.scene import Person, Rendered, Scene
from argos.types import Frame, Size

__all__ = ["KEYS", "Film", "Person", "Rendered", "SceneParams", "parse_scene", "read_synthetic", "render"]

KEYS = ("n", "seed", "fps", "size", "frames", "realtime")
"""What a ``fake://people?`` source may say."""

_NOISE_PADS, _NOISE_MARGIN = 3, 61
_TICKS = 90_000  # per second, the usual clock of video streams


@dataclass(frozen=True, slots=True)
class SceneParams:
    """What to render.

    Attributes:
        people: how many people come and go; fewer are visible at times.
        seed: of scene, figures, walks and noise.
        fps: frames per second of the film.
        size: ``(height, width)`` in pixels.
        frames: length; None is endless.
        realtime: pace by the wall clock, as a live camera does.
    """

    people: int = 5
    seed: int = 1
    fps: float = 15.0
    size: Size = (720, 1280)
    frames: int | None = None
    realtime: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.people <= 100:
            raise ValueError(f"n: should be 0 to 100, got {self.people}")
        if self.seed < 0:
            raise ValueError(f"seed: should be 0 or more, got {self.seed}")
        if not 0 < self.fps <= 1000:
            raise ValueError(f"fps: should be greater than 0 and at most 1000, got {self.fps:g}")
        if not (48 <= self.size[0] <= 4320 and 64 <= self.size[1] <= 7680):
            raise ValueError(f"size: should be 64x48 to 7680x4320, got {self.size[1]}x{self.size[0]}")
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"frames: should be 1 or more, got {self.frames}")


def _parse_size(text: str) -> Size:
    width, _, height = text.partition("x")
    return int(height), int(width)


def parse_scene(source: str) -> SceneParams:
    """Read ``fake://people?n=5&seed=1&fps=15&size=1280x720&frames=300&realtime=0``; every key may be left out.

    Raises:
        SourceError: ``unsupported`` for another scene, an unknown key or a value that does not fit.
    """
    parts = urlsplit(source)
    if parts.scheme != "fake" or parts.netloc != "people" or parts.path not in ("", "/"):
        raise SourceError(
            f"{source}: the only rendered source is fake://people?{'&'.join(f'{k}=' for k in KEYS)}", "unsupported"
        )
    given: dict[str, str] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in KEYS:
            raise SourceError(f"{source}: unknown key {key!r}; allowed are {', '.join(KEYS)}", "unsupported")
        if key in given:
            raise SourceError(f"{source}: key {key!r} is given twice", "unsupported")
        given[key] = value
    key = ""
    try:
        values: dict[str, int | float | bool | Size] = {}
        for key, value in given.items():
            if key == "size":
                values["size"] = _parse_size(value)
            elif key == "realtime":
                values["realtime"] = {"0": False, "1": True}[value]
            else:
                values["people" if key == "n" else key] = float(value) if key == "fps" else int(value)
    except (ValueError, KeyError) as error:
        wanted = {"size": "WIDTHxHEIGHT", "realtime": "0 or 1", "fps": "a number"}.get(key, "a whole number")
        raise SourceError(f"{source}: {key}: should be {wanted}, got {given[key]!r}", "unsupported") from error
    try:
        return SceneParams(**values)  # type: ignore[arg-type]  # each value was converted for its key
    except ValueError as error:
        raise SourceError(f"{source}: {error}", "unsupported") from error


def _noise_pad(size: Size, rng: np.random.Generator) -> NDArray[np.int16]:
    """Sensor noise, larger than the picture so that cuts of it differ; mostly brightness, some colour."""
    h, w = size[0] + _NOISE_MARGIN, size[1] + _NOISE_MARGIN
    grey = rng.normal(0, 2.2, (h, w, 1))
    tint = cv2.GaussianBlur(rng.normal(0, 1, (h, w, 3)).astype(np.float32), (0, 0), 0.9)
    return np.asarray(np.rint(grey + tint * (1.4 / tint.std())), np.int16)


class Film:
    """A scene seen by a camera with a noisy sensor."""

    def __init__(self, params: SceneParams) -> None:
        """Paint the empty scene; takes a moment."""
        self.scene = Scene(params.size, params.people, params.seed)
        self._params = params
        rng = np.random.default_rng([params.seed, 3])
        self._pads = [_noise_pad(params.size, rng) for _ in range(_NOISE_PADS)]

    def picture(self, index: int) -> Rendered:
        """Frame ``index``; indices must not go back."""
        h, w = self._params.size
        clean = self.scene.picture(index / self._params.fps)
        rng = np.random.default_rng([self._params.seed, 4, index])
        pad, y, x = rng.integers(0, (_NOISE_PADS, _NOISE_MARGIN, _NOISE_MARGIN)).tolist()
        noise = np.ascontiguousarray(self._pads[pad][y : y + h, x : x + w])
        pixels = cv2.add(clean.pixels, noise, dtype=cv2.CV_8U)  # saturates
        return Rendered(np.asarray(pixels, np.uint8), clean.people)


def render(params: SceneParams) -> Iterator[Rendered]:
    """Render the film frame by frame, ``params.frames`` of them or without end; never paced.

    The same parameters give the same bytes. Another ``fps`` films the same scene at other moments.
    """
    film = Film(params)
    for index in count() if params.frames is None else range(params.frames):
        yield film.picture(index)


def _due(params: SceneParams, stop: threading.Event) -> Iterator[int]:
    """Indices at the pace of the wall clock; those whose successor is already due are left out."""
    began = time.monotonic()
    index = 0
    while params.frames is None or index < params.frames:
        if stop.wait(max(0.0, began + index / params.fps - time.monotonic())):
            return
        yield index
        index = max(index + 1, int((time.monotonic() - began) * params.fps))


def read_synthetic(source: str, camera: str, stop: threading.Event | None = None) -> Iterator[Frame]:
    """Frames of a ``fake://people?...`` source; with ``realtime=1`` at the pace of the wall clock.

    A renderer too slow for ``realtime=1`` skips pictures, as a camera does: ``Frame.index`` then has gaps and ``pts``
    keeps the clock of the film.

    Args:
        stop: ends the iteration when set, also while it waits.

    Raises:
        SourceError: the source cannot be parsed.
    """
    params = parse_scene(source)
    return _frames(params, camera, stop or threading.Event())


def _frames(params: SceneParams, camera: str, stop: threading.Event) -> Iterator[Frame]:
    film = Film(params)
    endless = count() if params.frames is None else range(params.frames)
    for index in _due(params, stop) if params.realtime else endless:
        if stop.is_set():
            return
        yield Frame(
            pixels=film.picture(index).pixels,
            camera=camera,
            index=index,
            pts_s=index / params.fps,
            pts=round(index / params.fps * _TICKS),
            time_base=(1, _TICKS),
            captured_ns=time.time_ns(),
            clock="arrival" if params.realtime else "file",
        )
