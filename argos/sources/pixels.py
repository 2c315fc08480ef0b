"""From a decoded picture in any pixel format to upright RGB."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray


def rgb(picture: av.VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """Convert a decoded picture.

    Args:
        picture: any pixel format and size; each may change from picture to picture.
        reformatter: one per stream, keeps the conversion tables from picture to picture.

    Returns:
        ``(H, W, 3)`` uint8 RGB, contiguous, turned upright and mirrored where the stream says how.
    """
    # FFmpeg pads rows: an odd width comes as a view with strides
    pixels: NDArray[np.uint8] = np.ascontiguousarray(
        reformatter.reformat(picture, format="rgb24").to_ndarray(), np.uint8
    )
    matrix = picture.side_data.get("DISPLAYMATRIX")
    return pixels if matrix is None else _displayed(pixels, np.frombuffer(matrix, np.int32))


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
