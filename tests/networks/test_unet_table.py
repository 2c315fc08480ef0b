"""The full-precision U-Net of the QU-Net thesis, convolution by convolution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from argos.networks.counting import PUBLISHED_DIVISOR, conv_macs, hooks_operations, parameters
from argos.networks.qunet import FULL_PRECISION, qunet, unet
from argos.networks.table import NETWORKS

SIZE = (320, 320)

# layer: map side, group bits of the quantised form, weights, GMAC, effective G
LAYERS = {
    "inc.0": (320, 8, 1_728, 0.1769, 0.0244),
    "inc.1": (320, 8, 36_864, 3.7749, 0.5207),
    "down1.0": (160, 8, 73_728, 1.8874, 0.2603),
    "down1.1": (160, 8, 147_456, 3.7749, 0.5207),
    "down2.0": (80, 8, 294_912, 1.8874, 0.2603),
    "down2.1": (80, 8, 589_824, 3.7749, 0.5207),
    "down3.0": (40, 1, 1_179_648, 1.8874, 0.0325),
    "down3.1": (40, 1, 2_359_296, 3.7749, 0.0651),
    "down4.0": (20, 1, 2_359_296, 0.9437, 0.0163),
    "down4.1": (20, 1, 2_359_296, 0.9437, 0.0163),
    "up1.0": (40, 4, 4_718_592, 7.5497, 0.5207),
    "up1.1": (40, 4, 1_179_648, 1.8874, 0.1302),
    "up2.0": (80, 4, 1_179_648, 7.5497, 0.5207),
    "up2.1": (80, 4, 294_912, 1.8874, 0.1302),
    "up3.0": (160, 4, 294_912, 7.5497, 0.5207),
    "up3.1": (160, 4, 73_728, 1.8874, 0.1302),
    "up4.0": (320, 4, 73_728, 7.5497, 0.5207),
    "up4.1": (320, 4, 36_864, 3.7749, 0.2603),
}


def layers_of(network: nn.Module) -> dict[str, tuple[int, int, int]]:
    """Side of the map, weights and multiply-accumulates of each 3x3 convolution."""
    found: dict[str, tuple[int, int, int]] = {}

    def note(name: str, conv: nn.Conv2d) -> None:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            weights = conv.weight.numel()
            found[name] = (output.shape[-1], weights, weights * output.shape[-2] * output.shape[-1])

        conv.register_forward_hook(hook)

    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            note(name.removesuffix(".conv"), layer)
    with torch.no_grad():
        network(torch.zeros(1, 3, *SIZE, device="meta"))
    return found


@pytest.mark.parametrize("quantized", [False, True])
def test_every_layer_has_the_weights_and_macs_of_the_table(quantized: bool) -> None:
    with torch.device("meta"):
        network = qunet() if quantized else unet()
    found = layers_of(network)
    assert list(found) == list(LAYERS)
    for name, (side, bits, weights, gmac, effective) in LAYERS.items():
        assert found[name][:2] == (side, weights), name
        assert found[name][2] / 1e9 == pytest.approx(gmac, abs=5e-5), name
        assert found[name][2] * bits / PUBLISHED_DIVISOR / 1e9 == pytest.approx(effective, abs=5.1e-5), name
        if quantized:
            assert network.get_submodule(name).conv.bits == bits


@pytest.mark.parametrize(
    ("bits", "weights", "gmac", "effective"),
    [(8, 1_144_512, 15.276, 2.107), (1, 8_257_536, 7.550, 0.130), (4, 7_852_032, 39.636, 2.734)],
)
def test_totals_of_the_groups(bits: int, weights: int, gmac: float, effective: float) -> None:
    with torch.device("meta"):
        found = layers_of(unet())
    group = [found[name] for name, layer in LAYERS.items() if layer[1] == bits]
    macs = sum(layer[2] for layer in group) / 1e9
    assert sum(layer[1] for layer in group) == weights
    assert macs == pytest.approx(gmac, abs=5e-4)
    assert macs * bits / PUBLISHED_DIVISOR == pytest.approx(effective, abs=5e-4)


@pytest.mark.parametrize("published", [False, True])
def test_unet_has_the_counts_of_the_first_row(published: bool) -> None:
    with torch.device("meta"):
        two, one = unet(published=published), unet(num_classes=1, published=published)
        dct = unet(dct=True, published=published)
    assert parameters(two) == 17_267_458
    assert parameters(dct) == 17_376_322
    assert conv_macs(one, SIZE) / 1e9 == pytest.approx(62.469, abs=5e-4)
    assert conv_macs(two, SIZE) / 1e9 == pytest.approx(62.475, abs=8e-4)
    of_the_transform = 3 * SIZE[0] * SIZE[1] * 64  # it runs as a convolution of 8x8 blocks
    assert (conv_macs(dct, SIZE) - of_the_transform) / 1e9 == pytest.approx(1.140, abs=5e-4)
    assert hooks_operations(one, SIZE) / 1e9 == pytest.approx(62.6804, abs=5e-5)


def test_two_outputs_give_62_687_where_62_68_is_printed_which_one_output_gives_exactly() -> None:
    with torch.device("meta"):
        assert hooks_operations(unet(), SIZE) / 1e9 == pytest.approx(62.6870, abs=5e-5)


def test_corners_are_aligned_as_published() -> None:
    torch.manual_seed(0)
    deployed, published = unet(8).eval(), unet(8, published=True).eval()
    published.load_state_dict(deployed.state_dict())
    images = torch.randint(0, 256, (2, 3, 37, 50), dtype=torch.uint8)
    with torch.no_grad():
        assert published(images).shape == deployed(images).shape == (2, 2, 37, 50)
        assert not torch.allclose(published(images), deployed(images))


def test_bits_of_a_card_build_the_rows_of_the_table() -> None:
    plain = NETWORKS["qunet"](8, bits={"initial": None, "middle": None, "decoder": None})
    assert plain.bits == FULL_PRECISION
    assert NETWORKS["qunet"](8, bits={"initial": None}).bits.decoder == 4
    assert list(plain.state_dict()) == list(NETWORKS["qunet.unet"](8).state_dict())
