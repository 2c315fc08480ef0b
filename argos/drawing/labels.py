"""Where labels go: near whom they name, in the picture, on no other label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argos.types import Size

Box = tuple[int, int, int, int]


def place_labels(boxes: Sequence[Box], sizes: Sequence[Sequence[Size]], frame: Size) -> list[tuple[int, Box] | None]:
    """Choose a place for the label of each box; large boxes choose first.

    Args:
        boxes: ``(x0, y0, x1, y1)`` of who is named.
        sizes: for each box the ``(height, width)`` of its label in every wording, the best first.
        frame: size of the picture.

    Returns:
        For each box the wording and where it stands; None where no wording has a free place.
    """
    taken: list[Box] = []
    placed: list[tuple[int, Box] | None] = [None] * len(boxes)
    by_area = sorted(range(len(boxes)), key=lambda n: (-_area(boxes[n]), n))
    for n in by_area:
        for wording, size in enumerate(sizes[n]):
            free = (place for place in _places(boxes[n], size, frame) if not any(_meet(place, t) for t in taken))
            place = next(free, None)
            if place is not None:
                taken.append(place)
                placed[n] = wording, place
                break
    return placed


def _places(box: Box, size: Size, frame: Size) -> Iterator[Box]:
    """Above, inside at the top, below, inside at the bottom; flush left, right, or centred; in the frame."""
    height, width = size
    if height > frame[0] or width > frame[1]:
        return
    rows = [y for y in (box[1] - height, box[1], box[3], box[3] - height) if 0 <= y <= frame[0] - height]
    for x in (box[0], box[2] - width, (box[0] + box[2] - width) // 2):
        x = max(min(x, frame[1] - width), 0)
        for y in rows or [max(min(box[1], frame[0] - height), 0)]:
            yield x, y, x + width, y + height


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
