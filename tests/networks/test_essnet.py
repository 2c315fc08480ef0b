"""ERFNet, ESSNetA, ESSNetB, ESSNet, its decoder variants and WSPD-Net."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from argos.networks.counting import conv_macs, conv_weights, hooks_operations, parameters
from argos.networks.essnet import DECODERS, erfnet, essnet, essnet_a, essnet_b, wspdnet

SIZE = (512, 1024)

VARIANTS: dict[str, Callable[..., nn.Module]] = {
    "ERFNet": erfnet,
    "ESSNetA-DG4": lambda **options: essnet_a("DG4", **options),
    "ESSNetA-DG4S": lambda **options: essnet_a("DG4S", **options),
    "ESSNetB-D": essnet_b,
    "ESSNetB-DG8S gradual": lambda **options: essnet_b("DG8S", gradual=True, **options),
    "WSPD-Net": wspdnet,
    **{f"ESSNet {name}": lambda decoder=name, **options: essnet(decoder=decoder, **options) for name in DECODERS},
}


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


@pytest.mark.parametrize(
    ("build", "weights", "giga"),
    [
        (lambda: erfnet(published=True), 2_038_448, 27.705),  # Table 3.2
        (lambda: essnet_b("DG2", published=True), 395_568, 8.852),
        (lambda: essnet_b("DG4", published=True), 319_792, 7.980),
        (lambda: essnet_b("DG8", published=True), 281_904, 7.543),
        (lambda: essnet_b("DG2S", published=True), 395_568, 8.852),
        (lambda: essnet_b("DG4S", published=True), 319_792, 7.980),
        (lambda: essnet_b("DG8S", published=True), 281_904, 7.543),
        (lambda: essnet_a("DG2", published=True), 1_238_960, 18.998),  # Table 3.4
        (lambda: essnet_a("DG4", published=True), 1_202_096, 18.595),
        (lambda: essnet_a("DG8", published=True), 1_183_664, 18.394),
        (lambda: essnet_a("DG2S", published=True), 1_238_960, 18.998),
        (lambda: essnet_a("DG4S", published=True), 1_202_096, 18.595),
        (lambda: essnet_a("DG8S", published=True), 1_183_664, 18.394),
        (lambda: essnet("D", published=True), 431_312, 5.773),  # Table 3.5
        (lambda: essnet("DG2", published=True), 279_760, 4.029),
        (lambda: essnet("DG4", published=True), 203_984, 3.156),
    ],
)
def test_rows_of_chapter_3_are_the_published_numbers(build: Callable[[], nn.Module], weights: int, giga: float) -> None:
    network = on_meta(build)
    assert conv_weights(network) == weights
    assert conv_macs(network, SIZE) / 1e9 == pytest.approx(giga, abs=6e-4)  # 7.5435 is printed as 7.543


def test_essnet_b_d_has_547120_weights_because_the_printed_683568_counts_its_decoder_twice() -> None:
    network = on_meta(lambda: essnet_b("D", published=True))
    assert conv_weights(network) == 547_120
    assert conv_weights(network.encoder) + 2 * conv_weights(network.decoder) == 683_568
    assert conv_macs(network, SIZE) / 1e9 == pytest.approx(10.597, abs=5e-4)


def test_essnet_a_d_has_1312688_weights_because_only_they_fit_the_other_rows_of_its_table() -> None:
    network = on_meta(lambda: essnet_a("D", published=True))
    assert conv_weights(network) == 1_312_688  # printed 1,291,648
    assert conv_macs(network, SIZE) / 1e9 == pytest.approx(19.803, abs=5e-4)  # printed 19.025
    pointwise = 147_456
    for groups, published in ((2, 1_238_960), (4, 1_202_096), (8, 1_183_664)):
        assert 1_312_688 - pointwise + pointwise // groups == published


@pytest.mark.parametrize(
    ("build", "weights", "giga"),
    [
        (erfnet, 2_051_423, 26.613),
        (essnet_b, 560_095, 9.504),
        (lambda: essnet_b("DG2"), 408_543, 7.759),
        (lambda: essnet_b("DG4"), 332_767, 6.887),
        (lambda: essnet_b("DG8"), 294_879, 6.451),
        (essnet_a, 1_325_663, 18.711),
        (lambda: essnet_a("DG2"), 1_251_935, 17.905),
        (lambda: essnet_a("DG4"), 1_215_071, 17.503),
        (lambda: essnet_a("DG8"), 1_196_639, 17.301),
        (essnet, 402_207, 5.494),
        (lambda: essnet("DG2"), 250_655, 3.750),
        (lambda: essnet("DG4"), 174_879, 2.877),
        (wspdnet, 709_983, 16.35),
    ],
)
def test_literal_builds(build: Callable[[], nn.Module], weights: int, giga: float) -> None:
    network = on_meta(build)
    assert conv_weights(network) == weights
    assert conv_macs(network, SIZE) / 1e9 == pytest.approx(giga, abs=5e-3 if giga == 16.35 else 5e-4)


def test_literal_erfnet_and_the_classifier_of_its_encoder_have_the_parameters_of_the_public_one() -> None:
    assert parameters(on_meta(erfnet)) + 128 * 20 + 20 == 2_066_836


@pytest.mark.parametrize(
    ("decoder", "published", "conv_only", "hooks"),
    [
        ("enc-UPS", 7.41, 7.376, 7.3673),
        ("trans4x", 5.31, 5.320, 5.2995),
        ("trans8x", 4.89, 4.981, 4.8927),
        ("nodec", 4.70, 4.813, 4.7250),
    ],
)
def test_decoder_variants_are_within_1_percent_by_hooks_as_table_4_1_was_counted_with_another_tool(
    decoder: str, published: float, conv_only: float, hooks: float
) -> None:
    counted = hooks_operations(on_meta(lambda: essnet(decoder=decoder)), SIZE) / 1e9
    assert counted == pytest.approx(hooks, abs=1e-4)
    assert counted == pytest.approx(published, rel=0.01)
    full_width = on_meta(lambda: essnet(decoder=decoder, published=True))
    assert conv_macs(full_width, SIZE) / 1e9 == pytest.approx(conv_only, abs=6e-4)


def test_wspdnet_has_672036_parameters_published_as_0_67_million_though_its_dws_dil_is_only_drawn() -> None:
    network = on_meta(lambda: wspdnet(published=True))
    assert conv_weights(network) == 664_240
    assert parameters(network) == 672_036


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_every_parameter(variant: str, published: bool) -> None:
    torch.manual_seed(0)
    network = VARIANTS[variant](num_classes=3, published=published, dropout=0.0)
    logits = network(torch.rand(2, 3, 64, 48))
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("bias"):  # a batch normalisation removes the bias before it
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("size", [(33, 50), (1, 1), (16, 24)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_have_the_size_of_the_image(variant: str, size: tuple[int, int]) -> None:
    network = VARIANTS[variant](num_classes=3).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_pictures_of_a_batch_do_not_mix_in_evaluation() -> None:
    torch.manual_seed(0)
    network = essnet("DG2S", decoder="pyramid").eval().double()  # drawn at random, its logits are in the hundreds
    batch = torch.rand(3, 3, 40, 56, dtype=torch.float64)
    with torch.no_grad():
        together = network(batch)
        for n in range(3):
            torch.testing.assert_close(together[n], network(batch[n : n + 1])[0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_state_dict_restores_the_network(variant: str) -> None:
    torch.manual_seed(0)
    network, other = VARIANTS[variant](), VARIANTS[variant]()
    with torch.no_grad():
        network(torch.rand(2, 3, 32, 32))
        other.load_state_dict(network.state_dict())
        image = torch.rand(1, 3, 32, 48)
        assert torch.equal(network.eval()(image), other.eval()(image))


def test_channels_last_gives_the_same_logits() -> None:
    torch.manual_seed(0)
    network = essnet("DG4S").eval().double()
    image = torch.rand(2, 3, 40, 48, dtype=torch.float64)
    with torch.no_grad():
        expected = network(image)
        network.to(memory_format=torch.channels_last)
        found = network(image.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected)


def test_an_encoder_trained_without_a_decoder_fits_under_one() -> None:
    torch.manual_seed(0)
    alone, whole = essnet("DG2", decoder="nodec"), essnet("DG2")
    whole.encoder.load_state_dict(alone.encoder.state_dict())
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(whole.eval().encoder(image), alone.eval().encoder(image))


def test_layers_have_the_numbers_of_table_3_1() -> None:
    network = on_meta(essnet_b)
    names = [name for part in (network.encoder, network.decoder) for name, _ in part.named_children()]
    assert names == [f"layer{n}" for n in range(1, 24)]
    assert network.encoder.layer16.depthwise2.dilation == (16, 16)
    assert network.decoder.layer17.conv.out_channels == 64
    assert network.decoder.layer23.out_channels == 20


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: essnet("DG3"), "module should be one of D, DG2, DG4, DG8, DG2S, DG4S, DG8S, got 'DG3'"),
        (lambda: essnet_a("S"), "module should be one of"),
        (lambda: essnet_b(num_classes=0), "num_classes should be at least 1, got 0"),
        (lambda: erfnet(0), "num_classes should be at least 1, got 0"),
        (lambda: wspdnet(dropout=1.0), "dropout should be at least 0 and below 1, got 1.0"),
        (lambda: essnet(decoder="trans2"), "decoder should be one of trans2x, enc-UPS, .*, pyramid, got 'trans2'"),
    ],
)
def test_wrong_arguments_name_what_is_allowed(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
