"""Running estimates of what runs of the deep networks take, from the runs themselves."""

from __future__ import annotations

import math
from collections import deque

from argos.packing.costs import Costs, Line, fit_line
from argos.types import Mode

WINDOW = 9
"""Runs of one kind that are remembered; the median of so many shrugs off four disturbed ones."""

ADAPTS = 0.5
"""Share of a deviation from what was expected that is taken for a change of the whole machine, at each run. Slower than
the medians of single kinds it must not be: those would follow the machine, each at its own time."""

SURPRISE = 2.0
"""A run so many times slower or faster than expected says no more than one that is just so."""

SETTLED = 3
"""Runs of a kind, what was guessed included, until its expectation is its own. A surprise before that says that the
guess was wrong: taken for a change of the machine it would make full frames look dearer, and canvases worth it."""

FORGOTTEN = 200
"""After so many runs of other kinds a canvas is no longer believed to be as slow as it was when last run."""

LIKE = 1.4
"""Pixels of canvases are told apart in steps of so much. Between two steps what they take is nearly in proportion; more
steps would be more kinds, each of which has to be tried before it is known."""

LEVELS = 16
"""Active shares of a frame are told apart in so many steps."""

BY_PIXELS = Line(0.0, 1.0)
"""Before anything was measured: the more pixels the dearer; no unit that means anything."""

Kind = tuple[Mode, int, int]
"""Mode, network pixels (rounded in mode pack), active sixteenths (mode gather)."""


class Times:
    """Expected milliseconds of runs with the networks of some tasks.

    Runs with the same number of pixels, on canvases about the same, are one kind, whose expectation is their median. A
    kind that was never run lies on a line through those that were, canvases and whole frames together: the network is
    the same. What the line says counts as the first run of every kind but whole frames, so that one disturbed run
    condemns none. A common speed follows the machine, so that kinds that were not run for a while are not left behind
    when a neighbour comes or goes.

    Args:
        costs: what was measured before; counts as the first run of every kind, whole frames too.
    """

    def __init__(self, costs: Costs | None = None) -> None:
        self.costs = costs
        self._speed = 1.0  # multiplies all expectations
        self._runs: dict[Kind, deque[float]] = {}  # milliseconds at speed 1
        self._last: dict[Kind, int] = {}
        self._count = 0
        self._line: Line | None = None

    def observe(self, mode: Mode, pixels: int, ms: float, active: int = 0) -> None:
        """Take in one run.

        Args:
            mode: ``full``, ``pack`` or ``gather``.
            pixels: network pixels of the frame, or of all canvases.
            ms: what it took, from the pixels to the stitched result; above 0.
            active: network pixels in active blocks (mode gather).
        """
        kind = _kind(mode, pixels, active)
        ms *= kind[1] / pixels
        self._count += 1
        self._last[kind] = self._count
        runs = self._runs.get(kind)
        if runs is None:
            known = self._known(mode, kind[1], active)
            if known is None and mode == "pack" and self.is_measured:
                known = self.line(kind[1])
            runs = self._runs[kind] = deque([] if known is None else [known], maxlen=WINDOW)
        # the first run of a kind makes primitives; gathers of one kind differ too much to tell about the machine
        if len(runs) > SETTLED and mode != "gather":
            surprise = ms / (self._speed * _middle(runs))
            self._speed *= min(max(surprise, 1 / SURPRISE), SURPRISE) ** ADAPTS
        runs.append(ms / self._speed)
        for old in [k for k, last in self._last.items() if k[0] != "full" and self._count - last > FORGOTTEN]:
            del self._runs[old], self._last[old]
        self._line = None

    def expect(self, mode: Mode, pixels: int, active: int = 0) -> float:
        """Milliseconds of such a run; ``inf`` for mode gather where it was never measured."""
        kind = _kind(mode, pixels, active)
        runs = self._runs.get(kind)
        if runs:
            return self._speed * _middle(runs) * pixels / kind[1]
        if mode == "gather":
            known = self._known(mode, pixels, active)
            return math.inf if known is None else self._speed * known
        return self._speed * self.line(pixels)

    def grows(self, pixels: float) -> float:
        """Milliseconds that so many pixels add to a dense run."""
        return self._speed * self.line.ms_per_megapixel * pixels / 1e6

    @property
    def is_measured(self) -> bool:
        """Whether expectations are milliseconds; without any measurement they are mere proportions."""
        return self.costs is not None or any(mode != "gather" for mode, *_ in self._runs)

    def runs(self, mode: Mode, pixels: int) -> int:
        """How often such a run was seen, what was measured before included, up to ``WINDOW``."""
        return len(self._runs.get(_kind(mode, pixels, 0), ()))

    def age(self, mode: Mode, pixels: int) -> int:
        """Runs of any kind since the last one of this; all of them if there was none."""
        return self._count - self._last.get(_kind(mode, pixels, 0), 0)

    def await_run(self, mode: Mode, pixels: int) -> None:
        """Let the age of a kind begin anew: such a run is on its way, frames until then need no other."""
        self._last[_kind(mode, pixels, 0)] = self._count

    @property
    def line(self) -> Line:
        """Milliseconds of dense runs at speed 1."""
        if self._line is None:
            points = [
                (float(pixels), _middle(runs)) for (mode, pixels, _), runs in self._runs.items() if mode != "gather"
            ]
            if self.costs is not None:  # two points of the line that was measured before
                points += [(pixels, self._level(self.costs) * self.costs.dense(pixels)) for pixels in (1e5, 4e5)]
            self._line = fit_line(points) if points else BY_PIXELS
        return self._line

    def _level(self, costs: Costs) -> float:
        """How much dearer whole frames are than was measured before: the machine may have been busy then, and canvases
        that are taken for too dear are never tried."""
        runs = {pixels: of_kind for (mode, pixels, _), of_kind in self._runs.items() if mode == "full"}
        return min((_middle(of_kind) / costs.dense(pixels) for pixels, of_kind in runs.items()), default=1.0)

    def _known(self, mode: Mode, pixels: int, active: int) -> float | None:
        """Milliseconds by what was measured before."""
        if self.costs is None:
            return None
        if mode != "gather":
            return self.costs.dense(pixels)
        return None if self.costs.gather is None else self.costs.gather(pixels, active)


def _kind(mode: Mode, pixels: int, active: int) -> Kind:
    if mode == "pack":
        return mode, round(LIKE ** round(math.log(pixels, LIKE))), 0
    return mode, pixels, math.ceil(LEVELS * active / max(1, pixels)) if mode == "gather" else 0


def _middle(runs: deque[float]) -> float:
    """The lower median: of two runs the faster one, as the other has made primitives."""
    return sorted(runs)[(len(runs) - 1) // 2]
