"""Bits of single layers, and their automatic choice on a network that learnt to find bright squares."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from argos.engines.integer_qunet import IntegerQUNet
from argos.networks.counting import bit_operations
from argos.networks.qunet import LAYERS, BitPlan, QUNet, qunet, with_bits
from argos.training.bit_widths import choose_bits

SIZE = (32, 32)


def squares(seed: int, n: int = 6) -> tuple[Tensor, Tensor]:
    """Noisy uint8 images ``(n, 3, 32, 32)`` with a square a little brighter than the noise, and where it is."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 120, (n, 3, *SIZE), generator=generator)
    label = torch.zeros(n, *SIZE, dtype=torch.long)
    for k in range(n):
        x, y = torch.randint(0, 17, (2,), generator=generator).tolist()
        image[k, :, y : y + 16, x : x + 16] += 60
        label[k, y : y + 16, x : x + 16] = 1
    return image.to(torch.uint8), label


IMAGE, LABEL = squares(1)


def iou(network: QUNet) -> float:
    """Of images that it did not learn from."""
    image, label = squares(2)
    found = network(image).argmax(1)
    return float(((found & label).sum() / (found | label).sum().clamp(min=1)).item())


@torch.no_grad()
def fresh_statistics(network: QUNet) -> None:
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    network.train()(IMAGE)
    for norm in norms:
        norm.momentum = 0.1


@pytest.fixture(scope="module")
def trained() -> QUNet:
    """QU-Net of width 8 with 8 bits everywhere, trained for some seconds."""
    torch.manual_seed(0)
    network = qunet(8, bits=BitPlan(8, 8, 8))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for step in range(40):
        image, label = squares(100 + step)
        loss = nn.functional.cross_entropy(network(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fresh_statistics(network)
    return network.eval()


def test_bits_go_down_as_far_as_the_accuracy_allows(trained: QUNet) -> None:
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    with torch.no_grad():
        full = iou(trained)
        everything = with_bits(trained, BitPlan(1, 1, 1))
        fresh_statistics(everything)
        coarse = iou(everything.eval())
        assert coarse < full  # so there is something to choose
        least = 0.5 * (full + coarse)
    found = choose_bits(trained, iou, least, fresh_statistics, (8, 2, 1), SIZE)
    with torch.no_grad():
        assert found.score == iou(found.network) >= least
    assert found.operations == bit_operations(found.network, SIZE) < 0.7 * bit_operations(trained, SIZE)
    bits = found.network.bits.every()
    assert len(set(bits.values())) > 1
    assert set(bits.values()) <= {8, 2, 1}
    assert not all(trial.kept for trial in found.trials)
    for trial in found.trials:
        assert trial.kept == (trial.score >= least)
        assert trial.kept or bits[trial.layer] > trial.bits
    assert {t.layer for t in found.trials} == set(LAYERS)
    assert all(torch.equal(before[name], value) for name, value in trained.state_dict().items())
    assert trained.bits == BitPlan(8, 8, 8)
    image = squares(3)[0]
    with torch.no_grad():
        assert torch.equal(IntegerQUNet(found.network)(image), found.network(image))


def test_what_cannot_be_chosen_is_told(trained: QUNet) -> None:
    def nothing(network: QUNet) -> None:
        pass

    with pytest.raises(ValueError, match=r"widths should be bits of 1 to 8, got \(16,\)"):
        choose_bits(trained, iou, 0.5, nothing, widths=(16,))
    with pytest.raises(ValueError, match=r"least is 2, but the network itself reaches 0\.\d+; lower it"):
        choose_bits(trained, iou, 2.0, nothing)
    with pytest.raises(ValueError, match=r"bits in every layer, but down3.0, down3.1, down4.0, down4.1 are in full"):
        choose_bits(qunet(8, bits=BitPlan(8, None, 4)), iou, 0.5, nothing)


def test_bits_of_a_layer_are_written_in_a_card_and_wrong_ones_named() -> None:
    network = qunet(8, bits={"middle": 2, "layers": {"down4.1": 4}})
    assert network.bits.of("down4.1") == 4
    assert network.bits.of("down4.0") == 2
    assert network.bits.changed("down4.1", 2) == BitPlan(middle=2)
    with pytest.raises(ValueError, match=r"bits.layers must have names of inc.0, .*, up4.1, got 'down5.0'"):
        qunet(8, bits={"layers": {"down5.0": 4}})
    with pytest.raises(ValueError, match=r"bits.layers.up1.0 must be 1 to 8 or None"):
        qunet(8, bits={"layers": {"up1.0": 9}})
    with pytest.raises(ValueError, match=r"bits of inc.0 must not be None, as in the network"):
        with_bits(network, BitPlan(initial=None))
