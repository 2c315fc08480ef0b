"""What is held back when results become too old: a ladder of steps, one at a time, each kept for a while.

==== ======== =========================================================================================================
step name     what is held back, together with the steps before
==== ======== =========================================================================================================
0    none     nothing
1    rate     at most half as many frames per second are analysed as before; the others are dropped as they come
2    regions  no full frames by the clock (``refresh_full_s``), and modes ``full`` and ``mask`` give way to ``auto``
3    scale    the deep networks see half the pixels: ``engine.scale`` is taken times 0.7
4    model    smaller deep networks, where the configuration names some (``engine.models.semantic_small``)
==== ======== =========================================================================================================

A step up is taken when half of the results of two seconds are older than ``max_age_ms``; a step back when all of ten
seconds are younger than 0.6 of it. Where that proves too early, the next step back waits twice as long, up to 160 s.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from argos.pipelines.views import View

RATE, REGIONS, SCALE, MODEL = 1, 2, 3, 4

SHRINK = 0.7
"""Of the sides at step ``scale``."""

LONGEST_PERIOD_S = 2.0
"""At step ``rate`` a frame is analysed at least this often, however slow the analysis has become."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a ladder waits.

    Attributes:
        late_s: results are judged over this long before a step up.
        least: fewer results than this are no judgement; where they come rarely, they are judged over longer.
        calm_s: all results are young for this long before a step back.
        calm_share: of ``max_age_ms``, below which a result is young.
        most_calm_s: ``calm_s`` is doubled up to this where steps back prove too early.
    """

    late_s: float = 2.0
    least: int = 2
    calm_s: float = 10.0
    calm_share: float = 0.6
    most_calm_s: float = 160.0


class Ladder:
    """The step of one camera, by the ages of its results alone: the same ages give the same steps.

    Args:
        max_age_ms: age that results should not exceed.
        patience: how long it waits.
        last: the last step there is.

    Attributes:
        step: the present one, 0 to ``last``.
    """

    def __init__(self, max_age_ms: float, patience: Patience = Patience(), last: int = SCALE) -> None:
        self.step, self._last = 0, last
        self._most_ms, self._patience = max_age_ms, patience
        self._ages: deque[tuple[float, float]] = deque()
        self._since_s: float | None = None
        self._calm_since_s: float | None = None
        self._back_s = -float("inf")
        self._calm_s = patience.calm_s

    def take(self, age_ms: float, now_s: float) -> bool:
        """Take the age of a result, when it was published.

        Args:
            age_ms: from capture to publishing.
            now_s: monotonic clock.

        Returns:
            Whether the step has changed.
        """
        if self._since_s is None:
            self._since_s = now_s
        young = age_ms <= self._patience.calm_share * self._most_ms
        self._calm_since_s = None if not young else now_s if self._calm_since_s is None else self._calm_since_s
        self._ages.append((now_s, age_ms))
        # the fewest are kept however old they are: the worse the overload, the rarer the results
        while len(self._ages) > self._patience.least and now_s - self._ages[0][0] > self._patience.late_s:
            self._ages.popleft()
        if self._is_late(now_s) and self.step < self._last:
            too_early = now_s - self._back_s < self._calm_s
            self._calm_s = min(2 * self._calm_s, self._patience.most_calm_s) if too_early else self._patience.calm_s
            self._go(self.step + 1, now_s)
            return True
        if self.step and self._calm_since_s is not None and now_s - self._calm_since_s >= self._calm_s:
            self._back_s = now_s
            self._go(self.step - 1, now_s)
            return True
        return False

    def _is_late(self, now_s: float) -> bool:
        assert self._since_s is not None
        if now_s - self._since_s < self._patience.late_s or len(self._ages) < self._patience.least:
            return False
        return 2 * sum(age > self._most_ms for _, age in self._ages) >= len(self._ages)

    def _go(self, step: int, now_s: float) -> None:
        """What was before says nothing about the new step."""
        self.step, self._since_s, self._calm_since_s = step, now_s, None
        self._ages.clear()


def eased(view: View, step: int) -> View:
    """How a frame is analysed at a step."""
    if step >= REGIONS and view.mode in ("full", "mask"):
        view = replace(view, mode="auto")
    return replace(view, shrink=SHRINK) if step >= SCALE else view


def period_s(fps: float) -> float:
    """Least time between two analysed frames at step ``rate``.

    Args:
        fps: results per second before it.
    """
    return min(LONGEST_PERIOD_S, 2 / fps) if fps > 0 else LONGEST_PERIOD_S
