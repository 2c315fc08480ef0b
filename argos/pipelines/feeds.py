"""One decoding thread per camera behind a slot that keeps the newest frame, or a short queue that keeps every frame."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from argos.errors import SourceError
from argos.sources.names import kind_of
from argos.sources.options import SourceOptions, SourceState
from argos.sources.read import read
from argos.sources.tap import PacketTap
from argos.types import Frame, Size, Status

log = logging.getLogger(__name__)

QUEUED = 4
"""Decoded frames that wait when every frame is kept; more would only use memory."""

QUEUED_BYTES = 128 << 20
"""Bytes of them at most; one frame always may wait, however large it is."""

LEAVES_S = 10.0
"""Longest wait of a feed for the one before it to let go of the source."""

JOIN_S = 4.0
"""Longest wait for all decoding threads on the way out; with the usual timeouts a blocked read ends before."""

WINDOW_S = 5.0
"""Frame rates are counted over this long."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """A decoded frame and what decoding it took.

    Attributes:
        frame: the picture.
        decode_ms: milliseconds in the decoder; 0 for live cameras, where most of it is waiting for the camera.
        dropped: frames not analysed before this one, by reason.
    """

    frame: Frame
    decode_ms: float
    dropped: Mapping[str, int]


class Rate:
    """Events per second over the last ``WINDOW_S`` seconds; any thread may count and ask."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Count one event."""
        with self._lock:
            self._times.append(time.monotonic())

    def per_second(self) -> float:
        """The present rate."""
        with self._lock:
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
        tap: gets the packets of the source, to keep them.
        changed: notified at every arrival and end; shared by all feeds.
        on_state: called at every change of state, in the reading thread: a short one would be over before the
            next frame is analysed.
        stop: ends the thread.
        after: the feed of the same camera before, whose source is to be let go of first; frames, epochs and drops are
            counted on from it.

    Attributes:
        error: why the source ended, if it ended by a fault.
        crash: what ended the thread that nobody named: a bug.
        dropped: frames not analysed, by reason.
        live: as given.
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
        tap: PacketTap | None = None,
        changed: threading.Condition,
        on_state: Callable[[Feed], None],
        stop: threading.Event,
        after: Feed | None = None,
    ) -> None:
        self.camera, self.source, self.live = camera, source, live
        self.error: SourceError | None = None
        self.crash: BaseException | None = None
        self.dropped: Counter[str] = Counter() if after is None else after.dropped.copy()
        self.rate_in, self.rate_out = Rate(), Rate()
        self.age_ms: float | None = None
        self._options, self._every, self._fail_fast, self._tap = options, every_frame, fail_fast, tap
        self._changed, self._on_state, self._stop = changed, on_state, stop
        self._waiting: deque[Arrived] = deque()
        self._ended = False
        self._period_s = self._due_s = 0.0
        self._stale_then = self.dropped["stale"]  # when a frame was last taken
        self._was_behind, self._arrived_s, self._between_s = False, 0.0, 0.0
        self._after, self._index, self._epoch = after, 0, 0
        self._first_index = self._first_epoch = 0
        if after is not None:
            self._first_index, self._first_epoch = after._index, after._epoch + 1
            self._index, self._epoch = self._first_index, self._first_epoch
        # replaced as a whole, so that another thread never sees half of a change
        self._now, self._since_ns = SourceState("connecting", "", "", self._epoch), time.time_ns()
        self._told: SourceState | None = None
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

    def stop(self) -> None:
        """End soon; whoever waits for frames is to be woken."""
        self._stop.set()

    def leave(self) -> None:
        """End, without waiting for it; nothing more is given. Called with ``changed`` held."""
        self._stop.set()
        if self._waiting:
            self.dropped["reload"] += len(self._waiting)
        self._waiting.clear()
        self._changed.notify_all()

    def begin_epoch(self) -> None:
        """Let a new epoch begin with the next frame, without a new connection. Called with ``changed`` held."""
        self._first_epoch += 1
        self._epoch += 1
        self._now = replace(self._now, epoch=self._now.epoch + 1)
        later = [replace(a, frame=replace(a.frame, epoch=a.frame.epoch + 1)) for a in self._waiting]
        self._waiting = deque(later)

    def take(self) -> Arrived | None:
        """The next frame, or None when none waits. Called with ``changed`` held."""
        if not self._waiting:
            return None
        arrived = self._waiting.popleft()
        self._was_behind = self.is_behind
        self._stale_then = self.dropped["stale"]
        self._due_s = time.monotonic() + self._period_s
        self._changed.notify_all()
        return arrived

    def hold_back(self, period_s: float) -> None:
        """Give at most one frame in so many seconds from now on, and drop the others as they come; 0 gives all."""
        self._period_s = period_s
        self._due_s = time.monotonic() + period_s if period_s else 0.0

    @property
    def is_held_back(self) -> bool:
        """Whether frames are dropped as they come."""
        return self._period_s > 0

    @property
    def waits(self) -> bool:
        """Whether a frame can be taken."""
        return bool(self._waiting)

    @property
    def is_behind(self) -> bool:
        """Whether frames were dropped for newer ones since one was last taken."""
        return self.dropped["stale"] > self._stale_then

    @property
    def is_due(self) -> bool:
        """Whether frames come faster than they are taken and the next is at most one late. ``changed`` held."""
        now = time.monotonic()
        return self._was_behind and self._due_s <= now < self._arrived_s + 2 * self._between_s

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self._ended and not self._waiting

    def status(self, run: str) -> Status:
        """How the camera is doing now."""
        now = self._now
        return Status(
            camera=self.camera,
            run=run,
            state=now.state,
            code=now.code,
            message=now.message,
            since_ns=self._since_ns,
            sent_ns=time.time_ns(),
            epoch=now.epoch,
            fps_in=self.rate_in.per_second(),
            fps_out=self.rate_out.per_second(),
            age_ms=self.age_ms,
            last_pts_s=self._last_pts_s,
            dropped=dict(self.dropped),
            size=self._size,
        )

    def _work(self) -> None:
        try:
            if self._after is not None:
                self._change(replace(self._now, epoch=0, code="reload", message="the configuration has changed"))
                self._after.join(LEAVES_S)
                self._after = None
            try:
                self._decode()
            except SourceError as error:
                self.error = error
            code, message = (self.error.code, str(self.error)) if self.error else ("", "")
            self._change(SourceState("ended", code, message, self._now.epoch - self._first_epoch))
        except BaseException as error:  # handed to the main thread, which raises it
            self.crash = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _decode(self) -> None:
        frames = read(
            self.source,
            self.camera,
            self._options,
            stop=self._stop,
            on_state=self._change,
            fail_fast=self._fail_fast,
            tap=self._tap,
        )
        start, expected = time.perf_counter(), 0
        reason = "not_rendered" if kind_of(self.source) == "fake" else "damaged"
        for frame in frames:
            if self._options.fps is None and frame.index > expected:
                self.dropped[reason] += frame.index - expected  # with a rate the source leaves frames out
            expected = frame.index + 1
            decode_ms = 0.0 if self.live else (time.perf_counter() - start) * 1e3
            self.rate_in.tick()
            self._last_pts_s, self._size = frame.pts_s, frame.size
            if not self._put(frame, decode_ms):
                return
            start = time.perf_counter()

    def _put(self, frame: Frame, decode_ms: float) -> bool:
        """Hand over a frame; False when the feed has to end."""
        with self._changed:
            now = time.monotonic()
            self._arrived_s, self._between_s = now, now - self._arrived_s
            if self._every:
                while self._is_full(frame) and not self._stop.is_set():
                    self._changed.wait(0.2)
            elif self._waiting:
                self._waiting.clear()
                self.dropped["stale"] += 1
            if self._stop.is_set():
                return False
            held_back = not self._every and now < self._due_s
            if self._first_epoch or self._first_index:
                index, epoch = frame.index + self._first_index, frame.epoch + self._first_epoch
                frame = replace(frame, index=index, epoch=epoch)
            self._index, self._epoch = frame.index + 1, frame.epoch
            if held_back:
                self.dropped["overload"] += 1
                return True
            self._waiting.append(Arrived(frame, decode_ms, dict(self.dropped)))
            self._changed.notify_all()
        return True

    def _is_full(self, frame: Frame) -> bool:
        waiting = sum(arrived.frame.pixels.nbytes for arrived in self._waiting)
        return len(self._waiting) >= QUEUED or (waiting > 0 and waiting + frame.pixels.nbytes > QUEUED_BYTES)

    def _change(self, state: SourceState) -> None:
        """Take note of a state, log and tell it; in the reading thread."""
        state = replace(state, epoch=state.epoch + self._first_epoch)
        before, self._told = self._told, state
        if state == before:
            return
        if before is None or (state.state, state.code) != (before.state, before.code):
            self._since_ns = time.time_ns()
        self._now = state
        if self.live and not self._fail_fast:
            log_change(self.camera, state, before)
        self._on_state(self)


def log_change(camera: str, state: SourceState, before: SourceState | None) -> None:
    """Log one line when a live camera is lost, and one when it is back."""
    words = state.message.removeprefix(f"camera '{camera}': ")
    about = {"event": f"source.{state.state}", "camera": camera, "code": state.code, "epoch": state.epoch}
    if state.code:
        log.warning("%s (%s)", words, state.state, extra=about)
    elif state.state == "up" and before is not None and before.code:
        log.info("up again", extra=about)
