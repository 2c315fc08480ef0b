"""From a mask to boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.propose.regions import Dilation, cells_of, dilate, regions_of, whole_frame
from argos.types import RegionMask, Size


def mask_of(rows: list[str], frame_size: Size) -> RegionMask:
    """``#`` is a proposed cell with score 0.9, a digit a proposed cell with that many tenths."""
    cells = np.array([[0.9 if c == "#" else int(c) / 10 if c.isdigit() else 0.0 for c in row] for row in rows])
    return RegionMask(cells.astype(np.float32), cells > 0, frame_size)


@st.composite
def some_masks(draw: st.DrawFn) -> RegionMask:
    h, w = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    density = draw(st.sampled_from([0.0, 0.03, 0.2, 0.7, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = random.random((h, w), np.float32)
    return RegionMask(scores, random.random((h, w)) < density, (draw(st.integers(1, 300)), draw(st.integers(1, 300))))


dilations = st.sampled_from([0, 1, 3, "dynamic"])


def test_component_becomes_the_box_of_its_cells() -> None:
    mask = mask_of(["......", "..5#..", "......"], (30, 60))
    regions = regions_of(mask, dilation=0, min_area=0.0)
    assert regions.boxes.tolist() == [[20, 10, 40, 20]]
    assert regions.scores.tolist() == pytest.approx([0.9])
    assert regions.frame_size == (30, 60)


def test_boxes_round_outward_where_cells_are_not_whole_pixels() -> None:
    mask = mask_of(["...", ".#.", "..."], (10, 10))  # the cell is 3.33..6.67
    assert regions_of(mask, dilation=0, min_area=0.0).boxes.tolist() == [[3, 3, 7, 7]]


def test_cells_that_touch_at_a_corner_are_one_component() -> None:
    mask = mask_of(["#..", ".#.", "..."], (3, 3))
    assert regions_of(mask, dilation=0, min_area=0.0, merge=False).boxes.tolist() == [[0, 0, 2, 2]]


def test_min_area_counts_cells_before_dilation() -> None:
    mask = mask_of(["#.........", "..........", "......##..", "......##.."], (40, 100))
    kept = regions_of(mask, dilation=1, min_area=2 / 40, merge=False)
    assert kept.boxes.tolist() == [[50, 10, 90, 40]]
    assert len(regions_of(mask, dilation=1, min_area=0.0, merge=False)) == 2


def test_near_regions_merge_and_keep_the_highest_score() -> None:
    mask = mask_of(["7.3.......", "7.3......#"], (20, 100))
    apart = regions_of(mask, dilation=0, min_area=0.0, merge=False)
    assert apart.boxes.tolist() == [[0, 0, 10, 20], [20, 0, 30, 20], [90, 10, 100, 20]]
    merged = regions_of(mask, dilation=0, min_area=0.0, margin=10)
    assert merged.boxes.tolist() == [[0, 0, 30, 20], [90, 10, 100, 20]]
    assert merged.scores.tolist() == pytest.approx([0.7, 0.9])


def test_dilation_by_two_adds_a_disc() -> None:
    mask = mask_of([".......", ".......", ".......", "...#...", ".......", ".......", "......."], (7, 7))
    drawn = ["".join("#" if on else "." for on in row) for row in dilate(mask, 2).mask]
    assert drawn == [".......", "...#...", "..###..", ".#####.", "..###..", "...#...", "......."]


def test_dynamic_dilation_grows_with_the_component() -> None:
    cells = np.zeros((60, 60), np.bool_)
    cells[5:8, 5:8] = True  # longer side 3: 0.15 * 3 rounds to 0, at least 1
    cells[20:50, 30:40] = True  # longer side 30: 0.15 * 30 = 4.5 rounds to 5
    mask = RegionMask(cells.astype(np.float32), cells, (60, 60))
    boxes = regions_of(mask, dilation="dynamic", min_area=0.0).boxes
    assert boxes.tolist() == [[4, 4, 9, 9], [25, 15, 45, 55]]


def test_nothing_proposed_gives_no_regions() -> None:
    for dilation in (0, 4, "dynamic"):
        regions = regions_of(mask_of(["...", "..."], (20, 30)), dilation=dilation, min_area=0.0)  # type: ignore[arg-type]
        assert regions.boxes.shape == (0, 4)
    assert whole_frame((20, 30)).boxes.tolist() == [[0, 0, 30, 20]]


def test_negative_arguments_are_refused() -> None:
    mask = mask_of(["#"], (4, 4))
    with pytest.raises(ValueError, match="dilation should not be negative, got -1"):
        dilate(mask, -1)
    with pytest.raises(ValueError, match="should not be negative"):
        regions_of(mask, dilation=0, min_area=-0.1)


def near(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Cells within ``radius`` of a cell of the mask, by definition."""
    grid = np.stack(np.indices(mask.shape), axis=-1).reshape(-1, 1, 2)
    on = np.argwhere(mask).reshape(1, -1, 2)
    close: NDArray[np.bool_] = (((grid - on) ** 2).sum(axis=-1) <= radius**2).any(axis=1)
    return close.reshape(mask.shape)


@settings(max_examples=60, deadline=None)
@given(some_masks(), st.integers(0, 20))
def test_fixed_dilation_is_the_disc_by_definition(mask: RegionMask, radius: int) -> None:
    np.testing.assert_array_equal(dilate(mask, radius).mask, near(mask.mask, radius))


@settings(max_examples=100, deadline=None)
@given(some_masks(), dilations, st.booleans(), st.integers(0, 40))
def test_regions_cover_every_cell_and_stay_in_the_frame(
    mask: RegionMask, dilation: Dilation, merge: bool, margin: int
) -> None:
    regions = regions_of(mask, dilation=dilation, min_area=0.0, merge=merge, margin=margin)
    height, width = mask.frame_size
    boxes = regions.boxes
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [width, height]).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    covered = np.zeros(mask.frame_size, np.bool_)
    for x0, y0, x1, y1 in boxes:
        covered[y0:y1, x0:x1] = True
    h, w = mask.mask.shape
    grown = dilate(mask, dilation).mask
    assert (grown >= mask.mask).all()
    rows, columns = np.arange(height) * h // height, np.arange(width) * w // width  # the cell of each pixel
    assert (covered >= grown[np.ix_(rows, columns)]).all()
    if mask.mask.any():
        assert regions.scores.max() >= mask.scores[mask.mask].max()


@settings(max_examples=60, deadline=None)
@given(some_masks(), dilations)
def test_merged_regions_never_overlap_and_come_out_the_same_again(mask: RegionMask, dilation: Dilation) -> None:
    regions = regions_of(mask, dilation=dilation, min_area=0.0, margin=4)
    painted = np.zeros(mask.frame_size, np.int32)
    for x0, y0, x1, y1 in regions.boxes:
        painted[y0:y1, x0:x1] += 1
    assert painted.max() <= 1
    again = regions_of(mask, dilation=dilation, min_area=0.0, margin=4)
    np.testing.assert_array_equal(again.boxes, regions.boxes)
    np.testing.assert_array_equal(again.scores, regions.scores)


def test_cells_of_boxes_inward_and_outward() -> None:
    boxes = np.asarray([[3, 2, 9, 8]], np.int32)
    inside = cells_of(boxes, (12, 12), (6, 6), outward=False)
    touched = cells_of(boxes, (12, 12), (6, 6), outward=True)
    assert np.argwhere(inside).tolist() == [[r, c] for r in (1, 2, 3) for c in (2, 3)]
    assert np.argwhere(touched).tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3, 4)]
    assert not cells_of(np.zeros((0, 4), np.int32), (12, 12), (6, 6), outward=True).any()
