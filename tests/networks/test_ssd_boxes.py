"""Anchors, coding, matching and suppression against plain forms and by property."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from argos.networks.ssd_boxes import (
    ANCHORS_PERSON,
    ANCHORS_PUBLISHED,
    BACKGROUND,
    IGNORED,
    STRIDES,
    decode,
    encode,
    encompassing,
    ioa,
    iou,
    make_anchors,
    match,
    nms,
)


def random_boxes(n: int, seed: int, limit: int = 200, least: float = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand((n, 2), generator=generator) * limit
    size = torch.rand((n, 2), generator=generator) * limit / 2 + least
    return torch.cat([corner, corner + size], dim=1)


def plain_iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize("table", [ANCHORS_PUBLISHED, ANCHORS_PERSON])
def test_cells_have_3_then_6_anchors(table) -> None:
    assert [len(sizes) for sizes in table] == [3, 6, 6, 6, 6, 6]


def test_published_anchors_are_those_of_ssd_mobilenet() -> None:
    first, second = ANCHORS_PUBLISHED[0], ANCHORS_PUBLISHED[1]
    assert first[0] == pytest.approx((64, 64))  # scale 0.1 of 640
    assert first[1] == pytest.approx((128 * 2**0.5, 128 / 2**0.5))  # scale 0.2, aspect 2
    assert second[0] == pytest.approx((0.34 * 640, 0.34 * 640))
    assert second[5] == pytest.approx((640 * (0.34 * 0.48) ** 0.5,) * 2)
    assert ANCHORS_PUBLISHED[5][5] == pytest.approx((640 * 0.9**0.5,) * 2)  # between the last scale and 1


def test_published_input_has_the_anchors_of_its_six_maps() -> None:
    cells = [40 * 40, 20 * 20, 10 * 10, 5 * 5, 3 * 3, 2 * 2]
    assert len(make_anchors(640, 640, ANCHORS_PUBLISHED)) == 3 * cells[0] + 6 * sum(cells[1:])


def test_first_anchors_lie_on_the_first_cell() -> None:
    anchors = make_anchors(64, 96, ANCHORS_PERSON)
    width, height = ANCHORS_PERSON[0][1]
    expected = [8 - width / 2, 8 - height / 2, 8 + width / 2, 8 + height / 2]
    assert anchors[1].tolist() == pytest.approx(expected)
    assert (anchors[3, 0] - anchors[0, 0]).item() == STRIDES[0]  # next column


def test_a_small_canvas_has_anchors_of_the_full_frame() -> None:
    small = {tuple(a) for a in make_anchors(96, 64, ANCHORS_PERSON).tolist()}
    large = {tuple(a) for a in make_anchors(320, 640, ANCHORS_PERSON).tolist()}
    assert small < large


def test_changing_anchors_leaves_the_next_ones_alone() -> None:
    make_anchors(32, 32, ANCHORS_PERSON).zero_()
    assert make_anchors(32, 32, ANCHORS_PERSON).any()


def test_person_anchors_match_upright_people_of_every_height() -> None:
    anchors = make_anchors(640, 640, ANCHORS_PERSON)
    for height in (40, 60, 90, 130, 190, 280, 400, 580):
        middle = torch.tensor([[320.0, 320 - height / 2, 320 + 0.42 * height, 320 + height / 2]])
        assert iou(middle, anchors).max() > 0.5, height


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_iou_equals_the_plain_form(seed: int) -> None:
    a, b = random_boxes(4, seed), random_boxes(5, seed + 1)
    plain = [[plain_iou(x, y) for y in b.tolist()] for x in a.tolist()]
    np.testing.assert_allclose(iou(a, b), plain, atol=1e-5)


def test_ioa_is_the_covered_part_of_the_first_box() -> None:
    a, b = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[5.0, 0, 100, 100], [20.0, 20, 30, 30]])
    assert ioa(a, b).tolist() == [[0.5, 0.0]]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_decode_undoes_encode(seed: int) -> None:
    boxes, anchors = random_boxes(20, seed), random_boxes(20, seed + 1, least=4)  # sides at most 62.5 times
    torch.testing.assert_close(decode(encode(boxes, anchors), anchors), boxes, atol=1e-2, rtol=1e-4)


def test_encode_of_an_anchor_itself_is_zero_and_scaled_by_the_variances() -> None:
    anchor = torch.tensor([[10.0, 20, 30, 60]])
    assert encode(anchor, anchor).tolist() == [[0, 0, 0, 0]]
    moved = anchor + torch.tensor([2.0, 0, 2, 0])  # a tenth of the width
    assert encode(moved, anchor)[0].tolist() == pytest.approx([1, 0, 0, 0])


def test_decode_survives_wild_outputs() -> None:
    assert decode(torch.full((1, 4), 1e4), torch.tensor([[0.0, 0, 10, 10]])).isfinite().all()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_every_truth_gets_an_anchor_and_the_others_their_best_truth(seed: int, n: int) -> None:
    anchors = make_anchors(256, 320, ANCHORS_PERSON)
    truths = random_boxes(n, seed)
    labels = match(anchors, truths, torch.zeros((0, 4)), threshold=0.5)
    assert set(labels[labels >= 0].tolist()) == set(range(n))
    overlaps = iou(anchors, truths)
    best, choice = overlaps.max(dim=1)
    followers = (best > 0.5) & (labels == choice)
    forced = (labels >= 0) & ~followers
    assert forced.sum() <= n  # at most one anchor per truth is given away against the rule
    assert (labels[best > 0.5] >= 0).all()


def test_truths_that_want_the_same_anchor_share_it_out_by_overlap() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 30], [100.0, 100, 110, 110]])
    truths = torch.tensor([[0.0, 0, 10, 9], [0.0, 0, 10, 10]])
    assert match(anchors, truths, torch.zeros((0, 4))).tolist() == [1, 0, BACKGROUND]


def test_a_truth_gets_its_best_anchor_below_the_threshold() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 100, 100]])
    truths = torch.tensor([[0.0, 0, 4, 4]])
    assert match(anchors, truths, torch.zeros((0, 4))).tolist() == [0, BACKGROUND]


def test_a_truth_far_from_all_anchors_matches_none() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10]])
    assert match(anchors, torch.tensor([[50.0, 50, 60, 60]]), torch.zeros((0, 4))).tolist() == [BACKGROUND]


def test_ignored_areas_take_background_but_never_a_person() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [40.0, 40, 50, 50], [45.0, 0, 65, 20], [80.0, 80, 90, 90]])
    truths = torch.tensor([[0.0, 0, 10, 10]])
    ignore = torch.tensor([[0.0, 0, 60, 60]])
    # inside and a person; inside; three quarters inside; outside
    assert match(anchors, truths, ignore).tolist() == [0, IGNORED, IGNORED, BACKGROUND]


def plain_nms(boxes: list[list[float]], scores: list[float], labels: list[int], threshold: float) -> list[int]:
    kept: list[int] = []
    for n in sorted(range(len(boxes)), key=lambda n: -scores[n]):
        if all(labels[n] != labels[k] or plain_iou(boxes[n], boxes[k]) <= threshold for k in kept):
            kept.append(n)
    return kept


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(0, 30), st.sampled_from([0.1, 0.3, 0.5, 0.7]))
def test_nms_equals_the_plain_form(seed: int, n: int, threshold: float) -> None:
    boxes = random_boxes(n, seed, limit=60)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(n, generator=generator)
    labels = torch.randint(0, 2, (n,), generator=generator)
    kept = nms(boxes.numpy(), scores.numpy(), labels.numpy(), threshold).tolist()
    assert kept == plain_nms(boxes.tolist(), scores.tolist(), labels.tolist(), threshold)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([8, 16, 32]))
def test_encompassing_boxes_are_the_smallest_aligned_ones(seed: int, align: int) -> None:
    boxes = random_boxes(10, seed, limit=150)  # reach at most 225 pixels
    found = encompassing(boxes, align, 256, 256)
    assert (found % align == 0).all()
    assert (found[:, :2] <= boxes[:, :2]).all()
    assert (found[:, 2:] >= boxes[:, 2:]).all()
    assert (boxes[:, :2] - found[:, :2] < align).all()
    assert (found[:, 2:] - boxes[:, 2:] < align).all()


def test_encompassing_boxes_stay_inside_and_hold_a_cell() -> None:
    boxes = torch.tensor([[-50.0, -9, 20, 300], [64.0, 64, 64, 64], [200.0, 10, 230, 20]])
    found = encompassing(boxes, 32, 96, 64).tolist()
    assert found == [[0, 0, 32, 96], [32, 64, 64, 96], [32, 0, 64, 32]]
