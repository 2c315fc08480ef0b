"""Pictures as they go to browsers: made in one thread, only when asked for, once for all who ask for the same."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argos.drawing.overlay import overlay
from argos.publishing.encode import MaskEncodings, encode_result
from argos.publishing.overlays import jpeg, reduced
from argos.types import Result

WIDTHS = (320, 480, 640, 960, 1280, 1920)
"""Widths pictures are made in: viewers with tiles of about the same size share them."""

FOR_BROWSERS = MaskEncodings(semantic="coco_rle", instances="coco_rle")


class Pictures:
    """Makes pictures; used from the server's loop.

    Args:
        quality: of the JPEG, 1..100.
        width: of the widest picture.

    Attributes:
        made: pictures encoded so far.
    """

    def __init__(self, *, quality: int, width: int) -> None:
        self.made = 0
        self._quality, self._width = quality, width
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="argos-web-pictures")
        self._newest: dict[tuple[str, str, int], tuple[int, asyncio.Future[bytes]]] = {}

    async def message(self, result: Result, wanted: int) -> bytes:
        """The plain picture and the ``argos/1`` message of a result, see ``joined``; the page draws the rest.

        Args:
            result: with its picture.
            wanted: width in pixels that the page would like.
        """

        def make() -> bytes:
            assert result.image is not None
            picture = jpeg(reduced(result.image, width), self._quality)
            return joined([picture, *encode_result(result, FOR_BROWSERS)])

        width = self.width_for(wanted)
        return await self._once("message", result, width, make)

    async def jpeg(self, result: Result, wanted: int, *, plain: bool) -> bytes:
        """A JPEG of a result, with everything drawn on it unless ``plain``."""

        def make() -> bytes:
            assert result.image is not None
            return jpeg(reduced(result.image if plain else overlay(result.image, result), width), self._quality)

        width = self.width_for(wanted)
        return await self._once("plain" if plain else "drawn", result, width, make)

    def width_for(self, wanted: int) -> int:
        """The width in which a picture is made for a tile of ``wanted`` pixels."""
        return min(self._width, next((width for width in WIDTHS if width >= wanted), self._width))

    def close(self) -> None:
        """End the thread after the picture it is at."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _once(self, kind: str, result: Result, width: int, make: Callable[[], bytes]) -> bytes:
        key = (kind, result.camera, width)
        seq, future = self._newest.get(key, (-1, None))
        if future is None or seq != result.seq:
            self.made += 1
            future = asyncio.get_running_loop().run_in_executor(self._thread, make)
            self._newest[key] = result.seq, future
        return await asyncio.shield(future)  # the viewer who asked first may leave, others wait for the same


def joined(parts: list[bytes]) -> bytes:
    """Parts in one message: their number, the length of each (little-endian, 32 bits), then all of them."""
    return struct.pack(f"<{len(parts) + 1}I", len(parts), *map(len, parts)) + b"".join(parts)
