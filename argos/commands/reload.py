"""Loading the configuration again while ARGOS runs: on SIGHUP, or whenever its file has changed."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from argos.errors import ConfigError

if TYPE_CHECKING:
    from argos.config import Config
    from argos.pipelines.api import Pipeline

LOOK_S = 1.0
"""A watched file is looked at this often; it is read once it has stayed the same from one look to the next."""


FileState = tuple[int, int, int] | None
"""Time of change, size and number of a file: another one means another content. None while there is no file."""


def file_state(file: Path) -> FileState:
    """The present state of a file; None while there is none, as between two steps of an editor."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True, slots=True)
class Again:
    """How a configuration is loaded again.

    Attributes:
        load: reads and validates it, with the overrides of the command line.
        file: the file it comes from.
        watch: load it when the file changes, too.
        state: of the file before it was loaded first: what changes while the networks are loaded is a change, too.
    """

    load: Callable[[], Config]
    file: Path
    watch: bool
    state: FileState = None


class Reloader:
    """Loads the configuration again in a thread of its own; a context manager.

    Args:
        pipeline: that runs it.
        again: how it is loaded.
        loaded: called with each configuration once it is in force.
    """

    def __init__(self, pipeline: Pipeline, again: Again, loaded: Callable[[Config], None]) -> None:
        self._pipeline, self._again, self._loaded = pipeline, again, loaded
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()  # its put is safe in a signal handler
        self._state = again.state
        self._thread = threading.Thread(target=self._work, name="argos-reload", daemon=True)

    def ask(self) -> None:
        """Load it again soon; from any thread, and from signal handlers."""
        self._asked.put(True)

    def __enter__(self) -> Reloader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(False)
        self._thread.join()

    def _work(self) -> None:
        before = self._state
        while True:
            try:
                if not self._asked.get(timeout=LOOK_S if self._again.watch else None):
                    return
            except queue.Empty:
                now = file_state(self._again.file)
                settled, before = now == before, now
                if not settled or now == self._state:
                    continue
            self._state = file_state(self._again.file)
            try:
                config = self._again.load()
                self._pipeline.reload(config, self._loaded)
            except ConfigError as error:
                self._pipeline.refuse(error)


def hold_hangup() -> list[int]:
    """Keep a SIGHUP back until ``reload_on_hangup``: while networks are loaded it means already what it means later.

    Returns:
        Which of the standard files are terminals; none where nobody is to hear of their end, as under nohup.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    return [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [fd for fd in (0, 1, 2) if os.isatty(fd)]


def reload_on_hangup(reloader: Reloader | None, stop: Callable[[], None], terminals: Sequence[int]) -> None:
    """Take SIGHUP for a wish to load again; when one of ``terminals`` was closed, or there is nothing to load, it ends
    ARGOS as SIGTERM does."""
    if reloader is None and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as under nohup
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        return

    def on_hangup(_: int, __: FrameType | None) -> None:
        closed = [fd for fd in terminals if not os.isatty(fd)]
        if not closed and reloader is not None:
            reloader.ask()
            return
        for fd in closed:
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)  # what is still said at the end would fail there
        stop()

    signal.signal(signal.SIGHUP, on_hangup)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
