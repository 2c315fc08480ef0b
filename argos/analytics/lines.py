"""Who crosses a line, and in which direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from argos.analytics.anchors import Anchor
from argos.analytics.geometry import Point, is_crossed, turn
from argos.analytics.hours import Hours

Direction = Literal["left_to_right", "right_to_left"]
"""As seen by somebody who stands on the first point and looks at the second."""


@dataclass(frozen=True, slots=True)
class Line:
    """A segment.

    Attributes:
        name: of the line.
        start, end: shares of the frame's width and height, 0..1.
        anchor: which point of a person has to cross.
        confirm_frames: frames in a row that a person has to be seen on a side to be there.
        hours: outside of any of them nobody crosses.
    """

    name: str
    start: Point
    end: Point
    anchor: Anchor = "mask_bottom"
    confirm_frames: int = 2
    hours: tuple[Hours, ...] = ()


@dataclass(slots=True)
class _Walk:
    """Of one person: the side and the last point on it, and how often the other side was seen since, from where."""

    side: int = 0
    point: Point = (0.0, 0.0)
    other: int = 0
    count: int = 0
    first: Point = (0.0, 0.0)


class LineWatch:
    """Watches one line; a person counts once settled on both sides, so that flicker on the line counts nobody twice.

    Attributes:
        line: the line.
        counts: crossings so far, by direction.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.counts: dict[Direction, int] = {"left_to_right": 0, "right_to_left": 0}
        self._walks: dict[int, _Walk] = {}

    def see(self, track: int, point: Point) -> Direction | None:
        """Take where a person is now; the direction if that confirms a crossing."""
        walk = self._walks.setdefault(track, _Walk())
        turned = turn(self.line.start, self.line.end, point)
        side = (turned > 0) - (turned < 0)
        if side == 0:
            return None  # on the line: neither here nor there
        if side == walk.side:
            walk.point, walk.count = point, 0
            return None
        if walk.count == 0 or walk.other != side:
            walk.other, walk.count, walk.first = side, 0, point
        walk.count += 1
        if walk.count < self.line.confirm_frames:
            return None
        crossed = walk.side != 0 and is_crossed(walk.point, walk.first, self.line.start, self.line.end)
        walk.side, walk.point, walk.count = side, point, 0
        if not crossed:
            return None  # somebody new, or who went round the end
        direction: Direction = "left_to_right" if side > 0 else "right_to_left"
        self.counts[direction] += 1
        return direction

    def forget(self, track: int) -> None:
        """A person is gone."""
        self._walks.pop(track, None)

    def close(self) -> None:
        """Nobody is watched any more: who is seen again is somebody new."""
        self._walks.clear()
