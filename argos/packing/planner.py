"""How the deep network is run on a frame: packed, in place, in full, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
    scales, margins = per_frame(scale, len(regions)), per_frame(margin, len(regions))
    modes: list[Mode] = []
    for of_frame, (height, width), own_scale, own_margin in zip(regions, frame_sizes, scales, margins, strict=True):
        if mode == "full" or of_frame is None:
            modes.append("full")
        elif len(of_frame) == 0:
            modes.append("skip")
        elif mode != "auto":
            modes.append(mode)
        else:
            rectangles = rectangles_of([of_frame], canvas_size, scale=own_scale, margin=own_margin)
            read = (rectangles.source[:, 2:] - rectangles.source[:, :2]).prod(axis=1).sum()
            modes.append("full" if read >= FULL_SHARE * height * width else "pack")
    if mode != "auto":
        return modes
    packed = [n for n, chosen in enumerate(modes) if chosen == "pack"]
    together = [of_frame for n in packed if (of_frame := regions[n]) is not None]
    full = sum(frame_sizes[n][0] * frame_sizes[n][1] * scales[n] ** 2 for n in packed)
    packed_scales, packed_margins = [scales[n] for n in packed], [margins[n] for n in packed]
    canvases = _canvases_needed(together, canvas_size, packed_scales, margin=packed_margins, gutter=gutter)
    if canvases == 1:
        canvas_size = smallest_canvas(together, canvas_size, scale=packed_scales, margin=packed_margins, gutter=gutter)
    if canvases * canvas_size[0] * canvas_size[1] >= FULL_SHARE * full:
        return ["full" if chosen == "pack" else chosen for chosen in modes]
    return modes


def _canvases_needed(
    regions: Sequence[Regions], canvas_size: Size, scale: Sequence[float], *, margin: Sequence[float], gutter: int
) -> int:
    """Canvases that hold all regions at ``scale``, however many."""
    if not regions:
        return 0
    placements = plan_placements(regions, canvas_size, scale=scale, margin=margin, gutter=gutter, max_canvases=1 << 20)
    return int(placements.canvas.max()) + 1
