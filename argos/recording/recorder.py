"""The packets of one camera into segments of Matroska, as they came: nothing is encoded again.

Matroska takes every codec that cameras use. It is written in clusters of half a second, each complete when it reaches
the disk, so a segment that was cut off plays up to its last cluster. Times in it are whole milliseconds; what the
camera's own clock showed at the start stands in the head (``argos.sources.segments``).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import threading
from collections import deque
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.stream import VideoStream

from argos.errors import PublishError
from argos.recording.disk import Disk, DiskFile, keep_quota
from argos.sources.segments import TAG, Origin, files_of, segment_stem
from argos.sources.stream import frame_step_s

log = logging.getLogger(__name__)

SEGMENT_S = 60.0
"""Length of a segment where nobody says otherwise."""

CLUSTERS = {"cluster_time_limit": "500", "flush_packets": "1"}

JUMP_S = 10.0
"""A step of a live camera's clock by more than this, or of any clock back, begins a new segment."""

_MS = Fraction(1, 1000)
_REMEMBERED = 100


class _Segment:
    """One file while it is written."""

    def __init__(self, file: DiskFile, stream: VideoStream, origin: Origin, start_s: float, last_s: float) -> None:
        self.file, self.start_s, self.last_s = file, start_s, last_s
        self._container = av.open(file, "w", format="matroska", options=CLUSTERS)
        self._container.metadata[TAG] = origin.text()
        self._stream = self._container.add_stream_from_template(stream, opaque=True)

    def write(self, packet: Packet[VideoStream], pts_s: float, dts_s: float) -> None:
        """Append a copy of a packet; what is shown before the first one needs pictures of the last segment."""
        self.last_s = max(self.last_s, dts_s)
        since_ms = round((pts_s - self.start_s) * 1000)
        if since_ms < 0:
            return
        copy = Packet(bytes(packet))
        copy.stream = self._stream
        copy.time_base = _MS
        copy.pts, copy.dts = since_ms, min(since_ms, round((dts_s - self.start_s) * 1000))
        copy.duration = round(float((packet.duration or 0) * (packet.time_base or _MS)) * 1000)
        copy.is_keyframe = packet.is_keyframe
        self._container.mux(copy)

    def close(self) -> None:
        """Finish the file: its length and an index for seeking."""
        self._container.close()
        self.file.finish()


