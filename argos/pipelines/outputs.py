"""One thread that writes results to files: JSON lines, overlay video, contact sheet."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.contact_sheet import contact_sheet
from argos.drawing.overlay import overlay
from argos.errors import PublishError
from argos.publishing.jsonl import JsonlWriter
from argos.publishing.recorder import VideoWriter
from argos.types import Result

WAITING = 8
"""Results that wait to be written; then the pipeline waits, because files lose nothing."""

SHEET_PICTURES = 12


class Output(Protocol):
    """Something that takes results, one camera at a time."""

    def write(self, result: Result) -> None:
        """Take one result."""

    def close(self) -> None:
        """Finish what was written."""


class OverlayVideo:
    """An MP4 of the frames with people drawn."""

    def __init__(self, path: Path) -> None:
        self._writer = VideoWriter(path)

    def write(self, result: Result) -> None:
        """Draw and encode one frame."""
        if result.image is not None:
            self._writer.write(overlay(result.image, result), result.pts_s)

    def close(self) -> None:
        """Finish the file under its final name."""
        self._writer.close()


class ContactSheet:
    """A PNG with about ``SHEET_PICTURES`` frames spread evenly over the run, however long it becomes."""

    def __init__(self, path: Path) -> None:
        self._path, self._every, self._count = path, 1, 0
        self._kept: list[tuple[NDArray[np.uint8], str]] = []

    def write(self, result: Result) -> None:
        """Keep the frame if its turn has come; when too many are kept, keep every other one from then on."""
        if result.image is not None and self._count % self._every == 0:
            picture = overlay(result.image, result)
            height = round(480 * picture.shape[0] / picture.shape[1])
            small = np.asarray(cv2.resize(picture, (480, height), interpolation=cv2.INTER_AREA), np.uint8)
            self._kept.append((small, f"{result.camera}  {result.pts_s:.1f} s"))
            if len(self._kept) >= 2 * SHEET_PICTURES:
                self._kept, self._every = self._kept[::2], self._every * 2
        self._count += 1

    def close(self) -> None:
        """Write the sheet."""
        if not self._kept:
            return
        chosen = [
            self._kept[i] for i in np.linspace(0, len(self._kept) - 1, min(SHEET_PICTURES, len(self._kept))).astype(int)
        ]
        sheet = contact_sheet([picture for picture, _ in chosen], [label for _, label in chosen], 3, 1440)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f".{self._path.stem}.part.png")
        if not cv2.imwrite(str(partial), sheet[:, :, ::-1]):
            raise PublishError(f"{self._path}: cannot write the contact sheet (disk full, or no permission)")
        partial.replace(self._path)


MAKERS: dict[str, Callable[[Path], Output]] = {
    "jsonl": JsonlWriter,
    "overlay": OverlayVideo,
    "contact_sheet": ContactSheet,
}


class Outputs:
    """Writes the results of every camera to its files, in a thread of its own.

    Args:
        files: camera -> ``(type, path)`` of each file, type a key of ``MAKERS``.
    """

    def __init__(self, files: dict[str, Sequence[tuple[str, Path]]]) -> None:
        self.paths = [path for of_camera in files.values() for _, path in of_camera]
        self._outputs: dict[str, list[Output]] = {}
        for camera, of_camera in files.items():
            self._outputs[camera] = [MAKERS[kind](path) for kind, path in of_camera]
        self._queue: queue.Queue[Result | None] = queue.Queue(WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="argos-outputs", daemon=True)
        self._thread.start()

    def write(self, result: Result) -> None:
        """Hand over a result; waits while ``WAITING`` are queued.

        Raises:
            PublishError: an earlier result could not be written.
        """
        self._raise()
        self._queue.put(result)

    def close(self) -> None:
        """Write what is queued and finish every file.

        Raises:
            PublishError: something could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        for output in (o for of_camera in self._outputs.values() for o in of_camera):
            try:
                output.close()
            except (PublishError, OSError) as error:  # the other files are still finished
                self._error = self._error or error
        self._raise()

    def _work(self) -> None:
        while (result := self._queue.get()) is not None:
            if self._error is not None:
                continue  # drained, so that nobody waits for ever; the error is raised by ``write``
            try:
                for output in self._outputs.get(result.camera, ()):
                    output.write(result)
            except BaseException as error:  # handed to the main thread, which raises it
                self._error = error

    def _raise(self) -> None:
        if isinstance(self._error, PublishError):
            raise self._error
        if self._error is not None:
            raise PublishError(f"cannot write the outputs: {self._error}") from self._error
