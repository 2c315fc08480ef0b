"""What the camera shows: H.264 or H.265, from a file as it is, or of rendered people, encoded once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from argos.errors import SourceError
from argos.fakecam.codecs import CODECS, Codec
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

_START_CODE = re.compile(rb"\x00\x00\x01")


@dataclass(frozen=True, slots=True, eq=False)
class AccessUnit:
    """One encoded picture.

    Attributes:
        nals: its NAL units, without start codes; a key picture begins with the parameter sets.
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
    """A piece of video that is shown again and again.

    Attributes:
        units: the pictures in the order of sending; the first one is a key picture.
        duration_s: seconds from its start to the start of the next round.
        size: ``(height, width)`` of the pictures.
        codec: of the pictures.
        sets: its parameter sets, for the description of the stream, in the order of ``codec.sets``.
    """

    units: tuple[AccessUnit, ...]
    duration_s: float
    size: Size
    codec: Codec
    sets: tuple[bytes, ...]


def read_clip(source: str) -> Clip:
    """Read a file of H.264 or H.265, not encoded anew, or render and encode ``fake://people?...&codec=h264|h265``.

    Raises:
        SourceError: it cannot be opened, is another kind of source, or has another codec.
    """
    match kind_of(source):
        case "fake":
            return _rendered(source)
        case "video":
            return _read_file(source)
    raise SourceError(
        f"{redact(source)}: a fake camera shows H.264 and H.265 files and fake://people?..., no images, folders or "
        "live sources",
        "unsupported",
    )


def _read_file(source: str) -> Clip:
    where = place("", source)
    with open_video(source, SourceOptions()) as container:
        stream = video_stream(container, where)
        codec = next((codec for codec in CODECS.values() if codec.name == stream.codec_context.name), None)
        if codec is None:
            raise SourceError(
                f"{where}: its codec is {stream.codec_context.name}, a fake camera sends H.264 and H.265 as they are; "
                "encode it first: ffmpeg -i IN -c:v libx264 OUT.mp4",
                "unsupported",
            )
        size = (stream.codec_context.height, stream.codec_context.width)
        to_annexb = BitStreamFilterContext(f"{codec.name}_mp4toannexb", stream)
        step_s = float(1 / (stream.average_rate or Fraction(25)))
        try:
            packets = [
                out for packet in container.demux(stream) for out in to_annexb.filter(packet if packet.size else None)
            ]
        except av.error.FFmpegError as error:
            raise SourceError(f"{where}: damaged ({error.strerror}); record or copy it again", "ended_early") from None
    return _clip(where, packets, codec, size, step_s)


def _rendered(source: str) -> Clip:
    codec, of_scene = _codec_asked(source)
    scene = parse_scene(of_scene)
    encoder = av.CodecContext.create(codec.encoder, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = scene.size[0] // 2 * 2, scene.size[1] // 2 * 2
    encoder.pix_fmt = "yuv420p"
    encoder.framerate = Fraction(scene.fps).limit_denominator(1000)
    encoder.time_base = 1 / encoder.framerate
    encoder.gop_size = max(1, round(scene.fps))  # a key picture every second, as cameras are set for low delay
    encoder.thread_count = 1
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "24"} | (
        {"x265-params": "log-level=none:pools=none:frame-threads=1"} if codec.encoder == "libx265" else {}
    )
    frames = scene.frames or max(1, round(LOOP_S * scene.fps))
    packets: list[Packet[Any]] = []
    for index, picture in zip(range(frames), render(scene), strict=False):
        frame = av.VideoFrame.from_ndarray(picture.pixels[: encoder.height, : encoder.width], format="rgb24")
        frame.pts, frame.time_base = index, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return _clip(source, packets, codec, (encoder.height, encoder.width), 1 / scene.fps)


def _codec_asked(source: str) -> tuple[Codec, str]:
    """The codec of a rendered source, and the source without its key ``codec``: that is the camera's."""
    parts = urlsplit(source)
    words = parts.query.split("&")
    asked = [word.partition("=")[2] for word in words if word.startswith("codec=")]
    name = asked[-1] if asked else "h264"
    if name not in CODECS:
        raise SourceError(f"{source}: codec: should be one of {', '.join(CODECS)}, got {name!r}", "unsupported")
    rest = "&".join(word for word in words if not word.startswith("codec="))
    return CODECS[name], urlunsplit(parts._replace(query=rest))


def _clip(where: str, packets: list[Packet[Any]], codec: Codec, size: Size, step_s: float) -> Clip:
    """Packets in the form of Annex B, in the order of decoding, as a clip."""
    if sum(packet.size for packet in packets) > MAX_BYTES:
        raise SourceError(f"{where}: more than {MAX_BYTES >> 20} MB; cut a shorter piece out of it", "unsupported")
    units = list(_units(packets, codec, step_s))
    while units and not units[0].key:
        units.pop(0)  # nothing of it could be shown
    nals = [nal for unit in units for nal in unit.nals]
    sets = tuple(next((nal for nal in nals if codec.kind(nal) == kind), b"") for kind, _ in codec.sets)
    if not units or not all(sets):
        raise SourceError(f"{where}: no key picture in it, so nothing could be shown; check that it plays", "no_video")
    units = [AccessUnit(_with_sets(unit, codec, sets), unit.dts_s, unit.pts_s, unit.key) for unit in units]
    start_s = units[0].dts_s
    units = [AccessUnit(u.nals, u.dts_s - start_s, u.pts_s - start_s, u.key) for u in units]
    steps = [b.dts_s - a.dts_s for a, b in pairwise(units)]
    return Clip(tuple(units), units[-1].dts_s + (median(steps) if steps else step_s), size, codec, sets)


def _units(packets: list[Packet[Any]], codec: Codec, step_s: float) -> Iterator[AccessUnit]:
    for n, packet in enumerate(packets):
        nals = tuple(split_nals(bytes(packet)))
        if not nals:
            continue
        base = packet.time_base or Fraction(1, 90_000)
        # a bare stream has no times at all
        dts_s = n * step_s if packet.dts is None else float(packet.dts * base)
        pts_s = dts_s if packet.pts is None else float(packet.pts * base)
        yield AccessUnit(nals, dts_s, pts_s, any(codec.kind(nal) in codec.keys for nal in nals))


def _with_sets(unit: AccessUnit, codec: Codec, sets: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """A key picture begins with its parameter sets, so that a viewer can join there."""
    kinds = {kind for kind, _ in codec.sets}
    if not unit.key or any(codec.kind(nal) in kinds for nal in unit.nals):
        return unit.nals
    return (*sets, *unit.nals)


def split_nals(data: bytes) -> list[bytes]:
    """NAL units of a stream of bytes (Annex B), without their start codes."""
    starts = [match.end() for match in _START_CODE.finditer(data)]
    ends = [*(start - 3 for start in starts[1:]), len(data)]
    pieces = [data[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=False)]
    return [piece for piece in pieces if piece]
