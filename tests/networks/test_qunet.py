from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dctn
from torch import nn

from argos.networks.counting import binary_weights, parameters
from argos.networks.layers.binary import QuantizedUnit, SqueezeExcite
from argos.networks.layers.dct import BlockDCT
from argos.networks.layers.quantize import levels
from argos.networks.qunet import FULL_PRECISION, BitPlan, QUNet, qunet

VARIANTS = {
    "deployed": qunet,
    "dct": lambda width: qunet(width, dct=True),
    "float": lambda width: qunet(width, bits=FULL_PRECISION),
    "middle": lambda width: qunet(width, bits=BitPlan(None, 1, None)),
    "middle and decoder": lambda width: qunet(width, bits=BitPlan(None, 1, 4)),
    "float middle": lambda width: qunet(width, bits=BitPlan(8, None, 4)),
    "few bits": lambda width: qunet(width, bits=BitPlan(4, 2, 8)),
}


def images(n: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, height, width), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def trained_a_little(network: QUNet) -> QUNet:
    """Give the running statistics and the affine parameters values that differ between channels."""
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(-1.5, 1.5)  # negative too
                layer.bias.uniform_(-0.5, 1.0)
        network.train()
        network(images(2, 64, 48))
    return network.eval()


def test_full_precision_has_the_parameters_of_the_bilinear_unet() -> None:
    assert parameters(qunet(bits=FULL_PRECISION)) == 17_267_458
    assert parameters(qunet(bits=FULL_PRECISION, dct=True)) == 17_376_322


def test_binary_weights_take_the_published_two_megabytes() -> None:
    network = qunet()
    assert binary_weights(network) == 17_254_080
    assert parameters(network) == 17_254_080 + 13_378 + 293_532  # biases, norms, last layer; squeeze-excite


@pytest.mark.parametrize(("reduction", "count"), [(4, 1_160_064), (8, 582_376), (16, 293_532), (32, 150_012)])
def test_squeeze_excite_parameters(reduction: int, count: int) -> None:
    network = qunet(se_reduction=reduction)
    assert sum(parameters(m) for m in network.modules() if isinstance(m, SqueezeExcite)) == count


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_every_parameter(variant: str) -> None:
    torch.manual_seed(0)
    network = VARIANTS[variant](8)
    logits = network(images(3, 128, 160))
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.endswith("conv.bias"):  # the batch normalisation removes it where no gate follows
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(33, 50), (1, 1), (64, 80)])
def test_logits_have_the_size_of_the_image(variant: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert VARIANTS[variant](8).eval()(images(2, *size)).shape == (2, 2, *size)


def test_published_arithmetic_runs_and_is_another_one() -> None:
    torch.manual_seed(0)
    deployed, published = qunet(8).eval(), qunet(8, published=True).eval()
    published.load_state_dict(deployed.state_dict())
    with torch.no_grad():
        a, b = deployed(images(1, 40, 56)), published(images(1, 40, 56))
    assert a.shape == b.shape
    assert not torch.allclose(a, b)


def test_uint8_and_float_images_give_the_same_logits() -> None:
    network = trained_a_little(qunet(8))
    with torch.no_grad():
        assert torch.equal(network(images(2, 48, 64)), network(images(2, 48, 64).float()))


def test_pictures_of_a_batch_do_not_mix_in_evaluation() -> None:
    network = trained_a_little(qunet(8))
    batch = images(3, 48, 64)
    with torch.no_grad():
        together = network(batch)
        for n in range(3):
            torch.testing.assert_close(together[n], network(batch[n : n + 1])[0])


def test_state_dict_restores_the_network() -> None:
    network, other = trained_a_little(qunet(8)), qunet(8)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(network(images(1, 32, 48)), other.eval()(images(1, 32, 48)))


def test_channels_last_gives_the_same_logits() -> None:
    network = trained_a_little(qunet(8))
    image = images(2, 48, 64)
    with torch.no_grad():
        expected = network(image)
        network.to(memory_format=torch.channels_last)
        torch.testing.assert_close(network(image.contiguous(memory_format=torch.channels_last)), expected)


def test_every_convolution_takes_and_sums_integers_and_gives_codes() -> None:
    """What the integer engine relies on: nothing but integers between the image and the last convolution."""
    network = trained_a_little(qunet(8))
    seen = []

    def check(unit: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        assert isinstance(unit, QuantizedUnit)
        codes = inputs[0]
        assert torch.equal(codes, codes.round())
        assert codes.min() >= 0
        assert codes.max() <= levels(unit.conv.bits)
        exact = nn.functional.conv2d(codes.double(), torch.where(unit.conv.weight >= 0, 1.0, -1.0).double(), padding=1)
        sums = unit.conv(codes)
        assert torch.equal(sums.double(), exact)
        pooled = codes.mean((2, 3)) / levels(unit.conv.bits)
        scale, offset = unit.affine(unit.gate(pooled))
        assert unit.stored is not None
        steps = exact * scale[:, :, None, None].double() + offset[:, :, None, None].double()
        expected = steps.clamp(0, levels(unit.stored)).round()
        ties = ((steps % 1) - 0.5).abs() < 1e-3
        assert ((output.double() == expected) | ties).all()
        seen.append((unit.conv.bits, unit.stored))

    for module in network.modules():
        if isinstance(module, QuantizedUnit):
            module.register_forward_hook(check)
    with torch.no_grad():
        network(images(2, 64, 64))
    encoder = [(8, 8)] * 6 + [(1, 1), (1, 4), (1, 1), (1, 4)]
    assert seen == encoder + [(4, 4)] * 7 + [(4, 8)]


def test_training_and_evaluation_agree_when_the_statistics_do() -> None:
    torch.manual_seed(1)
    unit = QuantizedUnit(6, 5, bits=4, stored=8, reduction=16, published=False)
    unit.norm.momentum = 1.0
    codes = torch.randint(0, 16, (4, 6, 12, 10)).float()
    trained = unit.train()(codes)
    n = trained.numel() / 5
    unit.norm.running_var.mul_((n - 1) / n)  # running variance is unbiased, the batch's own is not
    evaluated = unit.eval()(codes)
    assert (trained - evaluated).abs().max() <= 1  # a tie may round either way
    assert (trained != evaluated).float().mean() < 0.01


def test_dct_equals_scipy_block_by_block() -> None:
    image = images(1, 16, 24).float()
    ours = BlockDCT()(image)[0].numpy()
    for colour in range(3):
        for by in range(2):
            for bx in range(3):
                block = image[0, colour, 8 * by : 8 * by + 8, 8 * bx : 8 * bx + 8].numpy()
                expected = dctn(block, norm="ortho").ravel()
                np.testing.assert_allclose(ours[64 * colour : 64 * colour + 64, by, bx], expected, atol=2e-3)


def test_learns_where_a_bright_square_is() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(5)
    image = torch.randint(0, 120, (4, 3, 32, 32), generator=generator)
    label = torch.zeros(4, 32, 32, dtype=torch.long)
    for n, (x, y) in enumerate([(0, 0), (16, 3), (5, 14), (12, 9)]):
        image[n, :, y : y + 16, x : x + 16] += 110
        label[n, y : y + 16, x : x + 16] = 1
    network = qunet(8)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(20):
        loss = nn.functional.cross_entropy(network(image.to(torch.uint8)), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    knowing_the_share_alone = 0.562  # entropy of 1/4
    assert float(loss.detach()) < 0.5 * knowing_the_share_alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 48}, r"width must be one of \(64, 32, 16, 8\), got 48"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"se_reduction": 0}, "se_reduction must be at least 1"),
        ({"bits": {"first": 8}}, r"bits must have no other keys than \('initial', .*'layers'\), got \['first'\]"),
        ({"bits": {"middle": 9}}, "bits.middle must be 1 to 8 or None"),
    ],
)
def test_wrong_argument_names_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        qunet(**arguments)


@pytest.mark.parametrize("bits", [0, 9, 1.5])
def test_wrong_bits_name_the_group_and_what_is_allowed(bits: int) -> None:
    with pytest.raises(ValueError, match=r"bits.middle must be 1 to 8 or None"):
        BitPlan(middle=bits)
