"""Many pictures on one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.text import BLACK, draw_text, text_style

GAP = 4
PAPER = 24
"""Dark grey behind the pictures."""


def contact_sheet(
    images: Sequence[NDArray[np.uint8]], labels: Sequence[str], columns: int, width: int
) -> NDArray[np.uint8]:
    """Lay pictures out in rows, each with a label in its top left corner.

    Cells have the shape of the tallest picture; the others are centred in theirs.

    Args:
        images: ``(H, W, 3)`` uint8 RGB each, any sizes.
        labels: one per picture, empty for none.
        columns: pictures in a row.
        width: of the sheet in pixels.

    Returns:
        ``(H, width, 3)`` uint8 RGB.

    Raises:
        ValueError: no pictures, another number of labels, or a sheet too narrow for its columns.
    """
    if not images or len(labels) != len(images):
        raise ValueError(f"expected pictures and as many labels, got {len(images)} and {len(labels)}")
    cell_width = (width - GAP * (columns + 1)) // columns if columns > 0 else 0
    if cell_width < 8:
        raise ValueError(f"a sheet of {width} pixels is too narrow for {columns} columns")
    cell_height = max(max(1, round(image.shape[0] * cell_width / image.shape[1])) for image in images)
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (cell_height + GAP) + GAP, width, 3), PAPER, np.uint8)
    style = text_style((cell_height, cell_width))
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        x = GAP + n % columns * (cell_width + GAP)
        y = GAP + n // columns * (cell_height + GAP)
        cell = sheet[y : y + cell_height, x : x + cell_width]
        _fit(cell, image)
        if label:
            draw_text(cell, label, (0, 0), style, BLACK, 0.6)
    return sheet


def _fit(cell: NDArray[np.uint8], image: NDArray[np.uint8]) -> None:
    """Copy a picture, resized to the width or height of the cell, to its middle."""
    factor = min(cell.shape[0] / image.shape[0], cell.shape[1] / image.shape[1])
    height = min(max(1, round(image.shape[0] * factor)), cell.shape[0])
    width = min(max(1, round(image.shape[1] * factor)), cell.shape[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    y, x = (cell.shape[0] - height) // 2, (cell.shape[1] - width) // 2
    cell[y : y + height, x : x + width] = small
