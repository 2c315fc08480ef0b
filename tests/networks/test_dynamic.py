"""Blocks that are computed where a mask says so, and a budget that the mask keeps."""

from __future__ import annotations

import pytest
import torch
from network_checks import check_gradients
from torch import nn

from argos.engines.count_macs import count_macs
from argos.networks.dynamic import DynamicBlock, MaskUnit, dynamic_unet
from argos.training.objectives import budget_loss
from argos.training.recipe import Phase, Recipe, optimizer_for
from argos.training.stream import Batch


def test_where_the_mask_is_zero_a_block_gives_back_its_input() -> None:
    torch.manual_seed(0)
    block = DynamicBlock(8, dynamic=True).eval()
    assert block.mask is not None
    x = torch.rand(1, 8, 12, 12)
    mask = block.mask(x)
    out, share = block(x)
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert share == mask.mean()
    assert torch.equal(torch.where(mask == 0, out, 0), torch.where(mask == 0, x, 0))
    nn.init.constant_(block.mask.near.bias, -100.0)  # type: ignore[arg-type]
    assert block(x)[1] == 0


def test_noise_decides_in_training_and_the_gradient_passes() -> None:
    torch.manual_seed(0)
    unit = MaskUnit(4).train()
    x = torch.rand(1, 4, 40, 40)
    first, second = unit(x), unit(x)
    assert set(first.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    first.sum().backward()
    assert unit.near.weight.grad is not None
    assert unit.near.weight.grad.abs().sum() > 0


def test_shares_are_those_of_the_operations() -> None:
    plain = dynamic_unet(budget=None)
    image = torch.zeros(1, 3, 64, 64)
    blocks = sum(count_macs(block.body, torch.zeros(1, channels, 32 >> level, 32 >> level))
                 for level, (stage, channels) in enumerate(zip(plain.stages, (32, 64, 128, 192), strict=True))
                 for block in stage)  # type: ignore[attr-defined]  # fmt: skip
    assert plain.computed(0.0) == pytest.approx(1 - blocks / count_macs(plain, image), abs=1e-6)
    assert plain.computed(1.0) == pytest.approx(1.0)
    assert plain.eval().decide(image).share == pytest.approx(1.0)
    assert not any(isinstance(module, MaskUnit) for module in plain.modules())


def test_gradients_reach_everything() -> None:
    torch.manual_seed(0)
    network = dynamic_unet(2).train()
    check_gradients(network, network(torch.rand(2, 3, 48, 64)))


def test_a_training_comes_to_the_budget() -> None:
    torch.manual_seed(0)
    network = dynamic_unet(budget=0.25).train()
    images = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    ids = torch.zeros(2, 32, 32, dtype=torch.uint8)
    ids[:, 8:24, 8:24] = 1
    none = (torch.zeros(0, 4),) * 2
    batch = Batch(images, ids, none, (torch.zeros(0),) * 2, none)
    optimizer = optimizer_for(network, Recipe(1.0, (Phase(1.0, 32, 2),), peak_rate=3e-3))
    budgets = []
    for _ in range(8):
        optimizer.zero_grad()
        losses = budget_loss(network, batch)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        budgets.append(float(losses["budget"].detach()))
    assert budgets[0] > 0.8, "about two thirds are computed at first"
    assert max(budgets[-3:]) < 0.1, "within a tenth of the budget"
    assert "budget" not in budget_loss(dynamic_unet(budget=None), batch)


@pytest.mark.parametrize("arguments", [{"num_classes": 0}, {"budget": 0.0}, {"budget": 1.5}])
def test_wrong_arguments_are_said(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        dynamic_unet(**arguments)  # type: ignore[arg-type]
