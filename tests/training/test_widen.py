"""A wide QU-Net that begins as a narrow one."""

from __future__ import annotations

import pytest
import torch

from argos.errors import WeightsError
from argos.networks.layers.quantize import weight_scale
from argos.networks.qunet import FULL_PRECISION, QUNet, qunet
from argos.training.pretrained import started_from
from argos.training.recipes import started_qunet
from argos.training.widen import widened


def trained_like(width: int, seed: int = 0) -> QUNet:
    """Random weights and statistics under which no layer is silent."""
    torch.manual_seed(seed)
    network = qunet(width)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0.0, 0.3)
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randint(0, 256, (2, 3, 48, 64), dtype=torch.uint8))
    return network.eval()


@pytest.mark.parametrize("width", [16, 32])
@torch.no_grad()
def test_without_noise_the_logits_stay(width: int) -> None:
    narrow = trained_like(8)
    picture = torch.randint(0, 256, (2, 3, 70, 51), dtype=torch.uint8)
    before = narrow(picture)
    assert before.std() > 0.1
    wide = widened(narrow, width, noise=0.0)
    assert wide.channels[0] == width
    torch.testing.assert_close(wide(picture), before, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_noise_tells_copies_apart_and_keeps_the_scales() -> None:
    narrow = trained_like(8)
    wide = widened(narrow, 16)
    for name, old in narrow.named_modules():
        new = wide.get_submodule(name)
        if not hasattr(old, "bits") or not isinstance(old, torch.nn.Conv2d):
            continue
        assert isinstance(new, torch.nn.Conv2d)
        channels = old.out_channels
        assert not torch.equal(new.weight[:channels] >= 0, new.weight[channels:] >= 0), name
        times = new.in_channels / old.in_channels
        torch.testing.assert_close(weight_scale(new.weight) * times, weight_scale(old.weight))


def test_training_moves_copies_apart() -> None:
    wide = widened(trained_like(8), 16).train()
    out = wide(torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8))
    out[:, 1].mean().backward()
    gradient = dict(wide.named_parameters())["down1.0.conv.weight"].grad
    assert gradient is not None
    assert not torch.allclose(gradient[:16], gradient[16:])


def test_what_cannot_be_widened() -> None:
    with pytest.raises(ValueError, match="multiple"):
        widened(qunet(16), 8)
    with pytest.raises(ValueError, match="signs"):
        widened(qunet(8, bits=FULL_PRECISION), 16)


def test_a_training_begins_with_a_narrower_model() -> None:
    wide = started_qunet(16, "qunet8")
    assert isinstance(wide, QUNet)
    assert wide.channels[0] == 16
    signs = wide.state_dict()["inc.0.conv.weight"][:8] >= 0
    same = torch.eq(signs, started_from("qunet8")[0].state_dict()["inc.0.conv.weight"] >= 0)
    assert 0.8 < float(same.float().mean()) < 1


def test_a_wider_model_is_no_start() -> None:
    with pytest.raises(WeightsError, match="do not fit"):
        started_qunet(8, "qunet16")
