"""How people are shown: tinted, outlined, blurred, pixelated, taken out, alone, or as a map of where they were.

The last ones make pictures that show no faces; they follow the masks, and are no promise that nobody is ever seen.
"""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.backdrop import Cutout, before
from argos.drawing.memory import Memory, person_pixels, widened
from argos.types import Result

Style = Literal["mask", "outline", "blur", "pixelate", "background", "backdrop", "heatmap"]
STYLES: tuple[Style, ...] = get_args(Style)

UNSEEN = 96
"""Grey where the scene behind somebody was never seen."""


def remembers(style: Style, backdrop: NDArray[np.uint8] | None = None) -> Memory:
    """A memory that keeps what a style needs; ``backdrop`` ``(h, w, 3)`` uint8 RGB is for the style of that name."""
    cutout = Cutout() if style == "backdrop" else None
    return Memory(scene=style == "background", heat=style == "heatmap", cutout=cutout, backdrop=backdrop)


def cover_people(image: NDArray[np.uint8], result: Result, style: Style, memory: Memory | None) -> None:
    """Change the pixels of people in place, for ``backdrop`` all others and for ``heatmap`` all.

    ``mask`` and ``outline`` change none.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        result: where people are.
        style: how.
        memory: of the results up to this one; needed by ``background``, ``backdrop`` and ``heatmap``.

    Raises:
        ValueError: the style is not one, or needs a memory and there is none.
    """
    if style not in STYLES:
        raise ValueError(f"style '{style}': expected one of {', '.join(STYLES)}")
    if style in ("mask", "outline"):
        return
    people = widened(person_pixels(result)).view(np.uint8)
    match style:
        case "blur":
            cv2.copyTo(blurred(image), people, image)
        case "pixelate":
            cv2.copyTo(pixelated(image), people, image)
        case "background":
            if memory is None or memory.empty is None or memory.known is None:
                raise ValueError(_missing(style))
            scene = np.clip(memory.empty + 0.5, 0, 255).astype(np.uint8)
            scene[~memory.known] = UNSEEN
            cv2.copyTo(scene, people, image)
        case "backdrop":
            if memory is None or memory.cutout is None:
                raise ValueError(_missing(style))
            behind = blurred(image) if memory.backdrop is None else memory.backdrop
            image[:] = before(image, memory.cutout.alpha(), behind)
        case "heatmap":
            if memory is None or memory.warmth is None:
                raise ValueError(_missing(style))
            image[:] = heated(image, memory.warmth)


def _missing(style: Style) -> str:
    return f"style '{style}' shows what was before: give a memory from remembers('{style}') that has kept the results"


def blurred(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """So blurred that a person of half the picture's height has no face: a thirtieth of the shorter side."""
    height, width = image.shape[:2]
    small_size = max(1, width // 8), max(1, height // 8)
    small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA)  # blurring an eighth is 60 times less work
    small = cv2.GaussianBlur(small, (0, 0), max(0.8, min(height, width) / 30 / 8))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def pixelated(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Squares of a thirtieth of the shorter side, four pixels or more, each of its mean colour."""
    height, width = image.shape[:2]
    cell = max(4, round(min(height, width) / 30))
    padded = cv2.copyMakeBorder(image, 0, -height % cell, 0, -width % cell, cv2.BORDER_REPLICATE)
    small = cv2.resize(padded, (padded.shape[1] // cell, padded.shape[0] // cell), interpolation=cv2.INTER_AREA)
    large = np.repeat(np.repeat(np.asarray(small, np.uint8), cell, axis=0), cell, axis=1)
    return np.ascontiguousarray(large[:height, :width])


def heated(image: NDArray[np.uint8], warmth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture in dim grey under colours from blue to red where people spent time; the warmest spot is red."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) * 0.6
    smooth = cv2.GaussianBlur(warmth, (0, 0), max(1.0, min(warmth.shape) / 80))
    large = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    level = np.sqrt(np.clip(large / max(float(smooth.max()), 1e-3), 0, 1))  # the root shows the cooler ways too
    colours = cv2.applyColorMap((255 * level).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    share = np.clip(level * 1.6 - 0.1, 0, 0.75)[:, :, None]
    return np.asarray(grey[:, :, None] * (1 - share) + colours * share + 0.5, np.uint8)
