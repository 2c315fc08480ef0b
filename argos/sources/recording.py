"""Recordings as a source: the segments of a folder one after the other, on the clock of the camera."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from argos.errors import SourceError
from argos.sources.clock import FrameClock, Pacer
from argos.sources.names import file_path, redact
from argos.sources.options import SourceOptions
from argos.sources.pixels import Upright
from argos.sources.segments import Origin, origin_of, segments_of
from argos.sources.stream import Tally, frame_step_s, pictures, presentation_s, video_stream
from argos.sources.video import open_video
from argos.types import Frame

log = logging.getLogger(__name__)


def origin_of_file(path: str | Path) -> Origin | None:
    """The origin of a segment; None where the file has none.

    Raises:
        SourceError: it cannot be opened.
    """
    with open_video(str(path), SourceOptions()) as container:
        return origin_of(container.metadata)


def read_recording(source: str, camera: str, options: SourceOptions, stop: threading.Event) -> Iterator[Frame]:
    """Read what ``argos record`` kept, as it came.

    ``pts`` and ``pts_s`` are those of the camera, to the millisecond, ``captured_ns`` is when the picture arrived, as
    far as the arrival of its segment and its time in it tell; ``epoch`` grows where the camera was reconnected.
    Damaged pictures are skipped, as from a live camera. A segment that was cut off (kill -9, a full disk) is read up to
    there; one that nothing can be read from is named in a warning and left out.

    Args:
        source: folder of segments, or one of them.
        camera: name written into each frame.
        options: ``fps`` thins frames out by presentation time.
        stop: ends the iteration when set.

    Raises:
        SourceError: ``not_a_video``, nothing in it can be read.
    """
    tally, damaged, epoch = Tally(), 0, -1
    shown = ""
    clock, pacer, upright = FrameClock(1 / 25), Pacer(options.fps), Upright()
    for path in segments_of(file_path(source)):
        try:
            container = open_video(str(path), SourceOptions())
        except SourceError as error:
            log.warning("%s; left out", error)
            continue
        with container:
            stream = video_stream(container, redact(str(path)))
            origin = origin_of(container.metadata) or Origin(camera, path.stem, 0, (1, 1000), time.time_ns())
            begin_s = float(origin.pts * origin.tick_s)
            for n, picture in enumerate(pictures(container, stream, tally)):
                if stop.is_set():
                    return
                if picture.is_corrupt:
                    damaged += 1
                    continue
                if origin.connection != shown:
                    shown, epoch = origin.connection, epoch + 1
                    clock, pacer = FrameClock(frame_step_s(stream)), Pacer(options.fps)
                since_s = presentation_s(picture, stream) if origin.step_s is None else n * origin.step_s
                pts_s = clock.read(None if since_s is None else begin_s + since_s)
                if pacer.passes(pts_s):
                    yield Frame(
                        pixels=upright.rgb(picture),
                        camera=camera,
                        index=tally.pictures - 1,
                        pts_s=pts_s,
                        pts=None if since_s is None else origin.pts + round(since_s / float(origin.tick_s)),
                        time_base=origin.time_base,
                        captured_ns=origin.captured_ns + round((since_s or 0.0) * 1e9),
                        epoch=epoch,
                        clock="recording",
                    )
    if damaged or tally.damaged_packets:
        log.warning("%s: %d damaged packets lost, %d damaged frames left out", source, tally.damaged_packets, damaged)
    if not tally.pictures:
        raise SourceError(
            f"{source}: no frame of this recording can be decoded; check that its segments play", "not_a_video"
        )
