"""Writes the pictures of docs/gallery.md and of the README: make demo && python docs/make_gallery.py.

They are drawn from the sample clip and from what `make demo` found in it, so that no network runs here.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.overlay import overlay
from argos.drawing.styles import STYLES, remembers
from argos.packing.layout import lay_out
from argos.packing.pack import paste
from argos.packing.rectangles import boxes_of
from argos.publishing.jsonl import read_jsonl
from argos.sources.read import read
from argos.types import Frame, Result

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "gallery"
SHOWN = 44
"""The frame that is shown; those before it are what heatmap, background and trails remember."""

WIDTH = 720

README_SHOWN = 75
"""The frame of docs/people.jpg."""

README_WIDTH = 960


def main(results: Path) -> None:
    """Follow the clip up to each frame that is shown, and draw it."""
    FOLDER.mkdir(exist_ok=True)
    memories = {style: remembers(style) for style in STYLES}
    clip = read(str(ROOT / "samples" / "people.mp4"), "people")
    for frame, found in zip(clip, read_jsonl(results), strict=False):
        result = replace(found, image=frame.pixels)
        for memory in memories.values():
            memory.keep(result)
        if frame.index == SHOWN:
            save(FOLDER / "original.jpg", frame.pixels, WIDTH)
            for style, memory in memories.items():
                save(FOLDER / f"{style}.jpg", overlay(frame.pixels, result, style=style, memory=memory), WIDTH)
            save(FOLDER / "canvas.jpg", canvas_of(frame, result), WIDTH)
        if frame.index == README_SHOWN:
            drawn = overlay(frame.pixels, result, style="mask", memory=memories["mask"])
            save(FOLDER.parent / "people.jpg", drawn, README_WIDTH)
            break


def canvas_of(frame: Frame, result: Result) -> NDArray[np.uint8]:
    """The regions of a frame as the deep network gets them, one under the other where there are several canvases."""
    scale = 640 / max(frame.size)
    boxes = boxes_of([result.regions], scale=scale, margin=16 / scale)
    layout = lay_out(boxes, (384, 640), gutter=8, max_canvases=2)
    return np.concatenate(list(paste([frame], layout.placements, layout.canvas_size).pixels))


def save(path: Path, picture: NDArray[np.uint8], width: int) -> None:
    """Write a JPEG, reduced to a width."""
    if picture.shape[1] > width:
        size = width, round(picture.shape[0] * width / picture.shape[1])
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    cv2.imwrite(str(path), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    print(f"wrote {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "out" / "demo" / "results.jsonl")
