"""Who walks where and when: endless visits of people to the scene, each along a smooth path.

World coordinates as in ``backdrop``: metres, x right, z away from the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argos.sources.backdrop import Backdrop
from argos.sources.figure_person import Figure, random_person

STRIDE_LENGTH = 0.80
"""Metres of one stride (two steps) per metre of stature at normal speed, rounded from gait tables."""

TIDE_S, BUSY_S = 24.0, 14.0
"""People come in tides: in each of this many seconds, only the first so many bring new ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """One person crossing the scene.

    Attributes:
        person: id, never used again.
        figure: who.
        path: ``(n, 2)`` (x, z) at equal steps of ``step`` metres.
        step: metres.
        start_s: when the path begins; negative if before the first frame.
        speed: metres per second.
        stop_s, wait_s: seconds after the start at which the person stands still, and for how long.
        offset: phase of the stride at the start.
    """

    person: int
    figure: Figure
    path: NDArray[np.float64]
    step: float
    start_s: float
    speed: float
    stop_s: float
    wait_s: float
    offset: float

    @property
    def end_s(self) -> float:
        """When the path ends."""
        return self.start_s + self.wait_s + (len(self.path) - 1) * self.step / self.speed

    def at(self, time_s: float) -> Walker | None:
        """The person at a time; None when not in the scene."""
        since = time_s - self.start_s
        if since < 0 or time_s >= self.end_s:
            return None
        walked = min(since, self.stop_s) + max(0.0, since - self.stop_s - self.wait_s)
        # The stride fades over half a second before and after standing still.
        still = min(since - self.stop_s, self.stop_s + self.wait_s - since)
        stride = float(np.clip(-still / 0.5, 0.0, 1.0)) if self.wait_s > 0 else 1.0
        metres = walked * self.speed
        i = min(int(metres / self.step), len(self.path) - 2)
        t = metres / self.step - i
        place = (1 - t) * self.path[i] + t * self.path[i + 1]
        j = min(i + 1, len(self.path) - 2)  # the direction is interpolated too, or people would turn in jerks
        way = (1 - t) * (self.path[i + 1] - self.path[i]) + t * (self.path[j + 1] - self.path[j])
        phase = (self.offset + metres / (STRIDE_LENGTH * self.figure.stature)) % 1.0
        return Walker(
            self.person, self.figure, (float(place[0]), float(place[1])), (float(way[0]), float(way[1])), phase, stride
        )


@dataclass(frozen=True, slots=True, eq=False)
class Walker:
    """A person at one moment: place (x, z), direction of the walk (x, z), phase and size of the stride."""

    person: int
    figure: Figure
    place: tuple[float, float]
    way: tuple[float, float]
    phase: float
    stride: float


def _path(rng: np.random.Generator, backdrop: Backdrop) -> NDArray[np.float64]:
    """A line or a bend from one side of the view to a side, clear of the furniture; ``(n, 2)`` finely sampled."""
    camera = backdrop.camera
    half_view = camera.size[1] / 2 / camera.focal
    near, far = 1.55 * camera.height + 1.2, backdrop.far - 2.6
    t = np.linspace(0, 1, 200)[:, None]
    for _ in range(30):
        z0, z1 = near + (far - near) * rng.random(2) ** 1.7  # more in front, where people are large
        side = 1 if rng.random() < 0.5 else -1
        a, d = np.array([-side * (half_view * z0 + 1.0), z0]), np.array([side * (half_view * z1 + 1.0), z1])
        if rng.random() < 0.4:
            bend = float(rng.uniform(-0.3, 0.3)) * half_view
            d[0] *= 1 if rng.random() < 0.6 else -1
            b, c = np.array([bend * z0, z0]), np.array([bend * z1, z1])
        else:
            b, c = a + (d - a) / 3, a + 2 * (d - a) / 3
        path = a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t**2 * (1 - t) + d * t**3
        away = np.linalg.norm(path[:, None] - backdrop.islands[None], axis=2)
        if not away.size or away.min() > 1.5:
            break
    return np.asarray(path)


def _evenly(path: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """``path`` sampled every ``step`` metres."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.arange(0.0, lengths[-1], step)
    return np.stack([np.interp(at, lengths, path[:, axis]) for axis in range(2)], axis=1)


class Visits:
    """The visits of ``people`` slots: in each, one person comes, crosses, goes, and after a while the next comes."""

    def __init__(self, people: int, seed: int, backdrop: Backdrop) -> None:
        self._backdrop = backdrop
        self._people = people
        self._slots = [np.random.default_rng([seed, 1, slot]) for slot in range(people)]
        self._visits: list[Visit | None] = [None] * people
        self._count = [0] * people

    def at(self, time_s: float) -> list[Walker]:
        """Everybody at a time, which must not go back; by slot."""
        walkers = []
        for slot in range(self._people):
            visit = self._visits[slot]
            while visit is None or visit.end_s <= time_s:
                visit = self._next(slot, visit)
                self._visits[slot] = visit
            walker = visit.at(time_s)
            if walker is not None:
                walkers.append(walker)
        return walkers

    def _next(self, slot: int, before: Visit | None) -> Visit:
        rng = self._slots[slot]
        figure = random_person(rng)
        step = 0.1
        path = _evenly(_path(rng, self._backdrop), step)
        speed = float(rng.uniform(1.0, 1.5))
        duration = len(path) * step / speed
        stops = rng.random() < 0.2
        stop_s, wait_s = float(rng.uniform(0.35, 0.65) * duration), float(rng.uniform(2, 5))
        if before is None:
            start = float(rng.uniform(-0.8, 0.1)) * duration
        else:
            start = before.end_s + float(rng.uniform(0.5, 4.0))
            if start % TIDE_S > BUSY_S:
                start += TIDE_S - start % TIDE_S + float(rng.uniform(0.0, 3.0))
        person = slot + self._people * self._count[slot]
        self._count[slot] += 1
        return Visit(
            person, figure, path, step, start, speed, stop_s if stops else duration, wait_s if stops else 0.0,
            float(rng.random()),
        )  # fmt: skip
