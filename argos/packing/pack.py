"""Regions of several frames onto canvases of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.kernels.paste import paste_rectangles
from argos.packing.place import Places, place
from argos.packing.rectangles import Boxes, PerFrame, Rectangles, boxes_of, cut, per_frame
from argos.types import Frame, PackedBatch, Placements, Regions, Size

BACKGROUND = 114
"""Grey of the gutter and of empty canvas, the usual letterbox grey of detectors; context comes from the margin."""

SHRINK_STEP = 0.94
"""What does not fit ``max_canvases`` is tried again this much smaller."""


def pack(
    frames: Sequence[Frame],
    regions: Sequence[Regions],
    canvas_size: Size,
    *,
    scale: PerFrame,
    margin: PerFrame,
    gutter: int,
    max_canvases: int,
) -> PackedBatch:
    """Copy the regions of the frames, with context, onto as few canvases as possible.

    At scale 1 the pixels are copied unchanged. A region that is larger than a canvas is cut into tiles or reduced
    (``rectangles_of``). When all together do not fit ``max_canvases``, everything is shrunk by one more factor until
    it does; ``placements.scale`` holds the product.

    Args:
        frames: pictures of any cameras and sizes.
        regions: what to take from each frame.
        canvas_size: size of every canvas; a partly filled canvas keeps it.
        scale: canvas pixels per frame pixel, of all frames or one per frame.
        margin: context around each region, frame pixels, cut at the frame; of all frames or one per frame.
        gutter: canvas pixels between rectangles, filled with ``BACKGROUND``; narrower where so many regions would not
            fit with it as single pixels.
        max_canvases: most canvases in the batch.

    Returns:
        ``(B, *canvas_size, 3)`` canvases and their placements; B is 0 without regions.

    Raises:
        ValueError: regions of other frames, a size, scale or number out of range, or more regions than pixels.
    """
    if [frame.size for frame in frames] != [of_frame.frame_size for of_frame in regions]:
        raise ValueError(
            f"regions should be those of the frames: sizes {[frame.size for frame in frames]} of the frames, "
            f"{[of_frame.frame_size for of_frame in regions]} of the regions"
        )
    placements = plan_placements(
        regions, canvas_size, scale=scale, margin=margin, gutter=gutter, max_canvases=max_canvases
    )
    return paste(frames, placements, canvas_size)


def plan_placements(
    regions: Sequence[Regions], canvas_size: Size, *, scale: PerFrame, margin: PerFrame, gutter: int, max_canvases: int
) -> Placements:
    """The placements of ``pack``, without touching a pixel.

    Args:
        regions: one value per frame; the other arguments as in ``pack``.

    Returns:
        Placements by frame, region and tile.

    Raises:
        ValueError: as in ``pack``.
    """
    if min(canvas_size) < 1 or max_canvases < 1:
        raise ValueError(f"canvas_size and max_canvases should be positive, got {canvas_size} and {max_canvases}")
    scales, margins = per_frame(scale, len(regions)), per_frame(margin, len(regions))
    if not all(s > 0 for s in scales) or any(m < 0 for m in margins) or gutter < 0:
        raise ValueError(
            f"scale should be positive, margin and gutter not negative, got {scale}, {margin} and {gutter}"
        )
    boxes = boxes_of(regions, scale=scales, margin=margins)
    return placements_of(boxes, cut(boxes, canvas_size), canvas_size, gutter=gutter, max_canvases=max_canvases)


def placements_of(
    boxes: Boxes, rectangles: Rectangles, canvas_size: Size, *, gutter: int, max_canvases: int
) -> Placements:
    """``plan_placements`` of a table of regions.

    Args:
        boxes: the table.
        rectangles: cut from it for the canvas, unreduced.
        canvas_size, gutter, max_canvases: as for ``pack``.

    Raises:
        ValueError: more regions than pixels.
    """
    shrink = 1.0
    while True:
        filled = rectangles.area(gutter) / (max_canvases * (canvas_size[0] + gutter) * (canvas_size[1] + gutter))
        if filled <= 1:
            placed = place(rectangles.size, canvas_size, gutter=gutter, max_canvases=max_canvases)
            if placed is not None:
                return placements_at(rectangles, placed)
        if rectangles.size.max() == 1 and not gutter:
            raise ValueError(
                f"{len(rectangles)} regions do not fit {max_canvases} canvases of {canvas_size}; merge regions, or "
                "choose more canvases"
            )
        if rectangles.size.max() == 1:  # it is the gutters that fill the canvases
            gutter, shrink = gutter // 2, 1.0
            rectangles = cut(boxes, canvas_size)
            continue
        shrink *= min(SHRINK_STEP, 1 / math.sqrt(filled))
        rectangles = cut(boxes, canvas_size, shrink=shrink)


def paste(frames: Sequence[Frame], placements: Placements, canvas_size: Size) -> PackedBatch:
    """Copy what ``placements`` say from the frames onto new canvases.

    Args:
        frames: those the placements were made for.
        placements: all on canvases of ``canvas_size``.
        canvas_size: size of every canvas.
    """
    count = int(placements.canvas.max(initial=-1)) + 1
    canvases = np.full((count, *canvas_size, 3), BACKGROUND, np.uint8)
    source, target = placements.source, placements.target
    unchanged = (source[:, 2:] - source[:, :2] == target[:, 2:] - target[:, :2]).all(axis=1)
    flat = canvases.reshape(count, canvas_size[0], 3 * canvas_size[1])
    for f, frame in enumerate(frames):
        of_frame = placements.frame == f
        rows = np.flatnonzero(of_frame & unchanged)
        if len(rows):
            pixels = np.ascontiguousarray(frame.pixels).reshape(frame.size[0], 3 * frame.size[1])
            paste_rectangles(flat, pixels, rows, placements.canvas, source, target)
        for n in np.flatnonzero(of_frame & ~unchanged).tolist():
            (x0, y0, x1, y1), (a0, b0, a1, b1) = source[n].tolist(), target[n].tolist()
            canvases[placements.canvas[n], b0:b1, a0:a1] = resized(frame.pixels[y0:y1, x0:x1], (b1 - b0, a1 - a0))
    return PackedBatch(canvases, placements)


def placements_at(rectangles: Rectangles, places: Places) -> Placements:
    """Rectangles with their places."""
    canvas, corner = places
    target = np.concatenate([corner, corner + rectangles.size[:, ::-1]], axis=1).astype(np.int32)
    return Placements(rectangles.frame, rectangles.source, rectangles.core, canvas, target, rectangles.scale)


def resized(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """A picture ``(H, W, 3)`` at another size; the one way pictures reach a network, whole or in pieces.

    Areas are averaged where it shrinks by more than a quarter: linear interpolation would skip pixels, and small
    people with them.
    """
    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = max(pixels.shape[0] / height, pixels.shape[1] / width) > 4 / 3
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (int(width), int(height)), interpolation=how), np.uint8)
