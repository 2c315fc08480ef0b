"""One thread that writes results to files, JSON lines, overlay video, contact sheet, and hands them to senders."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.config import Camera
from argos.drawing.contact_sheet import contact_sheet
from argos.drawing.overlay import overlay
from argos.drawing.styles import Style, remembers
from argos.errors import ArgosError, PublishError
from argos.pipelines.senders import EventFilter
from argos.publishing.delivery import DeliveryTally
from argos.publishing.jsonl import JsonlWriter, event_line
from argos.publishing.recorder import VideoWriter
from argos.publishing.virtual_camera import VirtualCamera
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


@runtime_checkable
class Sender(Protocol):
    """An output that delivers to others."""

    def tally(self) -> tuple[str, DeliveryTally]:
        """Its kind, and how it fares."""


@runtime_checkable
class Zoned(Protocol):
    """An output that knows the zones of its camera."""

    def watch(self, camera: Camera) -> None:
        """The camera has other zones from now on, and nobody is in them yet."""


@runtime_checkable
class Remembering(Protocol):
    """An output that shows what was in earlier pictures."""

    def forget(self) -> None:
        """Its camera is covered otherwise from now on: nothing of the pictures so far is shown any more."""


class ResultLines:
    """Results as JSON lines, after those of earlier runs or instead of them.

    Earlier ones go only when the first new one comes, so that a run which cannot begin costs nothing.
    """

    def __init__(self, path: Path, *, anew: bool) -> None:
        self._writer = JsonlWriter(path)
        self._anew = anew and path.is_file()  # a pipe or a device cannot be cut

    def write(self, result: Result) -> None:
        """Append one result."""
        self._begin()
        self._writer.write(result)

    def _begin(self) -> None:
        if self._anew:
            os.truncate(self._writer.path, 0)
            self._anew = False

    def close(self) -> None:
        """Close the file; without a line in it there is none."""
        self._writer.close()
        path = self._writer.path
        if path.is_file() and path.stat().st_size == 0:
            path.unlink()


class EventLines(ResultLines):
    """Events as JSON lines; results without any leave none."""

    def __init__(self, path: Path, *, anew: bool, passed: EventFilter) -> None:
        super().__init__(path, anew=anew)
        self._passed = passed

    def write(self, result: Result) -> None:
        """Append the events of one result."""
        self._begin()
        for event in self._passed.passed(result):
            self._writer.write_line(event_line(event))


class OverlayVideo:
    """An MP4 of the frames with people drawn."""

    def __init__(self, path: Path, style: Style = "mask", backdrop: NDArray[np.uint8] | None = None) -> None:
        self._writer = VideoWriter(path)
        self._style, self._backdrop = style, backdrop
        self.forget()

    def forget(self) -> None:
        """Begin to remember anew."""
        self._memory = remembers(self._style, self._backdrop)

    def write(self, result: Result) -> None:
        """Draw and encode one frame."""
        if result.image is not None:
            self._memory.keep(result)
            picture = overlay(result.image, result, style=self._style, memory=self._memory)
            self._writer.write(picture, result.pts_s)

    def close(self) -> None:
        """Finish the file under its final name."""
        self._writer.close()


class CameraPicture:
    """The frames in one style and without words, for programs that read a virtual camera.

    Args:
        camera: where they go.
        style: of the people.
        backdrop: ``(h, w, 3)`` uint8 RGB behind them, for the style of that name; None: their surroundings, blurred.
    """

    def __init__(self, camera: VirtualCamera, style: Style, backdrop: NDArray[np.uint8] | None = None) -> None:
        self._camera = camera
        self._style, self._backdrop = style, backdrop
        self.forget()

    def forget(self) -> None:
        """Begin to remember anew."""
        self._memory = remembers(self._style, self._backdrop)

    def write(self, result: Result) -> None:
        """Draw and show one frame."""
        if result.image is not None:
            self._memory.keep(result)
            self._camera.write(
                overlay(result.image, result, style=self._style, regions=False, legend=False, memory=self._memory)
            )

    def close(self) -> None:
        """Let the device go."""
        self._camera.close()


class ContactSheet:
    """A PNG with about ``SHEET_PICTURES`` frames spread evenly over the run, however long it becomes."""

    def __init__(self, path: Path) -> None:
        self._path, self._every, self._count = path, 1, 0
        self._kept: list[tuple[NDArray[np.uint8], str]] = []

    def write(self, result: Result) -> None:
        """Keep the frame if its turn has come; when too many are kept, keep every other one from then on."""
        if result.image is not None and self._count % self._every == 0:
            picture = overlay(result.image, result)
            # a slit of a picture would make the sheet as long
            height = min(max(1, round(480 * picture.shape[0] / picture.shape[1])), 1440)
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
        partial = self._path.with_name(f".{self._path.stem}.part{self._path.suffix}")
        partial.parent.mkdir(parents=True, exist_ok=True)  # nothing was in it so far: who left nothing removes it
        if not cv2.imwrite(str(partial), sheet[:, :, ::-1]):
            raise PublishError(f"{self._path}: cannot write the contact sheet (disk full, or no permission)")
        partial.replace(self._path)


class OutputFile(NamedTuple):
    """An output that is not open yet.

    Attributes:
        path: of its file, or of a folder of files; None for what goes elsewhere.
        open: opens it; raises ``PublishError`` where it cannot be written.
    """

    path: Path | None
    open: Callable[[], Output]


def file_at(path: Path, write: Callable[[Path], Output]) -> OutputFile:
    """A file, its folder made when it is opened; ``write`` gives what writes it."""

    def opened() -> Output:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir() or not os.access(path.parent, os.W_OK):
                found = "a directory" if path.is_dir() else "in a directory without permission to write"
                raise PublishError(f"{path}: cannot be written, it is {found}; choose another path")
        except OSError as error:
            raise PublishError(f"{path}: cannot be written ({error.strerror}); choose another path") from error
        return write(path)

    return OutputFile(path, opened)


def open_outputs(files: Sequence[OutputFile]) -> list[Output]:
    """All outputs of a camera.

    Raises:
        PublishError: one cannot be written; none is left open.
    """
    opened: list[Output] = []
    try:
        for file in files:
            opened.append(file.open())
    except ArgosError:
        for output in opened:
            output.close()
        raise
    return opened


class Outputs:
    """Writes the results of every camera to its files, in a thread of its own.

    Args:
        files: camera -> its files.
        more: outputs of cameras that are open already; they are closed with the others.

    Raises:
        PublishError: a file cannot be written; none is left open.
    """

    def __init__(
        self,
        files: Mapping[str, Sequence[OutputFile]],
        more: Mapping[str, Sequence[Output]] = MappingProxyType({}),
    ) -> None:
        self._files: dict[str, Sequence[OutputFile]] = dict(files)
        self._written: set[str] = set()
        self._outputs: dict[str, list[Output]] = {camera: list(more.get(camera, ())) for camera in files}
        self._queue: queue.Queue[Result | Callable[[], None] | None] = queue.Queue(WAITING)
        self._error: Exception | None = None
        self._closed = False
        self._leaving = ThreadPoolExecutor(thread_name_prefix="argos-leaving")
        self._made = missing_folders(
            file.path for of_camera in files.values() for file in of_camera if file.path is not None
        )
        try:
            for camera, of_camera in files.items():
                self._outputs[camera] += open_outputs(of_camera)
        except ArgosError:
            self._finish()
            raise
        self._thread = threading.Thread(target=self._work, name="argos-outputs", daemon=True)
        self._thread.start()

    @property
    def paths(self) -> list[Path]:
        """Files that got a result."""
        written = [file for camera, files in self._files.items() if camera in self._written for file in files]
        return [file.path for file in written if file.path is not None]

    @property
    def tallies(self) -> list[tuple[str, str, DeliveryTally]]:
        """Camera, kind and tally of each output that delivers to others."""
        outputs = [(camera, output) for camera, opened in list(self._outputs.items()) for output in opened]
        return [(camera, *output.tally()) for camera, output in outputs if isinstance(output, Sender)]

    def add(self, camera: str, files: Sequence[OutputFile], opened: Sequence[Output]) -> None:
        """Write a further camera, to outputs that are open already."""

        def begin() -> None:
            self._files[camera], self._outputs[camera] = files, list(opened)

        self._queue.put(begin)

    def watch(self, camera: Camera) -> None:
        """Tell those that know the zones of a camera its present ones."""

        def change() -> None:
            for output in self._outputs.get(camera.name, []):
                if isinstance(output, Zoned):
                    output.watch(camera)

        self._queue.put(change)

    def forget(self, camera: str) -> None:
        """Let nothing of a camera's pictures so far be shown any more, once what is queued is written."""

        def change() -> None:
            for output in self._outputs.get(camera, []):
                if isinstance(output, Remembering):
                    output.forget()

        self._queue.put(change)

    def remove(self, camera: str, then: Callable[[], None] | None = None) -> None:
        """Finish the files of a camera once what is queued is written; ``then`` is called after it.

        Nobody waits for its senders, whose receivers may be away.
        """

        def end() -> None:
            outputs = self._outputs.pop(camera, [])
            self._leaving.submit(self._let_go, [output for output in outputs if isinstance(output, Sender)])
            if faults := close_all([output for output in outputs if not isinstance(output, Sender)]):
                raise faults[0]
            if then is not None:
                then()

        self._queue.put(end)

    def _let_go(self, senders: Sequence[Output]) -> None:
        """Close the senders of a camera that is gone."""
        if faults := close_all(senders):
            self._error = self._error or faults[0]

    def write(self, result: Result) -> None:
        """Hand over a result; waits while ``WAITING`` are queued.

        Raises:
            PublishError: an earlier result could not be written.
        """
        self._raise()
        self._queue.put(result)

    def close(self) -> None:
        """Write what is queued and finish every file; once.

        Raises:
            PublishError: something could not be written.
        """
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._finish()
        self._raise()

    def _work(self) -> None:
        while (result := self._queue.get()) is not None:
            if self._error is not None:
                continue  # drained, so that nobody waits for ever; the error is raised by ``write``
            try:
                if not isinstance(result, Result):
                    result()
                    continue
                self._written.add(result.camera)
                for output in self._outputs[result.camera]:
                    output.write(result)
            except Exception as error:  # handed to the main thread, which raises it
                self._error = _named(error)

    def _finish(self) -> None:
        """Close every file, whatever happens to the others."""
        faults = close_all([output for of_camera in self._outputs.values() for output in of_camera])
        self._leaving.shutdown()
        if faults and self._error is None:
            self._error = faults[0]
        remove_empty(self._made)  # a source that gave nothing leaves nothing

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


