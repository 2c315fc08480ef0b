"""Those who look: how packets reach one viewer, over the connection of RTSP itself or over UDP."""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from argos.fakecam.rtp import CLOCK, rtp_packet, sender_report

MAX_BACKLOG = 4 << 20
"""Bytes that may wait for a viewer who does not read; then it misses whole pictures."""

_REPORT_S = 1.0


class Way(Protocol):
    """How packets travel."""

    def send(self, packet: bytes, *, report: bool) -> None:
        """Send a packet of RTP, or a report."""

    def backlog(self) -> int:
        """Bytes that wait."""

    def close(self) -> None:
        """Send no more."""


class Interleaved:
    """Between the answers of RTSP, on the same connection."""

    def __init__(self, writer: asyncio.StreamWriter, channels: tuple[int, int]) -> None:
        self._writer, self._channels = writer, channels

    def send(self, packet: bytes, *, report: bool) -> None:
        """Send a packet of RTP, or a report."""
        if not self._writer.is_closing():
            self._writer.write(b"$" + bytes((self._channels[report],)) + len(packet).to_bytes(2, "big") + packet)

    def backlog(self) -> int:
        """Bytes that wait."""
        return self._writer.transport.get_write_buffer_size()

    def close(self) -> None:
        """The connection belongs to the conversation."""


class Udp:
    """To two ports of the viewer's machine, from two of this one; never to another machine than the one that asked."""

    def __init__(self, here: str, there: str, ports: tuple[int, int]) -> None:
        """Raises ``OSError`` when no two ports in a row are free."""
        self._sockets = _port_pair(here)
        self._targets = tuple((there, port) for port in ports)
        self.ports = tuple(each.getsockname()[1] for each in self._sockets)

    def send(self, packet: bytes, *, report: bool) -> None:
        """Send a packet of RTP, or a report; what the system does not take is lost, as on any network."""
        try:
            self._sockets[report].sendto(packet, self._targets[report])
        except (BlockingIOError, ConnectionRefusedError):
            return

    def backlog(self) -> int:
        """Nothing waits here."""
        return 0

    def close(self) -> None:
        """Give the ports back."""
        for each in self._sockets:
            each.close()


def _port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Two sockets on an even port and the one after it, as viewers expect."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(100):
        first, second = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        try:
            first.bind((host, 0))
            if first.getsockname()[1] % 2 == 0:
                second.bind((host, first.getsockname()[1] + 1))
                for each in (first, second):
                    each.setblocking(False)
                return first, second
        except OSError:  # the next one is taken
            pass
        first.close()
        second.close()
    raise OSError("no two UDP ports in a row are free")


@dataclass(frozen=True, slots=True)
class Damage:
    """What happens to packets on their way: shares of them, 0..1."""

    loss: float = 0.0
    corrupt: float = 0.0


class Viewer:
    """One viewer's share of the stream.

    Attributes:
        playing: whether it asked for pictures.
        seq: sequence number of its next packet.
        packets: sent so far.
        skipped: pictures it missed because it did not read.
    """

    def __init__(self, way: Way, *, ssrc: int) -> None:
        self.way = way
        self.ssrc = ssrc
        self.playing = False
        self.seq = secrets.randbits(15)
        self.packets = self.octets = self.skipped = 0
        self._reported_s = 0.0

    def show(self, payloads: Sequence[bytes], timestamp: int, now_s: float, damage: Damage, rng: random.Random) -> None:
        """Send one picture.

        Args:
            payloads: of its packets.
            timestamp: in ticks of the RTP clock.
            now_s: wall clock, seconds since 1970.
            damage: what becomes of the packets.
            rng: decides which ones.
        """
        if self.way.backlog() > MAX_BACKLOG:
            self.skipped += 1
            return
        if now_s - self._reported_s >= _REPORT_S:
            self._reported_s = now_s
            self.way.send(sender_report(self.ssrc, now_s, timestamp, self.packets, self.octets), report=True)
        for n, payload in enumerate(payloads):
            seq, self.seq = self.seq, self.seq + 1
            if damage.loss and rng.random() < damage.loss:
                continue
            if damage.corrupt and rng.random() < damage.corrupt:
                payload = _damaged(payload, rng)
            last = n == len(payloads) - 1
            self.way.send(rtp_packet(payload, seq, timestamp, self.ssrc, marker=last), report=False)
            self.packets, self.octets = self.packets + 1, self.octets + len(payload)


def _damaged(payload: bytes, rng: random.Random) -> bytes:
    """Some bits turned over, behind the header of the NAL unit, so that it still reaches the decoder."""
    data = bytearray(payload)
    for _ in range(1 + len(data) // 200):
        data[rng.randrange(min(3, len(data) - 1), len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def ticks(seconds: float) -> int:
    """Seconds in ticks of the RTP clock."""
    return round(seconds * CLOCK)
