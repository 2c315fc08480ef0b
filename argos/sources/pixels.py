"""From a decoded picture in any pixel format to upright RGB."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

# Quarter turns against the clock -> OpenCV's name. FFmpeg's display matrix counts against the clock.
_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


def rgb(picture: av.VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """Convert a decoded picture.

    Args:
        picture: any pixel format and size; each may change from picture to picture.
        reformatter: one per stream, keeps the conversion tables from picture to picture.

    Returns:
        ``(H, W, 3)`` uint8 RGB, contiguous, turned upright where the stream says how.
    """
    # FFmpeg pads rows: an odd width comes as a view with strides
    pixels: NDArray[np.uint8] = np.ascontiguousarray(
        reformatter.reformat(picture, format="rgb24").to_ndarray(), np.uint8
    )
    turn = _TURNS.get(round(picture.rotation / 90) % 4)
    return pixels if turn is None else np.asarray(cv2.rotate(pixels, turn), np.uint8)
