"""Compiling the kernels of the line before the first frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from argos.networks.ssd_boxes import crop
from argos.pipelines.compiling import compile_planning

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
    """Run every kernel between a picture and its people once, so that no camera waits for a compiler.

    What is compiled stays on disk: seconds at the first start, milliseconds at every other.
    """
    with torch.inference_mode():
        crop(torch.zeros(1, 1, 1, 1), 1, torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64), (1, 1))
    compile_planning()
