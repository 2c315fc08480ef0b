from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from network_checks import SIZES, check_batch_and_layout, check_gradients, check_state_dict

from argos.networks.backbones.mobilenet_v1 import MobileNetV1
from argos.networks.backbones.squeezenet import SqueezeNet
from argos.networks.counting import tf_variables
from argos.networks.fcn import FCN, FCNStep, mobilenet_fcn, person_crop_fcn, squeezenet_fcn
from argos.networks.fcn_crops import ASPECT, CROP_SIZES, MARGINS, crop_image, widen_boxes

VARIANTS: dict[str, Callable[[], FCN]] = {
    "SqzNet-Base": squeezenet_fcn,
    "SqzNet-FCN8": lambda: squeezenet_fcn(steps=1),
    "SqzNet-Stride8": lambda: squeezenet_fcn(output_stride=8),
    "MN-Base": mobilenet_fcn,
    "MN-FCN16": lambda: mobilenet_fcn(steps=1),
    "MN-FCN8": lambda: mobilenet_fcn(steps=2),
    "MN-Stride16": lambda: mobilenet_fcn(output_stride=16),
    "MN-Stride8": lambda: mobilenet_fcn(output_stride=8),
}
TABLE_4_2 = {
    "SqzNet-Base": 732_243,
    "SqzNet-FCN8": 740_470,
    "SqzNet-Stride8": 732_243,
    "MN-Base": 839_283,
    "MN-FCN16": 849_942,
    "MN-FCN8": 858_169,
    "MN-Stride16": 839_283,
    "MN-Stride8": 839_283,
}


@pytest.mark.parametrize("name", TABLE_4_2)
def test_variables_are_those_of_table_4_2(name: str) -> None:
    with torch.device("meta"):
        assert tf_variables(VARIANTS[name]()) == TABLE_4_2[name]


def test_backbones_and_steps_have_the_published_parts() -> None:
    with torch.device("meta"):
        assert tf_variables(SqueezeNet()) == 722_496
        assert tf_variables(MobileNetV1(0.5)) == 829_536
        assert tf_variables(FCNStep(128, 19)) == 8_227
        assert tf_variables(FCNStep(256, 19)) == 10_659


@pytest.mark.parametrize("name", ["SqzNet-FCN8", "SqzNet-Stride8", "MN-FCN8", "MN-Stride8"])
def test_gradients_reach_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network = VARIANTS[name]()
    check_gradients(network, network(torch.rand(2, 3, 64, 96)))


