"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], object]) -> None:
    """Return as soon as something holds; it has to within 100 seconds."""
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
