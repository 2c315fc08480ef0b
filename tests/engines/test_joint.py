"""One run of the encoder says what two runs say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from argos.engines.dense import InstanceSegmenter, SemanticSegmenter, for_inference
from argos.engines.gather import SparseInstances, SparseJoint, SparseSemantic
from argos.engines.joint import joined
from argos.networks.asbunet import asbunet
from argos.networks.ssd_isb import SSDISB, person_isb
from argos.networks.unets import UNetLite, unet_lite


def networks(same: bool) -> tuple[UNetLite, SSDISB]:
    torch.manual_seed(0)
    unet, detector = unet_lite().eval(), person_isb(backbone="efficientnet_lite0").eval()
    for head in detector.class_heads:
        assert isinstance(head, torch.nn.Conv2d)
        torch.nn.init.normal_(head.weight, std=0.05)
    if same:
        detector.backbone.load_state_dict(unet.backbone.state_dict())
    return for_inference(unet), for_inference(detector)


def test_the_encoder_is_shared_and_nothing_else_changes() -> None:
    unet, detector = networks(same=True)
    semantic, instances = SemanticSegmenter(unet), InstanceSegmenter(detector, 0.3, 0.5)
    joint = joined(semantic, instances)
    assert joint is not None
    calls = []
    unet.backbone.register_forward_hook(lambda *_: calls.append("unet"))
    detector.backbone.register_forward_hook(lambda *_: calls.append("detector"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    scores, people = joint.segment(pixels)
    assert calls == ["unet"]
    np.testing.assert_allclose(scores, semantic.scores(pixels), atol=1e-6)
    for found, wanted in zip(people, instances.instances(pixels), strict=True):
        assert len(found) == len(wanted) > 0
        np.testing.assert_array_equal(found.boxes, wanted.boxes)
        np.testing.assert_array_equal(found.union(), wanted.union())


def test_no_pictures_and_odd_sizes() -> None:
    unet, detector = networks(same=True)
    joint = joined(SemanticSegmenter(unet), InstanceSegmenter(detector, 0.3, 0.5))
    assert joint is not None
    scores, people = joint.segment(np.zeros((0, 32, 64, 3), np.uint8))
    assert scores.shape == (0, 32, 64)
    assert people == []
    with pytest.raises(ValueError, match="multiples of 32"):
        joint.segment(np.zeros((1, 30, 64, 3), np.uint8))


def test_other_networks_are_run_one_by_one() -> None:
    unet, detector = networks(same=False)
    instances = InstanceSegmenter(detector, 0.3, 0.5)
    assert joined(SemanticSegmenter(unet), instances) is None
    assert joined(SemanticSegmenter(asbunet().eval()), instances) is None
    assert joined(None, instances) is None
    assert joined(SemanticSegmenter(unet), None) is None


def test_in_place_the_encoder_is_shared_and_nothing_else_changes() -> None:
    unet, detector = networks(same=True)
    semantic, instances = SemanticSegmenter(unet), InstanceSegmenter(detector, 0.3, 0.5)
    joint = joined(semantic, instances)
    assert joint is not None
    both, masks, people = SparseJoint(joint), SparseSemantic(semantic), SparseInstances(instances)
    pixels = np.random.default_rng(0).integers(0, 256, (192, 256, 3), np.uint8)
    active = np.zeros((192, 256), np.bool_)
    active[40:120, 60:140] = True
    scores, found = both.segment(pixels, active)
    np.testing.assert_allclose(scores, masks.scores(pixels, active), atol=1e-5)
    wanted = people.instances(pixels, active)
    assert len(found) == len(wanted) > 0
    np.testing.assert_array_equal(found.boxes, wanted.boxes)
    np.testing.assert_array_equal(found.union(), wanted.union())
    assert both.sparse.executed_macs < 0.9 * (masks.sparse.executed_macs + people.sparse.executed_macs)
