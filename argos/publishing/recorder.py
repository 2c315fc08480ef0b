"""Pictures to an MP4 file that stays readable whatever happens to the process."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from argos.errors import PublishError
from argos.types import Size

TICKS = 90_000
"""Per second; the usual clock of video."""

NOMINAL_FPS = 25.0

FARTHEST_S = 3600.0
"""A longer step forward is a clock that was set. MP4 has 31 bits for it, which is 6.6 hours of ticks."""

FRAGMENTS = {
    "movflags": "hybrid_fragmented+frag_keyframe",  # fragments while it is written, an ordinary MP4 once closed
    "frag_duration": "1000000",
    "flush_packets": "1",
}
"""A fragment at each key frame and after a second, written out at once."""

BT709 = 1
"""In the tables of H.264: primaries, transfer and matrix of HD video; and the limited range."""


class VideoWriter:
    """Writes pictures as H.264 in MP4, each at its own time.

    While it is written the file is a hidden one beside the target, ``.NAME.part``, in fragments of about a second:
    when the process is killed, all but the last of them plays. On closing it gets its name; without a picture there
    is no file.

    All pictures have the size of the first, made even by repeating the last row or column; pictures of another size
    are fitted into it, with black bars.

    Args:
        path: the target, replaced if it exists.
        fps: expected pictures per second; sets only the time step where time runs backward or leaps ahead.

    Raises:
        PublishError: the file cannot be written.
    """

    def __init__(self, path: str | Path, fps: float | None = None) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(f".{self.path.name}.part")
        self._step = max(round(TICKS / (fps or NOMINAL_FPS)), 1)
        self._size: Size | None = None
        self._offset: int | None = None
        self._last = -1
        self._failed = False
        self._closed = False
        try:
            self.part.open("wb").close()
            self._container = av.open(str(self.part), "w", format="mp4", options=FRAGMENTS)
            self._stream: VideoStream = self._container.add_stream("libx264", rate=round(fps or NOMINAL_FPS))
        except (OSError, av.FFmpegError) as error:
            raise self._fault(error) from error

    def write(self, image: NDArray[np.uint8], pts_s: float) -> None:
        """Append a picture.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            pts_s: its time in seconds on any clock; the first picture is at 0. Where time does not advance (a camera
                that reconnected) or leaps ahead by more than ``FARTHEST_S``, the picture follows the last one at the
                expected rate and the clock goes on from there.

        Raises:
            PublishError: the file cannot be written.
        """
        if self._size is None:
            self._size = image.shape[0], image.shape[1]
            self._open_stream(self._size)
        even = cv2.copyMakeBorder(
            fitted(image, self._size), 0, self._size[0] % 2, 0, self._size[1] % 2, cv2.BORDER_REPLICATE
        )
        frame = av.VideoFrame.from_ndarray(np.asarray(even, np.uint8), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = self._ticks(pts_s), Fraction(1, TICKS)
        try:
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.FFmpegError) as error:
            raise self._fault(error) from error

    def close(self) -> None:
        """Finish the file and give it its name; nothing more after a failure, the part stays.

        Raises:
            PublishError: the file cannot be finished.
        """
        if self._closed:
            return
        self._closed = True
        if self._failed:
            with contextlib.suppress(OSError, av.FFmpegError):  # the first error was reported
                self._container.close()
            return
        try:
            if self._size is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if self._size is None:
                self.part.unlink()
            else:
                os.replace(self.part, self.path)
        except (OSError, av.FFmpegError) as error:
            raise self._fault(error) from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_stream(self, size: Size) -> None:
        """Set the encoder up for the first picture."""
        codec = self._stream.codec_context
        codec.height, codec.width = size[0] + size[0] % 2, size[1] + size[1] % 2
        codec.pix_fmt = "yuv420p"
        codec.time_base = self._stream.time_base = Fraction(1, TICKS)
        codec.color_primaries = codec.color_trc = codec.colorspace = codec.color_range = BT709
        codec.thread_count = 1  # the networks need the others
        codec.options = {"preset": "veryfast", "crf": "21", "g": "50", "bf": "0", "rc-lookahead": "10"}

    def _ticks(self, pts_s: float) -> int:
        """Time of the next picture in ticks, always growing."""
        ticks = round(pts_s * TICKS)
        if self._offset is None:
            self._offset = ticks
        if not 0 < ticks - self._offset - self._last <= FARTHEST_S * TICKS:
            self._offset = ticks - self._last - self._step
        self._last = ticks - self._offset
        return self._last

    def _fault(self, error: Exception) -> PublishError:
        """The error that names the file; no further writing is tried."""
        self._failed = True
        reason = getattr(error, "strerror", None) or str(error)
        return PublishError(f"{self.path}: cannot write the video ({reason}); choose another directory or free space")


def fitted(image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A picture ``(h, w, 3)`` fitted into ``size`` as a whole, centred on black."""
    if image.shape[:2] == size:
        return image
    factor = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height = min(max(1, round(image.shape[0] * factor)), size[0])
    width = min(max(1, round(image.shape[1] * factor)), size[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    boxed = np.zeros((*size, 3), np.uint8)
    y, x = (size[0] - height) // 2, (size[1] - width) // 2
    boxed[y : y + height, x : x + width] = small
    return boxed
