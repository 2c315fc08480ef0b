"""Ctrl-C in the middle of something that has to be whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def unbroken() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block; a second one ends the process at once.

    Where Ctrl-C does not raise ``KeyboardInterrupt`` (ignored, or handled by somebody else) nothing changes.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    asked: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if asked:
            os._exit(128 + number)
        asked.append(number)

    try:
        before = signal.signal(signal.SIGINT, on_signal)
    except ValueError:  # another thread than the main one, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt
