"""For every event of a camera a picture and a clip that begins before it, drawn from what may be shown.

The pictures are those of the results: where privacy covers somebody, the picture and the clip are covered too.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from argos.config_outputs import MomentsOutput
from argos.drawing.overlay import overlay
from argos.drawing.styles import Style
from argos.errors import PublishError
from argos.pipelines.senders import EventFilter, event_filter
from argos.publishing.encode import event_header
from argos.publishing.recorder import VideoWriter
from argos.recording.disk import keep_quota
from argos.types import Event, Result

log = logging.getLogger(__name__)

RING_BYTES = 64 << 20
"""Most bytes of pictures that are kept for what comes before an event, and that wait to be written."""

QUALITY = 90
"""JPEG quality of the pictures that are kept, and of snapshots."""

PATIENCE_S = 5.0
"""A clip whose camera gives nothing more is finished this long after its end."""

_NAME = re.compile(r"(\d{8}T\d{6}-\d{3}Z-[a-z_]+-[a-z0-9_-]+-\d+)\.(jpg|mp4|json)")


@dataclass(frozen=True, slots=True)
class MomentSettings:
    """What is kept of an event.

    Attributes:
        before_s, after_s: of a clip, seconds of the source.
        longest_s: events that come before a clip ends prolong it, up to this.
        fps: pictures per second of a clip, at most.
        style: of people.
        has_clip: whether there are clips.
        quota_bytes: the oldest moments are deleted so that the folder keeps to this; None: all stay.
    """

    before_s: float = 5.0
    after_s: float = 5.0
    longest_s: float = 60.0
    fps: float = 10.0
    style: Style = "mask"
    has_clip: bool = True
    quota_bytes: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A picture as JPEG, its result without it, and the events that are told of."""

    jpeg: bytes
    result: Result
    events: tuple[Event, ...]


@dataclass(slots=True, eq=False)
class _Clip:
    """A clip while it is written."""

    writer: VideoWriter
    epoch: int
    began_s: float
    ends_s: float
    touched_s: float


