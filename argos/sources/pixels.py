"""From a decoded picture in any pixel format to upright RGB."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray


class Upright:
    """Converts the decoded pictures of one stream to upright RGB; keeps its tables from picture to picture."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._matrix: NDArray[np.int32] | None = None

    def rgb(self, picture: av.VideoFrame) -> NDArray[np.uint8]:
        """Convert a picture.

        Args:
            picture: any pixel format and size; each may change from picture to picture.

        Returns:
            ``(H, W, 3)`` uint8 RGB, contiguous, turned upright and mirrored where the stream says how.
        """
        # FFmpeg pads rows: an odd width comes as a view with strides
        pixels: NDArray[np.uint8] = np.ascontiguousarray(
            self._reformatter.reformat(picture, format="rgb24").to_ndarray(), np.uint8
        )
        # PyAV ties a picture whose side data is looked at into a cycle: its memory waits for the garbage collector
        if picture.rotation != self._rotation:
            self._rotation, matrix = picture.rotation, picture.side_data.get("DISPLAYMATRIX")
            self._matrix = None if matrix is None else np.frombuffer(matrix, np.int32).copy()
        return pixels if self._matrix is None else _displayed(pixels, self._matrix)


def _displayed(pixels: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn and mirror a picture as FFmpeg's display matrix ``(9,)`` says, to the nearest quarter turn.

    The pixel ``(x, y)`` is shown at ``(a * x + c * y, b * x + d * y)``, moved back into view.
    """
    a, b, _, c, d = matrix[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = np.asarray(cv2.transpose(pixels), np.uint8), c, b
    if a >= 0 and d >= 0:
        return pixels
    mirrored = cv2.flip(pixels, -1 if a < 0 and d < 0 else 1 if a < 0 else 0)
    return np.asarray(mirrored, np.uint8)
