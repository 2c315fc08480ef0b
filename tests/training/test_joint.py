"""Two tasks on one encoder: both learn, the frozen part stays, two whole models come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from argos.engines.weights import load_network, weights_path
from argos.errors import WeightsError
from argos.networks.backbones.efficientnet_lite import EfficientNetLite0
from argos.networks.dual_aspp import dual_aspp
from argos.networks.ssd_isb import person_isb
from argos.networks.unets import UNetLite
from argos.training.cards import CARDS
from argos.training.joint import Joint, joint_for_training, joint_loss
from argos.training.pretrained import load_backbone, take_what_fits
from argos.training.recipe import Phase, Recipe, parameter_groups
from argos.training.scenes import Scene
from argos.training.stream import Batch, collate


def batch_of_two() -> Batch:
    rng = np.random.default_rng(0)
    scenes = []
    for n in range(2):
        ids = np.zeros((96, 96), np.uint8)
        ids[20:80, 30 + n : 54 + n] = 1
        box = np.asarray([[30 + n, 20, 54 + n, 80]], np.float32)
        image = rng.integers(0, 255, (96, 96, 3)).astype(np.uint8)
        scenes.append(Scene(image, ids, box, np.ones(1, np.uint8), np.zeros((0, 4), np.float32)))
    return collate(scenes)


def test_one_step_moves_both_heads_and_the_free_part_of_the_encoder() -> None:
    torch.manual_seed(0)
    network = Joint().train()
    frozen, free = network.detector.backbone.blocks[2], network.detector.backbone.blocks[3]
    losses = joint_loss(network, batch_of_two())
    assert set(losses) == {"box", "label", "mask", "bce", "dice"}
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is None for p in frozen.parameters())
    for part in (free, network.decoder, network.detector.branches, network.detector.box_heads[0]):
        assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in part.parameters())
    assert not network.detector.backbone.training, "the statistics of the encoder stay as they are"


def test_pretrained_parameters_learn_more_slowly() -> None:
    recipe = Recipe(1.0, (Phase(1.0, 32, 1),), pretrained="detector.backbone.")
    groups = parameter_groups(Joint().named_parameters(), recipe)
    assert {(g["share"], g["weight_decay"]) for g in groups} == {(0.2, 0.01), (0.2, 0.0), (1.0, 0.01), (1.0, 0.0)}


def test_the_parts_on_the_cards_are_whole_models() -> None:
    network = Joint().eval()
    state = network.state_dict()
    for name, built in (("unet_lite", UNetLite()), ("ssdisb", person_isb(**CARDS["ssdisb"].arguments))):
        own = {
            after + key.removeprefix(before): value
            for before, after in CARDS[name].parts.items()
            for key, value in state.items()
            if key.startswith(before)
        }
        built.load_state_dict(own)
        built.eval()
        image = torch.rand(1, 3, 64, 64)
        expected = network.semantic()(image) if name == "unet_lite" else network.detector(image).logits
        found = built(image) if name == "unet_lite" else built(image).logits
        assert torch.equal(found, expected)


def test_backbone_from_a_file_with_other_names(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source = EfficientNetLite0()
    renamed = {
        f"_layer{n}": value for n, (key, value) in enumerate(source.state_dict().items()) if "tracked" not in key
    }
    torch.save({"state_dict": {**renamed, "classifier.weight": torch.zeros(10, 320)}}, tmp_path / "lite.pth")
    backbone = EfficientNetLite0()
    matched = load_backbone(backbone, tmp_path / "lite.pth")
    assert matched.left == ("classifier.weight",)
    assert len(matched.taken) == len(renamed)
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(backbone.eval()(image).stride32, source.eval()(image).stride32)


def test_the_encoder_of_a_model_of_ours_begins_another_by_name() -> None:
    shipped, _ = load_network("ssdisb")  # its file lists heads before the encoder, by the alphabet
    network = dual_aspp("efficientnet_lite0", num_classes=3)
    assert len(load_backbone(network.encoder, weights_path("ssdisb")).taken) == 240
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = shipped.backbone(image).stride32  # type: ignore[union-attr, operator]
        torch.testing.assert_close(network.eval().encoder(image).deep, expected, atol=1e-3, rtol=1e-4)


def test_every_branch_begins_as_the_single_one() -> None:
    single, _ = load_network("ssdisb")
    multi = person_isb(**CARDS["ssdisb_multi"].arguments)
    take_what_fits(multi, weights_path("ssdisb"))
    first = single.branches[0].state_dict()  # type: ignore[index, union-attr]
    assert len(multi.branches) == 10
    for branch in multi.branches:
        assert all(torch.equal(value, first[key]) for key, value in branch.state_dict().items())


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other.pth: not the weights of this backbone: stem.0.weight"):
        load_backbone(EfficientNetLite0(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"keeps no order of layers: save the state dict .* with torch.save"):
        load_backbone(EfficientNetLite0(), weights_path("asbunet"))
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_backbone(EfficientNetLite0(), tmp_path / "bad.pth")
    for content in (b"", b"hello, these are no weights\n", b"conv1.weight"):
        (tmp_path / "bad.pth").write_bytes(content)
        with pytest.raises(WeightsError, match=r"bad.pth: cannot be read as weights \(\w(?!.*weights_only)"):
            load_backbone(EfficientNetLite0(), tmp_path / "bad.pth")
    torch.save({}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match="should hold a state dict of tensors"):
        load_backbone(EfficientNetLite0(), tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"ssdisb\+unet_lite"):
        joint_for_training(start="ssdisb")