class PacketRecorder:
    """A tap (``argos.sources.tap``) that keeps packets in a folder.

    A segment begins with a key picture: at each connection, when the last one is long enough, and where the camera's
    clock jumps. Where the disk is slower than a live camera, packets up to the next key picture are dropped.

    Args:
        folder: where the segments go; made where there is none.
        camera: name.
        segment_s: length of a segment; the next key picture after it begins another.
        quota_mb: most millions of bytes in the folder, results included: the oldest segments are deleted. None: all
            are kept.
        waits: wait for the disk instead of dropping; for files.

    Attributes:
        folder: as given.
        dropped: packets not kept that might have been.
        early: packets that came before a connection's first key picture, and show nothing without it.

    Raises:
        PublishError: the folder cannot be written to.
    """

    def __init__(
        self,
        folder: Path | str,
        camera: str,
        *,
        segment_s: float = SEGMENT_S,
        quota_mb: float | None = None,
        waits: bool = False,
    ) -> None:
        self.folder, self.dropped, self.early = Path(folder), 0, 0
        self._camera, self._segment_s, self._waits = camera, segment_s, waits
        self._quota = None if quota_mb is None else round(quota_mb * 1e6)
        self._run, self._connections = secrets.token_hex(4), 0
        self._stream: VideoStream | None = None
        self._segment: _Segment | None = None
        self._gap = self._closed = self._has_times = False
        self._last_s: float | None = None
        self._lock = threading.Lock()
        self._starts: deque[tuple[int, str]] = deque(maxlen=_REMEMBERED)
        self._made = [path for path in (self.folder, *self.folder.parents) if not os.path.exists(path)]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._newest = max(files_of(self.folder), default="")
        except OSError as error:
            raise PublishError(
                f"{self.folder}: cannot hold a recording ({error.strerror}); choose another folder"
            ) from error
        self._disk = Disk(waits=waits, tidy=self._tidy)

    def opened(self, stream: VideoStream) -> None:
        """A connection begins: the next key picture begins a segment."""
        with self._lock:
            self._connections += 1
            self._stream, self._gap = stream, False
            self._has_times, self._last_s = False, None

    def take(self, packet: Packet[VideoStream], arrival_ns: int, time_s: float | None = None) -> None:
        """Keep a packet.

        Raises:
            PublishError: the recording cannot be written any more.
        """
        with self._lock:
            if self._closed or self._stream is None:
                return
            self._disk.check()
            pts_s, dts_s, tick = self._times(packet, self._stream, time_s)
            self._last_s = dts_s
            segment = self._segment
            if not self._waits and not self._disk.has_room:
                self._drop("the disk is too slow")
                return
            # the pictures of a file may be as far apart as they like
            furthest_s = math.inf if self._waits else JUMP_S
            jumped = segment is not None and not -1e-3 <= dts_s - segment.last_s <= furthest_s
            if packet.is_keyframe and (segment is None or self._gap or jumped or self._is_full(segment, pts_s)):
                self._finish()
                step_s = None if self._has_times else _step_s(packet, self._stream)
                segment = self._begin(self._stream, pts_s, dts_s, tick, arrival_ns, step_s)
                self._gap = False
            elif segment is None or self._gap or jumped:
                self._drop("the clock of the camera jumped" if jumped else "")
                return
            try:
                segment.write(packet, pts_s, dts_s)
            except (OSError, av.FFmpegError) as error:
                raise self._fault(error) from error

    def ended(self) -> None:
        """The connection is over: its segment is finished."""
        with self._lock:
            self._finish()
            self._stream = None

    def close(self) -> None:
        """Finish what is written; any number of times. Folders that were made for nothing are removed.

        Raises:
            PublishError: something could not be written.
        """
        with self._lock:
            if self._closed:
                return
            self._finish()
            self._closed = True
        self._disk.close()
        if not self.has_segments:
            with contextlib.suppress(OSError):  # somebody has put something there
                for folder in self._made:
                    folder.rmdir()
        if self.dropped:
            log.warning("camera '%s': %d packets were not recorded", self._camera, self.dropped)
        if self.early and self.has_segments:
            words = "camera '%s': recorded from a key picture on, %d packets before it were left out"
            log.info(words, self._camera, self.early)
        elif self.early:
            words = "camera '%s': nothing was recorded, there is no key picture among its %d packets; record for longer"
            log.warning(words, self._camera, self.early)

    @property
    def has_segments(self) -> bool:
        """Whether anything was recorded."""
        return bool(self._starts)

    def stem_at(self, captured_ns: int) -> str | None:
        """The segment that holds what arrived at a time; None where nothing is recorded yet.

        Args:
            captured_ns: nanoseconds since 1970.
        """
        starts = list(self._starts)
        before = [stem for start_ns, stem in starts if start_ns <= captured_ns]
        return before[-1] if before else (starts[0][1] if starts else None)

    def _times(
        self, packet: Packet[VideoStream], stream: VideoStream, time_s: float | None
    ) -> tuple[float, float, Fraction]:
        """When a packet is shown and decoded, in seconds, and one tick of its clock."""
        if time_s is not None:
            self._has_times = True
            return time_s, time_s, _MS
        tick = packet.time_base or _MS
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None:
            now_s = 0.0 if self._last_s is None else self._last_s + _step_s(packet, stream)
            return now_s, now_s, tick
        self._has_times, pts_s = True, float(ticks * tick)
        if packet.dts is not None:
            return pts_s, float(packet.dts * tick), tick
        last_s = self._segment.last_s if self._segment is not None else None
        # some cameras tell only when a picture is shown; then the order of packets is all that is known of decoding
        return pts_s, pts_s if last_s is None else min(pts_s, last_s), tick

    def _is_full(self, segment: _Segment, pts_s: float) -> bool:
        # a quarter of the quota, so that deleting whole segments can hold it
        too_large = self._quota is not None and segment.file.size >= self._quota // 4
        return too_large or pts_s - segment.start_s >= self._segment_s - 1e-3

    def _begin(
        self,
        stream: VideoStream,
        pts_s: float,
        dts_s: float,
        tick: Fraction,
        arrival_ns: int,
        step_s: float | None,
    ) -> _Segment:
        """Open the next segment; its name comes after all others, even where the wall clock was set back."""
        name_ns = arrival_ns
        while (stem := segment_stem(name_ns)) <= self._newest:
            name_ns = _next_ms(self._newest)
        pts = round(pts_s / float(tick))
        base = (tick.numerator, tick.denominator)
        origin = Origin(self._camera, f"{self._run}-{self._connections}", pts, base, arrival_ns, step_s)
        try:
            segment = _Segment(self._disk.file(self.folder / f"{stem}.mkv"), stream, origin, pts_s, dts_s)
        except (OSError, ValueError, av.FFmpegError) as error:
            raise self._fault(error) from error
        self._newest, self._segment = stem, segment
        self._starts.append((arrival_ns, stem))
        return segment

    def _finish(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            with contextlib.suppress(OSError, av.FFmpegError):  # into memory; the disk's own faults are told by check
                segment.close()

    def _drop(self, why: str) -> None:
        if why and not self._gap:
            log.warning("camera '%s': not recorded up to the next key picture, %s", self._camera, why)
        self._gap = self._segment is not None
        if why or self._gap:
            self.dropped += 1
        else:
            self.early += 1

    def _tidy(self) -> None:
        if self._quota is not None:
            keep_quota(files_of(self.folder), self._quota)

    def _fault(self, error: Exception) -> PublishError:
        reason = getattr(error, "strerror", None) or str(error)
        return PublishError(
            f"{self.folder}: cannot record camera '{self._camera}' ({reason}); ask the camera for H.264, H.265 or "
            "MJPEG, or leave the recording out"
        )


def _step_s(packet: Packet[VideoStream], stream: VideoStream) -> float:
    """How long the picture of a packet without times is shown, in seconds."""
    return float(packet.duration * packet.time_base) if packet.duration and packet.time_base else frame_step_s(stream)


def _next_ms(stem: str) -> int:
    """The millisecond after the one that names a segment, nanoseconds since 1970."""
    from datetime import UTC, datetime

    time = datetime.strptime(stem[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return int(time.timestamp()) * 1_000_000_000 + (int(stem[16:19]) + 1) * 1_000_000
