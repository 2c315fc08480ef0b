"""``source.isolate: process``: a source read in a process of its own, which may crash, hang or be killed.

The process connects again to a camera that went away, as a thread does. When the process itself ends, the camera is
lost, the process is started again and the epoch grows, as after any other disconnect.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from argos.errors import SourceError
from argos.sources.connection import patience_s
from argos.sources.decoder_process import DecoderEndedError, DecoderProcess
from argos.sources.decoder_words import Ended, Order, Shown, Told
from argos.sources.faults import place
from argos.sources.live import delay_s
from argos.sources.names import kind_of
from argos.sources.options import OnState, SourceOptions, SourceState
from argos.types import Frame, State

_FILE_QUIET_S = 60.0
_MANY_CRASHES = 5
_WELL_S = 60.0


def read_isolated(
    source: str,
    camera: str,
    options: SourceOptions,
    *,
    stop: threading.Event,
    on_state: OnState | None,
    fail_fast: bool,
) -> Iterator[Frame]:
    """Read any source in a process of its own; states and frames are those of a thread.

    Args:
        source, camera, options, stop, on_state, fail_fast: as ``argos.sources.read``; ``options.memory_mb`` bounds
            the memory of the process.

    Raises:
        SourceError: as ``argos.sources.read``; ``crashed``, ``memory`` or ``timeout`` where the process ended in
            another way and the source is a file, or ``fail_fast`` or ``reconnect.give_up_after`` says so.
    """
    order = Order(
        source=source,
        camera=camera,
        options=asdict(replace(options, isolate="thread")),
        fail_fast=fail_fast,
        memory_mb=options.memory_mb,
        log_level=logging.getLogger("argos").getEffectiveLevel(),
    )
    live = kind_of(source) in ("rtsp", "http", "webcam")
    quiet_s = 2 * max(options.open_timeout_s, patience_s(source, options)) + 2 if live else _FILE_QUIET_S
    count = _Count(camera)
    told: tuple[State, str] | None = None

    def tell(state: SourceState) -> None:
        nonlocal told
        anew = state.state == "connecting" and told is not None  # a process started again; the camera is known
        if on_state is not None and told != (state.state, state.code) and not anew:
            on_state(state)
        if not anew:
            told = (state.state, state.code)

    failures, tries, crashes, seen_s = 0, 0, 0, time.monotonic()
    while not stop.is_set():
        started_s, shown_before = time.monotonic(), count.index
        fault: SourceError | None = None
        try:
            with DecoderProcess(order, quiet_s) as process:
                for said in process.messages(stop):
                    match said:
                        case Shown():
                            yield count.frame(said, process.pixels(said))
                        case Told():
                            tell(count.state(said))
                        case Ended():
                            return
        except DecoderEndedError as error:
            fault = SourceError(f"{place(camera, source)}: {error}", error.code)
        if fault is None:
            break  # stopped
        now_s, shown = time.monotonic(), count.index > shown_before
        failures, seen_s = (0, now_s) if shown else (failures + 1, seen_s)
        tries = 0 if shown and now_s - started_s > options.reconnect.max_s else tries + 1
        crashes = 1 if now_s - started_s > _WELL_S else crashes + 1
        gives_up = options.reconnect.give_up_after is not None and failures >= options.reconnect.give_up_after
        ends = gives_up or not live
        if ends or fail_fast:
            tell(SourceState("ended" if ends else "lost", fault.code, str(fault), count.epoch))
            raise fault
        tell(SourceState("stalled" if fault.code == "timeout" else "lost", fault.code, str(fault), count.epoch))
        count.begin()
        # what ends one process after the other costs more than a refused connection
        stop.wait(delay_s(options.reconnect, tries, now_s - seen_s, permanent=crashes >= _MANY_CRASHES))
    tell(SourceState("ended", "", "", count.epoch))


class _Count:
    """Index and epoch over all processes of one camera; a process counts from 0.

    Attributes:
        index: of the next frame.
        epoch: of the last frame.
    """

    def __init__(self, camera: str) -> None:
        self.index, self.epoch = 0, 0
        self._camera = camera
        self._first_index, self._first_epoch = 0, 0

    def begin(self) -> None:
        """A new process begins."""
        self._first_index, self._first_epoch = self.index, self.epoch + (self.index > 0)

    def state(self, told: Told) -> SourceState:
        """The state that was told; before the first picture of a process the epoch is still that of the last one."""
        is_new = told.state == "up" or self.epoch >= self._first_epoch
        epoch = self._first_epoch + told.epoch if is_new else self.epoch
        return SourceState(told.state, told.code, told.message, epoch)

    def frame(self, shown: Shown, pixels: NDArray[np.uint8]) -> Frame:
        """The frame that was shown."""
        self.index, self.epoch = self._first_index + shown.index + 1, self._first_epoch + shown.epoch
        return Frame(
            pixels=pixels,
            camera=self._camera,
            index=self.index - 1,
            pts_s=shown.pts_s,
            pts=shown.pts,
            time_base=shown.time_base,
            captured_ns=shown.captured_ns,
            epoch=self.epoch,
            clock=shown.clock,
        )
