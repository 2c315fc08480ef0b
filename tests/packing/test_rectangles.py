"""Cutting regions into rectangles: the kernel against plain Python."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argos.kernels.tiles import LEAST_SEAM, MOST_TILES
from argos.packing.rectangles import rectangles_of
from argos.types import Regions, Size

Span = tuple[int, int, int, int]
"""``core_start, core_end, start, end`` of one axis; in a row of the result a box."""

Row = tuple[int, Span, Span, tuple[int, int], float]
"""``frame, source, core, size, scale``."""


def plain_rectangles(
    regions: Sequence[Regions], canvas: Size, scales: Sequence[float], margins: Sequence[float], shrink: float
) -> list[Row]:
    """What ``rectangles_of`` returns, one region after another."""
    rows = []
    for n, of_frame in enumerate(regions):
        (height, width), margin = of_frame.frame_size, round(margins[n])
        limits = canvas[0] / scales[n], canvas[1] / scales[n]
        for x0, y0, x1, y1 in of_frame.boxes.tolist():
            across = plain_cut(x0, x1, width, margin, limits[1], shrink)
            down = plain_cut(y0, y1, height, margin, limits[0], shrink)
            fit = 1.0
            if across is None or down is None:
                across = [plain_span(x0, x1, width, margin, margin)]
                down = [plain_span(y0, y1, height, margin, margin)]
                fit = min(limits[1] / length_of(across[0]), limits[0] / length_of(down[0]), 1.0)
            scale = scales[n] * fit * shrink
            for row in down:
                for column in across:
                    size = (
                        min(max(round(length_of(row) * scale), 1), canvas[0]),
                        min(max(round(length_of(column) * scale), 1), canvas[1]),
                    )
                    source, core = (column[2], row[2], column[3], row[3]), (column[0], row[0], column[1], row[1])
                    rows.append((n, source, core, size, float(np.float32(scale))))
    return rows


def plain_span(start: int, end: int, length: int, before: int, after: int) -> Span:
    return start, end, max(start - before, 0), min(end + after, length)


def length_of(span: Span) -> int:
    return span[3] - span[2]


def plain_cut(start: int, end: int, length: int, margin: int, limit: float, shrink: float) -> list[Span] | None:
    if length_of(plain_span(start, end, length, margin, margin)) > 2 * limit:
        return None
    seam = max(margin, LEAST_SEAM)
    for count in range(1, MOST_TILES + 1):
        edges = [start + (end - start) * k // count for k in range(count + 1)]
        spans = [
            plain_span(edges[k], edges[k + 1], length, margin if k == 0 else seam, margin if k == count - 1 else seam)
            for k in range(count)
        ]
        if max(length_of(span) for span in spans) * shrink <= limit:
            return spans
    return None


@st.composite
def some_regions(draw: st.DrawFn) -> list[Regions]:
    """Regions of zero to three frames, from one pixel to the whole frame."""
    regions = []
    for _ in range(draw(st.integers(0, 3))):
        height, width = draw(st.integers(1, 800)), draw(st.integers(1, 800))
        boxes = []
        for _ in range(draw(st.integers(0, 6))):
            x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
            boxes.append((x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))))
        array = np.array(boxes, np.int32).reshape(-1, 4)
        regions.append(Regions(array, np.ones(len(array), np.float32), (height, width)))
    return regions


@settings(max_examples=200, deadline=None)
@given(some_regions(), st.tuples(st.integers(8, 300), st.integers(8, 300)), st.data())
def test_kernel_equals_plain_python(regions: list[Regions], canvas: Size, data: st.DataObject) -> None:
    count = len(regions)
    scales = data.draw(st.lists(st.sampled_from([1.0, 0.375, 1.7, 0.5]), min_size=count, max_size=count))
    margins = data.draw(st.lists(st.sampled_from([0, 3, 16.5, 40]), min_size=count, max_size=count))
    shrink = data.draw(st.sampled_from([1.0, 0.94, 0.31]))
    made = rectangles_of(regions, canvas, scale=scales, margin=margins, shrink=shrink)
    columns = (made.frame, made.source, made.core, made.size, made.scale)
    rows = [
        (frame, tuple(source), tuple(core), tuple(size), scale)
        for frame, source, core, size, scale in zip(*(column.tolist() for column in columns), strict=True)
    ]
    assert rows == plain_rectangles(regions, canvas, scales, margins, shrink)


def test_scale_of_another_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="one for each of 0 frames, got 2"):
        rectangles_of([], (32, 32), scale=[1.0, 1.0], margin=0)
