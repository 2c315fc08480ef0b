"""The decoder process of ``source.isolate: process``: reads one source and hands its frames over.

It is started by ``argos.sources.isolated`` as ``python -m argos.sources.decoder CAMERA CHANNEL MEMORY PARENT`` and dies
with it: by signal where the system has one for that (Linux), otherwise when the channel ends.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import av
import msgspec

from argos.errors import SourceError
from argos.sources.decoder_words import (
    OUT_OF_MEMORY,
    Alive,
    Ended,
    Failed,
    Logged,
    Order,
    Said,
    Shown,
    Told,
    decode_order,
    encode,
)
from argos.sources.names import redact
from argos.sources.options import SourceOptions, SourceState
from argos.sources.read import read
from argos.sources.slots import SLOTS, Slots
from argos.types import Frame

BEAT_S = 0.25
"""The decoder says this often that it is there."""

_FAREWELL_S = 1.0
_PR_SET_PDEATHSIG = 1


class Pulse(threading.Event):
    """The event that ends reading; that it is asked shows that the reading thread gets on."""

    def __init__(self) -> None:
        super().__init__()
        self._beat_s = time.monotonic()

    def is_set(self) -> bool:
        """Whether to stop; asked at each packet."""
        self._beat_s = time.monotonic()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait between two attempts, which is no sign of being stuck."""
        self._beat_s = time.monotonic() + (timeout or 0.0)
        return super().wait(timeout)

    def hold(self) -> None:
        """The reading thread waits for the other process until it asks again."""
        self._beat_s = float("inf")

    def quiet_s(self) -> float:
        """Seconds since the reading thread was last seen."""
        return max(0.0, time.monotonic() - self._beat_s)


class Line:
    """The decoder's end of the channel; any thread may speak.

    Attributes:
        stop: set when the other side wants the end, or is gone.
    """

    def __init__(self, channel: Connection, memory: int) -> None:
        self.stop = Pulse()
        self._channel, self._speaking = channel, threading.Lock()
        self._slots, self._free, self._shown = Slots(memory), threading.Semaphore(SLOTS), 0

    def order(self) -> Order:
        """What to do; the first message."""
        return decode_order(self._channel.recv_bytes())

    def say(self, said: Said) -> None:
        """Send a message."""
        data = encode(said)
        with self._speaking:
            self._channel.send_bytes(data)

    def show(self, frame: Frame) -> None:
        """Hand a frame over, as soon as a slot is free."""
        self.stop.hold()
        self._free.acquire()
        if 3 * frame.size[0] * frame.size[1] > self._slots.slot_bytes:
            for _ in range(SLOTS - 1):
                self._free.acquire()
            self._slots.grow(frame.size)
            self._free.release(SLOTS - 1)
        slot = self._shown % SLOTS
        self._shown += 1
        self._slots.write(slot, frame.pixels)
        self.say(
            Shown(
                slot=slot,
                slot_bytes=self._slots.slot_bytes,
                size=frame.size,
                index=frame.index,
                pts_s=frame.pts_s,
                pts=frame.pts,
                time_base=frame.time_base,
                captured_ns=frame.captured_ns,
                epoch=frame.epoch,
                clock=frame.clock,
            )
        )
        self.stop.is_set()  # it gets on

    def listen(self) -> None:
        """Take slots back and say that all is well, until the other side is gone; then end the process."""
        try:
            while True:
                if self._channel.poll(BEAT_S):
                    self._channel.recv_bytes(1)
                    self._free.release()
                else:
                    self.say(Alive(self.stop.quiet_s()))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except (EOFError, OSError):
            self.stop.set()
        time.sleep(_FAREWELL_S)  # a camera is told good-bye where it answers
        os._exit(0)


class _LogLine(logging.Handler):
    """Sends log records to the other side."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        text = redact(record.getMessage())[:4000]
        self._line.say(Logged(record.name, record.levelno, text, str(getattr(record, "event", ""))))


def main(arguments: list[str]) -> None:
    """Read what the first message asks for, to its end."""
    _, channel, memory, parent = arguments
    _die_with(int(parent))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group; the parent knows when it is over
    line = Line(Connection(int(channel)), int(memory))
    order = line.order()
    logger = logging.getLogger("argos")
    logger.addHandler(_LogLine(line))
    logger.setLevel(order.log_level)
    logger.propagate = False
    threading.Thread(target=line.listen, name="listen", daemon=True).start()
    _limit_memory(order.memory_mb)
    try:
        line.say(_end_of(line, order))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody is there any more
    os._exit(0)  # without waiting for what a library keeps running


def _end_of(line: Line, order: Order) -> Said:
    """Read the source; how it ended."""
    options = msgspec.convert(order.options, SourceOptions)

    def tell(state: SourceState) -> None:
        line.say(Told(state.state, state.code, state.message, state.epoch))

    try:
        for frame in read(
            order.source, order.camera, options, stop=line.stop, on_state=tell, fail_fast=order.fail_fast
        ):
            line.show(frame)
    except SourceError as error:
        return Failed("source", str(error), error.code)
    except (MemoryError, av.error.MemoryError):
        return Failed("memory", "", "memory")
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # told to the parent, which logs it and starts anew
        # FFmpeg without memory for a thread says EAGAIN
        if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN):
            return Failed("memory", "", "memory")
        return Failed("bug", redact(f"{type(error).__name__}: {error}")[:4000], "crashed")
    return Ended()


def _die_with(parent: int) -> None:
    """End by kill -9 when the parent does, even in the midst of a call that never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it was quicker


def _limit_memory(memory_mb: int | None) -> None:
    """Refuse memory beyond what is taken now plus ``memory_mb``; and write no core files of cameras' pictures."""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mb is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(sys.argv[1:])
