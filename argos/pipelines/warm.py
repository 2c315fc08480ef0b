"""Compiling the kernels of the line before the first frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from argos.networks.ssd_boxes import crop
from argos.packing.layout import lay_out
from argos.packing.pack import pack
from argos.packing.rectangles import boxes_of
from argos.packing.steady import settled
from argos.propose.regions import regions_of
from argos.types import Frame, RegionMask

log = logging.getLogger(__name__)

SILENT_S = 6.0
"""Longest start without a word."""


@contextmanager
def told_when_long(silent_s: float = SILENT_S) -> Iterator[None]:
    """Say why, when a start takes long: at the first one on a processor kernels are compiled and routes measured."""
    words = "still starting; the first one on a machine compiles kernels and writes networks for it, up to a minute"
    timer = threading.Timer(silent_s, log.info, (words,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def compile_kernels() -> None:
    """Propose, plan, pack many small regions and crop maps once, so that no camera waits for a compiler.

    What is compiled stays on disk: seconds at the first start, milliseconds at every other.
    """
    cells = np.zeros((9, 9), np.bool_)
    cells[::2, ::2] = True  # none touches another: 25 regions
    frame = Frame(np.zeros((90, 90, 3), np.uint8), "warm-up", 0, 0.0)
    mask = RegionMask(cells.astype(np.float32), cells, frame.size)
    regions = [regions_of(mask, dilation=0, min_area=0.0)]
    layout = lay_out(boxes_of(regions, scale=1.0, margin=0), (64, 64), gutter=0)
    settled(layout, layout, gutter=0)
    pack([frame], regions, (64, 64), scale=1.0, margin=0, gutter=1, max_canvases=2)
    with torch.inference_mode():
        crop(torch.zeros(1, 1, 1, 1), 1, torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64), (1, 1))
