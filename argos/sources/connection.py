"""One connection to a live source: opened, decoded, and told why it ended.

Measured facts behind the choices, PyAV 18.1: a camera that goes away ends the iteration without any error; a camera
that freezes blocks the reader for ever unless a timeout was given on opening, and over RTSP the timeout strikes after
twice its value; closing the container from another thread does not wake the reader.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.stream import Discard

from argos.errors import SourceError
from argos.sources.clock import FrameClock, Pacer
from argos.sources.faults import code_of, live_error, place, webcam_error
from argos.sources.names import device_path, kind_of
from argos.sources.options import SourceOptions
from argos.sources.pixels import Upright
from argos.sources.stream import frame_step_s, open_container, packets, presentation_s, video_stream
from argos.sources.tap import PacketTap, tapped
from argos.types import Frame

log = logging.getLogger(__name__)

FIRST_PICTURE_S = 10.0
"""Longest wait for the first picture while data arrives: cameras send key frames up to this far apart."""

# A camera's clock that is set back by more than a minute looks to FFmpeg as if it had run over: it adds 2^32 ticks, 13
# hours. No picture is shown for an hour, because a camera that sends none is connected again before.
_JUMP_S = 3600.0

# HLS comes in segments of seconds, with nothing in between
_SEGMENTS_S = 15.0
_LOW_DELAY = {"fflags": "nobuffer", "analyzeduration": "100000"}
# without the short analysis it waits for five seconds of segments; with nobuffer it loses pictures of the first one
_NEWEST_SEGMENT = {"live_start_index": "-1", "analyzeduration": "100000"}


def open_live(source: str, camera: str, options: SourceOptions) -> InputContainer:
    """Open a live source, once; the caller closes it, in the same thread.

    Raises:
        SourceError: ``refused``, ``unauthorized``, ``not_found``, ``no_video``, ``timeout``, ``ended`` or ``failed``.
    """
    started_s = time.monotonic()
    read_s = patience_s(source, options)
    timeout = (options.open_timeout_s, read_s)
    try:
        match kind_of(source):
            case "webcam":
                return open_container(device_path(source), form="v4l2", timeout_s=timeout)
            case "rtsp":
                only_video = {"rtsp_transport": options.transport, "allowed_media_types": "video"}
                halved = (options.open_timeout_s, read_s / 2)
                return open_container(source, options=_LOW_DELAY | only_video, timeout_s=halved)
            case _ if _is_hls(source):
                return open_container(source, options=_NEWEST_SEGMENT, timeout_s=timeout)
            case _:
                return _open_mjpeg(source, timeout)
    except av.error.FFmpegError as error:
        fault = error
    # raised outside of the except block: FFmpeg's own error holds the whole URL with the password
    if kind_of(source) == "webcam":
        raise webcam_error(camera, device_path(source), fault)
    code = code_of(fault)
    if fault.errno == errno.EPROTONOSUPPORT:
        words = f"the camera does not offer transport '{options.transport}'; choose the other one of tcp and udp"
        raise SourceError(f"{place(camera, source)}: {words}", "unsupported")
    if isinstance(fault, av.error.HTTPOtherClientError) and _offers_no_video(source, options):
        raise SourceError(f"{place(camera, source)}: has no video stream; give a source with pictures", "no_video")
    if code == "failed" and time.monotonic() - started_s > 0.9 * options.open_timeout_s:
        code = "timeout"  # a frozen camera gives "Invalid data" when the time is over
    raise live_error(camera, source, code, f"cannot be reached ({fault.strerror})" if code == "failed" else "")


def _offers_no_video(source: str, options: SourceOptions) -> bool:
    """Whether an RTSP source has streams, but none with pictures.

    Asked for pictures alone, FFmpeg then sets up nothing, and the camera refuses to play (454 or the like).
    """
    if kind_of(source) != "rtsp":
        return False
    both_s = (options.open_timeout_s, options.open_timeout_s)
    try:
        with open_container(source, options={"rtsp_transport": options.transport}, timeout_s=both_s) as container:
            return len(container.streams) > 0 and not container.streams.video
    except av.error.FFmpegError:
        return False


def _open_mjpeg(source: str, timeout: tuple[float, float]) -> InputContainer:
    """Open a stream over HTTP; some cameras' multipart headers are only understood when the format is named."""
    try:
        return open_container(source, options=_LOW_DELAY, timeout_s=timeout)
    except av.error.InvalidDataError:
        return open_container(source, form="mpjpeg", options=_LOW_DELAY, timeout_s=timeout)


def _is_hls(source: str) -> bool:
    return urlsplit(source).path.lower().endswith((".m3u8", ".m3u"))


def patience_s(source: str, options: SourceOptions) -> float:
    """Seconds without a picture after which a source counts as stalled."""
    return max(options.stall_timeout_s, _SEGMENTS_S) if _is_hls(source) else options.stall_timeout_s


