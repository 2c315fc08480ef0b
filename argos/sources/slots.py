"""Pictures between two processes: slots of shared memory without a name, so that nothing is left when either dies."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile

import numpy as np
from numpy.typing import NDArray

from argos.sources.stream import MAX_PIXELS
from argos.types import Size

SLOTS = 2
"""One picture is read while the next one is decoded."""

_PAGE = mmap.PAGESIZE
_LARGEST = 3 * MAX_PIXELS + _PAGE


def shared_memory() -> int:
    """Descriptor of memory to share with a child, empty and without a name; it can grow and never shrinks.

    It is freed by the kernel with its last descriptor, whatever ends the processes.
    """
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    import fcntl

    memory = os.memfd_create("argos-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    # a child gone mad could cut it off under the parent's feet, which would be ended by SIGBUS
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return memory


class Slots:
    """One side's view of the shared memory; both sides have one.

    Args:
        memory: the descriptor; it stays the caller's.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._map: mmap.mmap | None = None
        self.slot_bytes = 0

    def grow(self, size: Size) -> None:
        """Make room for pictures of this size; the writer's, while no slot is in use.

        Raises:
            ValueError: they are larger than any that is decoded.
        """
        needed = -(-3 * size[0] * size[1] // _PAGE) * _PAGE
        if needed > _LARGEST:
            raise ValueError(f"pictures of {size[1]}x{size[0]} are larger than {MAX_PIXELS} pixels")
        os.ftruncate(self._memory, max(os.fstat(self._memory).st_size, SLOTS * needed))
        self._open(needed)

    def write(self, slot: int, pixels: NDArray[np.uint8]) -> None:
        """Put a picture into a slot that is large enough; ``pixels`` is ``(H, W, 3)`` uint8."""
        np.copyto(self._view(slot, pixels.shape[:2]), pixels)

    def read(self, slot: int, slot_bytes: int, size: Size) -> NDArray[np.uint8]:
        """A copy of the picture in a slot, ``(H, W, 3)`` uint8.

        Args:
            slot: which.
            slot_bytes: of each slot, as the writer says.
            size: of the picture.

        Raises:
            ValueError: the writer says what cannot be.
        """
        fits = 0 <= slot < SLOTS and min(size) > 0 and 3 * size[0] * size[1] <= slot_bytes <= _LARGEST
        if not fits or SLOTS * slot_bytes > os.fstat(self._memory).st_size:
            raise ValueError(f"slot {slot} of {slot_bytes} bytes cannot hold a picture of {size[1]}x{size[0]}")
        if slot_bytes != self.slot_bytes:
            self._open(slot_bytes)
        return self._view(slot, size).copy()

    def close(self) -> None:
        """Give the view up; more than once does no harm."""
        if self._map is not None:
            self._map.close()
        self._map, self.slot_bytes = None, 0

    def _open(self, slot_bytes: int) -> None:
        self.close()
        self._map, self.slot_bytes = mmap.mmap(self._memory, SLOTS * slot_bytes), slot_bytes

    def _view(self, slot: int, size: tuple[int, ...]) -> NDArray[np.uint8]:
        if self._map is None:
            raise ValueError("the slots have no size yet")
        height, width = size
        flat = np.frombuffer(self._map, np.uint8, 3 * height * width, slot * self.slot_bytes)
        return flat.reshape(height, width, 3)