class Moments:
    """An output that writes ``STEM.jpg``, ``STEM.mp4`` and ``STEM.json``, each whole or not at all.

    ``STEM.json`` is the event with ``snapshot`` and ``clip``, the names of its files. Events that come while a clip is
    written share it. Drawing and encoding happen in a thread of its own; where that does not keep up, pictures are left
    out of clips, and no camera waits.

    Args:
        folder: made where there is none.
        settings: what is kept.
        passed: which events.

    Raises:
        PublishError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, settings: MomentSettings, passed: EventFilter) -> None:
        self._folder, self._settings, self._passed = folder, settings, passed
        self._last_s: tuple[int, float] = (-1, 0.0)
        self._jobs: queue.SimpleQueue[_Kept | Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_bytes = self._left_out = 0
        self._ring: deque[_Kept] = deque()
        self._clip: _Clip | None = None
        self._clip_name: str | None = None
        self._error: Exception | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PublishError(f"{folder}: cannot be written, no permission; choose another folder")
        except OSError as error:
            raise PublishError(f"{folder}: cannot hold moments ({error.strerror}); choose another folder") from error
        self._thread = threading.Thread(target=self._work, name="argos-moments", daemon=True)
        self._thread.start()

    def write(self, result: Result) -> None:
        """Keep a picture of the result, if its turn has come or something happened.

        Raises:
            PublishError: an earlier moment could not be written.
        """
        self._raise()
        events = tuple(self._passed.passed(result))
        if result.image is None or not (events or (self._settings.has_clip and self._is_due(result))):
            return
        self._last_s = result.epoch, result.pts_s
        is_made, jpeg = cv2.imencode(".jpg", result.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not is_made:
            raise PublishError(f"{self._folder}: a picture of camera '{result.camera}' cannot be encoded")
        kept = _Kept(jpeg.tobytes(), replace(result, image=None), events)
        with self._lock:
            if not events and self._waiting_bytes > RING_BYTES:
                self._left_out += 1
                return
            self._waiting_bytes += len(kept.jpeg)
        self._jobs.put(kept)

    def forget(self) -> None:
        """The camera is covered otherwise from now on: the present clip ends, and no later one goes back so far."""
        self._jobs.put(self._begin_anew)

    def close(self) -> None:
        """Finish the clip that is being written; any number of times.

        Raises:
            PublishError: a moment could not be written.
        """
        self._jobs.put(None)
        self._thread.join()
        if self._left_out:
            log.warning(
                "%s: %d pictures were left out of clips, this machine is too slow", self._folder, self._left_out
            )
            self._left_out = 0
        self._raise()

    def _is_due(self, result: Result) -> bool:
        epoch, last_s = self._last_s
        return epoch != result.epoch or result.pts_s - last_s >= 1 / self._settings.fps - 1e-3

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    # From here on everything runs in the thread of its own.

    def _work(self) -> None:
        try:
            while (kept := self._next()) is not None:
                if not isinstance(kept, _Kept):
                    kept()
                    continue
                self._take(kept)
                with self._lock:
                    self._waiting_bytes -= len(kept.jpeg)
            self._finish()
        except Exception as error:  # handed to the thread that writes, which raises it
            self._error = error
            if isinstance(error, OSError):
                self._error = PublishError(
                    f"{self._folder}: cannot write moments ({error.strerror}); free some space or set quota_mb"
                )
                self._error.__cause__ = error

    def _next(self) -> _Kept | Callable[[], None] | None:
        """The next picture, or what else is to be done; a clip whose camera is silent is finished meanwhile."""
        while True:
            try:
                return self._jobs.get(timeout=1.0)
            except queue.Empty:
                clip = self._clip
                if clip is not None and time.monotonic() - clip.touched_s > self._settings.after_s + PATIENCE_S:
                    self._finish()

    def _take(self, kept: _Kept) -> None:
        result, clip = kept.result, self._clip
        if clip is not None and (result.epoch != clip.epoch or result.pts_s > clip.ends_s):
            self._finish()
        drawn: NDArray[np.uint8] | None = None
        for event in kept.events:
            drawn = self._drawn(kept) if drawn is None else drawn
            self._keep_event(event, drawn, result)
        if self._clip is not None:
            self._clip.writer.write(self._drawn(kept) if drawn is None else drawn, result.pts_s)
            self._clip.touched_s = time.monotonic()
        self._remember(kept)

    def _keep_event(self, event: Event, drawn: NDArray[np.uint8], result: Result) -> None:
        stem = _stem(event)
        if self._settings.has_clip:
            if self._clip is None:
                self._begin(stem, result)
            clip = self._clip
            assert clip is not None
            clip.ends_s = min(result.pts_s + self._settings.after_s, clip.began_s + self._settings.longest_s)
        snapshot = self._folder / f"{stem}.jpg"
        part = snapshot.with_name(f".{stem}.part.jpg")
        if not cv2.imwrite(str(part), drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            part.unlink(missing_ok=True)
            raise PublishError(
                f"{snapshot}: cannot be written; free some space, set quota_mb, or choose another folder"
            )
        part.replace(snapshot)
        said = {**msgspec.to_builtins(event_header(event)), "snapshot": snapshot.name, "clip": self._clip_name}
        part = self._folder / f".{stem}.part.json"
        part.write_bytes(msgspec.json.encode(said) + b"\n")
        part.replace(self._folder / f"{stem}.json")
        self._tidy()

    def _begin(self, stem: str, result: Result) -> None:
        """Open a clip with what came before."""
        self._clip_name = f"{stem}.mp4"
        writer = VideoWriter(self._folder / self._clip_name, self._settings.fps)
        began_s = result.pts_s
        for kept in self._ring:
            if kept.result.epoch == result.epoch and kept.result.pts_s >= result.pts_s - self._settings.before_s - 1e-3:
                writer.write(self._drawn(kept), kept.result.pts_s)
                began_s = min(began_s, kept.result.pts_s)
        self._clip = _Clip(writer, result.epoch, began_s, result.pts_s, time.monotonic())

    def _finish(self) -> None:
        clip, self._clip, self._clip_name = self._clip, None, None
        if clip is not None:
            clip.writer.close()
            self._tidy()

    def _remember(self, kept: _Kept) -> None:
        """Keep a picture for clips that begin later, as long as it may be part of one."""
        self._ring.append(kept)
        size = sum(len(one.jpeg) for one in self._ring)
        newest = kept.result
        while self._ring and (
            size > RING_BYTES
            or self._ring[0].result.epoch != newest.epoch
            or self._ring[0].result.pts_s < newest.pts_s - self._settings.before_s - 1e-3
        ):
            size -= len(self._ring.popleft().jpeg)

    def _begin_anew(self) -> None:
        self._finish()
        self._ring.clear()

    def _drawn(self, kept: _Kept) -> NDArray[np.uint8]:
        picture = cv2.imdecode(np.frombuffer(kept.jpeg, np.uint8), cv2.IMREAD_COLOR)
        rgb = np.ascontiguousarray(np.asarray(picture, np.uint8)[:, :, ::-1])
        return overlay(rgb, kept.result, style=self._settings.style)

    def _tidy(self) -> None:
        if self._settings.quota_bytes is None:
            return
        found: dict[str, list[Path]] = {}
        for name in sorted(os.listdir(self._folder)):
            if match := _NAME.fullmatch(name):
                found.setdefault(match[1], []).append(self._folder / name)
        # the clip that several events share stays as long as the last of them: it is as old as its last picture
        ages = {stem: max(map(_written_ns, paths)) for stem, paths in found.items()}
        keep_quota({stem: found[stem] for stem in sorted(found, key=ages.__getitem__)}, self._settings.quota_bytes)


def _written_ns(path: Path) -> int:
    """When a file was written; 0 for one that somebody else has deleted meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _stem(event: Event) -> str:
    """Names sort by time."""
    moment = datetime.fromtimestamp(event.captured_ns // 1_000_000_000, UTC)
    ms = event.captured_ns // 1_000_000 % 1000
    return f"{moment:%Y%m%dT%H%M%S}-{ms:03d}Z-{event.type}-{event.name}-{event.seq}"


def moments_of(output: MomentsOutput, folder: Path) -> Callable[[], Moments]:
    """What opens an output of pictures and clips of events."""
    settings = MomentSettings(
        before_s=output.before_s,
        after_s=output.after_s,
        longest_s=output.longest_s,
        fps=output.fps,
        style=output.style,
        has_clip=output.clip,
        quota_bytes=None if output.quota_mb is None else round(output.quota_mb * 1e6),
    )
    return lambda: Moments(folder, settings, event_filter(output))
