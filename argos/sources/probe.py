"""Look at a source for a few seconds and say what it is."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import av
from av.container import InputContainer

from argos.errors import SourceError
from argos.sources.clock import FrameClock
from argos.sources.connection import FIRST_PICTURE_S, open_live, patience_s
from argos.sources.faults import code_of
from argos.sources.images import IMAGES_PER_S, list_images, read_images
from argos.sources.names import file_path, is_live, kind_of, redact
from argos.sources.options import SourceOptions
from argos.sources.segments import segments_of
from argos.sources.stream import frame_step_s, presentation_s, video_stream
from argos.sources.video import open_video
from argos.types import Size


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a source turned out to be; a field is None where the source does not tell or it did not open.

    Attributes:
        source: its address, credentials removed.
        live: whether it goes on by itself.
        container: name of the container format, ``images`` or ``scene``.
        codec: name of the codec; of images their suffixes.
        size: ``(height, width)`` of the first frame as it is read: upright.
        pixel_format: FFmpeg's name of the decoded format.
        rotation: degrees against the clock by which decoded pictures are turned upright.
        announced_fps: frame rate the source claims.
        measured_fps: frame rate found: by arrival for live sources, by presentation time for others.
        frames: number of frames it claims to have.
        duration_s: length it claims.
        decoded: frames decoded while looking.
        damaged: of these, frames with damage the decoder noticed, and packets that gave none.
        gop: frames from key frame to key frame, the median; None with fewer than two key frames.
        clock: ``arrival`` (live) or ``file``.
        first_frame_s: time from opening to the first frame.
        code: why it could not be read, as in ``SourceError``, or why a live source ended while it was looked at; empty
            when it could.
        error: the same in words.
    """

    source: str
    live: bool
    container: str | None = None
    codec: str | None = None
    size: Size | None = None
    pixel_format: str | None = None
    rotation: int | None = None
    announced_fps: float | None = None
    measured_fps: float | None = None
    frames: int | None = None
    duration_s: float | None = None
    decoded: int = 0
    damaged: int = 0
    gop: float | None = None
    clock: str = "file"
    first_frame_s: float | None = None
    code: str = ""
    error: str = ""


def probe(source: str, seconds: float = 3.0, options: SourceOptions | None = None) -> ProbeReport:
    """Open a source once, without retrying, and look at it.

    Args:
        source: as in ``read``.
        seconds: how long to look after the first frame; a file is read up to this presentation time.
        options: timeouts and transport; None takes the defaults.

    Returns:
        The report; where the source cannot be opened, gives no frame, or is live and ends too early, ``code`` and
        ``error`` say why.
    """
    options = options or SourceOptions()
    live = False
    try:
        live = is_live(source)
        match kind_of(source):
            case "images":
                return _probe_images(source)
            case "fake":
                return _probe_fake(source, seconds)
            case "recording":
                return _probe_recording(source, seconds, options)
            case "video":
                with open_video(source, options) as container:
                    return _probe_stream(container, source, seconds, live=False)
        started_s = time.monotonic()
        with open_live(source, "", options) as container:
            return _probe_stream(
                container, source, seconds, live=True, started_s=started_s, limit_s=patience_s(source, options)
            )
    except SourceError as error:
        return ProbeReport(redact(source), live, code=error.code, error=str(error))


def _probe_recording(source: str, seconds: float, options: SourceOptions) -> ProbeReport:
    """Look at the first segment that can be read: one that was cut off in its head is left out when it is read too."""
    *segments, last = segments_of(file_path(source))
    for path in segments:
        with suppress(SourceError), open_video(str(path), options) as container:
            return _probe_stream(container, source, seconds, live=False)
    with open_video(str(last), options) as container:
        return _probe_stream(container, source, seconds, live=False)


