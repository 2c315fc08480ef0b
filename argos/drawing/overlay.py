"""A result drawn on its picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.text import BLACK, WHITE, Colour, TextStyle, draw_text, text_size, text_style
from argos.publishing.wire import label_name
from argos.types import Instances, Regions, Result, SemanticMask

PALETTE: tuple[Colour, ...] = (
    (255, 92, 88),
    (64, 196, 255),
    (255, 202, 40),
    (124, 220, 96),
    (214, 120, 255),
    (255, 150, 60),
    (60, 222, 190),
    (255, 128, 190),
    (140, 160, 255),
    (206, 226, 70),
    (190, 140, 100),
    (120, 230, 240),
)
"""Bright colours; neighbours in the list differ most."""

SEMANTIC: Colour = (0, 214, 170)

Box = tuple[int, int, int, int]


def overlay(
    image: NDArray[np.uint8], result: Result, *, regions: bool = True, legend: bool = True
) -> NDArray[np.uint8]:
    """Draw a result: person mask in one tint, people in their own colours, regions dashed, a legend.

    A person keeps its colour as long as it keeps its track id; without a tracker colours follow the order.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, the picture that was analysed.
        result: what was found in it.
        regions: draw the proposed regions.
        legend: draw mode, number of people, share of pixels computed and time in the bottom left corner.

    Returns:
        A new picture of the same shape.

    Raises:
        ValueError: the picture does not have the size of the result.
    """
    if image.shape != (*result.size, 3):
        raise ValueError(f"expected the picture of the result, {(*result.size, 3)}, got {image.shape}")
    drawn = np.ascontiguousarray(image).copy()
    line = max(1, round(min(result.size) / 400))
    style = text_style(result.size)
    if result.semantic is not None:
        _draw_semantic(drawn, result.semantic, result.instances, line)
    if regions and result.mode != "full":
        _draw_regions(drawn, result.regions, line)
    if result.instances is not None:
        _draw_people(drawn, result.instances, line, style)
    if legend:
        _draw_legend(drawn, legend_of(result), style)
    return drawn


def legend_of(result: Result) -> list[str]:
    """What the legend says: mode, people or person area, share of pixels computed, milliseconds.

    The time is the span ``total`` where there is one, otherwise the sum of the spans.
    """
    words: list[str] = [result.mode]
    if result.instances is not None:
        count = len(result.instances)
        words.append(f"{count} {'person' if count == 1 else 'people'}")
    if result.semantic is not None:
        words.append(f"{_percent(result.semantic.area)} person")
    words.append(f"{_percent(result.deep_share)} computed")
    if result.spans_ms:
        total = result.spans_ms.get("total", sum(result.spans_ms.values()))
        words.append(f"{total:.0f} ms" if total >= 10 else f"{total:.1f} ms")
    return words


def colour_of(n: int) -> Colour:
    """Colour of track ``n``, or of the n-th person where there are no tracks."""
    return PALETTE[n % len(PALETTE)]


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 9.95 else f"{percent:.0f} %"


def _draw_semantic(image: NDArray[np.uint8], semantic: SemanticMask, people: Instances | None, line: int) -> None:
    """Outline the person mask, and tint it where no instance will be tinted: two colours together mean nothing."""
    plain = semantic.mask if people is None else semantic.mask & ~people.union()
    _tint(image, plain, SEMANTIC, 0.35)
    _outline(image, semantic.mask, (0, 0), SEMANTIC, line)


def _draw_people(image: NDArray[np.uint8], people: Instances, line: int, style: TextStyle) -> None:
    """Masks first, then outlines and boxes, labels last, so that no fill covers a line or a word."""
    colours = [colour_of(n) for n in (people.ids.tolist() if len(people.ids) else range(len(people)))]
    boxes: list[Box] = [(x0, y0, x1, y1) for x0, y0, x1, y1 in people.boxes.tolist()]
    for (x0, y0, x1, y1), mask, colour in zip(boxes, people.masks, colours, strict=True):
        _tint(image[y0:y1, x0:x1], mask, colour, 0.45)
    for (x0, y0, x1, y1), mask, colour in zip(boxes, people.masks, colours, strict=True):
        _outline(image, mask, (x0, y0), colour, line)
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), colour, max(1, line // 2), cv2.LINE_8)
    taken: list[Box] = []
    for n, box in enumerate(boxes):
        text = _label(people, n)
        if text_size(text, style)[1] > 1.8 * (box[2] - box[0]):  # a far person is narrower than the words
            text = text.split(" ", 1)[1]
        height, width = text_size(text, style)
        x, y = _label_corner(box, (height, width), image.shape[:2], taken)
        taken.append((x, y, x + width, y + height))
        draw_text(image, text, (x, y), style, colours[n], 0.85)


def _label(people: Instances, n: int) -> str:
    """``person 87 %``, with the track id where there is one: ``person 7  87 %``."""
    name = label_name(int(people.labels[n]))
    identity = f" {people.ids[n]} " if len(people.ids) else ""
    return f"{name}{identity} {100 * people.scores[n]:.0f} %"


def _label_corner(box: Box, size: tuple[int, int], frame: tuple[int, ...], taken: Sequence[Box]) -> tuple[int, int]:
    """Above the box, inside at its top, or below it: the first place in the frame that covers no other label."""
    height, width = size
    x = max(min(box[0], frame[1] - width), 0)
    rows = [y for y in (box[1] - height, box[1], box[3], box[3] - height) if 0 <= y <= frame[0] - height]
    for y in rows:
        if not any(x < t[2] and t[0] < x + width and y < t[3] and t[1] < y + height for t in taken):
            return x, y
    return x, rows[0] if rows else max(min(box[1], frame[0] - height), 0)


def _draw_regions(image: NDArray[np.uint8], regions: Regions, line: int) -> None:
    """Thin dashed white rectangles."""
    dash, thick = 5 + 3 * line, max(1, line // 2)
    for x0, y0, x1, y1 in regions.boxes.tolist():
        on_x, on_y = (np.arange(length) // dash % 2 == 0 for length in (x1 - x0, y1 - y0))
        for y in (y0, max(y1 - thick, y0)):
            edge = image[y : y + thick, x0:x1]
            _tint(edge, np.broadcast_to(on_x, edge.shape[:2]), WHITE, 0.75)
        for x in (x0, max(x1 - thick, x0)):
            edge = image[y0:y1, x : x + thick]
            _tint(edge, np.broadcast_to(on_y[:, None], edge.shape[:2]), WHITE, 0.75)


def _draw_legend(image: NDArray[np.uint8], words: list[str], style: TextStyle) -> None:
    """The words in the bottom left corner, in as few lines as the width allows."""
    height, width = image.shape[:2]
    gap = 2 * style.pad
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]}  |  {word}"
        if text_size(longer, style)[1] + 2 * gap <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    step = text_size("H", style)[0]
    for n, text in enumerate(reversed(lines)):
        draw_text(image, text, (gap, height - gap - (n + 1) * step), style, BLACK, 0.6)


def _tint(image: NDArray[np.uint8], mask: NDArray[np.bool_], colour: Colour, opacity: float) -> None:
    """Blend the pixels of a mask with a colour, in place."""
    if mask.any():
        blended = np.arange(256)[:, None] * (1 - opacity) + np.array(colour) * opacity + 0.5
        cv2.copyTo(cv2.LUT(image, blended.astype(np.uint8)[None]), mask.astype(np.uint8), image)


def _outline(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], offset: tuple[int, int], colour: Colour, line: int
) -> None:
    """Draw the smooth outline of a mask whose top left corner is at ``offset``, in place."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=offset)
    cv2.drawContours(image, contours, -1, colour, line, cv2.LINE_AA)
