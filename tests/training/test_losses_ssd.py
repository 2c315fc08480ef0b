"""Matching losses and mask losses on made-up outputs, and learning one picture."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from argos.networks.backbones.mobilenet_v1 import Features
from argos.networks.ssd_boxes import ANCHORS_PERSON, BACKGROUND, IGNORED, encode, iou, make_anchors, match
from argos.networks.ssd_branches import Shape
from argos.networks.ssd_isb import SSDISB, BranchMasks, SSDOutput
from argos.training.losses_ssd import (
    Truth,
    anchor_crops,
    hard_negatives,
    jitter_boxes,
    mask_loss,
    multibox_loss,
    resized_masks,
)

NONE = torch.zeros((0, 4))
ANCHORS = torch.tensor([[0.0, 0, 20, 40], [40.0, 0, 60, 40], [0.0, 60, 20, 100], [40.0, 60, 60, 100]])
MAP = torch.zeros(1)
MAPS = Features(MAP, MAP, MAP)  # the detector's losses do not look at the maps


def truth(boxes: Tensor, ignore: Tensor = NONE, masks: Tensor | None = None) -> Truth:
    return Truth(boxes, torch.zeros(len(boxes), dtype=torch.int64), ignore, masks)


def output(deltas: Tensor, logits: Tensor) -> SSDOutput:
    return SSDOutput(deltas, logits, ANCHORS, MAPS)


def test_perfect_boxes_and_sure_scores_cost_nothing() -> None:
    boxes = torch.tensor([[2.0, 0, 22, 38]])
    logits = torch.tensor([[[-50.0, 50], [50, -50], [50, -50], [50, -50]]])
    deltas = torch.zeros(1, 4, 4)
    deltas[0, 0] = encode(boxes[0], ANCHORS[0])
    found = multibox_loss(output(deltas, logits), [truth(boxes)])
    assert found.box.item() == pytest.approx(0, abs=1e-6)
    assert found.label.item() == pytest.approx(0, abs=1e-6)


def test_losses_are_sums_over_anchors_per_matched_anchor() -> None:
    boxes = ANCHORS[:1].clone()
    deltas = torch.zeros(1, 4, 4)
    deltas[0, 0] = torch.tensor([3.0, 0, 0, 0.5])
    deltas[0, 1] = 9.0  # not matched: free
    found = multibox_loss(output(deltas, torch.zeros(1, 4, 2)), [truth(boxes)], negative_ratio=2, min_negatives=0)
    assert found.box.item() == pytest.approx(2.5 + 0.125)  # smooth L1
    assert found.label.item() == pytest.approx(3 * math.log(2))  # one person, two negatives


def test_labels_start_after_the_background() -> None:
    boxes = Truth(ANCHORS[:2].clone(), torch.tensor([1, 0]), NONE)
    logits = torch.full((1, 4, 3), -30.0)
    logits[0, [0, 1, 2, 3], [2, 1, 0, 0]] = 30.0
    assert multibox_loss(output(torch.zeros(1, 4, 4), logits), [boxes]).label.item() == pytest.approx(0, abs=1e-6)


def test_the_worst_three_negatives_per_match_are_mined() -> None:
    entropy = torch.tensor([[0.1, 0.9, 0.5, 0.7, 0.2, 0.8], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    matched = torch.full((2, 6), BACKGROUND)
    matched[0, 0] = 0
    matched[0, 1] = IGNORED
    chosen = hard_negatives(entropy, matched, ratio=3, least=0)
    assert chosen.tolist() == [[False, False, True, True, False, True], [False] * 6]
    assert hard_negatives(entropy, matched, ratio=3, least=2)[1].tolist() == [False] * 4 + [True] * 2


def test_more_negatives_than_there_are_take_all_background_and_nothing_else() -> None:
    matched = torch.tensor([[0, IGNORED, BACKGROUND, BACKGROUND]])
    assert hard_negatives(torch.rand(1, 4), matched, 3, 8).tolist() == [[False, False, True, True]]


def test_ignored_areas_neither_praise_nor_blame() -> None:
    logits = torch.zeros(1, 4, 2, requires_grad=True)
    deltas = torch.zeros(1, 4, 4, requires_grad=True)
    ignore = torch.tensor([[30.0, 0, 70, 50]])  # around the second anchor
    found = multibox_loss(output(deltas, logits), [truth(ANCHORS[:1].clone(), ignore)])
    (found.box + found.label).backward()
    assert [bool(g.any()) for g in logits.grad[0]] == [True, False, True, True]


def test_an_image_without_people_still_teaches_the_background() -> None:
    logits = torch.zeros(1, 4, 2, requires_grad=True)
    found = multibox_loss(output(torch.zeros(1, 4, 4), logits), [truth(NONE)], min_negatives=2)
    assert found.box.item() == 0
    assert found.label.item() == pytest.approx(2 * math.log(2))
    found.label.backward()
    assert logits.grad.any()


def filled(height: int, width: int, x0: int, y0: int, x1: int, y1: int) -> Tensor:
    mask = torch.zeros(1, height, width, dtype=torch.bool)
    mask[0, y0:y1, x0:x1] = True
    return mask


def test_resized_masks_hold_the_covered_share_of_each_cell() -> None:
    found = resized_masks(filled(32, 32, 8, 0, 16, 32), torch.tensor([[0.0, 0, 32, 32]]), (1, 2))
    assert found.tolist() == [[[0.5, 0.0]]]
    same = filled(16, 16, 3, 2, 9, 13)
    assert torch.equal(resized_masks(same, torch.tensor([[0.0, 0, 16, 16]]), (16, 16)) > 0.5, same)


def branch_masks(logits: Tensor, boxes: list[list[float]], image: list[int], index: list[int]) -> BranchMasks:
    return BranchMasks(logits, torch.tensor(boxes), torch.tensor(image), torch.tensor(index))


def test_masks_are_compared_with_the_truth_inside_the_encompassing_box() -> None:
    masks = filled(32, 64, 32, 0, 48, 32)
    right = torch.where(resized_masks(masks, torch.tensor([[32.0, 0, 64, 32]]), (4, 4)) > 0.5, 40.0, -40.0)[:, None]
    people = truth(torch.tensor([[32.0, 0, 48, 32]]), masks=masks)
    assert mask_loss([branch_masks(right, [[32, 0, 64, 32]], [0], [0])], [people]).item() == pytest.approx(0, abs=1e-6)
    assert mask_loss([branch_masks(-right, [[32, 0, 64, 32]], [0], [0])], [people]).item() == pytest.approx(40)


def test_unknown_masks_are_left_out_and_each_known_one_counts_once() -> None:
    known, unknown = filled(32, 32, 0, 0, 32, 32), torch.zeros(1, 32, 32, dtype=torch.bool)
    people = [
        truth(torch.zeros(2, 4), masks=torch.cat([unknown, known])),
        truth(torch.zeros(1, 4)),  # boxes only
        truth(torch.zeros(1, 4), masks=known),
    ]
    box = [0.0, 0, 32, 32]
    first = branch_masks(
        torch.tensor([9.0, -5, 9]).reshape(3, 1, 1, 1).repeat(1, 1, 4, 4), [box] * 3, [0, 0, 1], [0, 1, 0]
    )
    second = branch_masks(torch.full((1, 1, 8, 8), -1.0), [box], [2], [0])
    expected = (math.log1p(math.exp(5)) + math.log1p(math.exp(1))) / 2
    assert mask_loss([first, second], people).item() == pytest.approx(expected, rel=1e-5)


def test_the_mask_of_the_class_of_the_box_is_taught() -> None:
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    people = Truth(torch.zeros(1, 4), torch.tensor([1]), NONE, filled(32, 32, 0, 0, 32, 32))
    mask_loss([branch_masks(logits, [[0.0, 0, 32, 32]], [0], [0])], [people]).backward()
    assert [bool(g.any()) for g in logits.grad[0]] == [False, True, False]


def test_crops_from_default_anchors_are_many_for_one_person_and_none_holds_it_well() -> None:
    anchors = make_anchors(96, 128, ANCHORS_PERSON)
    boxes = torch.tensor([[12.0, 10, 36, 70], [60.0, 30, 84, 92]])
    people = truth(boxes, masks=torch.cat([filled(96, 128, 12, 10, 36, 70), filled(96, 128, 60, 30, 84, 92)]))
    said = SSDOutput(torch.zeros(1, len(anchors), 4), torch.zeros(1, len(anchors), 2), anchors, MAPS)
    (crops,), (repeated,) = anchor_crops(said, [people])
    assert len(crops) == len(repeated.boxes) == len(repeated.masks) > len(boxes)
    overlaps = iou(crops, repeated.boxes).diagonal()
    assert float(overlaps.min()) > 0.5
    assert float(overlaps.max()) < 0.9
    for n, box in enumerate(repeated.boxes):
        own = int((boxes == box).all(dim=1).nonzero())
        assert torch.equal(repeated.masks[n], people.masks[own])


@pytest.mark.parametrize("masks", [None, torch.zeros(1, 32, 32, dtype=torch.bool)])
def test_nothing_to_learn_is_a_loss_of_zero_that_can_be_backpropagated(masks: Tensor | None) -> None:
    logits = torch.zeros(1, 1, 2, 2, requires_grad=True)
    people = truth(torch.zeros(1, 4), masks=masks)
    loss = mask_loss([branch_masks(logits, [[0.0, 0, 32, 32]], [0], [0])], [people])
    loss.backward()
    assert loss.item() == 0
    assert mask_loss([], [people]).item() == 0


def test_jitter_stays_within_its_share_of_the_box_and_repeats_with_its_seed() -> None:
    boxes = torch.tensor([[10.0, 20, 50, 120]]).repeat(200, 1)
    moved = jitter_boxes(boxes, 0.1, torch.Generator().manual_seed(3)) - boxes
    limit = torch.tensor([4.0, 10, 4, 10])
    assert (moved.abs() <= limit).all()
    assert (moved.abs().amax(dim=0) > 0.9 * limit).all()
    assert torch.equal(moved, jitter_boxes(boxes, 0.1, torch.Generator().manual_seed(3)) - boxes)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"boxes \(2, 4\), labels \(1,\)"):
        Truth(torch.zeros(2, 4), torch.zeros(1, dtype=torch.int64), NONE)
    with pytest.raises(ValueError, match=r"masks \(1, 8, 8\); expected \(2, H, W\)"):
        Truth(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64), NONE, torch.zeros(1, 8, 8, dtype=torch.bool))


def test_ten_steps_on_one_picture_lower_every_loss() -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[12.0, 10, 36, 70], [60.0, 30, 84, 92]])
    masks = torch.cat([filled(96, 96, 14, 10, 34, 70), filled(96, 96, 60, 30, 84, 92)])
    image = torch.rand(2, 3, 96, 96) * 0.2 + 0.7 * masks.any(dim=0)  # two: the last map has one cell to normalise
    network = SSDISB((Shape(4, 4),), multiplier=0.25, align=8)
    people = truth(boxes, masks=masks)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    history = []
    for _ in range(10):
        found = network(image)
        branches = network.masks(found.features, [boxes, boxes])
        losses = (*multibox_loss(found, [people] * 2), mask_loss(branches, [people] * 2))
        history.append([loss.item() for loss in losses])
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
    for first, last in zip(history[0], history[-1], strict=True):
        assert last < 0.8 * first


def test_batches_add_up_image_by_image() -> None:
    torch.manual_seed(0)
    deltas, logits = torch.randn(2, 4, 4), torch.randn(2, 4, 2)
    people = [truth(ANCHORS[:1] + 1), truth(ANCHORS[1:3] + 1)]
    matches = [int((match(ANCHORS, p.boxes, NONE) >= 0).sum()) for p in people]
    assert matches == [1, 2]
    together = multibox_loss(output(deltas, logits), people)
    alone = [multibox_loss(output(deltas[n : n + 1], logits[n : n + 1]), [people[n]]) for n in range(2)]
    for name in ("box", "label"):
        parts = sum(getattr(loss, name).item() * n for loss, n in zip(alone, matches, strict=True)) / 3
        assert getattr(together, name).item() == pytest.approx(parts, rel=1e-5)


def test_focal_loss_is_small_where_every_anchor_is_right_and_large_where_none_is() -> None:
    from argos.networks.ssd_boxes import encode, match
    from argos.training.losses_ssd import focal_multibox_loss

    anchors = torch.tensor([[0.0, 0, 40, 80], [200, 200, 240, 280], [2, 0, 42, 80]])
    truth = Truth(anchors[:1].clone(), torch.zeros(1, dtype=torch.int64), torch.zeros(0, 4))
    matched = match(anchors, truth.boxes, truth.ignore, 0.4)
    right = torch.where((matched >= 0)[:, None], torch.tensor([-9.0, 9.0]), torch.tensor([9.0, -9.0]))
    features = Features(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
    deltas = encode(truth.boxes.expand(3, 4), anchors)[None]
    good = focal_multibox_loss(SSDOutput(deltas, right[None], anchors, features), [truth])
    bad = focal_multibox_loss(SSDOutput(deltas, -right[None], anchors, features), [truth])
    assert float(good.label) < 1e-6
    assert float(good.box) < 1e-6
    assert float(bad.label) > 5
