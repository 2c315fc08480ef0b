"""Points, lines and polygons in the plane; ``(x, y)``, y downwards as in pictures."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def turn(a: Point, b: Point, p: Point) -> float:
    """More than 0 where ``p`` lies to the right of the way from ``a`` to ``b``, less than 0 to the left, 0 on it."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def is_inside(p: Point, polygon: Sequence[Point]) -> bool:
    """Whether a point lies in a polygon; of two that share an edge exactly one has a point on it.

    Reference:
        Franklin, PNPOLY: an edge counts when the ray to the right crosses it, its lower end included.
    """
    inside = False
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (ay > p[1]) != (by > p[1]) and p[0] < (bx - ax) * (p[1] - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def is_crossed(p: Point, q: Point, a: Point, b: Point) -> bool:
    """Whether the way from ``p`` to ``q`` meets the segment from ``a`` to ``b``; ways along it do not."""
    return turn(a, b, p) * turn(a, b, q) < 0 and turn(p, q, a) * turn(p, q, b) <= 0


def crosses_itself(polygon: Sequence[Point]) -> bool:
    """Whether two edges of a polygon that share no corner meet."""
    edges = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    return any(
        _meet(*edges[i], *edges[j])
        for i in range(len(edges))
        for j in range(i + 2, len(edges))
        if (i, j) != (0, len(edges) - 1)
    )


def area(polygon: Sequence[Point]) -> float:
    """Of a polygon that does not cross itself, in square units."""
    edges = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in edges)) / 2


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether two segments have a point in common, ends included."""
    t1, t2, t3, t4 = turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
    if t1 == t2 == t3 == t4 == 0:  # on one line
        return all(max(min(a[k], b[k]), min(c[k], d[k])) <= min(max(a[k], b[k]), max(c[k], d[k])) for k in (0, 1))
    return t1 * t2 <= 0 and t3 * t4 <= 0
