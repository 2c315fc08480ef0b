from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from network_checks import SIZES, check_batch_and_layout, check_gradients, check_state_dict

from argos.networks.backbones.inverted_residual import Expansions
from argos.networks.counting import conv_macs, tf_variables
from argos.networks.layers.input_norm import IMAGENET_MEAN, IMAGENET_STD, InputNormalization
from argos.networks.unets_published import UNet, efficientnet_unet, mobilenet_v2_unet

BUILDERS: dict[str, Callable[[], UNet]] = {"efficientnet": efficientnet_unet, "mobilenet_v2": mobilenet_v2_unet}


@pytest.mark.parametrize(("variant", "published"), [("B0", 1_448_056), ("B1", 1_808_860), ("B2", 2_075_728)])
def test_efficientnet_variables_are_the_published_number(variant: str, published: int) -> None:
    with torch.device("meta"):
        assert tf_variables(efficientnet_unet(variant)) == published


@pytest.mark.parametrize(
    ("multiplier", "ours", "published"),
    [(1.0, 1_056_177, 1_057_013), (1.3, 1_576_881, 1_577_717), (1.4, 1_785_729, 1_786_565)],
)
def test_mobilenet_v2_lacks_836_variables_of_a_fixed_layer_that_is_not_known(
    multiplier: float, ours: int, published: int
) -> None:
    with torch.device("meta"):
        assert tf_variables(mobilenet_v2_unet(multiplier)) == ours == published - 836


@pytest.mark.parametrize(
    ("build", "channels"),
    [
        (lambda: efficientnet_unet("B0"), (96, 144, 240, 672)),
        (lambda: efficientnet_unet("B1"), (96, 144, 240, 672)),
        (lambda: efficientnet_unet("B2"), (96, 144, 288, 720)),
        (lambda: mobilenet_v2_unet(1.0), (96, 144, 192, 576)),
        (lambda: mobilenet_v2_unet(1.3), (144, 192, 240, 768)),
        (lambda: mobilenet_v2_unet(1.4), (144, 192, 288, 816)),
    ],
)
def test_encoder_gives_the_expansions_at_a_half_to_a_sixteenth(
    build: Callable[[], UNet], channels: tuple[int, ...]
) -> None:
    with torch.device("meta"):
        encoder = build().encoder
        maps = encoder(torch.zeros(2, 3, 64, 96))
    assert isinstance(maps, Expansions)
    assert encoder.channels == channels
    expected = [(2, c, 64 // s, 96 // s) for c, s in zip(channels, (2, 4, 8, 16), strict=True)]
    assert [tuple(x.shape) for x in maps] == expected


def test_macs_stay_what_they_are() -> None:
    """No figure is published; ours, against changes by accident."""
    with torch.device("meta"):
        assert conv_macs(efficientnet_unet("B0"), (256, 256)) == 1_441_828_608


@pytest.mark.parametrize("name", BUILDERS)
def test_gradients_reach_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network = BUILDERS[name]()
    check_gradients(network, network(torch.rand(2, 3, 48, 64)))


@pytest.mark.parametrize("name", BUILDERS)
@SIZES
def test_logits_have_the_size_of_the_image(name: str, size: tuple[int, int]) -> None:
    build = {"efficientnet": efficientnet_unet, "mobilenet_v2": mobilenet_v2_unet}[name]
    with torch.no_grad():
        assert build(num_classes=3).eval()(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("name", BUILDERS)
def test_batches_of_one_train_and_the_state_dict_restores_the_network(name: str) -> None:
    torch.manual_seed(0)
    check_state_dict(BUILDERS[name](), BUILDERS[name](), torch.rand(1, 3, 32, 48))


@pytest.mark.parametrize("name", BUILDERS)
def test_images_of_a_batch_do_not_mix_and_the_layout_does_not_matter(name: str) -> None:
    torch.manual_seed(0)
    check_batch_and_layout(BUILDERS[name](), torch.rand(2, 3, 32, 48))


def test_input_is_normalised_by_imagenet() -> None:
    image = torch.tensor(IMAGENET_MEAN)[:, None, None].expand(3, 2, 2) + torch.tensor(IMAGENET_STD)[:, None, None]
    torch.testing.assert_close(InputNormalization()(image[None]), torch.ones(1, 3, 2, 2))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: efficientnet_unet("B3"), r"variant must be one of \['B0', 'B1', 'B2'\], got 'B3'"),
        (lambda: mobilenet_v2_unet(0.5), r"multiplier must be one of \(1.0, 1.3, 1.4\), got 0.5"),
        (lambda: efficientnet_unet(num_classes=0), "num_classes must be at least 1, got 0"),
        (lambda: mobilenet_v2_unet(num_classes=-1), "num_classes must be at least 1, got -1"),
    ],
)
def test_wrong_argument_names_what_is_allowed(build: Callable[[], UNet], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
