"""Pictures to a virtual camera, which meeting programs open like a webcam: a v4l2loopback device of Linux."""

from __future__ import annotations

import contextlib
import os
import stat

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from argos.errors import PublishError
from argos.publishing.recorder import fitted
from argos.types import Size

REMEDY = (
    "make one with `sudo modprobe v4l2loopback video_nr=10 card_label=ARGOS exclusive_caps=1`, "
    "and allow this user to write to it"
)


class VirtualCamera:
    """Writes each picture as the newest one of a video device.

    All pictures have the size of the first, cut to even sides: programs that read the device do not bear a change.
    Pictures of another size are fitted into it, with black bars.

    Args:
        device: path of the device, as in ``/dev/video10``.
        form: name of libav's muxer; the tests write plain pixels to a file with ``rawvideo``.

    Raises:
        PublishError: there is no such device.
    """

    def __init__(self, device: str, form: str = "v4l2") -> None:
        self.device, self._form = device, form
        self._size: Size | None = None
        self._container: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._count = 0
        if form == "v4l2":
            try:
                is_device = stat.S_ISCHR(os.stat(device).st_mode)
            except OSError as error:
                raise PublishError(f"{device}: no virtual camera ({error.strerror}); {REMEDY}") from error
            if not is_device:
                raise PublishError(f"{device}: is no video device; {REMEDY}")

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture ``(H, W, 3)`` uint8 RGB, at least 2 x 2.

        Raises:
            PublishError: the device takes none.
        """
        picture = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
        try:
            if self._container is None or self._stream is None or self._size is None:
                self._size = picture.shape[0], picture.shape[1]
                self._container = av.open(self.device, "w", format=self._form)
                self._stream = self._container.add_stream("rawvideo", rate=30)
                self._stream.height, self._stream.width = self._size
                self._stream.pix_fmt = "yuv420p"
            even = np.ascontiguousarray(fitted(picture, self._size))
            frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
            frame.pts, self._count = self._count, self._count + 1
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.FFmpegError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise PublishError(f"{self.device}: takes no pictures ({reason}); {REMEDY}") from error

    def close(self) -> None:
        """Let the device go."""
        if self._container is not None:
            with contextlib.suppress(OSError, av.FFmpegError):  # it is gone: nothing is lost
                self._container.close()
            self._container = None
