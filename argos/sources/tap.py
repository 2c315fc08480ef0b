"""Where packets leave a source before they are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream


class PacketTap(Protocol):
    """Takes the packets of one source, all in the thread that reads it; of a live one it must not make it wait."""

    def opened(self, stream: VideoStream) -> None:
        """A connection begins.

        Args:
            stream: whose packets follow; valid until ``ended``.
        """

    def take(self, packet: Packet[VideoStream], arrival_ns: int, time_s: float | None = None) -> None:
        """The next packet, in the order of decoding; it must stay as it is.

        Args:
            packet: with data.
            arrival_ns: wall clock at arrival, nanoseconds since 1970.
            time_s: its time where the stream has none of its own; None where the packet's own counts.
        """

    def ended(self) -> None:
        """The connection is over."""


@contextmanager
def tapped(tap: PacketTap | None) -> Iterator[None]:
    """Tell a tap when the connection is over, however it ends; nothing without a tap."""
    try:
        yield
    finally:
        if tap is not None:
            tap.ended()
