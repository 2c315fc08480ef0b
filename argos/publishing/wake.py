"""Waking a thread that waits in ``zmq.Poller.poll``."""

from __future__ import annotations

import contextlib
import socket


class Wake:
    """A flag that a poller can wait for; any thread may set it.

    A 0MQ socket must stay in one thread, so the other threads knock here.
    """

    def __init__(self) -> None:
        self._waiting, self._knocking = socket.socketpair()
        self._waiting.setblocking(False)
        self._knocking.setblocking(False)

    def fileno(self) -> int:
        """What the poller registers."""
        return self._waiting.fileno()

    def set(self) -> None:
        """Wake the waiting thread, now or at its next poll."""
        with contextlib.suppress(BlockingIOError):  # full of knocks that nobody has heard yet: one is enough
            self._knocking.send(b"\0")

    def clear(self) -> None:
        """Forget all knocks so far; called by the waiting thread."""
        with contextlib.suppress(BlockingIOError):
            self._waiting.recv(65536)

    def close(self) -> None:
        """Close both ends; nobody may set it afterwards."""
        self._waiting.close()
        self._knocking.close()