class Connection:
    """One source over its reconnects: what must outlive a single connection.

    Attributes:
        index: pictures that came, damaged ones included.
        epoch: reconnects that gave a picture.
        was_up: whether there ever was a picture.
        fault: why the last connection ended.
    """

    def __init__(
        self, source: str, camera: str, options: SourceOptions, stop: threading.Event, tap: PacketTap | None
    ) -> None:
        self.source, self.camera, self.options, self.stop, self.tap = source, camera, options, stop, tap
        self.patience_s = patience_s(source, options)
        self.index = 0
        self.epoch = 0
        self._damaged = self._early = 0
        self._size = (0, 0)
        self.was_up = False
        self.fault = live_error(camera, source, "ended")

    def frames(self) -> Iterator[Frame | None]:
        """Connect once and yield each good picture, None where it is thinned out; ``fault`` tells why it ended."""
        self.fault = live_error(self.camera, self.source, "ended")
        self._damaged = self._early = 0
        self._size = (0, 0)
        try:
            with open_live(self.source, self.camera, self.options) as container, tapped(self.tap):
                if self.was_up and _is_hls(self.source) and container.duration is not None:
                    return  # the playlist has come to its end: it would show what was shown before
                pacer, upright = Pacer(self.options.fps), Upright()
                is_first = True
                for picture, pts_s, arrival_ns in self._pictures(container):
                    index = self.index
                    self.index += 1
                    if picture.is_corrupt:
                        self._damaged += 1
                        continue
                    self._note_size(picture)
                    if is_first and self.was_up:
                        self.epoch += 1
                    is_first, self.was_up = False, True
                    if not pacer.passes(pts_s):
                        yield None
                        continue
                    base = picture.time_base or Fraction(1, 1000)
                    yield Frame(
                        pixels=upright.rgb(picture),
                        camera=self.camera,
                        index=index,
                        pts_s=pts_s,
                        pts=picture.pts,
                        time_base=(base.numerator, base.denominator),
                        captured_ns=arrival_ns,
                        epoch=self.epoch,
                        clock="arrival",
                    )
        except SourceError as error:
            self.fault = error
        except av.error.FFmpegError as error:
            code = code_of(error)
            self.fault = self._stalled() if code == "timeout" else self._lost(code, error.strerror or "failed")
        if self._damaged:
            words = "camera '%s': %d damaged pictures skipped in this connection"
            log.warning(words, self.camera, self._damaged, extra={"event": "source.damaged", "camera": self.camera})
        if self._early:
            words = "camera '%s': joined between two key pictures, %d packets skipped"
            log.debug(words, self.camera, self._early, extra={"event": "source.joined", "camera": self.camera})

    def _note_size(self, picture: av.VideoFrame) -> None:
        """Say when the pictures change their size within a connection."""
        size = (picture.height, picture.width)
        if self._size not in (size, (0, 0)):
            words, (height, width) = "camera '%s': pictures are now %dx%d", size
            log.info(words, self.camera, width, height, extra={"event": "source.changed", "camera": self.camera})
        self._size = size

    def _pictures(self, container: InputContainer) -> Iterator[tuple[av.VideoFrame, float, int]]:
        """Each picture with its time in seconds and its arrival in nanoseconds."""
        stream = video_stream(container, place(self.camera, self.source))
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all  # so that sound alone does not keep a frozen picture alive
        clock = FrameClock(frame_step_s(stream), _JUMP_S)
        has_times = container.format.name not in ("mpjpeg", "mjpeg")  # times of bare JPEG pictures are made up
        opened_s = seen_s = good_s = time.monotonic()
        mended_s = max(FIRST_PICTURE_S, self.patience_s)
        is_first = True
        if self.tap is not None:
            self.tap.opened(stream)
        for packet in packets(container, stream):
            if self.stop.is_set():
                return
            arrival_ns, arrival_s = time.time_ns(), time.monotonic()
            if self.tap is not None and packet.size:
                self.tap.take(packet, arrival_ns, None if has_times else arrival_s - opened_s)
            try:
                decoded = packet.decode()
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                decoded = []  # a damaged packet; the decoder finds its way back at the next key frame
                if is_first:
                    self._early += 1
                else:
                    self._damaged += 1
                    self.index += 1
            for picture in decoded:
                raw_s = presentation_s(picture, stream) if has_times else None
                yield picture, clock.read(arrival_s - opened_s if raw_s is None else raw_s), arrival_ns
                is_first = False
            now_s = time.monotonic()
            seen_s = now_s if decoded else seen_s
            good_s = now_s if any(not picture.is_corrupt for picture in decoded) else good_s
            # damaged pictures alone are none for those who watch, but a key picture may mend them
            if now_s - seen_s > (FIRST_PICTURE_S if is_first else self.patience_s) or now_s - good_s > mended_s:
                raise self._stalled()

    def _stalled(self) -> SourceError:
        words = f"connected, but no picture for {self.patience_s:g} s; check network and camera"
        return SourceError(f"{place(self.camera, self.source)}: {words}", "timeout")

    def _lost(self, code: str, words: str) -> SourceError:
        if kind_of(self.source) == "webcam":
            return live_error(self.camera, device_path(self.source), "failed", f"reading failed ({words})")
        return live_error(self.camera, self.source, code, f"reading failed ({words})" if code == "failed" else "")
