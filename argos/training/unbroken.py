"""Ctrl-C, or SIGTERM, in the middle of something that has to be whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


def stop_on_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does: a machine that is shut down is no reason to lose what was learnt."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def unbroken() -> Iterator[None]:
    """Let Ctrl-C, and SIGTERM after ``stop_on_sigterm``, wait for the end of the block; a second one ends the process.

    A signal that does not raise ``KeyboardInterrupt`` (ignored, or handled by somebody else) stays as it is.
    """
    asked: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if asked:
            os._exit(128 + number)
        asked.append(number)

    before = {number: signal.getsignal(number) for number in STOPPING}
    waiting = [number for number, handler in before.items() if handler is signal.default_int_handler]
    try:
        for number in waiting:
            signal.signal(number, on_signal)
    except ValueError:  # another thread than the main one, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        for number in waiting:
            signal.signal(number, before[number])
    if asked:
        raise KeyboardInterrupt
