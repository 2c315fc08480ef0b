"""Detections from raw outputs, and masks that fit their boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn as nn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from argos.networks.backbones.mobilenet_v1 import Features
from argos.networks.ssd_boxes import ANCHORS_PERSON, encode, iou, make_anchors
from argos.networks.ssd_branches import SINGLE_SHAPE, Shape
from argos.networks.ssd_decode import detect, detections, fit_mask, people_of
from argos.networks.ssd_isb import SSDISB, SSDOutput
from argos.training.losses_ssd import Truth, mask_loss, multibox_loss

PEOPLE = torch.tensor([[12.0, 10, 36, 70], [60.0, 30, 84, 92]])


def raw(boxes: Tensor, probabilities: list[float], labels: list[int], num_classes: int = 1) -> SSDOutput:
    """What a network would say that sees ``boxes``, each with the anchor that fits it best."""
    anchors = make_anchors(96, 128, ANCHORS_PERSON)
    deltas = torch.zeros(1, len(anchors), 4)
    logits = torch.full((1, len(anchors), num_classes + 1), -20.0)
    logits[..., 0] = 20.0
    best = iou(boxes, anchors).argmax(dim=1)
    deltas[0, best] = encode(boxes, anchors[best])
    for anchor, probability, label in zip(best.tolist(), probabilities, labels, strict=True):
        logits[0, anchor] = -20.0
        logits[0, anchor, 0] = 0.0
        logits[0, anchor, label + 1] = float(np.log(probability / (1 - probability)))
    return SSDOutput(deltas, logits, anchors, Features(*(torch.zeros(1, 1, 96 // s, 128 // s) for s in (8, 16, 32))))


def test_true_boxes_come_back_best_first() -> None:
    (found,) = detections(raw(PEOPLE, [0.6, 0.9], [0, 0]))
    torch.testing.assert_close(found.boxes, PEOPLE.flip(0), atol=1e-3, rtol=0)
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert found.labels.tolist() == [0, 0]


def test_threshold_and_limit_cut_the_list() -> None:
    output = raw(PEOPLE, [0.6, 0.9], [0, 0])
    assert len(detections(output, score_threshold=0.7)[0].scores) == 1
    assert detections(output, max_people=1)[0].scores.tolist() == pytest.approx([0.9])
    assert len(detections(output, score_threshold=0.95)[0].scores) == 0


def test_duplicates_are_suppressed_only_within_a_class() -> None:
    pair = torch.tensor([[12.0, 10, 36, 70], [13.0, 8, 38, 104]])
    overlap = float(iou(pair[:1], pair[1:]))
    assert 0.5 < overlap < 0.7
    for labels, expected in (([0, 0], 1), ([0, 1], 2)):
        output = raw(pair, [0.9, 0.8], labels, num_classes=2)
        assert len(detections(output, nms_iou=0.5)[0].scores) == expected
        assert len(detections(output, nms_iou=0.7)[0].scores) == 2


def test_boxes_are_clipped_to_the_picture_without_its_padding() -> None:
    (found,) = detections(raw(torch.tensor([[-9.0, -5, 30, 90]]), [0.9], [0]), size=(80, 25))
    assert found.boxes.tolist() == [[0, 0, 25, 80]]


def test_boxes_outside_the_picture_are_dropped() -> None:
    (found,) = detections(raw(torch.tensor([[70.0, 10, 94, 70]]), [0.9], [0]), size=(96, 60))
    assert found.boxes.shape == (0, 4)


def test_each_detection_knows_the_default_anchor_it_came_from() -> None:
    output = raw(PEOPLE, [0.6, 0.9], [0, 0])
    (found,) = detections(output)
    best = iou(PEOPLE.flip(0), output.anchors).argmax(dim=1)
    assert torch.equal(found.anchors, output.anchors[best])


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_mask_of_one_pixel_per_cell_is_copied() -> None:
    logits = np.where(np.eye(4, dtype=bool), 1.0, -1.0).astype(np.float32)
    found = fit_mask(logits, array(8, 8, 12, 12), array(8, 8, 12, 12), 0, (32, 32))
    assert found is not None
    assert found.box == (8, 8, 12, 12)
    assert np.array_equal(found.mask, np.eye(4, dtype=bool))


def test_mask_is_cut_to_its_part_of_the_encompassing_box() -> None:
    logits = np.full((2, 4), -1.0, np.float32)
    logits[:, 2:] = 1.0  # the right half of 64 pixels
    found = fit_mask(logits, array(0, 0, 64, 32), array(20, 4, 44, 20), 0, (40, 70))
    assert found is not None
    assert found.box == (20, 4, 44, 20)
    assert found.mask[:, 12:].all()
    assert not found.mask[:, :12].any()


def test_box_grows_only_where_its_mask_sticks_out() -> None:
    logits = np.full((1, 16), -1.0, np.float32)
    logits[:, 3:10] = 1.0
    found = fit_mask(logits, array(0, 0, 16, 1), array(4, 0, 12, 1), 3, (1, 16))
    assert found is not None
    assert found.box == (3, 0, 12, 1)
    assert found.mask[0].tolist() == [True] * 7 + [False] * 2


def test_empty_mask_is_nobody() -> None:
    assert fit_mask(np.full((4, 4), -1.0, np.float32), array(0, 0, 8, 8), array(0, 0, 8, 8), 2, (8, 8)) is None


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_masks_stay_in_the_picture_and_fit_their_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 60, 2).tolist()
    corner, other = rng.uniform(0, 1, 2), rng.uniform(0, 1, 2)
    box = np.concatenate([np.minimum(corner, other), np.maximum(corner, other)]) * [width, height, width, height]
    found = fit_mask(
        rng.normal(size=(5, 3)).astype(np.float32), array(0, 0, 64, 64), box.astype(np.float32), 4, (height, width)
    )
    if found is not None:
        x0, y0, x1, y1 = found.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert found.mask.shape == (y1 - y0, x1 - x0)
        assert found.mask.any()


def learnt(image: Tensor, masks: Tensor, steps: int = 60) -> SSDISB:
    torch.manual_seed(0)
    network = SSDISB((Shape(4, 4),), multiplier=0.25, align=8, num_classes=2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.3  # moving statistics follow within the few steps
    people = Truth(PEOPLE, torch.tensor([0, 1]), torch.zeros((0, 4)), masks)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(steps):
        found = network(image)
        branches = network.masks(found.features, [PEOPLE, PEOPLE])
        losses = (*multibox_loss(found, [people] * 2), mask_loss(branches, [people] * 2))
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
    return network.eval()


def test_two_classes_of_a_learnt_picture_are_found_with_their_masks() -> None:
    torch.manual_seed(0)
    masks = torch.zeros(2, 90, 100, dtype=torch.bool)  # not a multiple of 32
    for mask, (x0, y0, x1, y1) in zip(masks, PEOPLE.int().tolist(), strict=True):
        mask[y0:y1, x0:x1] = True
        mask[y0 : y0 + 20, x0 : x0 + 8] = False  # a shoulder, so that a mask is not its box
    images = torch.rand(2, 3, 90, 100) * 0.2 + 0.7 * masks.any(dim=0)  # two, for the statistics of the smallest map
    found = detect(learnt(images, masks), images, score_threshold=0.5)[0]
    assert found.size == (90, 100)
    assert sorted(found.labels.tolist()) == [0, 1]
    for n, label in enumerate(found.labels.tolist()):
        mask, true = found.full_mask(n), masks[label].numpy()
        assert np.logical_and(mask, true).sum() / np.logical_or(mask, true).sum() > 0.7


def test_masks_cropped_from_default_anchors_are_those_of_the_anchors() -> None:
    torch.manual_seed(0)
    network = SSDISB((Shape(2, 2),), multiplier=0.25, align=8).eval()
    torch.nn.init.normal_(network.branches[0].score.weight, std=1.0)
    with torch.no_grad():
        output = network(torch.rand(1, 3, 96, 128))
    output = raw(PEOPLE + 5, [0.6, 0.9], [0, 0])._replace(features=output.features)
    (people,) = people_of(network, output, (96, 128), crop_anchors=True)
    (found,) = detections(output, size=(96, 128))
    with torch.no_grad():
        (branch,) = network.masks(output.features, [found.anchors])
    assert not torch.equal(found.anchors, found.boxes)
    assert len(people) == 2
    for n in range(2):
        logits, around = branch.logits[n, 0].numpy(), branch.boxes[n].numpy()
        expected = fit_mask(logits, around, found.boxes[n].numpy(), 3, (96, 128))
        assert expected is not None
        assert tuple(people.boxes[n]) == expected.box
        assert np.array_equal(people.masks[n], expected.mask)


def test_no_threshold_finds_at_most_max_people_and_nothing_fails_on_noise() -> None:
    torch.manual_seed(0)
    network = SSDISB(SINGLE_SHAPE, multiplier=0.25).eval()
    found = detect(network, torch.rand(2, 3, 65, 130), score_threshold=0.0, max_people=7)
    assert len(found) == 2
    assert all(len(f) <= 7 for f in found)


def test_nobody_gives_empty_instances() -> None:
    network = SSDISB((Shape(2, 2),), multiplier=0.25).eval()
    (found,) = detect(network, torch.rand(1, 3, 64, 64), score_threshold=0.99)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
