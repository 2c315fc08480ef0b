"""Published sizes of SSD-ISB, any input size, and the crops of its branches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from argos.networks import ssd_isb
from argos.networks.backbones.mobilenet_v1 import Features, MobileNetV1
from argos.networks.ssd_boxes import crop
from argos.networks.ssd_branches import (
    SINGLE_BRANCH,
    SINGLE_SHAPE,
    SINGLE_SHAPE_PLUS,
    THRESHOLDS,
    Branch,
    Shape,
    choose_branches,
)
from argos.networks.ssd_isb import SSDISB

NONE = torch.zeros((0, 4))


def tf_variables(module: nn.Module) -> int:
    """Parameters and the moving mean and variance of each normalised channel."""
    moving = sum(2 * m.num_features for m in module.modules() if isinstance(m, nn.BatchNorm2d))
    return moving + sum(p.numel() for p in module.parameters())


def small(branches: tuple[Shape, ...] = (Shape(2, 2),), **options) -> SSDISB:
    torch.manual_seed(0)
    return SSDISB(branches, multiplier=0.25, **options).eval()


@pytest.mark.parametrize(
    ("build", "published"),
    [
        (ssd_isb.ssd_mobilenet, 5_543_558),
        (lambda: ssd_isb.ssd_mobilenet(0.75), 3_152_790),
        (ssd_isb.single_branch, 5_790_631),  # Table 5.5
        (lambda: ssd_isb.single_branch(steps=1), 5_765_991),  # SB-FCN16, Table 5.7
        (lambda: ssd_isb.single_branch(0.75), 3_358_647),  # SB-MN0.75
        (ssd_isb.multi_shape, 8_014_288),  # Table 5.5
        (lambda: ssd_isb.multi_shape(steps=1), 7_767_888),  # MS-FCN16, Table 5.9
        (lambda: ssd_isb.multi_shape(multiplier=0.75), 5_211_360),  # MS-MN0.75
        (lambda: ssd_isb.multi_shape("new"), 7_273_069),
        (lambda: ssd_isb.multi_shape("small"), 7_520_142),
        (ssd_isb.single_shape_plus, 9_002_580),  # 14 branches
        (ssd_isb.person_isb, 3_358_647),
    ],
)
def test_variables_equal_the_published_count(build: Callable[[], SSDISB], published: int) -> None:
    with torch.device("meta"):
        assert tf_variables(build()) == published


def test_single_shape_has_12_equal_branches_unlike_the_published_8862738_that_12_cannot_give() -> None:
    with torch.device("meta"):
        assert tf_variables(ssd_isb.single_shape()) == 8_508_434


def test_backbone_without_classifier_has_the_published_variables() -> None:
    with torch.device("meta"):
        assert tf_variables(MobileNetV1(1.0)) == 3_228_864
        assert tf_variables(MobileNetV1(0.5)) == 829_536


@pytest.mark.parametrize(("output_stride", "sizes"), [(32, (8, 4, 2)), (16, (8, 4, 4)), (8, (8, 8, 8))])
def test_stride_variants_of_the_backbone_keep_the_size_and_the_weights(output_stride: int, sizes) -> None:
    torch.manual_seed(0)
    published = MobileNetV1(0.25)
    variant = MobileNetV1(0.25, output_stride)
    variant.load_state_dict(published.state_dict())
    maps = variant(torch.zeros(1, 3, 64, 64))
    assert tuple(x.shape[-1] for x in maps) == sizes


def test_dilated_backbone_computes_the_strided_one_between_its_samples() -> None:
    torch.manual_seed(0)
    strided, dilated = MobileNetV1(0.25).eval(), MobileNetV1(0.25, 8).eval()
    dilated.load_state_dict(strided.state_dict())
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(dilated(image).stride32[:, :, ::4, ::4], strided(image).stride32, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 1), (100, 75), (64, 224)])
def test_any_input_size_gives_one_answer_per_anchor(height: int, width: int) -> None:
    network = small(num_classes=2)
    with torch.no_grad():
        output = network(torch.rand(2, 3, height, width))
    rows, columns = -(-height // 32), -(-width // 32)
    assert output.features.stride32.shape[-2:] == (rows, columns)
    assert output.features.stride8.shape[-2:] == (4 * rows, 4 * columns)
    assert output.deltas.shape == (2, len(output.anchors), 4)
    assert output.logits.shape == (2, len(output.anchors), 3)


def test_answers_are_in_the_order_of_the_anchors() -> None:
    network = small()
    with torch.no_grad():
        for head in (*network.box_heads, *network.class_heads):
            head.weight.zero_()
        network.box_heads[0].bias.copy_(torch.arange(12.0))  # three anchors of four deltas
        network.box_heads[1].bias.copy_(torch.arange(100.0, 124))
        deltas = network(torch.rand(1, 3, 32, 64)).deltas[0]
    first = 2 * 4 * 3  # cells of the 1/16 map times anchors
    assert deltas[:first].reshape(-1, 12).unique(dim=0).tolist() == [list(range(12))]
    assert deltas[first : first + 12].reshape(-1, 24).unique(dim=0).tolist() == [list(range(100, 124))]


def test_padding_is_the_grey_that_convolutions_see_beyond_the_border() -> None:
    network = small()
    image = torch.rand(1, 3, 40, 50)
    padded = F.pad(image, (0, 14, 0, 24), value=0.5)
    with torch.no_grad():
        torch.testing.assert_close(network(image).logits, network(padded).logits)


def plain_crop(features: Tensor, stride: int, box: Tensor, size: tuple[int, int]) -> Tensor:
    """One value after the other, by the definition of half-pixel bilinear sampling."""
    channels, height, width = features.shape
    x0, y0, x1, y1 = (box / stride).tolist()
    result = torch.zeros(channels, *size)
    for i in range(size[0]):
        for j in range(size[1]):
            y = min(max(y0 + (i + 0.5) * (y1 - y0) / size[0] - 0.5, 0), height - 1)
            x = min(max(x0 + (j + 0.5) * (x1 - x0) / size[1] - 0.5, 0), width - 1)
            for r in range(height):
                for c in range(width):
                    weight = max(0, 1 - abs(y - r)) * max(0, 1 - abs(x - c))
                    if weight:
                        result[:, i, j] += weight * features[:, r, c]
    return result


def test_crop_of_aligned_boxes_equals_slicing_exactly() -> None:
    features = torch.rand(3, 5, 9, 11)
    boxes = torch.tensor([[32.0, 64, 128, 224], [160.0, 0, 256, 160], [256.0, 128, 352, 288]])
    found = crop(features, 32, boxes, torch.tensor([0, 2, 1]), (5, 3))
    assert torch.equal(found[0], features[0, :, 2:7, 1:4])
    assert torch.equal(found[1], features[2, :, 0:5, 5:8])
    assert torch.equal(found[2], features[1, :, 4:9, 8:11])


@pytest.mark.parametrize("size", [(4, 4), (7, 2), (1, 1), (10, 12)])
def test_crop_equals_the_plain_bilinear_form(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    features = torch.rand(2, 3, 6, 5)
    boxes = torch.tensor([[8.0, 16, 88, 96], [-10.0, 3, 33, 41], [100.0, 80, 170, 120]])
    image = torch.tensor([1, 0, 1])
    found = crop(features, 16, boxes, image, size)
    with torch.inference_mode():  # by the kernel
        assert torch.equal(crop(features, 16, boxes, image, size), found)
        assert torch.equal(crop(features.to(memory_format=torch.channels_last), 16, boxes, image, size), found)
        pooled = crop(features, 16, boxes, image, (2 * size[0], 2 * size[1]), pool=2)
        assert torch.equal(pooled, F.max_pool2d(crop(features, 16, boxes, image, (2 * size[0], 2 * size[1])), 2))
    assert torch.equal(crop(features, 16, boxes, image, (2 * size[0], 2 * size[1]), pool=2), pooled)
    expected = torch.stack([plain_crop(features[i], 16, b, size) for b, i in zip(boxes, image, strict=True)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_crop_of_no_boxes_is_empty() -> None:
    for learning in (True, False):
        with torch.inference_mode(not learning):
            found = crop(torch.rand(1, 4, 3, 3), 32, NONE, torch.zeros(0, dtype=torch.int64), (2, 2))
        assert found.shape == (0, 4, 2, 2)


def test_branch_crops_its_skips_as_the_thesis_does_before_the_1x1_convolution() -> None:
    torch.manual_seed(0)
    branch = Branch((6, 8, 10), Shape(3, 2), steps=2, num_classes=1)
    features = Features(torch.rand(2, 6, 16, 16), torch.rand(2, 8, 8, 8), torch.rand(2, 10, 4, 4))
    boxes, image = torch.tensor([[0.0, 32, 64, 128], [8.0, 40, 80, 88]]), torch.tensor([1, 0])
    x = F.relu(branch.pointwise(branch.depthwise(crop(features.stride32, 32, boxes, image, (3, 2)))))
    x = F.relu(branch.up[0](x) + branch.skips[0](crop(features.stride16, 16, boxes, image, (6, 4))))
    x = F.relu(branch.up[1](x) + branch.skips[1](crop(features.stride8, 8, boxes, image, (12, 8))))
    torch.testing.assert_close(branch(features, boxes, image), branch.score(x), atol=1e-5, rtol=1e-4)


def test_fields_of_cells_are_centred_on_the_first_pixel_of_their_stride() -> None:
    torch.manual_seed(0)
    backbone = MobileNetV1(0.25).eval()
    for parameter in backbone.parameters():
        parameter.data = parameter.data.abs() + 1e-3  # every pixel of a field counts
    for module in backbone.modules():
        if isinstance(module, nn.ReLU6):
            module.max_val = float("inf")
    for cell, stride, name in ((10, 8, "stride8"), (14, 16, "stride16")):
        image = torch.rand(1, 3, 448, 448, requires_grad=True)
        getattr(backbone(image), name)[0, :, cell, cell].sum().backward()
        touched = torch.nonzero(image.grad.abs().sum(dim=(0, 1, 2)))
        assert touched.min() + touched.max() == 2 * cell * stride, name


def test_centred_branches_sample_maps_half_a_cell_further() -> None:
    torch.manual_seed(0)
    plain, centred = (Branch((6, 8, 10), Shape(3, 2), 0, 1, centred=c) for c in (False, True))
    centred.load_state_dict(plain.state_dict())
    features = Features(torch.rand(1, 6, 16, 16), torch.rand(1, 8, 8, 8), torch.rand(1, 10, 4, 4))
    boxes, image = torch.tensor([[8.0, 16, 64, 80]]), torch.tensor([0])
    torch.testing.assert_close(centred(features, boxes, image), plain(features, boxes + 15.5, image))


@pytest.mark.parametrize(("steps", "factor"), [(0, 1), (1, 2), (2, 4)])
def test_masks_have_the_resolution_of_their_fcn_variant(steps: int, factor: int) -> None:
    network = small((Shape(3, 2),), steps=steps, num_classes=2)
    with torch.no_grad():
        features = network(torch.rand(1, 3, 96, 96)).features
        (found,) = network.masks(features, [torch.tensor([[3.0, 5, 40, 60]])])
    assert found.logits.shape == (1, 2, 3 * factor, 2 * factor)
    assert found.boxes.tolist() == [[0, 0, 64, 64]]


def test_single_branch_pools_crops_of_twice_the_size() -> None:
    network = small(SINGLE_BRANCH)
    with torch.no_grad():
        features = network(torch.rand(1, 3, 64, 64)).features
        (found,) = network.masks(features, [torch.tensor([[3.0, 5, 40, 60]])])
    assert found.logits.shape == (1, 1, 40, 40)


def test_tight_alignment_keeps_the_weights_and_follows_the_box() -> None:
    tight = small(align=8)
    tight.load_state_dict(small().state_dict())
    with torch.no_grad():
        features = tight(torch.rand(1, 3, 64, 64)).features
        (found,) = tight.masks(features, [torch.tensor([[9.0, 17, 22, 39]])])
    assert found.boxes.tolist() == [[8, 16, 24, 40]]


def test_masks_name_the_image_and_place_of_their_box() -> None:
    network = small((Shape(2, 2), Shape(1, 1)))
    big, little = [0.0, 0, 60, 60], [0.0, 0, 20, 20]
    boxes = [torch.tensor([big, little]), NONE, torch.tensor([little, little, big])]
    with torch.no_grad():
        features = network(torch.rand(3, 3, 64, 64)).features
        ones, twos = network.masks(features, boxes)
    assert list(zip(ones.image.tolist(), ones.index.tolist(), strict=True)) == [(0, 1), (2, 0), (2, 1)]
    assert list(zip(twos.image.tolist(), twos.index.tolist(), strict=True)) == [(0, 0), (2, 2)]


def test_each_image_fills_a_branch_up_to_its_limit() -> None:
    network = small((Shape(1, 1),), max_boxes=2)
    with torch.no_grad():
        features = network(torch.rand(2, 3, 32, 32)).features
        (found,) = network.masks(features, [torch.tensor([[0.0, 0, 9, 9]]).repeat(5, 1)] * 2)
    assert found.index.tolist() == [0, 1, 0, 1]


def test_no_boxes_give_no_masks() -> None:
    network = small()
    with torch.no_grad():
        assert network.masks(network(torch.rand(2, 3, 32, 32)).features, [NONE, NONE]) == []


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_gradient_of_masks_stops_at_the_crops_where_published(stop_gradient: bool) -> None:
    network = small(stop_gradient=stop_gradient)
    (found,) = network.masks(network(torch.rand(1, 3, 64, 64)).features, [torch.tensor([[0.0, 0, 30, 60]])])
    found.logits.sum().backward()
    assert network.branches[0].score.weight.grad is not None
    assert (network.backbone.blocks[0][0][0].weight.grad is None) == stop_gradient


def boxes_of_cells(*cells: tuple[int, int]) -> Tensor:
    return torch.tensor([[0.0, 0, 32 * w, 32 * h] for h, w in cells])


def test_multi_shape_takes_the_smallest_threshold_that_holds_the_box() -> None:
    shapes = small(THRESHOLDS["multi"]).shapes
    chosen = choose_branches(boxes_of_cells((1, 1), (3, 1), (1, 2), (7, 3), (7, 4), (10, 4), (20, 20)), shapes)
    found = [(shapes[n].height, shapes[n].width) for n in chosen.tolist()]
    assert found == [(1, 1), (3, 2), (2, 2), (7, 3), (9, 4), (15, 10), (15, 10)]


def test_single_shape_prunes_boxes_of_other_shapes() -> None:
    shapes = small(SINGLE_SHAPE).shapes
    chosen = choose_branches(boxes_of_cells((7, 2), (1, 1), (2, 1), (8, 8)), shapes).tolist()
    assert [n >= 0 for n in chosen] == [True, False, True, False]
    assert shapes[chosen[0]] == Shape(7, 2, exact=True)


def test_single_shape_plus_resizes_what_no_exact_branch_takes() -> None:
    shapes = small(SINGLE_SHAPE_PLUS).shapes
    chosen = choose_branches(boxes_of_cells((1, 1), (1, 2), (20, 20)), shapes).tolist()
    assert [shapes[n] for n in chosen] == [Shape(1, 1, exact=True), Shape(14, 14), Shape(14, 14)]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: small(align=12), "align should divide 32, got 12"),
        (lambda: small(steps=3), "steps should be 0, 1 or 2, got 3"),
        (lambda: small(max_boxes=0), "max_boxes should be at least 1, got 0"),
        (lambda: small(anchors=((),) * 6), "anchors should hold sizes for 6 maps"),
        (lambda: ssd_isb.single_branch(anchors=(((9.0, 9.0),),)), r"anchors should hold sizes for 6 maps, got \(\("),
        (lambda: ssd_isb.single_branch(0.0), "multiplier should be above 0 and at most 1, got 0.0"),
        (lambda: ssd_isb.multi_shape("big"), "shapes should be one of multi, new, small, got 'big'"),
        (lambda: ssd_isb.multi_shape(()), "shapes should hold at least one shape, got none"),
        (lambda: ssd_isb.single_shape(num_classes=0), "num_classes should be at least 1, got 0"),
        (lambda: ssd_isb.single_shape_plus(num_classes=-1), "num_classes should be at least 1, got -1"),
        (lambda: ssd_isb.ssd_mobilenet(1.5), "multiplier should be above 0 and at most 1, got 1.5"),
        (lambda: ssd_isb.person_isb(backbone="vgg"),
         "backbone should be one of mobilenet_v1, efficientnet_lite0, got 'vgg'"),
        (lambda: MobileNetV1(output_stride=4), "output_stride should be 8, 16 or 32, got 4"),
    ],
)  # fmt: skip
def test_wrong_argument_names_what_is_allowed(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("steps", [0, 2])
def test_gradients_reach_every_parameter_of_every_branch(steps: int) -> None:
    torch.manual_seed(0)
    network = small((Shape(2, 2), Shape(1, 1)), steps=steps, num_classes=3, stop_gradient=False).train()
    output = network(torch.rand(2, 3, 512, 64))
    masks = network.masks(output.features, [torch.tensor([[0.0, 0, 60, 60], [0.0, 0, 20, 20]])] * 2)
    assert len(masks) == 2
    parts = [output.deltas, output.logits, *(found.logits for found in masks)]
    torch.stack([(x * torch.randn_like(x)).sum() for x in parts]).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
