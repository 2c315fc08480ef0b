from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from network_checks import SIZES, check_batch_and_layout, check_gradients, check_state_dict

from argos.networks.backbones.features import DeepFeatures
from argos.networks.backbones.mobilenet_v2 import MobileNetV2
from argos.networks.backbones.mobilenet_v3 import MobileNetV3
from argos.networks.counting import conv_2bn_operations, parameters
from argos.networks.dual_aspp import DualASPP, dual_aspp, make_encoder
from argos.networks.layers.conv_norm import PooledNorm

CITYSCAPES = (1024, 2048)
LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"


def build(encoder: str, head: str, skip_channels: int = 0, kind: str = "published") -> DualASPP:
    with torch.device("meta"):
        return dual_aspp(encoder, head, skip_channels=skip_channels, build=kind)


def millions(network: DualASPP) -> float:
    return parameters(network) / 1e6


def giga(network: DualASPP) -> float:
    return conv_2bn_operations(network, CITYSCAPES) / 1e9


@pytest.mark.parametrize(
    ("encoder", "head", "skip_channels", "reproduced", "published"),
    [
        ("resnet101", "deeplab", 0, (47.737, 458.486), (47.73, 458.5)),  # Table 1
        ("xception65", "deeplab", 0, (41.055, 413.170), (41.05, 413.2)),
        ("mobilenet_v2", "deeplab", 0, (2.7193, 45.692), (2.72, 45.7)),
        (LARGE, "deeplab", 0, (2.1398, 35.489), (2.14, 35.5)),
        (SMALL, "deeplab", 0, (1.0377, 26.165), (1.03, 26.1)),
        ("mobilenet_v2", "none", 0, (1.971, 20.991), (None, 20.9)),  # Table 2
        (LARGE, "none", 0, (1.559, 11.823), (None, 11.8)),
        (SMALL, "none", 0, (0.575, 3.274), (None, 3.2)),
        ("mobilenet_v2", "dual", 0, (2.1578, 14.288), (2.16, 14.2)),  # and Table 3
        (LARGE, "dual", 0, (1.508, 10.861), (None, 10.8)),
        (SMALL, "dual", 0, (0.6255, 4.223), (None, 4.2)),
        (SMALL, "dual", 19, (0.6285, 8.661), (None, 8.6)),  # Table 4
    ],
)
def test_rows_of_the_tables(
    encoder: str,
    head: str,
    skip_channels: int,
    reproduced: tuple[float, float],
    published: tuple[float | None, float],
) -> None:
    network = build(encoder, head, skip_channels)
    assert (millions(network), giga(network)) == pytest.approx(reproduced, abs=6e-4)
    assert giga(network) == pytest.approx(published[1], abs=0.1)  # the paper rounds here and truncates there
    if published[0] is not None:
        assert millions(network) == pytest.approx(published[0], abs=0.01)


def test_skip_of_16_channels_fits_table_4_too() -> None:
    assert giga(build(SMALL, "dual", 16)) == pytest.approx(8.599, abs=5e-4)


@pytest.mark.parametrize(
    ("encoder", "head", "kind", "reproduced"),
    [
        ("resnet101", "deeplab", "pruned", (45.688, 458.486)),
        (LARGE, "deeplab", "pruned", (1.3877, 33.334)),
        (SMALL, "deeplab", "pruned", (0.6617, 25.336)),
        (LARGE, "deeplab", "standard", (1.9192, 32.96)),
        (SMALL, "deeplab", "standard", (0.7406, 25.17)),
        (LARGE, "dual", "standard", (3.056, 10.842)),
        (SMALL, "dual", "standard", (1.065, 4.056)),
    ],
)
def test_builds_for_practical_use(encoder: str, head: str, kind: str, reproduced: tuple[float, float]) -> None:
    network = build(encoder, head, kind=kind)
    assert millions(network) == pytest.approx(reproduced[0], abs=6e-4)
    assert giga(network) == pytest.approx(reproduced[1], abs=2e-3)


def test_mobilenet_v2_without_its_head_has_1811712_parameters() -> None:
    with torch.device("meta"):
        assert parameters(MobileNetV2(16)) == parameters(MobileNetV2(32)) == 1_811_712


