"""The video stream of an open container and its pictures; the part that files and cameras share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from argos.errors import SourceError
from argos.sources.tap import PacketTap

MAX_PIXELS = 2**26
"""Largest picture that is decoded: 8192x8192; a file of a few hundred kilobytes can claim gigabytes."""

# FFmpeg shows any .txt file as a film of a text terminal
_TEXT_FORMATS = {"tty", "bin", "xbin", "adf", "idf"}


def open_container(
    url: str,
    *,
    form: str | None = None,
    options: Mapping[str, str] | None = None,
    timeout_s: tuple[float, float] | None = None,
) -> InputContainer:
    """Open anything FFmpeg can read; close it in the thread that reads it, a forgotten one keeps its memory.

    Args:
        url: path, device or address.
        form: name of the container format; None lets FFmpeg find it out.
        options: of the format and protocol; FFmpeg ignores unknown ones without a word.
        timeout_s: for opening, and for each read.

    Raises:
        av.error.FFmpegError: it cannot be opened.
    """
    # titles in other alphabets than UTF-8 occur, and are none of our business
    container: InputContainer = av.open(
        url, format=form, options=dict(options or {}), timeout=timeout_s, metadata_errors="replace"
    )
    return container


def video_stream(container: InputContainer, where: str) -> VideoStream:
    """The stream to decode, set up so that each packet gives its picture at once.

    Args:
        container: just opened.
        where: the source in messages, without credentials.

    Raises:
        SourceError: ``no_video``, ``not_a_video``, or ``unsupported``: no decoder, or pictures too large.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise SourceError(f"{where}: has no video stream (only {found}); give a source with pictures", "no_video")
    if container.format.name in _TEXT_FORMATS:
        raise SourceError(f"{where}: not a video but text; check the file", "not_a_video")
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise SourceError(f"{where}: its video codec is not known here; convert it to H.264", "unsupported")
    stream = max(known, key=lambda s: s.codec_context.width * s.codec_context.height)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        raise SourceError(
            f"{where}: pictures of {width}x{height} are larger than {MAX_PIXELS} pixels; convert it to a smaller size",
            "unsupported",
        )
    # Frame threads add a picture of delay each, and where a packet is damaged they lose pictures without an error:
    # of a file cut in half they gave 20 pictures of 22 (PyAV 18.1).
    stream.thread_type = "NONE"
    return stream


def frame_step_s(stream: VideoStream) -> float:
    """Usual time between frames in seconds, 1/25 where the stream does not tell."""
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    return float(1 / rate) if rate and 0 < rate <= 1000 else 1 / 25


def presentation_ticks(picture: av.VideoFrame, stream: VideoStream) -> int | None:
    """Presentation time in ticks as the stream tells it; None where it does not.

    AVI numbers pictures in the order of decoding alone, and FFmpeg passes that off as their presentation time.
    """
    ticks: int | None = picture.dts if stream.container.format.name == "avi" else picture.pts
    return ticks


def presentation_s(picture: av.VideoFrame, stream: VideoStream) -> float | None:
    """Presentation time in seconds as the stream tells it; None where it does not."""
    ticks, base = presentation_ticks(picture, stream), picture.time_base or stream.time_base
    return None if ticks is None or base is None else float(ticks * base)


@dataclass
class Tally:
    """What came out of a stream so far.

    Attributes:
        packets: read.
        pictures: decoded.
        damaged_packets: gave an error instead of a picture.
        last_damaged: whether the last packet did.
        cut: why reading stopped before the end; empty at a regular end.
    """

    packets: int = 0
    pictures: int = 0
    damaged_packets: int = 0
    last_damaged: bool = False
    cut: str = ""


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Packets of a stream, in the order of decoding; the last one is empty.

    Streams that begin after the opening, as sound may in MPEG-TS, are left out: PyAV 18.1 does not know them and ends
    the iteration with ``IndexError`` at each of their packets.
    """
    while True:
        try:
            yield from container.demux(stream)
            return
        except IndexError:
            continue


def pictures(
    container: InputContainer, stream: VideoStream, tally: Tally, tap: PacketTap | None = None
) -> Iterator[av.VideoFrame]:
    """Decode a file's pictures in order, over damaged packets, up to the end or to where reading fails.

    Args:
        container: open, at its start.
        stream: one of its streams.
        tally: counted up while decoding.
        tap: gets the packets before they are decoded.
    """
    demux = packets(container, stream)
    while True:
        try:
            packet = next(demux)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            tally.cut = error.strerror or "reading failed"
            return
        is_data = packet.size > 0
        tally.packets += is_data
        if tap is not None and is_data:
            tap.take(packet, time.time_ns())
        try:
            decoded = packet.decode()
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            # the empty packet at the end only empties the decoder
            tally.damaged_packets += is_data
            tally.last_damaged = tally.last_damaged or is_data
            continue
        tally.last_damaged = tally.last_damaged and not is_data
        for picture in decoded:
            tally.pictures += 1
            yield picture
