"""Overlays: drawn and encoded in a thread of their own, the newest of each camera, no more often than asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from argos.types import Overlay, Result

Draw = Callable[[], NDArray[np.uint8]]


def jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """A picture ``(H, W, 3)`` uint8 RGB as JPEG; ``quality`` 1..100."""
    import cv2  # here, so that publishing without overlays loads no OpenCV

    done, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} cannot be encoded as JPEG")
    return bytes(data)


def reduced(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """A picture ``(H, W, 3)`` uint8 no wider than ``width``."""
    if picture.shape[1] <= width:
        return picture
    import cv2  # as above

    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class OverlayEncoder:
    """Draws and encodes what is offered; an offer replaces the one of its camera that still waits.

    Attributes:
        encoded: overlays made so far.
    """

    def __init__(
        self,
        deliver: Callable[[Overlay], None],
        fail: Callable[[BaseException], None],
        *,
        run: str,
        max_fps: float,
        quality: int,
    ) -> None:
        """Start the thread.

        Args:
            deliver: takes each overlay, in the thread of the encoder.
            fail: takes the error that ended the thread.
            run: id of the process run.
            max_fps: overlays per second and camera at most.
            quality: of the JPEG, 1..100.
        """
        self.encoded = 0
        self._deliver = deliver
        self._fail = fail
        self._run = run
        self._period_s = 1 / max_fps
        self._quality = quality
        self._due: dict[str, float] = {}
        self._seq: dict[str, int] = {}
        self._offers: dict[str, tuple[Result, Draw]] = {}
        self._closed = False
        self._ready = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="argos-overlays", daemon=True)
        self._thread.start()

    def offer(self, result: Result, draw: Draw) -> bool:
        """Have an overlay of ``result`` made by ``draw``, unless its camera had one too short a time ago."""
        now = time.monotonic()
        with self._ready:
            due = self._due.get(result.camera, now)
            if self._closed or now < due:
                return False
            self._due[result.camera] = max(due + self._period_s, now)
            self._offers[result.camera] = result, draw
            self._ready.notify()
        return True

    def close(self) -> None:
        """End the thread after the overlay it is at."""
        with self._ready:
            self._closed = True
            self._offers.clear()
            self._ready.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            while (offer := self._next()) is not None:
                self._deliver(self._made(*offer))
        except BaseException as error:  # handed on: whoever publishes next raises it
            self._fail(error)

    def _next(self) -> tuple[Result, Draw] | None:
        with self._ready:
            while not self._offers and not self._closed:
                self._ready.wait()
            return None if self._closed else self._offers.pop(next(iter(self._offers)))

    def _made(self, result: Result, draw: Draw) -> Overlay:
        picture = draw()
        data = jpeg(picture, self._quality)
        seq = self._seq.get(result.camera, -1) + 1
        self._seq[result.camera] = seq
        self.encoded += 1
        return Overlay(
            camera=result.camera,
            run=self._run,
            seq=seq,
            result_seq=result.seq,
            pts_s=result.pts_s,
            codec="jpeg",
            data=data,
            size=(picture.shape[0], picture.shape[1]),
            sent_ns=time.time_ns(),
        )
