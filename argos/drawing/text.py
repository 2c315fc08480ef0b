"""Text on pictures, sized to the picture and readable on anything."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.types import Size

Colour = tuple[int, int, int]

FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


class TextStyle(NamedTuple):
    """How large text is drawn.

    Attributes:
        scale: of the font.
        thickness: of its strokes, pixels.
        height: of a capital letter, pixels.
        below: pixels below the line that some letters need.
        pad: pixels around the text.
    """

    scale: float
    thickness: int
    height: int
    below: int
    pad: int


def text_style(size: Size) -> TextStyle:
    """The style for a picture: letters of a fiftieth of its shorter side, between 8 and 40 pixels."""
    height = min(max(min(size) / 50, 8.0), 40.0)
    (_, unit), _ = cv2.getTextSize("H", FONT, 10.0, 1)
    scale = height / unit * 10
    thickness = max(1, round(height / 11))
    (_, high), below = cv2.getTextSize("Hg", FONT, scale, thickness)
    return TextStyle(scale, thickness, high, below, max(2, round(height / 4)))


def text_size(text: str, style: TextStyle) -> Size:
    """``(height, width)`` of the plate that ``draw_text`` draws."""
    (width, _), _ = cv2.getTextSize(text, FONT, style.scale, style.thickness)
    return style.height + style.below + 2 * style.pad, width + 2 * style.pad


def draw_text(
    image: NDArray[np.uint8], text: str, corner: tuple[int, int], style: TextStyle, plate: Colour, opacity: float = 1.0
) -> None:
    """Draw a line of text on a plate, in place; black or white, whichever is readable.

    Args:
        image: ``(H, W, 3)`` uint8.
        text: ASCII.
        corner: ``(x, y)`` of the top left corner of the plate.
        style: from ``text_style``.
        plate: colour of the plate.
        opacity: of the plate, 0..1.
    """
    height, width = text_size(text, style)
    x, y = corner
    fill(image, (x, y, x + width, y + height), plate, opacity)
    ink = BLACK if plate[0] * 0.299 + plate[1] * 0.587 + plate[2] * 0.114 > 140 else WHITE
    base = (x + style.pad, y + style.pad + style.height)
    cv2.putText(image, text, base, FONT, style.scale, ink, style.thickness, cv2.LINE_AA)


def fill(image: NDArray[np.uint8], box: tuple[int, int, int, int], colour: Colour, opacity: float) -> None:
    """Blend a rectangle with a colour, in place; what lies outside the picture is left out."""
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), max(box[2], 0), max(box[3], 0)
    part = image[y0:y1, x0:x1]
    part[:] = (part * (1 - opacity) + np.array(colour) * opacity + 0.5).astype(np.uint8)
