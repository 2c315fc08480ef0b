"""When a number of people becomes a crowd, and when it is none any more."""

from __future__ import annotations

from dataclasses import dataclass

_ROUNDING_S = 1e-6
"""Ten frames at ten a second are a second, whatever their times add up to."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a crowd is.

    Attributes:
        people: with so many one begins,
        end_people: and with so many or fewer it ends; less than ``people``.
        start_s, end_s: seconds for which the number has to hold.
    """

    people: int
    end_people: int
    start_s: float = 1.0
    end_s: float = 3.0


class CrowdWatch:
    """Watches the number of people in one place; who comes and goes at the threshold makes no crowd come and go.

    Attributes:
        crowd: what one is.
        is_crowd: whether there is one.
        crowds: how many there were so far.
    """

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.is_crowd = False
        self.crowds = 0
        self._began_s = 0.0
        self._since_s: float | None = None

    def see(self, people: int, time_s: float) -> bool:
        """Take how many there are now; whether ``is_crowd`` changed."""
        changes = people <= self.crowd.end_people if self.is_crowd else people >= self.crowd.people
        if not changes:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = time_s
        if time_s - self._since_s < (self.crowd.end_s if self.is_crowd else self.crowd.start_s) - _ROUNDING_S:
            return False
        self._turn(time_s)
        return True

    def disperse(self, time_s: float) -> bool:
        """Nobody is watched any more; whether there was a crowd."""
        was = self.is_crowd
        if was:
            self._turn(time_s)
        self._since_s = None
        return was

    def lasted_s(self, time_s: float) -> float:
        """How long the present or last crowd has been there, seconds."""
        return time_s - self._began_s

    def _turn(self, time_s: float) -> None:
        self.is_crowd, self._since_s = not self.is_crowd, None
        if self.is_crowd:
            self._began_s = time_s
            self.crowds += 1