@pytest.mark.parametrize("name", ["SqzNet-FCN8", "SqzNet-Stride8", "MN-Base", "MN-FCN8", "MN-Stride8"])
@SIZES
def test_logits_have_the_size_of_the_image(name: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert VARIANTS[name]().eval()(torch.rand(2, 3, *size)).shape == (2, 19, *size)


@pytest.mark.parametrize("num_classes", [1, 2, 150])
def test_any_number_of_classes(num_classes: int) -> None:
    with torch.no_grad():
        for build in (squeezenet_fcn, mobilenet_fcn):
            assert build(num_classes, steps=1).eval()(torch.rand(1, 3, 32, 32)).shape == (1, num_classes, 32, 32)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_strides_taken_out_leave_the_values_where_they_were(output_stride: int) -> None:
    """The dilated backbones compute the strided maps, and what lies between them."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, 96, 64)
    pairs = [(MobileNetV1(0.25), MobileNetV1(0.25, output_stride), 32 // output_stride)]
    if output_stride == 8:
        pairs.append((SqueezeNet(), SqueezeNet(8), 2))
    for strided, dilated, step in pairs:
        dilated.load_state_dict(strided.state_dict())
        with torch.no_grad():
            deep = dilated.eval()(image)[-1]
            assert deep.shape[-2:] == (96 // output_stride, 64 // output_stride)
            torch.testing.assert_close(deep[:, :, ::step, ::step], strided.eval()(image)[-1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["SqzNet-FCN8", "MN-FCN8"])
def test_skip_is_added_at_twice_the_size_of_the_scores(name: str) -> None:
    network = VARIANTS[name]().eval()
    sizes: list[tuple[int, ...]] = []
    for step in network.steps:
        step.register_forward_hook(lambda layer, inputs, output: sizes.append(tuple(output.shape)))
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 128))
    assert sizes == ([(1, 19, 4, 8)] if name.startswith("MN") else []) + [(1, 19, 8, 16)]


def test_transposed_convolution_starts_as_bilinear_interpolation() -> None:
    scores = torch.rand(1, 5, 6, 7)
    with torch.no_grad():
        doubled = FCNStep(3, 5).up(scores)
    expected = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])


@pytest.mark.parametrize("name", ["SqzNet-FCN8", "MN-FCN8"])
def test_state_dict_restores_the_network(name: str) -> None:
    torch.manual_seed(0)
    check_state_dict(VARIANTS[name](), VARIANTS[name](), torch.rand(1, 3, 64, 48))


@pytest.mark.parametrize("name", ["SqzNet-Stride8", "MN-FCN8"])
def test_images_of_a_batch_do_not_mix_and_the_layout_does_not_matter(name: str) -> None:
    torch.manual_seed(0)
    check_batch_and_layout(VARIANTS[name](), torch.rand(2, 3, 64, 64))


@pytest.mark.parametrize("size", CROP_SIZES)
@pytest.mark.parametrize(
    ("steps", "output_stride", "last_rate"), [(0, 32, 1), (0, 32, 3), (1, 32, 5), (2, 32, 3), (0, 8, 1), (0, 8, 5)]
)
def test_person_crops_of_the_study(size: tuple[int, int], steps: int, output_stride: int, last_rate: int) -> None:
    with torch.device("meta"):
        network = person_crop_fcn(steps, output_stride, last_rate)
        assert network(torch.rand(2, 3, *size)).shape == (2, 2, *size)
        deep = network.backbone(torch.rand(1, 3, *size))[-1]
    assert tuple(deep.shape[-2:]) == (size[0] // output_stride, size[1] // output_stride)
    assert network.backbone.blocks[12][0][0].dilation == (last_rate * 32 // output_stride,) * 2
    assert network.backbone.blocks[11][0][0].dilation == ((1, 1) if output_stride == 32 else (2, 2))


def test_widened_boxes_have_the_aspect_and_keep_the_person_in_the_middle() -> None:
    boxes = torch.tensor([[10.0, 20, 40, 120], [0, 0, 60, 30]])  # narrower and wider than 5/3
    torch.testing.assert_close(widen_boxes(boxes), torch.tensor([[-5.0, 20, 55, 120], [0, -35, 60, 65]]))
    for margin in MARGINS:
        wide = widen_boxes(boxes, margin)
        sides = wide[:, 2:] - wide[:, :2]
        torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.full((2,), ASPECT))
        torch.testing.assert_close(sides[:, 1], 100 * torch.full((2,), 1 + 2 * margin))
        torch.testing.assert_close(wide[:, :2] + wide[:, 2:], boxes[:, :2] + boxes[:, 2:])


def test_crop_samples_the_picture_at_pixel_centres() -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(30.0), indexing="ij")
    boxes = torch.tensor([[4.0, 10, 16, 30], [-6.0, 0, 12, 30]])
    crops = crop_image(torch.stack((x, y)), boxes, (10, 6))
    assert crops.shape == (2, 2, 10, 6)
    torch.testing.assert_close(crops[0, 0, 3], 4 + 2 * torch.arange(6.0) + 0.5)  # two pixels a step, at their middle
    torch.testing.assert_close(crops[0, 1, :, 2], 10 + 2 * torch.arange(10.0) + 0.5)
    beyond = torch.tensor([0.0, 0, 1, 4, 7, 10])  # -5 and -2 are left of the picture
    torch.testing.assert_close(crops[1, 0, 0], beyond)


def test_a_person_is_cropped_and_segmented() -> None:
    torch.manual_seed(0)
    boxes = widen_boxes(torch.tensor([[30.0, 10, 60, 90], [0, 5, 20, 70]]), MARGINS[1])
    crops = crop_image(torch.rand(3, 96, 128), boxes, CROP_SIZES[1])
    with torch.no_grad():
        assert person_crop_fcn(steps=2).eval()(crops).shape == (2, 2, 160, 96)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: squeezenet_fcn(0), "num_classes must be at least 1, got 0"),
        (lambda: squeezenet_fcn(steps=2), r"steps must be one of \(0, 1\), got 2"),
        (lambda: squeezenet_fcn(output_stride=32), "output_stride must be 8 or 16, got 32"),
        (lambda: squeezenet_fcn(steps=1, output_stride=8), "steps must be 0 unless output_stride is 16, got 1 at 8"),
        (lambda: mobilenet_fcn(-3), "num_classes must be at least 1, got -3"),
        (lambda: mobilenet_fcn(steps=3), r"steps must be one of \(0, 1, 2\), got 3"),
        (lambda: mobilenet_fcn(output_stride=4), "output_stride should be 8, 16 or 32, got 4"),
        (lambda: mobilenet_fcn(steps=1, output_stride=16), "steps must be 0 unless output_stride is 32, got 1 at 16"),
        (lambda: mobilenet_fcn(multiplier=0), "multiplier must be above 0 and at most 1, got 0"),
        (lambda: mobilenet_fcn(last_rate=0), "last_rate should be at least 1, got 0"),
        (lambda: person_crop_fcn(output_stride=16), "output_stride must be 8 or 32, got 16"),
        (lambda: person_crop_fcn(last_rate=2), r"last_rate must be one of \(1, 3, 5\), got 2"),
        (lambda: widen_boxes(torch.zeros(1, 4), -0.1), "margin must be 0 or more, got -0.1"),
    ],
)
def test_wrong_argument_names_what_is_allowed(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
