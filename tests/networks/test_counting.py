from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks import counting
from argos.networks.qunet import FULL_PRECISION, BitPlan, qunet

SIZE = (320, 320)


@pytest.mark.parametrize(
    ("arguments", "extras", "reproduced", "published"),
    [
        ({"bits": FULL_PRECISION}, False, 62.6870, 62.68),
        ({"bits": BitPlan(None, 1, None)}, False, 55.2674, 55.27),
        ({"bits": BitPlan(None, 1, 4)}, False, 18.3648, 18.36),
        ({}, True, 5.2952, 5.30),
        ({"dct": True}, True, 0.1123, 0.112),
    ],
)
@pytest.mark.parametrize("arithmetic", ["deployed", "published"])
def test_rows_of_table_4_1(
    arguments: dict[str, object], extras: bool, reproduced: float, published: float, arithmetic: str
) -> None:
    network = qunet(**arguments, published=arithmetic == "published")
    giga = counting.bit_operations(network, SIZE, extras=extras) / 1e9
    assert giga == pytest.approx(reproduced, abs=5e-5)
    assert giga == pytest.approx(published, abs=0.0075)


def test_fourth_row_without_squeeze_excite() -> None:
    assert counting.bit_operations(qunet(), SIZE, extras=False) / 1e9 == pytest.approx(5.1955, abs=5e-5)


def test_a_divisor_of_64() -> None:
    giga = counting.bit_operations(qunet(bits=BitPlan(None, 1, 4)), SIZE, divisor=64, extras=False) / 1e9
    assert giga == pytest.approx(18.10, abs=5e-3)


def test_one_class_gives_the_full_precision_row_exactly() -> None:
    network = qunet(bits=FULL_PRECISION, num_classes=1)
    assert counting.hooks_operations(network, SIZE) / 1e9 == pytest.approx(62.6804, abs=5e-5)
    assert counting.conv_macs(network, SIZE) / 1e9 == pytest.approx(62.469, abs=5e-4)


class Toy(nn.Module):
    """One of everything, half of it by functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, bias=False)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.grouped(self.conv(x))))  # (1, 8, 8, 8)
        x = self.up(F.max_pool2d(x, 2))  # (1, 4, 8, 8)
        x = F.interpolate(x, scale_factor=2, mode="nearest")  # (1, 4, 16, 16)
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


def test_operations_of_a_toy_counted_by_hand() -> None:
    counted = counting.operations(Toy(), (16, 16))
    assert counted == counting.Operations(
        conv_macs=8 * 64 * 27 + 8 * 64 * 18 + 8 * 16 * 4 * 16,
        conv_biases=8 * 64,
        normalized=8 * 64,
        rectified=8 * 64,
        max_pooled=8 * 64,
        upsampled=4 * 256,
        linear_macs=20,
        averaged=4 * 256,
    )


def test_rules_of_a_toy() -> None:
    toy, macs = Toy(), 8 * 64 * 45 + 8 * 16 * 64
    assert counting.conv_macs(toy, (16, 16)) == macs
    assert counting.conv_2bn_operations(toy, (16, 16)) == macs + 20 + 2 * 512
    assert counting.hooks_operations(toy, (16, 16)) == macs + 512 + 2 * 512 + 512 + 512 + 1024
    assert counting.conv_weights(toy) == 216 + 144 + 512
    assert counting.parameters(toy) == 216 + 144 + 8 + 16 + 512 + 25
    assert counting.tf_variables(toy) == counting.parameters(toy) + 16


def test_counting_leaves_the_network_alone() -> None:
    network = qunet(8).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    counting.bit_operations(network, (64, 64))
    assert not network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())