class Closable(Protocol):
    """An output, or a recording."""

    def close(self) -> None:
        """Finish what was written."""


def close_all(outputs: Sequence[Closable]) -> list[Exception]:
    """Close all of them, whatever happens to the others; returns what went wrong.

    Senders wait for their receivers, all at once and beside the files, which are finished one after the other.
    """
    senders = [output for output in outputs if isinstance(output, Sender)]
    with ThreadPoolExecutor(max(1, len(senders)), "argos-closing") as pool:
        ends = [pool.submit(sender.close) for sender in senders]
        faults = [_fault_of(output.close) for output in outputs if not isinstance(output, Sender)]
        faults += [_fault_of(end.result) for end in ends]
    return [fault for fault in faults if fault is not None]


def _fault_of(close: Callable[[], None]) -> Exception | None:
    try:
        close()
    except Exception as error:  # the first one is raised when all are closed
        return _named(error)
    return None


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders in which there is nothing, the inner ones first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()  # which refuses where anything is in it


def missing_folders(paths: Iterable[Path]) -> list[Path]:
    """Folders that have to be made for some files, the inner ones first."""
    # not Path.exists, which raises where a name is too long or a folder closed; opening says so with a remedy
    folders = {folder for path in paths for folder in path.parents if not os.path.exists(folder)}
    return sorted(folders, key=lambda folder: len(folder.parts), reverse=True)


def _named(error: Exception) -> Exception:
    """What the system refused, as an error with a remedy; everything else is a bug and stays what it is."""
    if not isinstance(error, OSError):
        return error
    words = f"cannot write the outputs ({error}); free some space or choose other paths"
    fault = PublishError(words)
    fault.__cause__ = error
    return fault
