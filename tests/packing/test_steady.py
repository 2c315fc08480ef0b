"""Regions keep their place on the canvas from frame to frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.packing.layout import Layout, lay_out
from argos.packing.pack import paste
from argos.packing.rectangles import boxes_of
from argos.packing.steady import MOST_GROUPS, ROOMIER, Steady, settled
from argos.packing.stitch import stitch_scores
from argos.types import Frame, Regions, Size

HD: Size = (720, 1280)
CANVAS: Size = (320, 480)
Box = tuple[int, int, int, int]


def layout_of(*frames: list[Box], scale: float = 0.5, most: int | None = None) -> Layout:
    """Of one frame of each camera."""
    regions = [Regions(np.array(b, np.int32).reshape(-1, 4), np.ones(len(b), np.float32), HD) for b in frames]
    return lay_out(boxes_of(regions, scale=scale, margin=16), CANVAS, gutter=8, max_canvases=most)


def on_canvas(layout: Layout, n: int, x: int, y: int) -> tuple[int, float, float]:
    """Where a pixel of the frame, inside of rectangle ``n``, lies: canvas and ``(x, y)``."""
    source, target = layout.placements.source[n], layout.placements.target[n]
    across, down = (target[2:] - target[:2]) / (source[2:] - source[:2])
    return int(layout.placements.canvas[n]), target[0] + (x - source[0]) * across, target[1] + (y - source[1]) * down


def targets(layout: Layout) -> NDArray[np.int32]:
    return np.column_stack([layout.placements.canvas, layout.placements.target])


@st.composite
def some_boxes(draw: st.DrawFn) -> list[Box]:
    boxes = []
    for _ in range(draw(st.integers(0, 14))):
        x, y = draw(st.integers(0, 1200)), draw(st.integers(0, 680))
        boxes.append((x, y, min(x + draw(st.integers(1, 400)), 1280), min(y + draw(st.integers(1, 400)), 720)))
    return boxes


@st.composite
def some_scenes(draw: st.DrawFn) -> tuple[list[list[Box]], list[list[Box]]]:
    """Two cameras, twice: most regions have moved a little, some are gone, some are new."""
    before = [draw(some_boxes()), draw(some_boxes())]
    after = []
    for boxes in before:
        kept = [box for box in boxes if draw(st.integers(0, 4))]
        moves = [[draw(st.integers(-24, 24)) for _ in range(4)] for _ in kept]
        moved = np.array(kept, np.int64).reshape(-1, 4) + np.array(moves, np.int64).reshape(-1, 4)
        clipped = np.clip(moved, 0, [1279, 719, 1280, 720])
        clipped[:, 2:] = np.maximum(clipped[:, 2:], clipped[:, :2] + 1)
        new = draw(some_boxes())[:2]
        after.append([*map(tuple, clipped.tolist()), *new])
    return before, after  # type: ignore[return-value]


@settings(deadline=None, max_examples=50)
@given(some_scenes(), st.sampled_from([0.25, 0.5, 0.37, 1.0]), st.sampled_from([None, 1, 3]))
def test_a_settled_layout_has_the_rectangles_of_a_fresh_one_and_canvases_hardly_larger(
    scenes: tuple[list[list[Box]], list[list[Box]]], scale: float, most: int | None
) -> None:
    before, after = (layout_of(*frames, scale=scale, most=most) for frames in scenes)
    found = settled(after, before, gutter=8)
    if found.canvas_size != after.canvas_size:
        assert (found.canvas_size, found.canvases) == (before.canvas_size, before.canvases)
    assert found.canvases == after.canvases
    assert after.pixels <= found.pixels <= ROOMIER * after.pixels
    placements = found.placements
    for name in ("frame", "source", "core", "scale"):
        np.testing.assert_array_equal(getattr(placements, name), getattr(after.placements, name))
    sides = (slice(None), slice(2, None)), (slice(None), slice(None, 2))
    np.testing.assert_array_equal(
        placements.target[sides[0]] - placements.target[sides[1]],
        after.placements.target[sides[0]] - after.placements.target[sides[1]],
    )
    height, width = found.canvas_size
    painted = np.zeros((found.canvases, height + 8, width + 8), np.int32)
    for n, (x0, y0, x1, y1) in zip(placements.canvas.tolist(), placements.target.tolist(), strict=True):
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        painted[n, y0 : y1 + 8, x0 : x1 + 8] += 1
    assert painted.max(initial=0) <= 1
    assert sorted(set(placements.canvas.tolist())) == list(range(found.canvases))


@settings(deadline=None, max_examples=15)
@given(some_scenes())
def test_what_is_stitched_is_what_was_pasted(scenes: tuple[list[list[Box]], list[list[Box]]]) -> None:
    before, after = (layout_of(*frames, scale=1.0) for frames in scenes)
    assume(len(after.placements))
    found = settled(after, before, gutter=8)
    random = np.random.default_rng(0)
    frames = [Frame(random.integers(1, 256, (*HD, 3), np.uint8), f"camera{n}", 0, 0.0) for n in range(2)]
    canvases = paste(frames, found.placements, found.canvas_size).pixels[..., 0].astype(np.float32)
    for n, frame in enumerate(frames):
        of_frame = found.placements.frame == n
        assume((found.placements.scale[of_frame] == 1).all())  # a region larger than three canvases is reduced
        back = stitch_scores(canvases, found.placements, n, HD)
        for x0, y0, x1, y1 in found.placements.core[of_frame].tolist():
            np.testing.assert_array_equal(back[y0:y1, x0:x1], frame.pixels[y0:y1, x0:x1, 0])


@settings(deadline=None, max_examples=40)
@given(some_boxes(), some_boxes())
def test_what_does_not_change_does_not_move(first: list[Box], second: list[Box]) -> None:
    """Whatever it lies beside: the last layout is one that was settled itself."""
    scenes = [list(dict.fromkeys(boxes)) for boxes in (first, second)]
    last = settled(layout_of(scenes[1], scenes[0]), layout_of(scenes[0], scenes[1]), gutter=8)
    again = settled(layout_of(scenes[1], scenes[0]), last, gutter=8)
    placements = last.placements
    rows = np.column_stack([placements.frame, placements.source])
    assume(len(np.unique(rows, axis=0)) == len(rows))  # at the edge of the frame two regions may give one rectangle
    np.testing.assert_array_equal(targets(again), targets(last))


def test_pixels_stay_while_the_boxes_around_them_shrink_and_grow_again() -> None:
    """A fresh layout puts every rectangle at the corner of what is free."""
    left: Box = (100, 100, 200, 400)
    large: Box = (800, 100, 1100, 500)  # which alone decides about the canvas
    last = layout_of([left, (600, 200, 680, 420), large])
    spots = [on_canvas(last, 0, 150, 250), on_canvas(last, 1, 640, 310)]
    for x0, y0, x1, y1 in ((8, 0, 0, 0), (0, 8, 0, -8), (4, 4, -8, -60), (0, 0, 0, 0)):
        boxes = [(left[0] + x0, left[1] + y0, left[2] + x1, left[3] + y1), (600, 200 + y0, 680 + x1, 420)]
        boxes.append(large)
        last = settled(layout_of(boxes), last, gutter=8)
        assert [on_canvas(last, 0, 150, 250), on_canvas(last, 1, 640, 310)] == spots


def test_who_was_there_stays_when_somebody_larger_comes() -> None:
    """A fresh layout puts the largest one first."""
    before, after = layout_of([(100, 100, 200, 300)]), layout_of([(100, 100, 200, 300), (600, 200, 760, 560)])
    assert after.placements.target[1, :2].tolist() == before.placements.target[0, :2].tolist() == [0, 0]
    found = settled(after, before, gutter=8)
    assert found.placements.target[0, :2].tolist() == [0, 0]
    assert after.placements.target[0, :2].any()


def test_who_has_no_room_where_he_was_comes_as_near_as_possible() -> None:
    """Two people side by side on the canvas; the left one gets thinner, and then wider than at first."""
    right: Box = (700, 100, 800, 400)
    last = layout_of([(100, 100, 240, 560), right])
    assert targets(last)[:, 1].tolist() == [0, 94]
    thinner = layout_of([(100, 100, 200, 560), right])
    assert targets(thinner)[:, 1].tolist() == [0, 74]
    last = settled(thinner, last, gutter=8)
    assert targets(last)[:, 1].tolist() == [0, 94]
    last = settled(layout_of([(100, 100, 280, 560), right]), last, gutter=8)
    assert targets(last)[:, 1].tolist() == [0, 114]
    assert targets(last)[:, 2].tolist() == [0, 0]


def test_on_a_smaller_canvas_everything_comes_inside() -> None:
    before = layout_of([(0, 0, 300, 500), (700, 100, 800, 400)])
    after = layout_of([(700, 100, 800, 400)])
    assert after.pixels < before.pixels
    x0, y0, x1, y1 = settled(after, before, gutter=8).placements.target[0].tolist()
    assert (x1, y0) == (after.canvas_size[1], before.placements.target[1, 1])
    assert x0 >= 0
    assert y1 <= after.canvas_size[0]


def test_a_layout_in_which_nothing_was_seen_before_is_fresh() -> None:
    before, after = layout_of([(0, 0, 100, 100)]), layout_of([(600, 300, 700, 400)])
    assert settled(after, before, gutter=8) is after
    assert settled(after, layout_of([]), gutter=8) is after
    assert settled(layout_of([]), before, gutter=8).canvases == 0


def test_regions_of_another_camera_are_others() -> None:
    """Both cameras propose the same box; the cameras have changed sides."""
    box: Box = (100, 100, 200, 300)
    before = layout_of([box], [(600, 100, 700, 300)])
    after = layout_of([(600, 100, 700, 300)], [box])
    assert settled(after, before, gutter=8) is after


def test_where_not_all_fit_in_their_old_places_everything_is_placed_afresh() -> None:
    """Four columns fill 280 of 288 pixels; three of them lay so far apart that the fourth has no room any more."""
    fresh = layout_of([(0, 0, 100, 560), (300, 0, 400, 560), (600, 0, 700, 560), (900, 0, 1000, 560)])
    assert fresh.canvas_size == (320, 288)
    apart = fresh.placements.target.copy()
    apart[1:, 0] = [5, 84, 162]
    apart[:, 2] = apart[:, 0] + (fresh.placements.target[:, 2] - fresh.placements.target[:, 0])
    last = Layout(fresh.canvas_size, replace(fresh.placements, target=apart))
    assert settled(fresh, last, gutter=8) is fresh
    assert settled(fresh, last, gutter=0) is not fresh


def test_a_canvas_that_has_become_a_little_too_large_is_kept() -> None:
    roomy, tight = layout_of([(0, 0, 400, 600)]), layout_of([(0, 0, 390, 500)])
    assert (roomy.canvas_size, tight.canvas_size) == ((320, 224), (288, 224))
    assert settled(tight, roomy, gutter=8).canvas_size == (320, 224)
    assert settled(roomy, tight, gutter=8).canvas_size == (320, 224)
    small = layout_of([(0, 0, 300, 400)])
    assert settled(small, roomy, gutter=8).canvas_size == small.canvas_size


def test_each_group_of_cameras_has_its_own_last_layout_until_it_is_forgotten() -> None:
    steady = Steady()
    small, both = layout_of([(100, 100, 200, 300)]), layout_of([(100, 100, 200, 300), (600, 200, 760, 560)])
    assert steady.settle(small, ["a"], gutter=8) is small
    assert steady.settle(both, ["b"], gutter=8) is both  # nothing is known of b
    assert steady.settle(both, ["a"], gutter=8).placements.target[0, :2].tolist() == [0, 0]
    steady.forget("b")
    assert steady.settle(small, ["b"], gutter=8) is small
    steady.forget("a")
    assert steady.settle(both, ["a"], gutter=8) is both


def test_no_more_than_some_groups_are_remembered() -> None:
    steady = Steady()
    small, both = layout_of([(100, 100, 200, 300)]), layout_of([(100, 100, 200, 300), (600, 200, 760, 560)])
    for n in range(MOST_GROUPS + 1):
        steady.settle(small, [f"camera{n}"], gutter=8)
    assert steady.settle(both, ["camera0"], gutter=8) is both
    assert steady.settle(both, [f"camera{MOST_GROUPS}"], gutter=8) is not both
