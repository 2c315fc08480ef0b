"""A window on this machine's display, by Tk of the standard library: an OpenCV without windows suffices."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import threading
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.contact_sheet import contact_sheet
from argos.errors import UsageError

WIDTH = 960
"""Wider pictures are reduced to it."""


class Window:
    """Shows the newest picture of every camera, side by side; a slow display only gets fewer.

    Args:
        title: of the window.
        on_close: called once when the user closes it, or presses ``q`` or ``Escape``; in a thread of the window.

    Attributes:
        is_open: whether it is there.

    Raises:
        UsageError: this machine has no display, or this Python has no Tk.
    """

    def __init__(self, title: str, on_close: Callable[[], None]) -> None:
        self._on_close = on_close
        self._pictures: dict[str, NDArray[np.uint8]] = {}
        self._changed = threading.Condition()
        self._is_new = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "argos.drawing.window_process", title], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        word, _, fault = self._answer().partition(" ")
        self.is_open = word == "ready"
        if not self.is_open:
            self._process.communicate()
            why = fault or "its process ended"
            raise UsageError(f"--window: {why}; --web 127.0.0.1:8080 shows the pictures in a browser")
        self._thread = threading.Thread(target=self._work, name="argos-window", daemon=True)
        self._thread.start()

    def is_due(self) -> bool:
        """Whether a further picture would be seen; drawing it would be for nothing otherwise."""
        return self.is_open and not self._is_new

    def show(self, camera: str, picture: NDArray[np.uint8]) -> None:
        """Show a picture of a camera, ``(H, W, 3)`` uint8 RGB, instead of its last one."""
        width = min(picture.shape[1], WIDTH)
        size = width, max(1, round(picture.shape[0] * width / picture.shape[1]))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        with self._changed:
            self._pictures[camera] = small
            self._is_new = True
            self._changed.notify_all()

    def close(self) -> None:
        """Take it away; any number of times."""
        with self._changed:
            self.is_open = False
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        """Hand pictures to the process, one when it has painted the last; ``q`` shows as the end of its answers."""
        while (sheet := self._next()) is not None:
            if not self._paint(sheet):
                self.is_open = False
                self._on_close()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()  # nothing more comes: it ends

    def _paint(self, sheet: NDArray[np.uint8]) -> bool:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"%d %d\n" % (sheet.shape[1], sheet.shape[0]) + sheet.tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return self._answer() == "painted"

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode(errors="replace").strip()

    def _next(self) -> NDArray[np.uint8] | None:
        """The newest pictures on one; None when the window is closed, which is noticed while nothing comes too."""
        with self._changed:
            while self.is_open and not self._is_new:
                self._changed.wait(0.2)
                if self.is_open and self._process.poll() is not None:
                    self.is_open = False
                    self._on_close()
            if not self.is_open:
                return None
            self._is_new = False
            pictures = dict(self._pictures)
        if len(pictures) == 1:
            return next(iter(pictures.values()))
        columns = math.ceil(math.sqrt(len(pictures)))
        return contact_sheet(list(pictures.values()), list(pictures), columns, max(WIDTH, 1280))
