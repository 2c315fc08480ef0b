"""Who stays too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_ROUNDING_S = 1e-6
"""Ten frames at ten a second are a second, whatever their times add up to."""


@dataclass(frozen=True, slots=True)
class Loiter:
    """What too long is.

    Attributes:
        after_s: whoever is in for so long loiters.
        grace_s: who comes back after at most so long was never away.
    """

    after_s: float
    grace_s: float = 5.0


@dataclass(slots=True)
class _Visit:
    """Of one person: since when it is in, when it went out if it did, whether it was told of."""

    began_s: float
    left_s: float | None = None
    told: bool = False


class LoiterWatch:
    """Watches how long people stay in one place.

    Attributes:
        loiter: what too long is.
        loiterers: how many there were so far.
    """

    def __init__(self, loiter: Loiter) -> None:
        self.loiter = loiter
        self.loiterers = 0
        self._visits: dict[int, _Visit] = {}

    def enter(self, track: int, time_s: float) -> None:
        """A person came in, maybe again."""
        visit = self._visits.get(track)
        if visit is None:
            self._visits[track] = _Visit(time_s)
        else:
            visit.left_s = None

    def leave(self, track: int, time_s: float) -> None:
        """A person went out, and may come back; see ``ended``."""
        self._visits[track].left_s = time_s

    def see(self, track: int, time_s: float) -> float | None:
        """A person is seen; for how long it has been in, if that is just now too long."""
        visit = self._visits.get(track)
        if visit is None or visit.told or visit.left_s is not None:
            return None
        if time_s - visit.began_s < self.loiter.after_s - _ROUNDING_S:
            return None
        visit.told = True
        self.loiterers += 1
        return time_s - visit.began_s

    def ended(self, time_s: float, back_since: Callable[[int], float | None]) -> list[tuple[int, float]]:
        """Loiterers who left and did not come back in time, each with how long it was in.

        Args:
            time_s: now.
            back_since: since when somebody may be back, which a few frames have yet to confirm; None: is not.
        """
        gone = []
        for track, visit in self._visits.items():
            back_s = back_since(track)
            away_s = 0.0 if visit.left_s is None else (time_s if back_s is None else back_s) - visit.left_s
            if away_s > self.loiter.grace_s + _ROUNDING_S:
                gone.append((track, visit))
        for track, _ in gone:
            del self._visits[track]
        return [
            (track, visit.left_s - visit.began_s) for track, visit in gone if visit.told and visit.left_s is not None
        ]

    def forget(self, track: int, time_s: float) -> float | None:
        """A person is gone for good since ``time_s``; how long it was in, if it loitered."""
        visit = self._visits.pop(track, None)
        if visit is None or not visit.told:
            return None
        return (time_s if visit.left_s is None else visit.left_s) - visit.began_s
