"""How the deep network is run on a frame: packed, in place, in full, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from argos.packing.canvas import smallest_for
from argos.packing.place import place
from argos.packing.rectangles import Boxes, PerFrame, boxes_of, cut
from argos.types import Mode, Regions, Size

AskedMode = Literal["auto", "pack", "gather", "full", "mask"]

FULL_SHARE = 0.8
"""Packing this share of the pixels of the full frame is not worth the context lost at its borders."""

NONE = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), (1, 1))
"""In place of the regions of a frame that no proposer saw."""


def plan_frames(
    mode: AskedMode,
    regions: Sequence[Regions | None],
    frame_sizes: Sequence[Size],
    canvas_size: Size,
    scale: PerFrame,
    *,
    margin: PerFrame,
    gutter: int,
) -> list[Mode]:
    """Choose the mode for each of several frames that share canvases.

    ``auto`` skips frames without regions. A frame whose rectangles, context included, have ``FULL_SHARE`` of its
    pixels is computed in full. The others are packed together, unless the whole canvases they need have
    ``FULL_SHARE`` of the pixels of these frames at ``scale``; then they are computed in full too. The other modes are
    kept, but there is nothing to run them on in a frame without regions.

    Args:
        mode: what the configuration asks for.
        regions: what was proposed, one value per frame; None when no proposer ran, then the frame is computed in full.
        frame_sizes: sizes of the frames.
        canvas_size, scale, margin, gutter: as for ``pack``.

    Returns:
        The mode to run, for each frame.
    """
    modes: list[Mode] = [_asked(mode, of_frame) for of_frame in regions]
    if mode != "auto":
        return modes
    boxes = boxes_of([of_frame or NONE for of_frame in regions], scale=scale, margin=margin)
    rectangles = cut(boxes, canvas_size)
    pixels = np.array(frame_sizes, np.int64).reshape(-1, 2).prod(axis=1)
    sides = rectangles.source[:, 2:] - rectangles.source[:, :2]
    read = np.bincount(rectangles.frame, sides[:, 0] * sides[:, 1], minlength=len(regions))
    packed = np.array([chosen == "pack" for chosen in modes], np.bool_) & (read < FULL_SHARE * pixels)
    kept = packed[boxes.frame]
    together = replace(boxes, boxes=boxes.boxes[kept], frame=boxes.frame[kept])
    sizes = rectangles.size[packed[rectangles.frame]]
    full = float((pixels * boxes.scales**2)[packed].sum())
    worth = _canvas_pixels(together, sizes, canvas_size, gutter=gutter) < FULL_SHARE * full
    return [
        "full" if chosen == "pack" and not (worth and own) else chosen
        for chosen, own in zip(modes, packed.tolist(), strict=True)
    ]


def _asked(mode: AskedMode, of_frame: Regions | None) -> Mode:
    """What a frame gets before anything is weighed; pack for ``auto``."""
    if mode == "full" or of_frame is None:
        return "full"
    if len(of_frame) == 0:
        return "skip"
    return "pack" if mode == "auto" else mode


def _canvas_pixels(boxes: Boxes, sizes: NDArray[np.int32], canvas_size: Size, *, gutter: int) -> int:
    """Pixels of the canvases that hold all rectangles of ``sizes``, however many; of ``boxes`` on a full canvas."""
    size = smallest_for(boxes, canvas_size, gutter=gutter)
    if size != canvas_size:
        return size[0] * size[1]
    placed = place(sizes, size, gutter=gutter, max_canvases=len(sizes))
    count = len(sizes) if placed is None else int(placed[0].max(initial=-1)) + 1
    return count * size[0] * size[1]
