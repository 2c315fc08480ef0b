"""RTP packets of H.264 and H.265, and the sender's reports that go with them.

Reference:
    RFC 3550 (RTP and RTCP), RFC 6184 and 7798 (H.264 and H.265 in RTP: single NAL units and fragments).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from argos.fakecam.codecs import Codec

CLOCK = 90_000
"""Ticks of the RTP clock of video, per second."""

PAYLOAD_TYPE = 96
MAX_PAYLOAD = 1400
"""Bytes of payload that fit a packet on every usual network."""

_NTP_1970_S = 2_208_988_800


def payloads_of(nals: Sequence[bytes], codec: Codec, longest: int = MAX_PAYLOAD) -> Iterator[bytes]:
    """Payloads that carry the NAL units in order, cut into fragments where they are too long."""
    for nal in nals:
        if len(nal) <= longest:
            yield nal
            continue
        header, kind = codec.fragment_header(nal), codec.kind(nal)
        body, step = nal[codec.header :], longest - codec.header - 1
        for start in range(0, len(body), step):
            begin, end = 0x80 * (start == 0), 0x40 * (start + step >= len(body))
            yield header + bytes((begin | end | kind,)) + body[start : start + step]


def rtp_packet(payload: bytes, seq: int, timestamp: int, ssrc: int, *, marker: bool) -> bytes:
    """One packet; ``marker`` stands on the last one of a picture."""
    head = struct.pack(
        "!BBHII", 0x80, 0x80 * marker | PAYLOAD_TYPE, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc & 0xFFFFFFFF
    )
    return head + payload


def sender_report(ssrc: int, time_s: float, timestamp: int, packets: int, octets: int) -> bytes:
    """Which wall clock ``time_s`` (seconds since 1970) belongs to which RTP ``timestamp``, and what was sent so far."""
    seconds = int(time_s)
    ntp = seconds + _NTP_1970_S & 0xFFFFFFFF, int((time_s - seconds) * 2**32) & 0xFFFFFFFF
    counts = timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    report = struct.pack("!BBHI2I3I", 0x80, 200, 6, ssrc & 0xFFFFFFFF, *ntp, *counts)
    name = b"argos"  # an RTCP packet is a report and a description of the source
    item = b"\x01" + bytes((len(name),)) + name
    item += b"\x00" * (4 - len(item) % 4)
    return report + struct.pack("!BBHI", 0x81, 202, 1 + len(item) // 4, ssrc & 0xFFFFFFFF) + item