def _probe_stream(
    container: InputContainer,
    source: str,
    seconds: float,
    *,
    live: bool,
    started_s: float | None = None,
    limit_s: float = FIRST_PICTURE_S,
) -> ProbeReport:
    """Decode an open stream for a while.

    Args:
        container: just opened.
        source: for messages.
        seconds: how long.
        live: measure by arrival.
        started_s: monotonic time before opening; None for now.
        limit_s: longest wait without a picture.

    Raises:
        SourceError: no video, or no picture came.
    """
    started_s = time.monotonic() if started_s is None else started_s
    stream = video_stream(container, redact(source))
    times_s: list[float] = []
    keys: list[int] = []
    damaged = 0
    first: av.VideoFrame | None = None
    first_frame_s = 0.0
    fault = reason = ""
    clock = FrameClock(frame_step_s(stream))
    demux = container.demux(stream)
    while True:
        try:
            packet = next(demux, None)
        except av.error.FFmpegError as error:
            fault, reason = code_of(error), error.strerror or "failed"
            break
        if packet is None:
            fault = "ended"
            break
        try:
            decoded = packet.decode()
        except av.error.FFmpegError:
            decoded = []
            damaged += packet.size > 0
        now_s = time.monotonic() - started_s
        for picture in decoded:
            if first is None:
                first, first_frame_s = picture, now_s
            if picture.key_frame:
                keys.append(len(times_s))
            damaged += picture.is_corrupt
            shown_s = float((picture.duration or 0) * (picture.time_base or 0))
            times_s.append(now_s if live else clock.read(presentation_s(picture, stream), shown_s))
        looked_s = (now_s if live else times_s[-1]) - times_s[0] if times_s else 0.0
        if looked_s >= seconds or (first is None and now_s > max(limit_s, FIRST_PICTURE_S)):
            break
    if first is None:
        if live:
            code = fault or "timeout"
            raise SourceError(f"{redact(source)}: {_cut_short(code, reason, times_s)}", code)
        raise SourceError(
            f"{redact(source)}: not a video: no frame of it can be decoded; check that it plays", "not_a_video"
        )
    code = fault if live else ""
    turned = round(first.rotation / 90) % 2 == 1
    rate = stream.average_rate or stream.guessed_rate
    gaps = [b - a for a, b in itertools.pairwise(keys)]
    base = stream.time_base
    return ProbeReport(
        source=redact(source),
        live=live,
        container=container.format.name,
        codec=stream.codec_context.name,
        size=(first.width, first.height) if turned else (first.height, first.width),
        pixel_format=first.format.name,
        rotation=first.rotation % 360,
        # 1000 is the time base of Matroska where it announces none
        announced_fps=round(float(rate), 3) if rate and rate < 1000 else None,
        measured_fps=_rate(times_s),
        frames=stream.frames or None,
        duration_s=round(float(stream.duration * base), 3) if stream.duration and base and not live else None,
        decoded=len(times_s),
        damaged=damaged,
        gop=median(gaps) if gaps else None,
        clock="arrival" if live else "file",
        first_frame_s=round(first_frame_s, 3),
        code=code,
        error=f"{redact(source)}: {_cut_short(code, reason, times_s)}" if code else "",
    )


def _cut_short(code: str, reason: str, times_s: list[float]) -> str:
    """What a live source did while it was looked at; the times are those of its pictures."""
    known = {"ended": "the stream ended", "timeout": "no more pictures came"}
    what = known.get(code, f"reading failed ({redact(reason)})")
    if not times_s:
        what = "connected, but no picture came" if code == "timeout" else f"{what} before its first picture"
        return f"{what}; check that it is a stream, the network and the camera"
    span_s = times_s[-1] - times_s[0]
    return f"{what} after {len(times_s)} pictures in {span_s:.1f} s; check network and camera"


def _rate(times_s: list[float]) -> float | None:
    """Frames per second from the times of frames; None for fewer than two or where time stands still."""
    span_s = max(times_s) - min(times_s)
    return round((len(times_s) - 1) / span_s, 3) if span_s > 0 else None


def _probe_images(source: str) -> ProbeReport:
    """Decode the first image that is one, count all."""
    started_s = time.monotonic()
    paths = list_images(source)
    first = next(read_images(source, "probe"))
    suffixes = sorted({path.rsplit(".", 1)[-1].lower() for path in paths})
    return ProbeReport(
        source=redact(source),
        live=False,
        container="images",
        codec=" ".join(suffixes),
        size=first.size,
        pixel_format="rgb24",
        rotation=0,
        announced_fps=float(IMAGES_PER_S),
        frames=len(paths),
        duration_s=len(paths) / IMAGES_PER_S,
        decoded=1,
        first_frame_s=round(time.monotonic() - started_s, 3),
    )


def _probe_fake(source: str, seconds: float) -> ProbeReport:
    """Render for a while."""
    from argos.sources.read import frame_count, read

    started_s = time.monotonic()
    times_s: list[float] = []
    first_frame_s, size = 0.0, None
    for frame in read(source, "probe"):
        if not times_s:
            first_frame_s, size = time.monotonic() - started_s, frame.size
        times_s.append(frame.pts_s)
        if frame.pts_s - times_s[0] >= seconds:
            break
    if not times_s:
        raise SourceError(f"{source}: gives no frames; ask for frames=1 or more", "no_video")
    return ProbeReport(
        source=source,
        live=is_live(source),
        container="scene",
        codec="rendered",
        size=size,
        pixel_format="rgb24",
        rotation=0,
        measured_fps=_rate(times_s),
        frames=frame_count(source),
        decoded=len(times_s),
        clock="arrival" if is_live(source) else "file",
        first_frame_s=round(first_frame_s, 3),
    )
