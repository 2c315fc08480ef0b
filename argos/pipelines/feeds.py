"""One decoding thread per camera behind a slot that keeps the newest frame, or a short queue that keeps every frame."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

from argos.errors import SourceError
from argos.sources.options import SourceOptions, SourceState
from argos.sources.read import read
from argos.types import Frame, Size, State, Status

QUEUED = 4
"""Decoded frames that wait when every frame is kept; more would only use memory."""

WINDOW_S = 5.0
"""Frame rates are counted over this long."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A decoded frame and what decoding it took.

    Attributes:
        frame: the picture.
        decode_ms: milliseconds in the decoder; 0 for live cameras, where most of it is waiting for the camera.
    """

    frame: Frame
    decode_ms: float


class Rate:
    """Events per second over the last ``WINDOW_S`` seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._start = time.monotonic()

    def tick(self) -> None:
        """Count one event."""
        self._times.append(time.monotonic())

    def per_second(self) -> float:
        """The present rate."""
        now = time.monotonic()
        while self._times and now - self._times[0] > WINDOW_S:
            self._times.popleft()
        return len(self._times) / max(0.1, min(WINDOW_S, now - self._start))


class Feed:
    """Frames of one camera, decoded in a thread of their own.

    Args:
        camera: name.
        source: what to open.
        options: how.
        every_frame: keep every frame and make the decoder wait; otherwise keep the newest and count what it replaced.
        live: whether waiting for the next frame is waiting for a camera.
        fail_fast: give up instead of reconnecting.
        changed: notified at every arrival and end; shared by all feeds.
        stop: ends the thread.

    Attributes:
        error: why the source ended, if it ended by a fault.
        dropped: frames not analysed, by reason.
    """

    def __init__(
        self,
        camera: str,
        source: str,
        options: SourceOptions,
        *,
        every_frame: bool,
        live: bool,
        fail_fast: bool,
        changed: threading.Condition,
        stop: threading.Event,
    ) -> None:
        self.camera, self.source = camera, source
        self.error: SourceError | None = None
        self.crash: BaseException | None = None
        self.dropped: Counter[str] = Counter()
        self.rate_in, self.rate_out = Rate(), Rate()
        self.age_ms: float | None = None
        self._options, self._every, self._live, self._fail_fast = options, every_frame, live, fail_fast
        self._changed, self._stop = changed, stop
        self._waiting: deque[Arrived] = deque()
        self._ended = False
        self._state: State = "connecting"
        self._code = self._message = ""
        self._since_ns = time.time_ns()
        self._epoch = 0
        self._last_pts_s: float | None = None
        self._size: Size | None = None
        self._thread = threading.Thread(target=self._work, name=f"argos-decode-{camera}", daemon=True)

    def start(self) -> None:
        """Start decoding."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread; a blocked read ends by its own timeout."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def take(self) -> Arrived | None:
        """The next frame, or None when none waits. Called with ``changed`` held."""
        if not self._waiting:
            return None
        arrived = self._waiting.popleft()
        self._changed.notify_all()
        return arrived

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self._ended and not self._waiting

    def status(self, run: str) -> Status:
        """How the camera is doing now."""
        return Status(
            camera=self.camera,
            run=run,
            state=self._state,
            code=self._code,
            message=self._message,
            since_ns=self._since_ns,
            sent_ns=time.time_ns(),
            epoch=self._epoch,
            fps_in=self.rate_in.per_second(),
            fps_out=self.rate_out.per_second(),
            age_ms=self.age_ms,
            last_pts_s=self._last_pts_s,
            dropped=dict(self.dropped),
            size=self._size,
        )

    def _work(self) -> None:
        try:
            self._decode()
        except SourceError as error:
            self.error = error
            self._now("ended", error.code, str(error))
        except BaseException as error:  # handed to the main thread, which raises it
            self.crash = error
        else:
            self._now("ended", "", "")
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _decode(self) -> None:
        frames = read(
            self.source,
            self.camera,
            self._options,
            stop=self._stop,
            on_state=lambda s: self._now(s.state, s.code, s.message, s),
            fail_fast=self._fail_fast,
        )
        start = time.perf_counter()
        for frame in frames:
            decode_ms = 0.0 if self._live else (time.perf_counter() - start) * 1e3
            self.rate_in.tick()
            self._last_pts_s, self._size, self._epoch = frame.pts_s, frame.size, frame.epoch
            if self._state == "connecting":
                self._now("up", "", "")
            if not self._put(Arrived(frame, decode_ms)):
                return
            start = time.perf_counter()

    def _put(self, arrived: Arrived) -> bool:
        """Hand over a frame; False when the feed has to end."""
        with self._changed:
            if self._every:
                while len(self._waiting) >= QUEUED and not self._stop.is_set():
                    self._changed.wait(0.2)
            elif self._waiting:
                self._waiting.clear()
                self.dropped["stale"] += 1
            if self._stop.is_set():
                return False
            self._waiting.append(arrived)
            self._changed.notify_all()
        return True

    def _now(self, state: State, code: str, message: str, source: SourceState | None = None) -> None:
        if source is not None:
            self._epoch = source.epoch
        if (state, code) != (self._state, self._code):
            self._since_ns = time.time_ns()
        self._state, self._code, self._message = state, code, message
