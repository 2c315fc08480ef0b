"""Whose frames are analysed next when there is not enough time for everybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ROUNDING = 1e-6
"""Of sums of shares."""


class Turns:
    """Cameras get frames through in proportion to their priorities: first comes who had the least for his.

    Reference:
        Waldspurger and Weihl, Stride Scheduling: Deterministic Proportional-Share Resource Management, 1995.
    """

    def __init__(self) -> None:
        self._had: dict[str, float] = {}  # frames over priority
        self._there: set[str] = set()

    def of(self, priorities: Mapping[str, int], waiting: Sequence[str], *, hurried: bool) -> list[str]:
        """The cameras whose frames are taken now; none where one comes first whose next frame is about to come.

        Args:
            priorities: 1 or more, of the cameras that wait and of those whose next frame is about to come.
            waiting: cameras with a frame.
            hurried: whether frames come faster than they are analysed. If not, everybody is taken.
        """
        if not hurried:
            self._had.clear()
            self._there.clear()
            return list(waiting)
        present = {name for name in priorities if name in self._there}
        level = min((self._had[name] for name in present or self._there), default=0.0)
        for name in priorities.keys() - present:  # who was away saves nothing up, and owes what he owed
            self._had[name] = max(level, self._had.get(name, level))
        self._there = set(priorities)
        least = min((self._had[name] for name in priorities), default=0.0)
        # who is nearly as far along goes with the first, so that they share canvases
        step = 1 / max(priorities.values(), default=1)
        taken = [name for name in waiting if self._had[name] < least + step - ROUNDING]
        for name in taken:
            self._had[name] += 1 / priorities[name]
        return taken
