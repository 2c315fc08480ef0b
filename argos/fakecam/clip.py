"""What the camera shows: access units of H.264, from a file as they are, or of rendered people, encoded once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from argos.errors import SourceError
from argos.sources.faults import place
from argos.sources.names import kind_of, redact
from argos.sources.options import SourceOptions
from argos.sources.stream import video_stream
from argos.sources.synthetic import parse_scene, render
from argos.sources.video import open_video
from argos.types import Size

MAX_BYTES = 512 << 20
"""A clip is held in memory; a longer one is refused."""

LOOP_S = 10.0
"""Rendered people walk this long before they start again, unless the source says ``frames=``."""

_SLICE_OF_KEY, _SPS, _PPS = 5, 7, 8
_START_CODE = re.compile(rb"\x00\x00\x01")


@dataclass(frozen=True, slots=True, eq=False)
class AccessUnit:
    """One encoded picture.

    Attributes:
        nals: its NAL units, without start codes; a key picture begins with SPS and PPS.
        dts_s: when it is sent, seconds from the start of the clip.
        pts_s: when it is shown, on the same clock.
        key: whether decoding can begin here.
    """

    nals: tuple[bytes, ...]
    dts_s: float
    pts_s: float
    key: bool


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A piece of H.264 that is shown again and again.

    Attributes:
        units: the pictures in the order of sending; the first one is a key picture.
        duration_s: seconds from its start to the start of the next round.
        size: ``(height, width)`` of the pictures.
        sps, pps: parameter sets, for the description of the stream.
    """

    units: tuple[AccessUnit, ...]
    duration_s: float
    size: Size
    sps: bytes
    pps: bytes


def read_clip(source: str) -> Clip:
    """Read an H.264 file, not encoded anew, or render and encode ``fake://people?...``.

    Raises:
        SourceError: it cannot be opened, is another kind of source, or has another codec.
    """
    match kind_of(source):
        case "fake":
            return _rendered(source)
        case "video":
            return _read_file(source)
    raise SourceError(
        f"{redact(source)}: a fake camera shows H.264 files and fake://people?..., no live source", "unsupported"
    )


def _read_file(source: str) -> Clip:
    where = place("", source)
    with open_video(source, SourceOptions()) as container:
        stream = video_stream(container, where)
        if stream.codec_context.name != "h264":
            raise SourceError(
                f"{where}: its codec is {stream.codec_context.name}, a fake camera sends H.264 as it is; "
                "encode it first: ffmpeg -i IN -c:v libx264 OUT.mp4",
                "unsupported",
            )
        size = (stream.codec_context.height, stream.codec_context.width)
        to_annexb = BitStreamFilterContext("h264_mp4toannexb", stream)
        step_s = float(1 / (stream.average_rate or Fraction(25)))
        try:
            packets = [
                out for packet in container.demux(stream) for out in to_annexb.filter(packet if packet.size else None)
            ]
        except av.error.FFmpegError as error:
            raise SourceError(f"{where}: damaged ({error.strerror}); record or copy it again", "ended_early") from None
    return _clip(where, packets, size, step_s)


def _rendered(source: str) -> Clip:
    scene = parse_scene(source)
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = scene.size[0] // 2 * 2, scene.size[1] // 2 * 2
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(scene.fps).limit_denominator(1000)
    encoder.time_base = 1 / encoder.framerate
    encoder.gop_size = max(1, round(scene.fps))  # a key picture every second, as cameras are set for low delay
    encoder.thread_count = 1
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "24"}
    frames = scene.frames or max(1, round(LOOP_S * scene.fps))
    packets: list[Packet[Any]] = []
    for index, picture in zip(range(frames), render(scene), strict=False):
        frame = av.VideoFrame.from_ndarray(picture.pixels[: encoder.height, : encoder.width], format="rgb24")
        frame.pts, frame.time_base = index, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return _clip(source, packets, (encoder.height, encoder.width), 1 / scene.fps)


def _clip(where: str, packets: list[Packet[Any]], size: Size, step_s: float) -> Clip:
    """Packets in the form of Annex B, in the order of decoding, as a clip."""
    if sum(packet.size for packet in packets) > MAX_BYTES:
        raise SourceError(f"{where}: more than {MAX_BYTES >> 20} MB; cut a shorter piece out of it", "unsupported")
    units = list(_units(packets, step_s))
    while units and not units[0].key:
        units.pop(0)  # nothing of it could be shown
    nals = [nal for unit in units for nal in unit.nals]
    sps, pps = (next((nal for nal in nals if nal[0] & 31 == kind), b"") for kind in (_SPS, _PPS))
    if not units or not sps or not pps:
        raise SourceError(f"{where}: no key picture in it, so nothing could be shown; check that it plays", "no_video")
    units = [AccessUnit(_with_sets(unit, sps, pps), unit.dts_s, unit.pts_s, unit.key) for unit in units]
    start_s = units[0].dts_s
    units = [AccessUnit(u.nals, u.dts_s - start_s, u.pts_s - start_s, u.key) for u in units]
    steps = [b.dts_s - a.dts_s for a, b in pairwise(units)]
    return Clip(tuple(units), units[-1].dts_s + (median(steps) if steps else step_s), size, sps, pps)


def _units(packets: list[Packet[Any]], step_s: float) -> Iterator[AccessUnit]:
    for n, packet in enumerate(packets):
        nals = tuple(split_nals(bytes(packet)))
        if not nals:
            continue
        base = packet.time_base or Fraction(1, 90_000)
        # a bare stream of H.264 has no times at all
        dts_s = n * step_s if packet.dts is None else float(packet.dts * base)
        pts_s = dts_s if packet.pts is None else float(packet.pts * base)
        yield AccessUnit(nals, dts_s, pts_s, any(nal[0] & 31 == _SLICE_OF_KEY for nal in nals))


def _with_sets(unit: AccessUnit, sps: bytes, pps: bytes) -> tuple[bytes, ...]:
    """A key picture begins with its parameter sets, so that a viewer can join there."""
    if not unit.key or any(nal[0] & 31 == _SPS for nal in unit.nals):
        return unit.nals
    return (sps, pps, *unit.nals)


def split_nals(data: bytes) -> list[bytes]:
    """NAL units of a stream of bytes (H.264, Annex B), without their start codes."""
    starts = [match.end() for match in _START_CODE.finditer(data)]
    ends = [*(start - 3 for start in starts[1:]), len(data)]
    pieces = [data[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=False)]
    return [piece for piece in pieces if piece]
