"""The kernels of planning, compiled before the first frame; at the first start on a processor by a process beside.

The compiler holds the interpreter, so that another thread would gain nothing, and what it makes stays on disk, where
the process that waits finds it.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from argos.machine import cache_folder, cores, processor
from argos.version import VERSION

MOST_S = 60.0
"""Longest wait for the other process; then this one compiles for itself."""

_beside: subprocess.Popen[bytes] | None = None


def compile_beside() -> None:
    """Begin to compile in another process, where no start on this processor has done so before.

    Called early, before torch is imported. ``compile_planning`` waits for it.
    """
    global _beside
    with suppress(OSError):  # no process to be had, or a cache that cannot be read: this one compiles for itself
        if _beside is None and sys.executable and cores()[1] > 1 and not _done().exists():
            _beside = subprocess.Popen(
                [sys.executable, "-P", "-m", "argos.pipelines.compiling"],  # -P: nothing from the folder it is run in
                stdin=subprocess.PIPE,  # closed with this process, however that ends
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            atexit.register(_beside.kill)


def compile_planning() -> None:
    """Propose, plan, pack many small regions and assign tracks once, so that no camera waits for a compiler."""
    if _beside is not None:
        try:
            _beside.wait(MOST_S)
        except subprocess.TimeoutExpired:
            _beside.kill()
            _beside.wait()
    import numpy as np

    from argos.kernels.assignment import assign
    from argos.packing.layout import lay_out
    from argos.packing.pack import pack
    from argos.packing.rectangles import boxes_of
    from argos.packing.steady import settled
    from argos.propose.regions import regions_of
    from argos.types import Frame, RegionMask

    cells = np.zeros((9, 9), np.bool_)
    cells[::2, ::2] = True  # none touches another: 25 regions
    frame = Frame(np.zeros((90, 90, 3), np.uint8), "warm-up", 0, 0.0)
    mask = RegionMask(cells.astype(np.float32), cells, frame.size)
    regions = [regions_of(mask, dilation=0, min_area=0.0)]
    layout = lay_out(boxes_of(regions, scale=1.0, margin=0), (64, 64), gutter=0)
    settled(layout, layout, gutter=0)
    pack([frame], regions, (64, 64), scale=1.0, margin=0, gutter=1, max_canvases=2)
    assign(np.zeros((1, 1)), 1.0)


def _done() -> Path:
    """Exists where a process has compiled for this processor, Numba and version of ARGOS."""
    made_of = f"{VERSION} {importlib.metadata.version('numba')} {os.environ.get('NUMBA_CACHE_DIR')} {processor()}"
    return cache_folder() / "compiled" / hashlib.sha256(made_of.encode()).hexdigest()[:16]


def _end_with_parent() -> None:
    """Wait until the process that began this one has closed the pipe between them."""
    os.read(0, 1)  # sys.stdin would hold a lock that the end of the interpreter waits for
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError):
        _done().parent.mkdir(parents=True, exist_ok=True)
        if os.access(_done().parent, os.W_OK):  # else it would run at every start
            gc.disable()  # a tenth of the time
            compile_planning()
            _done().touch()
