"""Writing to files in a thread of its own, so that a slow disk makes no camera wait."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from argos.errors import PublishError

ROOM_BYTES = 32 << 20
"""Most bytes that wait to be written."""

TIDY_S = 1.0
"""How often room is made on the disk while something is written."""

_PATIENCE_S = 10.0


class DiskFile:
    """A file for FFmpeg: what is written to it goes to the disk's thread, with its place.

    Attributes:
        path: of the file.
        size: bytes so far, written or waiting.
    """

    def __init__(self, path: Path, put: Callable[[DiskFile, int, bytes | None], None]) -> None:
        self.path, self.size, self._put = path, 0, put
        self._at = 0

    def write(self, data: bytes) -> int:
        """Write at the present place."""
        self._put(self, self._at, bytes(data))
        self._at += len(data)
        self.size = max(self.size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; FFmpeg returns to the head when a file is finished."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        return self._at

    def tell(self) -> int:
        """The present place."""
        return self._at

    def finish(self) -> None:
        """Close it once all is written."""
        self._put(self, 0, None)


class Disk:
    """The thread that writes.

    After the first fault nothing more is written; what stands on the disk stays.

    Args:
        waits: writing waits for room; otherwise ask ``has_room`` before.
        tidy: called in the thread, about each second and whenever a file was finished.
    """

    def __init__(self, *, waits: bool, tidy: Callable[[], None]) -> None:
        self._waits, self._tidy = waits, tidy
        self._queue: queue.SimpleQueue[tuple[DiskFile, int, bytes | None] | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._waiting_bytes = 0
        self._error: PublishError | None = None
        self._open: dict[DiskFile, int] = {}
        self._thread = threading.Thread(target=self._work, name="argos-recording", daemon=True)
        self._thread.start()

    def file(self, path: Path) -> DiskFile:
        """A new file; it is made when the first bytes are written."""
        return DiskFile(path, self._put)

    @property
    def has_room(self) -> bool:
        """Whether less than ``ROOM_BYTES`` wait."""
        return self._waiting_bytes < ROOM_BYTES

    def check(self) -> None:
        """Tell of a fault.

        Raises:
            PublishError: something could not be written.
        """
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Write what waits and end the thread, once.

        Raises:
            PublishError: something could not be written, or the disk does not answer.
        """
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive():
                raise PublishError(
                    f"the disk of a recording did not answer for {_PATIENCE_S:g} s; its last second is lost"
                )
        self.check()

    def _put(self, file: DiskFile, place: int, data: bytes | None) -> None:
        with self._changed:
            while self._waits and not self.has_room and self._error is None:
                self._changed.wait(1.0)
            self._waiting_bytes += len(data or b"")
        self._queue.put((file, place, data))

    def _work(self) -> None:
        tidied_s = 0.0
        while (order := self._queue.get()) is not None:
            file, place, data = order
            try:
                if self._error is None:
                    self._obey(file, place, data)
                if self._error is None and (data is None or time.monotonic() - tidied_s > TIDY_S):
                    tidied_s = time.monotonic()
                    self._tidy()
            except OSError as error:
                words = f"cannot write the recording ({error.strerror}); what was written before stays"
                self._error = PublishError(
                    f"{error.filename or file.path}: {words} - free some space, set quota_mb, or choose another folder"
                )
                self._error.__cause__ = error
            with self._changed:
                self._waiting_bytes -= len(data or b"")
                self._changed.notify_all()
        for handle in self._open.values():
            os.close(handle)

    def _obey(self, file: DiskFile, place: int, data: bytes | None) -> None:
        """Write, or close the file where there is no data."""
        if data is None:
            handle = self._open.pop(file, None)
            if handle is not None:
                os.close(handle)
            return
        if file not in self._open:
            self._open[file] = os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        rest = memoryview(data)
        while rest:  # a part only, when the disk is almost full
            done = os.pwrite(self._open[file], rest, place)
            rest, place = rest[done:], place + done


def keep_quota(files: dict[str, list[Path]], most_bytes: int) -> list[Path]:
    """Delete the oldest segments, each with its results, until all together have at most ``most_bytes``.

    The newest segment stays in any case.

    Args:
        files: of a recording, by segment, oldest first.
        most_bytes: of all files.

    Returns:
        What was deleted.

    Raises:
        OSError: a file cannot be deleted.
    """
    sizes = {stem: sum(_size(path) for path in paths) for stem, paths in files.items()}
    total, gone = sum(sizes.values()), []
    for stem in list(files)[:-1]:
        if total <= most_bytes:
            break
        for path in files[stem]:
            path.unlink(missing_ok=True)
            gone.append(path)
        total -= sizes[stem]
    return gone


def _size(path: Path) -> int:
    """Bytes of a file; none of one that somebody else has deleted meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
