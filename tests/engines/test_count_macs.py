from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from argos.engines.count_macs import count_macs, layer_macs
from argos.networks.asbunet import asbunet


def test_counts_equal_torch_flop_counter_on_all_kinds_of_layers() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=8, dilation=2),
        nn.ConvTranspose2d(8, 12, 4, stride=2, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    ).eval()
    image = torch.rand(2, 3, 33, 47)
    with FlopCounterMode(display=False) as counter:
        network(image)
    assert count_macs(network, image) == counter.get_total_flops() // 2


def test_asbunet_has_its_published_size() -> None:
    # networks table: 2.939 GMAC at 256x256
    assert round(count_macs(asbunet(), torch.zeros(1, 3, 256, 256)) / 1e9, 3) == 2.939


def test_counting_leaves_network_in_training_mode_and_its_statistics_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    count_macs(network, torch.rand(2, 3, 8, 8))
    assert network.training
    assert network[1].num_batches_tracked == 0
    assert not network[0]._forward_hooks


def test_other_layers_cannot_be_counted() -> None:
    with pytest.raises(ValueError, match="cannot count a ReLU"):
        layer_macs(nn.ReLU(), torch.zeros(1), torch.zeros(1))
