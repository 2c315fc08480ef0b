"""Settings of threads that only count before torch and numba are imported, or before threads start."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from functools import cache

from argos.machine import cores

log = logging.getLogger(__name__)


M_ARENA_MAX, HEAPS = -8, 2
"""An option of ``mallopt`` in glibc; and how many heaps all threads share."""


@cache
def _first_process() -> int:
    """The process that first computed; remembered in those that are forked off it."""
    return os.getpid()


def usual_threads() -> int:
    """As many as the cores this process may use, the quota of its container counted."""
    usable, share = cores()
    return min(usable, max(1, round(share)))


def limit_threads(threads: int | None) -> None:
    """Let torch use so many CPU threads; None: as many as it has, but at most ``usual_threads``.

    A program that loaded torch before us may have left it with a thread for each core of the whole machine. Into a
    process that is forked off one that computed, the threads of OpenMP do not come along, and torch would wait for
    them for ever: there it is one.
    """
    import torch

    if os.getpid() != _first_process():
        log.warning(
            "this process was forked off one that had computed, and computes on one thread; "
            "start it by multiprocessing's method 'spawn'"
        )
        threads = 1
    torch.set_num_threads(threads or min(torch.get_num_threads(), usual_threads()))


def prepare_threads(threads: int | None) -> None:
    """Let OpenMP threads sleep while they wait, and fix their number.

    Spinning threads cost 4 to 16 times the time as soon as another process wants the cores. What is set in the
    environment already is left alone.

    Args:
        threads: CPU threads; None: ``usual_threads``.
    """
    count = str(threads or usual_threads())
    for name, value in (("OMP_WAIT_POLICY", "PASSIVE"), ("OMP_NUM_THREADS", count)):
        os.environ.setdefault(name, value)
    if "numba" not in sys.modules:  # one that has started its threads refuses another number
        os.environ.setdefault("NUMBA_NUM_THREADS", count)
    sys.setswitchinterval(0.0005)  # a stage that returns from C waits less for a busy interpreter


def share_heaps() -> None:
    """Let all threads share a few heaps of the C library, where that is glibc; ``MALLOC_ARENA_MAX`` is left alone.

    By itself each thread gets a heap of its own, whose gaps nobody else can use. Canvases are of many sizes, and the
    gaps of a dozen threads came to some megabytes more every minute.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_ARENA_MAX, HEAPS)
