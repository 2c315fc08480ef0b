"""ARGOS's side of a decoder process: starting, hearing and ending it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

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
    decode_said,
    encode,
)
from argos.sources.slots import Slots, shared_memory

_START_S = 60.0
"""Longest wait for the first word: it imports FFmpeg, which takes long on a busy machine."""

_SILENT_S = 5.0
"""A process that says nothing at all for this long is frozen."""

_FAREWELL_S = 0.3
_POLL_S = 0.1
_LONGEST = 1 << 16


class DecoderEndedError(Exception):
    """The process ended although its source did not.

    Attributes:
        code: ``crashed``, ``memory`` or ``timeout``, as in ``SourceError``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class DecoderProcess:
    """A process that reads one source; a context manager, at whose end the process is gone.

    Args:
        order: what it reads.
        quiet_s: it is ended when its reading thread is stuck for this long.

    Attributes:
        pid: of the process, once it is entered.
    """

    def __init__(self, order: Order, quiet_s: float) -> None:
        self.pid = 0
        self._order, self._quiet_s = order, quiet_s

    def __enter__(self) -> Self:
        self._memory = shared_memory()
        self._slots = Slots(self._memory)
        ours, theirs = socket.socketpair()
        self._channel = Connection(ours.detach())
        try:
            with theirs:
                self._process = _start(self._order.camera, theirs.fileno(), self._memory)
        except OSError as error:
            self._close()
            raise DecoderEndedError(f"no decoder process can be started ({error.strerror})", "crashed") from error
        self.pid = self._process.pid
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()  # the process takes leave of its camera and ends
        try:
            self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def messages(self, stop: threading.Event) -> Iterator[Shown | Told | Ended]:
        """What it says, log records and signs of life left out, until ``stop`` is set.

        Raises:
            DecoderEndedError: it crashed, was killed, met the limit of its memory, or is stuck and has to be killed.
            SourceError: its source failed.
        """
        try:
            self._channel.send_bytes(encode(self._order))
            patience_s = _START_S
            while (said := self._next(stop, patience_s)) is not None:
                patience_s = _SILENT_S
                match said:
                    case Alive(quiet_s=quiet_s) if quiet_s > self._quiet_s:
                        raise self._stuck(f"decoding is stuck for {quiet_s:.0f} s")
                    case Logged():
                        about = {"camera": self._order.camera} | ({"event": said.event} if said.event else {})
                        logging.getLogger(said.name).log(said.level, "%s", said.text, extra=about)
                    case Failed(kind="source"):
                        raise SourceError(said.message, said.code)
                    case Failed(kind="memory"):
                        raise self._out_of_memory()
                    case Failed():
                        raise DecoderEndedError(f"the decoder process failed ({said.message}); report this", "crashed")
                    case Shown() | Told() | Ended():
                        yield said
        except (EOFError, OSError):
            raise self._died() from None
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise DecoderEndedError(f"the decoder process talks nonsense ({error}) and was ended", "crashed") from error

    def pixels(self, shown: Shown) -> NDArray[np.uint8]:
        """A copy of the picture that was shown, ``(H, W, 3)`` uint8 RGB; its slot is free again.

        Raises:
            DecoderEndedError: the process says what cannot be.
        """
        try:
            pixels = self._slots.read(shown.slot, shown.slot_bytes, shown.size)
        except ValueError as error:
            raise DecoderEndedError(f"the decoder process talks nonsense ({error}) and was ended", "crashed") from error
        with suppress(OSError):  # it ended since; the next message says how
            self._channel.send_bytes(b"\x01")
        return pixels

    def _next(self, stop: threading.Event, patience_s: float) -> Said | None:
        """The next message; None when ``stop`` is set."""
        deadline_s = time.monotonic() + patience_s
        while not stop.is_set():
            if self._channel.poll(_POLL_S):
                said: Said = decode_said(self._channel.recv_bytes(_LONGEST))
                return said
            if time.monotonic() > deadline_s:
                raise self._stuck(f"the decoder process is frozen for {patience_s:g} s")
        return None

    def _stuck(self, words: str) -> DecoderEndedError:
        return DecoderEndedError(f"{words} and was ended; it is started again", "timeout")

    def _out_of_memory(self) -> DecoderEndedError:
        limit = self._order.memory_mb
        words = f"decoding needs more than source.memory_mb ({limit}); raise it if the pictures are so large"
        return DecoderEndedError(words, "memory")

    def _died(self) -> DecoderEndedError:
        try:
            status = self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            return DecoderEndedError("the decoder process closed its channel and was ended", "crashed")
        if status == OUT_OF_MEMORY:
            return self._out_of_memory()
        how = f"status {status}"
        if status < 0:
            known = {each.value: each.name for each in signal.Signals}
            how = f"signal {-status}, {known.get(-status, 'unknown')}"
        return DecoderEndedError(f"the decoder process ended ({how}); it is started again", "crashed")

    def _close(self) -> None:
        self._channel.close()
        self._slots.close()
        if self._memory >= 0:
            os.close(self._memory)
        self._memory = -1


def _start(camera: str, channel: int, memory: int) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter, never a copy of this one, whose threads and locks it could not use."""
    environment: Mapping[str, str] = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-P", "-m", "argos.sources.decoder"]
    return subprocess.Popen(
        [*command, camera, str(channel), str(memory), str(os.getpid())],
        pass_fds=(channel, memory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
    )
