"""Video files: every frame once, in order, and a clear word where the file ends before its time."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from argos.errors import SourceError
from argos.sources.clock import FrameClock, Pacer
from argos.sources.faults import code_of
from argos.sources.names import file_path, redact
from argos.sources.options import SourceOptions
from argos.sources.pixels import Upright
from argos.sources.stream import (
    Tally,
    frame_step_s,
    open_container,
    pictures,
    presentation_s,
    presentation_ticks,
    video_stream,
)
from argos.sources.tap import PacketTap, tapped
from argos.types import Frame

log = logging.getLogger(__name__)

_NETWORK_PATIENCE_S = 15.0


def open_video(source: str, options: SourceOptions) -> InputContainer:
    """Open a video file, on disk or behind ``http(s)://``; the caller closes it.

    Raises:
        SourceError: ``not_found``, ``not_a_video``, ``refused``, ``unauthorized``, ``timeout`` or ``failed``.
    """
    where = redact(source)
    remote = source.lower().startswith(("http://", "https://"))
    try:
        if remote:
            return open_container(source, timeout_s=(max(options.open_timeout_s, 5.0), _NETWORK_PATIENCE_S))
        # with the prefix a name like "a:b.mp4" is not taken for a protocol
        return open_container("file:" + file_path(source))
    except av.error.FFmpegError as error:
        fault = error
    # raised outside of the except block: FFmpeg's own error holds the whole URL with the password
    if isinstance(fault, av.error.FileNotFoundError):
        looked_in = "" if os.path.isabs(file_path(source)) else f" (looked in {os.getcwd()})"
        raise SourceError(f"{where}: no such file{looked_in}; check the path", "not_found")
    if isinstance(fault, av.error.InvalidDataError | av.error.EOFError):
        raise SourceError(
            f"{where}: not a video, or cut off before its index; check that it plays, or copy it again", "not_a_video"
        )
    words = redact(fault.strerror or "failed")
    raise SourceError(f"{where}: cannot be opened ({words}); check the path and its permissions", code_of(fault))


def read_video(
    source: str,
    camera: str,
    options: SourceOptions,
    stop: threading.Event,
    tap: PacketTap | None,
) -> Iterator[Frame]:
    """Read the frames of a video file.

    Args:
        source: path, ``file://`` or ``http(s)://`` address of a file.
        camera: name written into each frame.
        options: ``fps`` thins frames out by presentation time.
        stop: ends the iteration when set.
        tap: gets the packets before they are decoded.

    Raises:
        SourceError: as ``open_video`` and ``video_stream``; ``ended_early`` after the last frame of a truncated file.
    """
    where = redact(source)
    tally, damaged_pictures = Tally(), 0
    with open_video(source, options) as container, tapped(tap):
        stream = video_stream(container, where)
        if tap is not None:
            tap.opened(stream)
        step_s = frame_step_s(stream)
        clock, pacer, upright = FrameClock(step_s), Pacer(options.fps), Upright()
        end_s, interlaced = 0.0, False
        for picture in pictures(container, stream, tally, tap):
            if stop.is_set():
                return
            base = picture.time_base or stream.time_base or Fraction(1, 1000)
            raw_s = presentation_s(picture, stream)
            shown_s = float((picture.duration or 0) * base)
            pts_s = clock.read(raw_s, shown_s)
            end_s = max(end_s, (raw_s or 0.0) + (shown_s or step_s))
            damaged_pictures += picture.is_corrupt
            interlaced = interlaced or picture.interlaced_frame
            if pacer.passes(pts_s):
                yield Frame(
                    pixels=upright.rgb(picture),
                    camera=camera,
                    index=tally.pictures - 1,
                    pts_s=pts_s,
                    pts=presentation_ticks(picture, stream),
                    time_base=(base.numerator, base.denominator),
                    captured_ns=time.time_ns(),
                )
        fault = _fault_at_end(where, stream, tally, end_s)
        # the packet in which a file was cut off is no damage of its own
        lost = tally.damaged_packets - (tally.last_damaged and fault is not None)
        if lost or damaged_pictures:
            log.warning("%s: %d damaged packets lost, %d damaged frames kept", where, lost, damaged_pictures)
        if interlaced:
            log.warning("%s: is interlaced; moving edges show combs, deinterlace it for better masks", where)
        if fault is not None:
            raise fault


def _fault_at_end(where: str, stream: VideoStream, tally: Tally, end_s: float) -> SourceError | None:
    """The error to raise when the file announced more than came out of it.

    Args:
        where: the file in messages.
        stream: its video.
        tally: what came out.
        end_s: until when its last picture is shown.
    """
    step_s = frame_step_s(stream)
    announced_s = _announced_end_s(stream)
    # Both signs together: an edit list hides frames, and then the announced duration is shorter as well.
    short = announced_s is not None and end_s + step_s < announced_s
    few = 0 < tally.packets < stream.frames
    if stream.frames:
        early = (few and short) or (tally.last_damaged and tally.pictures < stream.frames)
    else:
        early = announced_s is not None and end_s + max(1.0, step_s) < announced_s and "DURATION" in stream.metadata
    share = f"{tally.pictures} of {stream.frames} frames" if stream.frames else f"{tally.pictures} frames"
    if not stream.frames and announced_s is not None:
        share += f", {end_s:.1f} of {announced_s:.1f} s,"
    if early or tally.cut:
        reason = f" ({redact(tally.cut)})" if tally.cut else ""
        return SourceError(
            f"{where}: ended early: {share} decoded{reason}; the file is truncated or damaged, copy or record it again",
            "ended_early",
        )
    if not tally.pictures:
        return SourceError(f"{where}: not a video: no frame of it can be decoded; check that it plays", "not_a_video")
    return None


def _announced_end_s(stream: VideoStream) -> float | None:
    """Presentation time at which the video should end; None where the file does not say."""
    if stream.duration and stream.time_base:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    return None if tag is None else int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])


def video_frame_count(source: str) -> int | None:
    """Number of frames a video file announces; None where it does not, or cannot be opened."""
    try:
        with open_video(source, SourceOptions()) as container:
            return next((s.frames or None for s in container.streams.video), None)
    except SourceError:
        return None
