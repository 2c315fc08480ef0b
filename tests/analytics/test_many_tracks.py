"""Ten thousand people who walk exact ways: what is counted is what geometry says of the ways."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tracked_people import people_result

from argos.analytics.analyst import Analyst
from argos.analytics.lines import Line
from argos.analytics.zones import Zone
from argos.types import Event

TRACKS, FPS, CLEAR = 10_000, 10, 40
"""People, results per second, and pixels by which a turning point keeps away from lines and borders."""

LINES = {"door": ((500, 0), (500, 1000)), "slope": ((200, 300), (800, 700))}
LEFT, TOP, RIGHT, BOTTOM = 600, 150, 900, 550
LEAST_INSIDE = 5
"""Frames of the shortest way through the zone: who only cuts a corner of it is a matter of settings."""


@dataclass(frozen=True)
class Walk:
    begins: int
    feet: NDArray[np.float64]
    crossings: Counter[tuple[str, str]]
    stays: list[float]


def test_lines_and_zones_count_ten_thousand_tracks_exactly() -> None:
    rng = np.random.default_rng(5)
    walks = [random_walk(rng) for _ in range(TRACKS)]
    frames: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    for track, walk in enumerate(walks):
        for n, (x, y) in enumerate(walk.feet.tolist()):
            frames[walk.begins + n][track] = (x / 1000, y / 1000)
    analyst = Analyst(
        [Zone("shop", ((LEFT / 1000, TOP / 1000), (RIGHT / 1000, TOP / 1000), (RIGHT / 1000, BOTTOM / 1000),
                       (LEFT / 1000, BOTTOM / 1000)))],
        [Line(name, (a[0] / 1000, a[1] / 1000), (b[0] / 1000, b[1] / 1000)) for name, (a, b) in LINES.items()],
        lost_s=1.0,
    )  # fmt: skip
    last = max(frames) + 20
    events = [event for n in range(last) for event in analyst.update(people_result(n, frames.get(n, {})))]

    by_track: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_track[event.id or 0].append(event)
    for track, walk in enumerate(walks):
        own = by_track[track]
        counted = Counter((event.name, event.direction or "") for event in own if event.type == "line_cross")
        assert counted == walk.crossings, track
        dwells = [event.dwell_s or 0.0 for event in own if event.type == "zone_leave"]
        assert len(dwells) == len(walk.stays) == sum(event.type == "zone_enter" for event in own), track
        np.testing.assert_allclose(dwells, walk.stays, atol=1.01 / FPS)
    for name in LINES:
        for direction in ("left_to_right", "right_to_left"):
            truth = sum(walk.crossings[name, direction] for walk in walks)
            assert truth > TRACKS / 10
            assert truth == max(e.count or 0 for e in events if (e.name, e.direction) == (name, direction))
    zone = [event for event in events if event.name == "shop"]
    assert max(event.occupancy or 0 for event in zone) > 5
    assert zone[-1].occupancy == 0


def random_walk(rng: np.random.Generator) -> Walk:
    """Two or three turning points far from every border, and straight legs between them at a walker's pace."""
    while True:
        corners = np.array([clear_point(rng) for _ in range(int(rng.integers(2, 4)))])
        pace = rng.uniform(14, 18)  # pixels per frame
        legs = [way(a, b, pace) for a, b in pairwise(corners)]
        feet = np.concatenate([legs[0][:1], *(leg[1:] for leg in legs)])
        stays, found = stays_of(feet), [crossings_of(a, b) for a, b in pairwise(corners)]
        if stays is not None and None not in found:
            crossings = Counter(crossing for of_leg in found for crossing in of_leg or ())
            places = np.column_stack([np.floor(feet[:, 0]) + 0.5, np.rint(feet[:, 1])])  # as boxes can stand
            return Walk(int(rng.integers(0, 12_000)), places, crossings, stays)


def way(a: NDArray[np.float64], b: NDArray[np.float64], pace: float) -> NDArray[np.float64]:
    steps = max(8, round(float(np.hypot(*(b - a))) / pace))
    return a + (b - a) * np.linspace(0, 1, steps + 1)[:, None]


def clear_point(rng: np.random.Generator) -> NDArray[np.float64]:
    while True:
        x, y = rng.uniform(20, 980, 2)
        off = [abs(signed_distance(np.array([x, y]), *line)) for line in LINES.values()]
        ends = [np.hypot(x - px, y - py) for px, py in LINES["slope"]]
        border = min(abs(x - LEFT), abs(x - RIGHT), abs(y - TOP), abs(y - BOTTOM))
        if min(*off, *ends, border) > CLEAR:
            return np.array([x, y])


def signed_distance(p: NDArray[np.float64], a: tuple[int, int], b: tuple[int, int]) -> float:
    """Pixels to the right of the way from ``a`` to ``b``."""
    (ax, ay), (bx, by) = a, b
    return float(((bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax)) / np.hypot(bx - ax, by - ay))


def crossings_of(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[tuple[str, str]] | None:
    """Where the straight way meets each segment, by solving for the place on both; None for one that grazes an end."""
    found = []
    for name, (start, end) in LINES.items():
        p, q = np.array(start, float), np.array(end, float)
        matrix = np.column_stack([b - a, p - q])
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        t, s = np.linalg.solve(matrix, p - a)
        if 0 < t < 1 and min(abs(s), abs(1 - s)) < 0.03:
            return None
        if 0 < t < 1 and 0 <= s <= 1:
            right = signed_distance(b, start, end) > 0
            found.append((name, "left_to_right" if right else "right_to_left"))
    return found


def stays_of(feet: NDArray[np.float64]) -> list[float] | None:
    """Seconds of each stay in the zone; None where a way is so short in or out of it that nobody could say."""
    inside = (feet[:, 0] > LEFT) & (feet[:, 0] < RIGHT) & (feet[:, 1] > TOP) & (feet[:, 1] < BOTTOM)
    starts = np.flatnonzero(np.diff(inside.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(inside.astype(int), append=0) == -1) + 1
    if (len(starts) and (ends - starts).min() < LEAST_INSIDE) or (
        len(starts) > 1 and (starts[1:] - ends[:-1]).min() < 2 * LEAST_INSIDE
    ):
        return None
    last = len(feet) - 1
    return [(min(end, last) - start) / FPS for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
