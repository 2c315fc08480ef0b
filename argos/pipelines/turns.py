"""Whose frames are analysed next when there is not enough time for everybody's."""

from __future__ import annotations

from collections.abc import Mapping


class Turns:
    """Cameras of lower priority sit out as many steps as makes their share of the frames that of their priority."""

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def of(self, waiting: Mapping[str, int], *, hurried: bool) -> list[str]:
        """The cameras whose frames are taken now; at least one of those that wait.

        Args:
            waiting: cameras with a frame, and their priorities, 1 or more.
            hurried: whether frames come faster than they are analysed. If not, everybody is taken.
        """
        if not hurried:
            self._credit.clear()
            return list(waiting)
        most = max(waiting.values(), default=1)
        taken = []
        for name, priority in waiting.items():
            credit = self._credit.get(name, 0.0) + priority / most
            if credit >= 1.0 - 1e-9:
                taken.append(name)
                credit -= 1.0
            self._credit[name] = credit
        return taken
