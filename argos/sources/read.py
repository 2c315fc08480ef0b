"""The one entrance to all sources: ``read(source, camera)`` gives frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from argos.errors import SourceError
from argos.sources.clock import Pacer
from argos.sources.faults import place
from argos.sources.images import list_images, read_images
from argos.sources.isolated import read_isolated
from argos.sources.live import read_live
from argos.sources.names import camera_name, is_live, kind_of, redact
from argos.sources.options import OnState, SourceOptions, SourceState
from argos.sources.recording import read_recording
from argos.sources.tap import PacketTap
from argos.sources.video import read_video, video_frame_count
from argos.types import Frame, State

__all__ = ["SourceState", "camera_name", "frame_count", "is_live", "read", "redact"]


def read(
    source: str,
    camera: str,
    options: SourceOptions | None = None,
    *,
    stop: threading.Event | None = None,
    on_state: OnState | None = None,
    fail_fast: bool = False,
    tap: PacketTap | None = None,
) -> Iterator[Frame]:
    """Read the frames of any source.

    Args:
        source: path of a video or image, directory or pattern of images, folder of a recording, ``rtsp(s)://``,
            ``http(s)://`` (MJPEG, HLS, or a file by its suffix), ``webcam:N``, ``/dev/videoN``, ``fake://people?...``.
        camera: name written into each frame.
        options: how it is opened, watched and thinned out; None takes the defaults.
        stop: ends the iteration when set.
        on_state: called on each change of state, in the reading thread.
        fail_fast: a live source fails instead of connecting again.
        tap: gets the packets of a video or live source before they are decoded, to keep them.

    Raises:
        SourceError: a file cannot be opened, is no video, or ended early (after the frames that decoded); a live
            source only with ``fail_fast`` or ``reconnect.give_up_after``; a tap on a source that has no packets, or
            is read in another process.
    """
    options, stop = options or SourceOptions(), stop or threading.Event()
    kind = kind_of(source)
    if options.isolate == "process":
        if tap is not None:
            raise SourceError(
                f"{place(camera, source)}: cannot be recorded with isolate: process, the packets stay in that process; "
                "use isolate: thread for it",
                "unsupported",
            )
        yield from read_isolated(source, camera, options, stop=stop, on_state=on_state, fail_fast=fail_fast)
        return
    if kind in ("rtsp", "http", "webcam"):
        yield from read_live(source, camera, options, stop=stop, on_state=on_state, fail_fast=fail_fast, tap=tap)
        return

    def tell(state: State, code: str = "", message: str = "") -> None:
        if on_state is not None:
            on_state(SourceState(state, code, message, 0))

    tell("connecting")
    is_up = False
    try:
        for frame in _finite(kind, source, camera, options, stop, tap):
            if not is_up:
                tell("up")
                is_up = True
            yield frame
    except SourceError as error:
        tell("ended", error.code, str(error))
        raise
    tell("ended")


def _finite(
    kind: str,
    source: str,
    camera: str,
    options: SourceOptions,
    stop: threading.Event,
    tap: PacketTap | None,
) -> Iterator[Frame]:
    """Frames of a source that has an end, or paces itself."""
    if kind == "video":
        return read_video(source, camera, options, stop, tap)
    if tap is not None:
        raise SourceError(
            f"camera '{camera}': {redact(source)}: has no packets to record; record a camera or a video", "unsupported"
        )
    if kind == "images":
        return read_images(source, camera, stop)
    if kind == "recording":
        return read_recording(source, camera, options, stop)
    return _read_fake(source, camera, options, stop)


def _read_fake(source: str, camera: str, options: SourceOptions, stop: threading.Event) -> Iterator[Frame]:
    """Frames of the rendered scene."""
    from argos.sources.synthetic import read_synthetic

    pacer = Pacer(options.fps)
    for frame in read_synthetic(source, camera, stop):
        if pacer.passes(frame.pts_s):
            yield frame


def frame_count(source: str) -> int | None:
    """Number of frames a source announces, before thinning out; None for live and unknown ones.

    Raises:
        SourceError: ``unsupported``, no known kind of source.
    """
    match kind_of(source):
        case "images":
            try:
                return len(list_images(source))
            except SourceError:
                return None
        case "video":
            return video_frame_count(source)
        case "fake":
            frames = parse_qs(urlsplit(source).query).get("frames", [""])[-1]
            return int(frames) if frames.isdigit() and int(frames) > 0 else None
    return None
