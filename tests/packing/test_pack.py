"""Packing: where rectangles lie, and what is on the canvases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.packing.pack import BACKGROUND, pack, plan_placements
from argos.packing.place import place
from argos.types import Frame, PackedBatch, Placements, Regions, Size


def frame_of(height: int, width: int, seed: int = 0) -> Frame:
    random = np.random.default_rng(seed)
    return Frame(random.integers(0, 256, (height, width, 3), dtype=np.uint8), f"camera{seed}", 0, 0.0)


def regions_of_boxes(boxes: list[tuple[int, int, int, int]], frame_size: Size) -> Regions:
    return Regions(np.array(boxes, np.int32).reshape(-1, 4), np.ones(len(boxes), np.float32), frame_size)


def pack_one(frame: Frame, boxes: list[tuple[int, int, int, int]], canvas: Size, **options: float) -> PackedBatch:
    chosen = {"scale": 1.0, "margin": 0, "gutter": 0, "max_canvases": 4} | options
    return pack([frame], [regions_of_boxes(boxes, frame.size)], canvas, **chosen)  # type: ignore[arg-type]


def rows(placements: Placements) -> list[tuple[object, ...]]:
    """One tuple per rectangle: frame, source, core, canvas, target, scale."""
    return [
        tuple(np.asarray(getattr(placements, name))[n].tolist() for name in Placements.__slots__)
        for n in range(len(placements))
    ]


@st.composite
def some_frames(draw: st.DrawFn) -> tuple[list[Frame], list[Regions]]:
    frames, regions = [], []
    for n in range(draw(st.integers(1, 3))):
        height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
        boxes = []
        for _ in range(draw(st.integers(0, 5))):
            x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
            boxes.append((x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))))
        frames.append(frame_of(height, width, n))
        regions.append(regions_of_boxes(boxes, (height, width)))
    return frames, regions


canvas_sizes = st.tuples(st.integers(24, 100), st.integers(24, 100))
margins, gutters, most = st.integers(0, 12), st.integers(0, 3), st.sampled_from([1, 2, 1000])


def test_worked_example_of_two_regions() -> None:
    batch = pack_one(frame_of(40, 60), [(10, 10, 20, 30), (30, 0, 36, 6)], (32, 32), margin=2, gutter=1)
    assert batch.pixels.shape == (1, 32, 32, 3)
    assert rows(batch.placements) == [
        (0, [8, 8, 22, 32], [10, 10, 20, 30], 0, [0, 0, 14, 24], 1.0),
        (0, [28, 0, 38, 8], [30, 0, 36, 6], 0, [15, 0, 25, 8], 1.0),
    ]


def test_scale_one_copies_pixels_and_leaves_grey_between() -> None:
    frame = frame_of(40, 60)
    batch = pack_one(frame, [(0, 0, 10, 10), (50, 30, 60, 40)], (16, 32), gutter=4)
    canvas = batch.pixels[0]
    taken = np.zeros((16, 32), np.bool_)
    for (x0, y0, x1, y1), (a0, b0, a1, b1) in zip(batch.placements.source, batch.placements.target, strict=True):
        np.testing.assert_array_equal(canvas[b0:b1, a0:a1], frame.pixels[y0:y1, x0:x1])
        taken[b0:b1, a0:a1] = True
    assert taken.sum() == 200
    assert (canvas[~taken] == BACKGROUND).all()


@pytest.mark.parametrize(("scale", "size"), [(0.5, 20), (0.3, 12), (1.5, 60)])
def test_scale_changes_the_size_on_the_canvas_and_keeps_the_colours(scale: float, size: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 250, 40, dtype=np.uint8)[:, None, None], (40, 40, 3)).copy()
    batch = pack_one(Frame(ramp, "ramp", 0, 0.0), [(0, 0, 40, 40)], (64, 64), scale=scale)
    assert batch.placements.target.tolist() == [[0, 0, size, size]]
    assert batch.placements.scale.tolist() == pytest.approx([scale])
    column = batch.pixels[0, :size, 0, 0].astype(float)
    expected = np.interp((np.arange(size) + 0.5) / scale - 0.5, np.arange(40), ramp[:, 0, 0])
    np.testing.assert_allclose(column, expected, atol=2)


def test_region_larger_than_the_canvas_is_cut_into_tiles_that_share_a_margin() -> None:
    batch = pack_one(frame_of(60, 200), [(20, 10, 106, 50)], (64, 64), margin=10)
    assert batch.placements.core.tolist() == [[20, 10, 63, 50], [63, 10, 106, 50]]
    # two tiles of 53 pixels and a margin on each side do not fit 64
    batch = pack_one(frame_of(60, 200), [(20, 10, 125, 50)], (64, 64), margin=10)
    assert batch.placements.core.tolist() == [[20, 10, 55, 50], [55, 10, 90, 50], [90, 10, 125, 50]]
    assert batch.placements.source.tolist() == [[10, 0, 65, 60], [45, 0, 100, 60], [80, 0, 135, 60]]
    assert batch.placements.scale.tolist() == [1.0, 1.0, 1.0]


def test_region_more_than_twice_the_canvas_is_reduced_to_fit() -> None:
    batch = pack_one(frame_of(60, 200), [(0, 0, 160, 40)], (64, 64))
    assert rows(batch.placements) == [(0, [0, 0, 160, 40], [0, 0, 160, 40], 0, [0, 0, 64, 16], pytest.approx(0.4))]


def test_too_many_regions_for_the_canvases_are_all_shrunk_by_one_factor() -> None:
    boxes = [(40 * n, 0, 40 * n + 32, 32) for n in range(4)] + [(0, 40, 160, 60)]
    batch = pack_one(frame_of(60, 200), boxes, (64, 64), max_canvases=1)
    placements = batch.placements
    assert len(batch.pixels) == 1
    assert 0.5 < placements.scale[0] < 1.0
    np.testing.assert_allclose(placements.scale[:4], placements.scale[0])
    assert placements.scale[4] == pytest.approx(0.4 * placements.scale[0])  # 160 to 64 pixels first


def test_frames_without_regions_give_no_canvas() -> None:
    batch = pack(
        [frame_of(8, 9), frame_of(5, 6)],
        [regions_of_boxes([], (8, 9)), regions_of_boxes([], (5, 6))],
        (16, 20),
        scale=1.0,
        margin=4,
        gutter=2,
        max_canvases=2,
    )
    assert batch.pixels.shape == (0, 16, 20, 3)
    assert len(batch.placements) == 0


def test_two_cameras_share_a_canvas() -> None:
    frames = [frame_of(40, 60, 1), frame_of(30, 30, 2)]
    regions = [regions_of_boxes([(0, 0, 16, 32)], (40, 60)), regions_of_boxes([(5, 5, 20, 25)], (30, 30))]
    batch = pack(frames, regions, (32, 32), scale=1.0, margin=0, gutter=1, max_canvases=4)
    assert batch.placements.frame.tolist() == [0, 1]
    assert batch.pixels.shape == (1, 32, 32, 3)
    a0, b0, a1, b1 = batch.placements.target[1]
    np.testing.assert_array_equal(batch.pixels[0, b0:b1, a0:a1], frames[1].pixels[5:25, 5:20])


def test_arguments_out_of_range_are_refused() -> None:
    frame = frame_of(20, 20)
    with pytest.raises(ValueError, match="regions should be those of the frames"):
        pack([frame], [regions_of_boxes([], (20, 21))], (8, 8), scale=1.0, margin=0, gutter=0, max_canvases=1)
    with pytest.raises(ValueError, match="scale should be positive"):
        pack_one(frame, [(0, 0, 4, 4)], (8, 8), scale=0.0)
    with pytest.raises(ValueError, match="max_canvases should be positive"):
        pack_one(frame, [(0, 0, 4, 4)], (8, 8), max_canvases=0)
    with pytest.raises(ValueError, match="5 regions do not fit 1 canvases"):
        pack_one(frame, [(n, 0, n + 1, 20) for n in range(5)], (2, 2), gutter=8, max_canvases=1)


def test_the_gutter_gives_way_to_many_regions() -> None:
    boxes = [(6 * n, 20 * row, 6 * n + 4, 20 * row + 9) for n in range(10) for row in range(4)]
    regions = [regions_of_boxes(boxes, (80, 80))]
    with_gutter, without = (
        plan_placements(regions, (32, 32), scale=1.0, margin=0, gutter=gutter, max_canvases=1) for gutter in (15, 0)
    )
    assert len(with_gutter) == len(without) == 40
    painted = np.zeros((32 + 3, 32 + 3), np.int32)
    for x0, y0, x1, y1 in with_gutter.target.tolist():
        painted[y0 : y1 + 3, x0 : x1 + 3] += 1  # 15 is halved twice
    assert painted.max() == 1


@settings(max_examples=150, deadline=None)
@given(some_frames(), canvas_sizes, st.sampled_from([1.0, 0.37, 1.6]), margins, gutters, most)
def test_placements_never_overlap_and_stay_on_the_canvas_and_in_the_frame(
    made: tuple[list[Frame], list[Regions]], canvas: Size, scale: float, margin: int, gutter: int, max_canvases: int
) -> None:
    frames, regions = made
    batch = pack(frames, regions, canvas, scale=scale, margin=margin, gutter=gutter, max_canvases=max_canvases)
    placements = batch.placements
    assert len(batch.pixels) == placements.canvas.max(initial=-1) + 1 <= max_canvases
    painted = np.zeros((len(batch.pixels), canvas[0] + gutter, canvas[1] + gutter), np.int32)
    for n, target, source, core, on, _ in rows_by_name(placements):
        height, width = frames[n].size
        assert 0 <= target[0] < target[2] <= canvas[1]
        assert 0 <= target[1] < target[3] <= canvas[0]
        assert 0 <= source[0] <= core[0] < core[2] <= source[2] <= width
        assert 0 <= source[1] <= core[1] < core[3] <= source[3] <= height
        painted[on, target[1] : target[3] + gutter, target[0] : target[2] + gutter] += 1
    assert painted.max(initial=0) <= 1
    assert sorted(set(placements.canvas.tolist())) == list(range(len(batch.pixels)))


@settings(max_examples=100, deadline=None)
@given(some_frames(), canvas_sizes, st.sampled_from([1.0, 0.37, 1.6]), margins, most)
def test_cores_cover_the_regions_and_have_their_context(
    made: tuple[list[Frame], list[Regions]], canvas: Size, scale: float, margin: int, max_canvases: int
) -> None:
    frames, regions = made
    placements = pack(
        frames, regions, canvas, scale=scale, margin=margin, gutter=1, max_canvases=max_canvases
    ).placements
    for n, frame in enumerate(frames):
        wanted, covered = np.zeros(frame.size, np.int32), np.zeros(frame.size, np.int32)
        for x0, y0, x1, y1 in regions[n].boxes:
            wanted[y0:y1, x0:x1] += 1
        for of_frame, _, source, core, _, _ in rows_by_name(placements):
            if of_frame == n:
                covered[core[1] : core[3], core[0] : core[2]] += 1
                assert source[0] <= max(core[0] - margin, 0)
                assert source[3] >= min(core[3] + margin, frame.size[0])
        np.testing.assert_array_equal(covered, wanted)  # tiles partition their region


@settings(max_examples=60, deadline=None)
@given(some_frames(), canvas_sizes, margins)
def test_targets_have_the_recorded_scale(made: tuple[list[Frame], list[Regions]], canvas: Size, margin: int) -> None:
    frames, regions = made
    placements = pack(frames, regions, canvas, scale=0.8, margin=margin, gutter=1, max_canvases=1).placements
    assert (placements.scale <= np.float32(0.8)).all()
    for _, target, source, _, _, scale in rows_by_name(placements):
        for axis in (0, 1):
            want = (source[axis + 2] - source[axis]) * scale
            assert abs(target[axis + 2] - target[axis] - want) <= max(0.51, 1 - want)


@settings(max_examples=30, deadline=None)
@given(some_frames(), canvas_sizes, margins, gutters)
def test_packing_twice_gives_the_same(
    made: tuple[list[Frame], list[Regions]], canvas: Size, margin: int, gutter: int
) -> None:
    first, second = (pack(*made, canvas, scale=1.0, margin=margin, gutter=gutter, max_canvases=2) for _ in range(2))
    assert rows(first.placements) == rows(second.placements)
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_place_keeps_equal_rectangles_in_order_and_reports_what_does_not_fit() -> None:
    sizes = np.full((4, 2), 10, np.int32)
    canvas, corner = place(sizes, (21, 21), gutter=1, max_canvases=1) or pytest.fail("four fit")
    assert canvas.tolist() == [0, 0, 0, 0]
    assert sorted(corner.tolist()) == [[0, 0], [0, 11], [11, 0], [11, 11]]
    assert place(sizes, (21, 20), gutter=1, max_canvases=1) is None
    canvas, _ = place(sizes, (21, 20), gutter=1, max_canvases=2) or pytest.fail("two canvases hold four")
    assert canvas.tolist() == [0, 0, 1, 1]


Row = tuple[int, list[int], list[int], list[int], int, float]


def rows_by_name(placements: Placements) -> list[Row]:
    """``(frame, target, source, core, canvas, scale)`` of each rectangle."""
    columns: list[NDArray[np.generic]] = [
        placements.frame,
        placements.target,
        placements.source,
        placements.core,
        placements.canvas,
        placements.scale,
    ]
    return list(zip(*(column.tolist() for column in columns), strict=True))
