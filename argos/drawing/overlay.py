"""A result drawn on its picture."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.drawing.labels import Box, place_labels
from argos.drawing.memory import Memory, trail_points
from argos.drawing.styles import Style, cover_people
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
PALE: Colour = (208, 208, 208)
"""People who have no id yet."""


def overlay(
    image: NDArray[np.uint8],
    result: Result,
    *,
    style: Style = "mask",
    regions: bool = True,
    legend: bool = True,
    memory: Memory | None = None,
) -> NDArray[np.uint8]:
    """Draw a result: people in their own colours, the person mask in one tint, regions dashed, trails, a legend.

    A person keeps its colour as long as it keeps its track id; without a tracker colours follow the order.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, the picture that was analysed.
        result: what was found in it.
        style: how people are shown: tinted (``mask``), by their ``outline``, unrecognisable (``blur``, ``pixelate``),
            gone (``background``), before something else (``backdrop``), or as a map of where they were (``heatmap``).
        regions: draw the proposed regions; not for ``backdrop``.
        legend: draw mode, number of people, share of pixels computed and time in the bottom left corner.
        memory: of the results up to this one, for trails; ``background``, ``backdrop`` and ``heatmap`` need it.

    Returns:
        A new picture of the same shape.

    Raises:
        ValueError: the picture does not have the size of the result, or the style is not one or needs a memory.
    """
    if image.shape != (*result.size, 3):
        raise ValueError(f"expected the picture of the result, {(*result.size, 3)}, got {image.shape}")
    drawn = np.ascontiguousarray(image).copy()
    line = max(1, round(min(result.size) / 400))
    text = text_style(result.size)
    cover_people(drawn, result, style, memory)
    plain = style in ("background", "backdrop")
    if memory is not None and not plain:
        _draw_trails(drawn, memory, line)
    if result.semantic is not None and style in ("mask", "outline"):
        _draw_semantic(drawn, result.semantic, result.instances, line, fill=style == "mask")
    if regions and result.mode != "full" and style != "backdrop":
        _draw_regions(drawn, result.regions, line)
    if result.instances is not None and not plain:
        _draw_people(drawn, result.instances, style, line)
        _draw_labels(drawn, result.instances, text)
    if legend:
        _draw_legend(drawn, legend_of(result), text)
    return drawn


def png(image: NDArray[np.uint8]) -> bytes:
    """``(H, W, 3)`` uint8 RGB as PNG."""
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


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
    """Colour of track ``n``, or of the n-th person where there are no tracks; grey for nobody's (-1)."""
    return PALETTE[n % len(PALETTE)] if n >= 0 else PALE


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 9.95 else f"{percent:.0f} %"


def _draw_semantic(
    image: NDArray[np.uint8], semantic: SemanticMask, people: Instances | None, line: int, *, fill: bool
) -> None:
    """Outline the person mask, and tint it where no instance will be tinted: two colours together mean nothing."""
    if fill:
        plain = semantic.mask if people is None else semantic.mask & ~people.union()
        _tint(image, plain, SEMANTIC, 0.35)
    _outline(image, semantic.mask, (0, 0), SEMANTIC, line)


def _colours(people: Instances) -> list[Colour]:
    return [colour_of(n) for n in (people.ids.tolist() if len(people.ids) else range(len(people)))]


def _boxes(people: Instances) -> list[Box]:
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in people.boxes.tolist()]


def _draw_people(image: NDArray[np.uint8], people: Instances, style: Style, line: int) -> None:
    """Masks first, then outlines and boxes, so that no fill covers a line."""
    colours, boxes = _colours(people), _boxes(people)
    if style == "mask":
        for (x0, y0, x1, y1), mask, colour in zip(boxes, people.masks, colours, strict=True):
            _tint(image[y0:y1, x0:x1], mask, colour, 0.45)
    for (x0, y0, x1, y1), mask, colour in zip(boxes, people.masks, colours, strict=True):
        if style == "outline":
            _outline(image, mask, (x0, y0), BLACK, line + 2)  # readable on any ground
        if style in ("mask", "outline", "heatmap"):
            _outline(image, mask, (x0, y0), colour, line)
        if style != "outline":
            cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), colour, max(1, line // 2), cv2.LINE_8)


def _draw_labels(image: NDArray[np.uint8], people: Instances, style: TextStyle) -> None:
    """Who, and how sure; shorter where there is no room, and nothing where even that would cover another label."""
    boxes = _boxes(people)
    wordings = [_wordings(people, n) for n in range(len(people))]
    sizes = [[text_size(text, style) for text in texts] for texts in wordings]
    for n, box in enumerate(boxes):  # a far person is narrower than the words
        wide = [k for k, (_, width) in enumerate(sizes[n]) if width > 1.8 * (box[2] - box[0])]
        drop = min(len(wide), len(sizes[n]) - 1)
        wordings[n], sizes[n] = wordings[n][drop:], sizes[n][drop:]
    placed = place_labels(boxes, sizes, (image.shape[0], image.shape[1]))
    for texts, place, colour in zip(wordings, placed, _colours(people), strict=True):
        if place is not None:
            draw_text(image, texts[place[0]], place[1][:2], style, colour, 0.85)


def _wordings(people: Instances, n: int) -> list[str]:
    """``person 7  87 %``, ``7  87 %``, ``7``; without an id ``person 87 %`` and ``87 %``."""
    name, score = label_name(int(people.labels[n])), f"{100 * people.scores[n]:.0f} %"
    if len(people.ids) and people.ids[n] >= 0:
        return [f"{name} {people.ids[n]}  {score}", f"{people.ids[n]}  {score}", f"{people.ids[n]}"]
    return [f"{name} {score}", score]


def _draw_trails(image: NDArray[np.uint8], memory: Memory, line: int) -> None:
    """The way of each track, thinner towards its beginning."""
    for track in memory.trails:
        points = trail_points(memory.trails, track)
        for k, (start, end) in enumerate(pairwise(points.tolist()), 1):
            thick = max(1, round(2 * line * k / len(points)))
            cv2.line(image, tuple(start), tuple(end), colour_of(track), thick, cv2.LINE_AA)


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
