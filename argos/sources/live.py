"""Live sources: RTSP, HTTP (MJPEG, HLS) and webcams, reconnected for as long as somebody reads them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

from argos.sources.connection import Connection
from argos.sources.faults import PERMANENT
from argos.sources.names import kind_of
from argos.sources.options import OnState, Reconnect, SourceOptions, SourceState
from argos.sources.tap import PacketTap
from argos.types import Frame, State

_PERMANENT_S = 10.0
_REBOOT_S = 60.0  # so long a camera that was well may say that it has no such stream, because it is starting
_AWAY_S = 600.0
_AWAY_MAX_S = 30.0


def read_live(
    source: str,
    camera: str,
    options: SourceOptions,
    *,
    stop: threading.Event,
    on_state: OnState | None,
    fail_fast: bool,
    tap: PacketTap | None,
) -> Iterator[Frame]:
    """Read a live source for ever; the calling thread owns the connection.

    Damaged pictures are skipped; ``Frame.index`` counts them. ``epoch`` grows with the first frame after each
    reconnect.

    Args:
        source: ``rtsp(s)://``, ``http(s)://``, ``webcam:N`` or ``/dev/videoN``.
        camera: name written into each frame and message.
        options: timeouts, transport, back-off, frame rate.
        stop: ends the iteration, at once between attempts and within a read timeout otherwise.
        on_state: called on each change of state or cause.
        fail_fast: fail instead of connecting again.
        tap: gets the packets before they are decoded.

    Raises:
        SourceError: the first fault with ``fail_fast``, or the last one after ``reconnect.give_up_after`` attempts.
    """
    connection = Connection(source, camera, options, stop, tap)
    told: tuple[State, str] | None = None

    def tell(state: State, code: str = "", message: str = "") -> None:
        nonlocal told
        if on_state is not None and told != (state, code):
            on_state(SourceState(state, code, message, connection.epoch))
        told = (state, code)

    tell("connecting")
    failures, tries, last_seen_s = 0, 0, time.monotonic()
    while not stop.is_set():
        shown = 0
        connected_s = time.monotonic()
        for frame in connection.frames():
            if shown == 0:
                tell("up")
            shown += 1
            if frame is not None:
                yield frame
        if stop.is_set():
            break
        fault, now_s = connection.fault, time.monotonic()
        if shown:
            last_seen_s = now_s
        failures = 0 if shown else failures + 1
        # a camera that drops each connection after a picture or two is not asked ten times a second
        tries = 0 if shown and now_s - connected_s > options.reconnect.max_s else tries + 1
        gives_up = options.reconnect.give_up_after is not None and failures >= options.reconnect.give_up_after
        if fail_fast or gives_up:
            tell("ended" if gives_up else "lost", fault.code, str(fault))
            raise fault
        tell("stalled" if shown and fault.code == "timeout" else "lost", fault.code, str(fault))
        # a password is never tried often: cameras lock the account
        may_be_starting = connection.was_up and fault.code != "unauthorized" and now_s - last_seen_s < _REBOOT_S
        permanent = fault.code in PERMANENT and kind_of(source) != "webcam" and not may_be_starting
        stop.wait(delay_s(options.reconnect, tries, now_s - last_seen_s, permanent=permanent))
    tell("ended")


def delay_s(reconnect: Reconnect, tries: int, away_s: float, *, permanent: bool = False) -> float:
    """Seconds to wait before the next attempt.

    Args:
        reconnect: the back-off.
        tries: attempts since the source was last well.
        away_s: seconds since it was last seen.
        permanent: whether the fault is one that waiting does not cure.
    """
    limit_s = max(reconnect.max_s, _AWAY_MAX_S) if away_s > _AWAY_S else reconnect.max_s
    wait_s = min(reconnect.initial_s * reconnect.factor ** min(tries, 30), limit_s)
    if permanent:
        wait_s = max(wait_s, _PERMANENT_S)
    return wait_s * (1 + reconnect.jitter * random.uniform(-1, 1))
