"""Images: one file, a directory or a pattern, in natural order, through OpenCV."""

from __future__ import annotations

import glob
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import PurePath

import cv2
import numpy as np

from argos.errors import SourceError
from argos.sources.names import IMAGE_SUFFIXES, VIDEO_SUFFIXES, file_path, is_pattern, literal_part
from argos.sources.stream import MAX_PIXELS
from argos.types import Frame

log = logging.getLogger(__name__)

IMAGES_PER_S = 25
"""Images have no time of their own; they are numbered as if they were frames of a 25 fps video."""

_OF_SEVERAL = (".png", ".tif", ".tiff", ".webp")


def list_images(source: str) -> list[str]:
    """Paths of the images of a file, directory or pattern, ``frame2.png`` before ``frame10.png``.

    Raises:
        SourceError: ``not_found`` or ``no_images``.
    """
    path = file_path(source)
    if is_pattern(path):
        folder = literal_part(path)  # whose name may hold brackets
        inside = glob.glob(str(PurePath(path).relative_to(folder)), root_dir=folder, recursive=True)
        found = [str(folder / name) for name in inside]
    elif os.path.isdir(path):
        found = [entry.path for entry in os.scandir(path)]
    elif os.path.exists(path):
        return [path]
    else:
        raise SourceError(f"{source}: no such file; check the path", "not_found")
    images = [p for p in found if _has_suffix(p, IMAGE_SUFFIXES)]
    if images:
        return sorted(images, key=_natural)
    remedy = "name the videos themselves" if any(_has_suffix(p, VIDEO_SUFFIXES) for p in found) else "check the path"
    raise SourceError(f"{source}: no images in it, looked for {' '.join(IMAGE_SUFFIXES)}; {remedy}", "no_images")


def _has_suffix(path: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a path is a visible file with one of the suffixes."""
    name = os.path.basename(path)
    return name.lower().endswith(suffixes) and not name.startswith(".") and os.path.isfile(path)


def _natural(path: str) -> list[tuple[int, str]]:
    """Sort key that takes digits as numbers."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", path)]


def read_images(source: str, camera: str, stop: threading.Event | None = None) -> Iterator[Frame]:
    """Read images as frames, turned upright as their EXIF data says; sizes may differ.

    Of a file that holds several pictures (animations, pages) the first is read, and a warning tells it.

    Args:
        source: path of an image or directory, or a pattern.
        camera: name written into each frame.
        stop: ends the iteration when set.

    Raises:
        SourceError: as ``list_images``; ``failed`` after the last image when some could not be decoded, or are
            larger than any that is decoded.
    """
    paths = list_images(source)
    failed: list[tuple[str, str]] = []
    several: list[str] = []
    for index, path in enumerate(paths):
        if stop is not None and stop.is_set():
            return
        try:
            image = cv2.imread(path, cv2.IMREAD_COLOR)
        except cv2.error:  # larger than OpenCV allows
            image = None
        if image is None:
            failed.append((path, "cannot be decoded as an image; replace or remove it"))
            continue
        if image.shape[0] * image.shape[1] > MAX_PIXELS:
            failed.append((path, f"cannot be read, it has more than {MAX_PIXELS} pixels; make it smaller or remove it"))
            continue
        if path.lower().endswith(_OF_SEVERAL) and cv2.imcount(path) > 1:
            several.append(path)
        yield Frame(
            pixels=np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8),
            camera=camera,
            index=index,
            pts_s=index / IMAGES_PER_S,
            pts=index,
            time_base=(1, IMAGES_PER_S),
            captured_ns=time.time_ns(),
        )
    if several:
        others = f" (and {len(several) - 1} others)" if len(several) > 1 else ""
        log.warning(
            "%s%s: holds several pictures, only the first is read; make a video or single images of it",
            several[0],
            others,
        )
    if failed:
        first, why = failed[0]
        which = first if len(paths) == 1 else f"{source}: {len(failed)} of {len(paths)} images, first {first},"
        raise SourceError(f"{which} {why}", "failed")