@pytest.mark.parametrize(
    ("encoder", "output_stride", "channels"),
    [
        ("resnet101", 16, (256, 512, 2048)),
        ("xception65", 16, (256, 728, 2048)),
        ("mobilenet_v2", 16, (24, 32, 320)),
        ("mobilenet_v2", 32, (24, 32, 320)),
        (LARGE, 16, (24, 40, 160)),
        (LARGE, 32, (24, 40, 160)),
        (SMALL, 16, (16, 24, 48)),
        (SMALL, 32, (16, 24, 96)),
        ("efficientnet_lite0", 32, (24, 40, 320)),
    ],
)
def test_maps_of_the_encoders(encoder: str, output_stride: int, channels: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        network = make_encoder(encoder, output_stride, "published")
        maps = network(torch.zeros(2, 3, 64, 96))
    assert isinstance(maps, DeepFeatures)
    assert network.channels == channels
    strides = (4, 8, output_stride)
    assert [tuple(x.shape) for x in maps] == [(2, c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)]


def test_mobilenet_v2_at_a_sixteenth_computes_the_strided_map_between_its_samples() -> None:
    torch.manual_seed(0)
    strided, dilated = MobileNetV2(32).eval(), MobileNetV2(16).eval()
    dilated.load_state_dict(strided.state_dict())
    image = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(dilated(image).deep[:, :, ::2, ::2], strided(image).deep, atol=1e-5, rtol=1e-5)


GRADIENTS: list[tuple[str, str, int, str, tuple[str, ...]]] = [
    ("efficientnet_lite0", "dual", 0, "published", ()),
    ("mobilenet_v2", "dual", 19, "published", ()),
    ("mobilenet_v2", "deeplab", 0, "published", ()),
    (LARGE, "dual", 0, "published", ()),
    (SMALL, "deeplab", 0, "published", ("encoder.unused.",)),
    (LARGE, "none", 0, "published", ("encoder.unused.",)),
    (SMALL, "none", 0, "pruned", ()),
    (LARGE, "dual", 0, "standard", ()),
    ("resnet101", "deeplab", 0, "published", ("encoder.classifier.",)),
    ("xception65", "deeplab", 0, "published", ()),
]


@pytest.mark.parametrize(("encoder", "head", "skip_channels", "kind", "unused"), GRADIENTS)
def test_gradients_reach_every_parameter_but_those_that_only_the_paper_counts(
    encoder: str, head: str, skip_channels: int, kind: str, unused: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    network = dual_aspp(encoder, head, 3, skip_channels, kind)
    assert all(any(name.startswith(start) for name, _ in network.named_parameters()) for start in unused)
    check_gradients(network, network(torch.rand(3, 3, 64, 64)), unused)


@pytest.mark.parametrize(("encoder", "head"), [("mobilenet_v2", "dual"), (SMALL, "deeplab"), (LARGE, "none"),
                                                ("efficientnet_lite0", "dual")])  # fmt: skip
@SIZES
def test_logits_have_the_size_of_the_image(encoder: str, head: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert dual_aspp(encoder, head, 2).eval()(torch.rand(2, 3, *size)).shape == (2, 2, *size)


@pytest.mark.parametrize("encoder", [LARGE, SMALL])
def test_pruning_leaves_the_logits_alone(encoder: str) -> None:
    torch.manual_seed(0)
    published, pruned = dual_aspp(encoder, "deeplab").eval(), dual_aspp(encoder, "deeplab", build="pruned").eval()
    done = pruned.load_state_dict(published.state_dict(), strict=False)
    assert not done.missing_keys
    assert {key.split(".")[1] for key in done.unexpected_keys} == {"unused"}
    image = torch.rand(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(published(image), pruned(image))


@pytest.mark.parametrize(("encoder", "head"), [("mobilenet_v2", "dual"), (SMALL, "deeplab")])
def test_batches_of_one_train_and_the_state_dict_restores_the_network(encoder: str, head: str) -> None:
    torch.manual_seed(0)
    check_state_dict(dual_aspp(encoder, head), dual_aspp(encoder, head), torch.rand(1, 3, 32, 64))


@pytest.mark.parametrize(("encoder", "head"), [("mobilenet_v2", "dual"), (SMALL, "deeplab")])
def test_images_of_a_batch_do_not_mix_and_the_layout_does_not_matter(encoder: str, head: str) -> None:
    torch.manual_seed(0)
    check_batch_and_layout(dual_aspp(encoder, head), torch.rand(2, 3, 64, 64))


def test_norm_behind_a_pool_takes_running_statistics_for_a_single_image() -> None:
    norm = PooledNorm(2).train()
    norm.running_mean.copy_(torch.tensor([1.0, 2]))
    norm.running_var.copy_(torch.tensor([4.0, 9]))
    single = torch.tensor([5.0, -1])[None, :, None, None]
    torch.testing.assert_close(norm(single).ravel(), torch.tensor([2.0, -1]), atol=1e-4, rtol=0)
    assert norm.running_mean.tolist() == [1, 2]
    pair = torch.cat((single, single + 2))
    torch.testing.assert_close(norm(pair)[:, 0].ravel(), torch.tensor([-1.0, 1]), atol=1e-4, rtol=0)
    assert norm.running_mean.tolist() != [1, 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dual_aspp("vgg"), r"encoder must be one of \('efficientnet_lite0', .*'xception65'\), got 'vgg'"),
        (lambda: dual_aspp("efficientnet_lite0", "none"), "head must be 'dual' with the encoder 'eff.*', got 'none'"),
        (lambda: dual_aspp("efficientnet_lite0", build="standard"), "build must be 'published' or 'pruned' with the"),
        (lambda: dual_aspp(head="fpn"), r"head must be one of \('none', 'deeplab', 'dual'\), got 'fpn'"),
        (lambda: dual_aspp(num_classes=0), "num_classes must be at least 1, got 0"),
        (lambda: dual_aspp(skip_channels=-1), "skip_channels must be 0, or positive with the head 'dual', got -1"),
        (lambda: dual_aspp(head="none", skip_channels=19), "skip_channels must be 0, or .*, got 19 with 'none'"),
        (lambda: dual_aspp("resnet101"), "head must be 'none' or 'deeplab' with the encoder 'resnet101', got 'dual'"),
        (lambda: dual_aspp(LARGE, build="tiny"), r"build must be one of \('published', 'pruned', 'standard'\)"),
        (lambda: dual_aspp(build="standard"), "build must be 'published' or 'pruned' with the encoder 'mobilenet_v2'"),
        (lambda: MobileNetV2(8), "output_stride must be 16 or 32, got 8"),
        (lambda: MobileNetV3("large", 64), "output_stride must be 16 or 32, got 64"),
        (lambda: MobileNetV3("huge", 16), r"size must be one of \('large', 'small'\), got 'huge'"),
        (lambda: MobileNetV3("small", 16, "bare"), r"build must be one of \('published', .*\), got 'bare'"),
    ],
)
def test_wrong_argument_names_what_is_allowed(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
