"""Reading a live source in a thread, and waiting for what it does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from argos.sources.options import SourceOptions, SourceState
from argos.sources.read import read
from argos.types import Frame, Size

PATIENT = SourceOptions(open_timeout_s=6.0, stall_timeout_s=3.0)
"""More patience than the defaults, for machines with other work to do."""


class Reading:
    """Reads a camera in a thread of its own; every frame is kept."""

    def __init__(self, source: str, options: SourceOptions = PATIENT, camera: str = "gate") -> None:
        self.frames: list[Frame] = []
        self.states: list[SourceState] = []
        self.stop = threading.Event()
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._run, args=(source, camera, options))

    def _run(self, source: str, camera: str, options: SourceOptions) -> None:
        for frame in read(source, camera, options, stop=self.stop, on_state=self._on_state):
            with self.changed:
                self.frames.append(frame)
                self.changed.notify_all()

    def _on_state(self, state: SourceState) -> None:
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    def until(self, what: Callable[[], bool], seconds: float = 30.0) -> None:
        with self.changed:
            assert self.changed.wait_for(what, seconds), f"{len(self.frames)} frames, states {self.states}"

    def more(self, count: int = 5) -> None:
        """Wait for frames that are not there yet."""
        have = len(self.frames)
        self.until(lambda: len(self.frames) >= have + count)

    def __enter__(self) -> Reading:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(15)
        assert not self.thread.is_alive(), "reading does not stop"


def write_clip(path: Path, size: Size, frames: int, fps: int = 15) -> str:
    """A film of a square that walks, each picture unlike the others; three key pictures a second. Returns its path."""
    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.gop_size = Fraction(1, fps), fps // 3
        stream.codec_context.thread_count = 1
        background = np.add.outer(np.arange(height), np.arange(width)) % 160
        for n in range(frames):
            pixels = np.repeat(background[:, :, None], 3, axis=2).astype(np.uint8)
            x = n * (width - 32) // frames
            pixels[height // 3 : height // 3 + 32, x : x + 32] = (255, 255 * (n % 2), 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)
