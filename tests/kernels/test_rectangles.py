"""Merging and recognising rectangles: the kernels against plain forms, and the worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.kernels.rectangles import highest, merge_rectangles, same_rectangles

SIZE = (60, 80)


def boxes_of(*boxes: tuple[int, int, int, int]) -> NDArray[np.int32]:
    return np.array(boxes, np.int32).reshape(-1, 4)


@st.composite
def some_boxes(draw: st.DrawFn) -> NDArray[np.int32]:
    boxes = []
    for _ in range(draw(st.integers(0, 12))):
        x0, y0 = draw(st.integers(0, SIZE[1] - 1)), draw(st.integers(0, SIZE[0] - 1))
        boxes.append((x0, y0, draw(st.integers(x0 + 1, SIZE[1])), draw(st.integers(y0 + 1, SIZE[0]))))
    return boxes_of(*boxes)


def grown_pixels(box: NDArray[np.int32], margin: int) -> int:
    """Counted on a painted frame, not by formula."""
    frame = np.zeros(SIZE, np.bool_)
    frame[max(box[1] - margin, 0) : box[3] + margin, max(box[0] - margin, 0) : box[2] + margin] = True
    return int(frame.sum())


def union(boxes: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


@pytest.mark.parametrize(
    ("boxes", "margin", "group"),
    [
        ([], 0, []),
        ([(0, 0, 10, 10), (9, 9, 30, 30)], 0, [0, 0]),  # overlap in one pixel
        ([(0, 0, 10, 10), (10, 10, 20, 20)], 0, [0, 1]),  # touch at a corner: 400 pixels instead of 200
        ([(0, 0, 10, 10), (10, 0, 20, 10)], 0, [0, 0]),  # side by side: 200 pixels both ways
        ([(0, 0, 10, 10), (14, 0, 24, 10)], 0, [0, 1]),
        ([(0, 0, 10, 10), (14, 0, 24, 10)], 3, [0, 0]),  # with margins 27 * 13 <= 13 * 13 + 16 * 13
        # the third joins only after the first two became one
        ([(0, 0, 4, 20), (30, 0, 34, 20), (2, 2, 32, 4)], 0, [0, 0, 0]),
        ([(0, 0, 5, 5), (40, 40, 45, 45), (3, 3, 8, 8)], 0, [0, 1, 0]),
    ],
)
def test_boxes_merge_when_they_overlap_or_cost_less_together(
    boxes: list[tuple[int, int, int, int]], margin: int, group: list[int]
) -> None:
    assert merge_rectangles(boxes_of(*boxes), margin, *SIZE).tolist() == group


@settings(max_examples=60, deadline=None)
@given(some_boxes(), st.integers(0, 6))
def test_merging_ends_at_a_fixed_point(boxes: NDArray[np.int32], margin: int) -> None:
    group = merge_rectangles(boxes, margin, *SIZE)
    for n, first in enumerate(group):
        assert first <= n
        assert group[first] == first
    merged = [union(boxes[group == first]) for first in np.unique(group)]
    for i, a in enumerate(merged):
        for b in merged[i + 1 :]:
            assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]
            together = grown_pixels(union(np.stack([a, b])), margin)
            assert together > grown_pixels(a, margin) + grown_pixels(b, margin)


@settings(max_examples=60, deadline=None)
@given(some_boxes(), st.integers(0, 6))
def test_kernel_equals_its_plain_form(boxes: NDArray[np.int32], margin: int) -> None:
    def wants(a: NDArray[np.int32], b: NDArray[np.int32]) -> bool:
        overlap = bool((np.maximum(a[:2], b[:2]) < np.minimum(a[2:], b[2:])).all())
        cost = grown_pixels(union(np.stack([a, b])), margin)
        return overlap or cost <= grown_pixels(a, margin) + grown_pixels(b, margin)

    groups = {n: [n] for n in range(len(boxes))}
    changed = True
    while changed:
        changed = False
        for i in range(len(boxes)):
            while i in groups:
                mine = union(boxes[groups[i]])
                partner = next((j for j in sorted(groups) if j != i and wants(mine, union(boxes[groups[j]]))), None)
                if partner is None:
                    break
                members = groups.pop(max(i, partner))
                groups[min(i, partner)] += members
                changed = True
    plain = np.zeros(len(boxes), np.int64)
    for first, members in groups.items():
        plain[members] = first
    np.testing.assert_array_equal(merge_rectangles(boxes, margin, *SIZE), plain)


@settings(max_examples=30, deadline=None)
@given(some_boxes(), st.integers(0, 2**32))
def test_highest_is_the_maximum_of_each_box(boxes: NDArray[np.int32], seed: int) -> None:
    scores = np.random.default_rng(seed).random(SIZE, np.float32)
    plain = [scores[y0:y1, x0:x1].max() for x0, y0, x1, y1 in boxes.tolist()]
    np.testing.assert_array_equal(highest(scores, boxes), np.array(plain, np.float32))


@settings(max_examples=60, deadline=None)
@given(some_boxes(), some_boxes(), st.integers(0, 2**32))
def test_rectangles_are_recognised_by_their_overlap(new: NDArray[np.int32], last: NDArray[np.int32], seed: int) -> None:
    """Overlap counted on painted frames."""
    random = np.random.default_rng(seed)
    new_frame, last_frame = (random.integers(0, 2, len(boxes)).astype(np.int32) for boxes in (new, last))
    overlap = np.zeros((len(new) + 1, len(last) + 1))
    for i, a in enumerate(new):
        for j, b in enumerate(last):
            painted = np.zeros(SIZE, np.int32)
            for x0, y0, x1, y1 in (a, b):
                painted[y0:y1, x0:x1] += 1
            if new_frame[i] == last_frame[j]:
                overlap[i, j] = (painted == 2).sum() / (painted > 0).sum()
    wanted = []
    for i in range(len(new)):
        j = int(overlap[i].argmax())
        wanted.append(j if overlap[i, j] > 0 and overlap[:, j].argmax() == i else -1)
    assert same_rectangles(new, new_frame, last, last_frame).tolist() == wanted
