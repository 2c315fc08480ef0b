"""Photos that stay on disk until they are drawn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from argos.errors import DataError
from argos.training.photos import Photo

log = logging.getLogger(__name__)

KEPT_BYTES = 1 << 30
"""Decoded photos that one process keeps; the ones after that are decoded at each draw."""


class PhotoFiles(Sequence[Photo]):
    """Photos decoded when they are asked for; unreadable ones are named once, counted, and their neighbour is given.

    Args:
        decoders: one function per photo.
        kept_bytes: of decoded photos to keep.
    """

    def __init__(self, decoders: Sequence[Callable[[], Photo]], kept_bytes: int = KEPT_BYTES) -> None:
        self._decoders, self._left = list(decoders), kept_bytes
        self._kept: dict[int, Photo] = {}
        self.broken: set[int] = set()

    def __len__(self) -> int:
        return len(self._decoders)

    @overload
    def __getitem__(self, index: int) -> Photo: ...
    @overload
    def __getitem__(self, index: slice) -> PhotoFiles: ...
    def __getitem__(self, index: int | slice) -> Photo | PhotoFiles:
        """The photo at ``index``, or the next readable one.

        Raises:
            IndexError: there is no such index.
            DataError: none of the photos can be read.
        """
        if isinstance(index, slice):
            return PhotoFiles(self._decoders[index], self._left)
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        for step in range(len(self)):
            photo = self._decoded((index + step) % len(self))
            if photo is not None:
                return photo
        raise DataError(f"none of the {len(self)} photos can be read; the log names them")

    def __iter__(self) -> Iterator[Photo]:
        """The readable photos, each once."""
        for index in range(len(self)):
            photo = self._decoded(index)
            if photo is not None:
                yield photo

    def left_out(self, most: int | None = None) -> int:
        """How many cannot be read, of the first ``most``; decodes them, and keeps those for which there is room."""
        for index in range(len(self) if most is None else min(most, len(self))):
            self._decoded(index)
        return len(self.broken)

    def _decoded(self, index: int) -> Photo | None:
        if index in self._kept:
            return self._kept[index]
        if index in self.broken:
            return None
        try:
            photo = self._decoders[index]()
        except DataError as error:
            self.broken.add(index)
            log.warning("%s; left out (%d of %d so far)", error, len(self.broken), len(self))
            return None
        size = photo.image.nbytes + photo.ids.nbytes
        if size <= self._left:
            self._left -= size
            self._kept[index] = photo
        return photo
