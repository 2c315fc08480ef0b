"""How the deep network is run on a frame: packed, in place, in full, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from argos.packing.canvas import smallest_canvas
from argos.packing.pack import plan_placements
from argos.packing.rectangles import PerFrame, per_frame, rectangles_of
from argos.types import Mode, Regions, Size

AskedMode = Literal["auto", "pack", "gather", "full", "mask"]

FULL_SHARE = 0.8
"""Packing this share of the pixels of the full frame is not worth the context lost at its borders."""


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
    scales, margins = per_frame(scale, len(regions)), per_frame(margin, len(regions))
    worth_packing = _worth_packing(regions, frame_sizes, canvas_size, scales, margins)
    modes = [
        "full" if chosen == "pack" and not worth else chosen for chosen, worth in zip(modes, worth_packing, strict=True)
    ]
    packed = [n for n, chosen in enumerate(modes) if chosen == "pack"]
    together = [of_frame for n in packed if (of_frame := regions[n]) is not None]
    full = sum(frame_sizes[n][0] * frame_sizes[n][1] * scales[n] ** 2 for n in packed)
    packed_scales, packed_margins = [scales[n] for n in packed], [margins[n] for n in packed]
    pixels = _canvas_pixels(together, canvas_size, packed_scales, margin=packed_margins, gutter=gutter)
    return ["full" if chosen == "pack" and pixels >= FULL_SHARE * full else chosen for chosen in modes]


def _asked(mode: AskedMode, of_frame: Regions | None) -> Mode:
    """What a frame gets before anything is weighed; pack for ``auto``."""
    if mode == "full" or of_frame is None:
        return "full"
    if len(of_frame) == 0:
        return "skip"
    return "pack" if mode == "auto" else mode


def _worth_packing(
    regions: Sequence[Regions | None],
    frame_sizes: Sequence[Size],
    canvas_size: Size,
    scales: Sequence[float],
    margins: Sequence[float],
) -> list[bool]:
    """Whether the rectangles of each frame have less than ``FULL_SHARE`` of its pixels."""
    none = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), (1, 1))
    rectangles = rectangles_of([of_frame or none for of_frame in regions], canvas_size, scale=scales, margin=margins)
    areas = (rectangles.source[:, 2:] - rectangles.source[:, :2]).prod(axis=1)
    read = np.bincount(rectangles.frame, areas, minlength=len(regions))
    return [
        bool(pixels < FULL_SHARE * height * width) for pixels, (height, width) in zip(read, frame_sizes, strict=True)
    ]


def _canvas_pixels(
    regions: Sequence[Regions], canvas_size: Size, scale: Sequence[float], *, margin: Sequence[float], gutter: int
) -> int:
    """Pixels of the canvases that hold all regions at ``scale``, however many."""
    if not regions:
        return 0
    size = smallest_canvas(regions, canvas_size, scale=scale, margin=margin, gutter=gutter)
    if size != canvas_size:
        return size[0] * size[1]
    placements = plan_placements(regions, size, scale=scale, margin=margin, gutter=gutter, max_canvases=1 << 20)
    return (int(placements.canvas.max()) + 1) * size[0] * size[1]
