"""Results as lines of JSON: the header of the ``argos/1`` message with its masks inline, as COCO run lengths.

A line stands by itself: ``pycocotools.mask.decode(line["semantic"]["rle"])`` is the mask.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from argos.errors import PublishError, SchemaError
from argos.publishing.decode import result_of
from argos.publishing.encode import event_header, person_share, result_header, wire_boxes, wire_size
from argos.publishing.masks import encode_mask
from argos.publishing.wire import MaskHeader, ResultHeader, Rle, SemanticHeader
from argos.types import Event, Result

logger = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder(ResultHeader)


def result_line(result: Result) -> bytes:
    """One result as one line of JSON, its end of line included."""
    people: list[MaskHeader] = []
    semantic = None
    if result.instances is not None:
        people = [
            MaskHeader("coco_rle", crop, rle=Rle((crop[3], crop[2]), encode_mask(mask, "coco_rle").decode()))
            for crop, mask in zip(wire_boxes(result.instances), result.instances.masks, strict=True)
        ]
    if result.semantic is not None:
        mask = result.semantic.mask
        rle = Rle((mask.shape[0], mask.shape[1]), encode_mask(mask, "coco_rle").decode())
        semantic = SemanticHeader("coco_rle", wire_size(mask.shape), person_share(mask), rle=rle)
    return msgspec.json.encode(result_header(result, people, semantic)) + b"\n"


def event_line(event: Event) -> bytes:
    """An event as one line of JSON: the header of its message."""
    return msgspec.json.encode(event_header(event)) + b"\n"


def read_line(line: bytes) -> Result:
    """Read one line.

    Raises:
        SchemaError: it is not a result.
    """
    try:
        return result_of(_decoder.decode(line), ())
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError, IndexError) as error:
        raise SchemaError(str(error)) from error


class JsonlWriter:
    """Appends results to a file; every line has left the process when ``write`` returns.

    A line that a killed process left unfinished is closed first, so that it spoils no other.
    """

    def __init__(self, path: Path | str) -> None:
        """Open the file, and make its folder where there is none.

        Raises:
            PublishError: the file cannot be opened.
        """
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed by close()
            if _ends_unfinished(self.path):
                self._file.write(b"\n")
        except OSError as error:
            raise PublishError(
                f"{self.path}: cannot be opened for writing ({error.strerror}); choose another path"
            ) from error

    def write(self, result: Result) -> None:
        """Append one result.

        Raises:
            PublishError: the disk is full or gone; what was written before stays.
        """
        self.write_line(result_line(result))

    def write_line(self, line: bytes) -> None:
        """Append a line made by ``result_line``; raises like ``write``."""
        rest = memoryview(line)
        try:
            while rest:  # a raw file may take a part only, as when the disk is almost full
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise PublishError(
                f"{self.path}: cannot write ({error.strerror}); what was written before stays - "
                "free some space or choose another path"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ends_unfinished(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


class JsonlReader(Iterator[Result]):
    """Iterates over the results in a file; see ``read_jsonl``.

    Attributes:
        skipped: unfinished lines so far.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.skipped = 0
        self._results = self._read()

    def __next__(self) -> Result:
        return next(self._results)

    def _read(self) -> Iterator[Result]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if _is_unfinished(line):
                    self.skipped += 1
                    logger.warning("%s:%d: skipped, a line that was not finished", self.path, number)
                    continue
                try:
                    yield read_line(line)
                except SchemaError as error:
                    where = f"{self.path}:{number}"
                    raise SchemaError(f"{where}: {error}; lines of an output of type jsonl are wanted") from error


def _is_unfinished(line: bytes) -> bool:
    """A whole line is one JSON object: it begins and ends like one, and nothing cut from it does both and parses."""
    if not line.startswith(b"{"):
        return False
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except msgspec.DecodeError:
        return True
    return False


def read_jsonl(path: Path | str) -> JsonlReader:
    """The results in a file that ``JsonlWriter`` wrote, in order.

    Lines that a killed process left unfinished are skipped, logged and counted in ``.skipped``.

    Raises:
        FileNotFoundError: on the first result.
        SchemaError: on reading a finished line that is no result, with file and line.
    """
    return JsonlReader(path)
