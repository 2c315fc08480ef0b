from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from argos.fakecam.clip import split_nals
from argos.fakecam.codecs import H264, H265
from argos.fakecam.rtp import payloads_of, rtp_packet, sender_report

NALS = st.binary(min_size=1, max_size=500).map(lambda body: bytes([0x65]) + body)


def joined(payloads: list[bytes]) -> list[bytes]:
    """What a viewer makes of the payloads: the plain reading of RFC 6184."""
    nals: list[bytes] = []
    for payload in payloads:
        if payload[0] & 31 != 28:
            nals.append(payload)
        elif payload[1] & 0x80:
            nals.append(bytes([payload[0] & 0xE0 | payload[1] & 31]) + payload[2:])
        else:
            nals[-1] += payload[2:]
    return nals


@given(nals=st.lists(NALS, min_size=1, max_size=5), longest=st.integers(10, 300))
@settings(max_examples=100, deadline=None)
def test_a_viewer_puts_together_what_was_cut(nals: list[bytes], longest: int) -> None:
    payloads = list(payloads_of(nals, H264, longest))
    assert joined(payloads) == nals
    assert max(map(len, payloads)) <= longest
    cut = [payload for payload in payloads if payload[0] & 31 == 28]
    assert sum(payload[1] & 0x80 > 0 for payload in cut) == sum(payload[1] & 0x40 > 0 for payload in cut)


def joined_h265(payloads: list[bytes]) -> list[bytes]:
    """The same by RFC 7798."""
    nals: list[bytes] = []
    for payload in payloads:
        if payload[0] >> 1 & 63 != 49:
            nals.append(payload)
        elif payload[2] & 0x80:
            nals.append(bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]]) + payload[3:])
        else:
            nals[-1] += payload[3:]
    return nals


@given(
    nals=st.lists(st.binary(min_size=1, max_size=500).map(lambda body: b"\x26\x01" + body), min_size=1, max_size=5),
    longest=st.integers(10, 300),
)
@settings(max_examples=100, deadline=None)
def test_a_viewer_of_h265_puts_together_what_was_cut(nals: list[bytes], longest: int) -> None:
    payloads = list(payloads_of(nals, H265, longest))
    assert joined_h265(payloads) == nals
    assert max(map(len, payloads)) <= longest


def test_the_header_of_a_packet_is_that_of_rfc_3550() -> None:
    packet = rtp_packet(b"xy", 65536 + 7, 2**32 + 9, 0xDEADBEEF, marker=True)
    assert packet == bytes.fromhex("80e0 0007 00000009 deadbeef") + b"xy"
    assert rtp_packet(b"", 0, 0, 0, marker=False)[1] == 96


def test_a_report_tells_the_time_of_1900_and_names_its_source() -> None:
    report = sender_report(1, 0.5, 90_000, 3, 4)
    assert struct.unpack("!BBHI", report[:8]) == (0x80, 200, 6, 1)
    assert struct.unpack("!5I", report[8:28]) == (2_208_988_800, 2**31, 90_000, 3, 4)
    assert len(report) % 4 == 0
    assert struct.unpack("!H", report[30:32])[0] == len(report[28:]) // 4 - 1
    assert b"argos" in report


def test_start_codes_of_three_and_four_bytes_and_zeros_between_are_cut_off() -> None:
    stream = b"\0\0\0\1\x67ab\0\0\1\x68cd\0\0\0\0\1\x65e\0\0\3f\0\0\1\x41"
    assert split_nals(stream) == [b"\x67ab", b"\x68cd", b"\x65e\0\0\3f", b"\x41"]
    assert split_nals(b"no start code") == []
