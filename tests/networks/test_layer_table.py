from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from argos.networks.count_rules import RULES, macs
from argos.networks.counting import parameters
from argos.networks.families import FAMILIES, family_of
from argos.networks.layer_table import describe, trace_layers
from argos.networks.table import NETWORKS


@pytest.mark.parametrize("name", ["qunet", "asbunet", "essnet", "ssd_isb.single_branch"])
def test_layers_add_up_to_the_network(name: str) -> None:
    with torch.device("meta"):
        network = NETWORKS[name]()
    layers = trace_layers(network, (640, 640))
    assert sum(layer.macs for layer in layers) == macs(network, (640, 640))
    assert sum(layer.parameters for layer in layers) == parameters(network)


def test_layers_stand_in_the_order_of_the_pass_with_shape_parameters_and_macs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 2, 1)))
    found = [(x.name, x.kind, x.output, x.parameters, x.macs) for x in trace_layers(network, (8, 6))]
    assert found == [
        ("", "Sequential", (2, 4, 3), 0, 0),
        ("0", "Conv2d k3x3 s2", (8, 4, 3), 224, 8 * 12 * 27),
        ("1", "Sequential", (2, 4, 3), 0, 0),
        ("1.0", "ReLU", (8, 4, 3), 0, 0),
        ("1.1", "Conv2d k1x1", (2, 4, 3), 18, 2 * 12 * 8),
    ]


class Borrowing(nn.Module):
    """Calls one layer twice, and uses the weights of another without calling it."""

    def __init__(self) -> None:
        super().__init__()
        self.lent = nn.Conv2d(3, 2, 1)
        self.twice = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(self.twice(self.twice(x)), self.lent.weight)


def test_work_counts_where_it_is_done_and_parameters_where_they_are() -> None:
    found = [(x.name, x.output, x.parameters, x.macs) for x in trace_layers(Borrowing(), (4, 4))]
    assert found == [("", (2, 4, 4), 0, 16 * 6), ("twice", (3, 4, 4), 12, 2 * 16 * 9), ("lent", (), 8, 0)]


def test_convolutions_are_told_apart() -> None:
    assert describe(nn.Conv2d(8, 8, (3, 1), dilation=(4, 1))) == "Conv2d k3x1 d4"
    assert describe(nn.Conv2d(8, 8, 3, groups=8)) == "Conv2d k3x3 dw"
    assert describe(nn.Conv2d(8, 8, 1, groups=2)) == "Conv2d k1x1 g2"
    assert describe(nn.ConvTranspose2d(8, 8, 2, 2)) == "ConvTranspose2d k2x2 s2"


def test_every_network_has_a_task_and_a_source() -> None:
    assert all(family_of(name).source for name in NETWORKS)
    assert family_of("ssd_isb.multi_shape").task == "instances"
    assert family_of("unet.efficientnet") == FAMILIES["unet."] != family_of("unet_lite")


@pytest.mark.parametrize("rule", RULES)
def test_rules_count_every_kind_of_network(rule: str) -> None:
    for name in ("qunet", "essnet"):
        with torch.device("meta"):
            network = NETWORKS[name]()
        assert RULES[rule].parameters(network) > 0
        assert RULES[rule].operations(network, (64, 64)) > 0


def test_bit_operations_differ_from_hooks_where_weights_have_one_bit() -> None:
    with torch.device("meta"):
        network = NETWORKS["qunet"]()
    assert RULES["bit-ops"].operations(network, (64, 64)) < RULES["hooks"].operations(network, (64, 64)) / 5
