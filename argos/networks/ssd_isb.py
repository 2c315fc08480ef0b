"""SSD-ISB: a single-shot detector with instance segmentation branches.

Reference:
    Kolhatkar, Real-Time Instance and Semantic Segmentation Using Deep Learning, 2020, chapters 3 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from argos.networks.backbones.efficientnet_lite import DETECTION_CHANNELS, EfficientNetLite0
from argos.networks.backbones.mobilenet_v1 import Features, MobileNetV1, conv_bn_relu, scaled
from argos.networks.ssd_boxes import (
    ANCHORS_PERSON,
    ANCHORS_PUBLISHED,
    STRIDES,
    Sizes,
    encompassing,
    make_anchors,
)
from argos.networks.ssd_branches import (
    EXACT_SHAPES,
    SINGLE_BRANCH,
    SINGLE_SHAPE,
    SINGLE_SHAPE_PLUS,
    STRIDE,
    THRESHOLDS,
    Branch,
    Shape,
    choose_branches,
)

EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))  # filters of the four pairs of extra layers


class SSDOutput(NamedTuple):
    """What the network says about a batch of images.

    Attributes:
        deltas: ``(N, A, 4)`` floats, see ``ssd_boxes.decode``.
        logits: ``(N, A, num_classes + 1)`` floats, class 0 is the background.
        anchors: ``(A, 4)`` float32 in pixels of the input.
        features: maps of the backbone, for the branches.
    """

    deltas: Tensor
    logits: Tensor
    anchors: Tensor
    features: Features


@dataclass(frozen=True, slots=True, eq=False)
class BranchMasks:
    """Masks of the boxes that one branch took.

    Attributes:
        logits: ``(M, num_classes, h, w)`` floats; positive is inside.
        boxes: ``(M, 4)`` floats, the encompassing boxes that the masks cover, in pixels of the input.
        image: ``(M,)`` int64, image of the batch.
        index: ``(M,)`` int64, place of the box in the list of its image.
    """

    logits: Tensor
    boxes: Tensor
    image: Tensor
    index: Tensor


Backbone = Literal["mobilenet_v1", "efficientnet_lite0"]


class SSDISB(nn.Module):
    """SSD on a mobile backbone, and branches that segment the boxes. Any input size; smaller maps shrink to 1x1.

    Args:
        branches: inputs of the branches; none leaves the plain detector.
        multiplier: depth multiplier of MobileNet-v1 and of the extra maps.
        num_classes: classes without the background.
        steps: 2, 1 or 0 for branches of FCN-8, FCN-16 or FCN-32.
        anchors: (width, height) of the anchors of the six maps.
        stop_gradient: cut the gradient where branches are cropped, as published.
        align: grid of the encompassing boxes in pixels, a divisor of 32; 32 as published, 8 is tight for
            small people. Weights of one serve the other.
        max_boxes: most boxes of one image in one branch; the rest get no mask.
        centred: sample the maps for a branch where their receptive fields are centred. As published, half a cell
            is lost: the 1/8 map says what is 3.5 pixels up and left of where its mask is drawn.
        backbone: MobileNet-v1 as published, or EfficientNet-Lite0.

    Raises:
        ValueError: an argument has a value that is not named here, or ``anchors`` are not those of six maps.
    """

    def __init__(
        self,
        branches: Sequence[Shape],
        multiplier: float = 1.0,
        num_classes: int = 1,
        steps: int = 2,
        anchors: tuple[Sizes, ...] = ANCHORS_PERSON,
        stop_gradient: bool = True,
        align: int = STRIDE,
        max_boxes: int = 100,
        centred: bool = False,
        backbone: Backbone = "mobilenet_v1",
    ) -> None:
        super().__init__()
        if align < 1 or STRIDE % align:
            raise ValueError(f"align should divide {STRIDE}, got {align}")
        if steps not in (0, 1, 2):
            raise ValueError(f"steps should be 0, 1 or 2, got {steps}")
        if not 0 < multiplier <= 1:
            raise ValueError(f"multiplier should be above 0 and at most 1, got {multiplier}")
        if num_classes < 1:
            raise ValueError(f"num_classes should be at least 1, got {num_classes}")
        if max_boxes < 1:
            raise ValueError(f"max_boxes should be at least 1, got {max_boxes}")
        if len(anchors) != len(STRIDES) or not all(anchors):
            raise ValueError(f"anchors should hold sizes for {len(STRIDES)} maps, got {anchors!r}")
        if backbone not in get_args(Backbone):
            raise ValueError(f"backbone should be one of {', '.join(get_args(Backbone))}, got {backbone!r}")
        self.num_classes = num_classes
        self.anchor_table = anchors
        self.stop_gradient = stop_gradient
        self.align = align
        self.max_boxes = max_boxes
        taps = DETECTION_CHANNELS
        if backbone == "mobilenet_v1":
            self.backbone: MobileNetV1 | EfficientNetLite0 = MobileNetV1(multiplier)
            taps = self.backbone.channels
        else:
            self.backbone = EfficientNetLite0()
        channels = [taps[1], taps[2]]
        self.extras = nn.ModuleList()
        for squeeze, filters in EXTRAS:
            middle, out = scaled(squeeze, multiplier), scaled(filters, multiplier)
            self.extras.append(
                nn.Sequential(conv_bn_relu(channels[-1], middle, 1), conv_bn_relu(middle, out, 3, stride=2))
            )
            channels.append(out)
        pairs = list(zip(channels, anchors, strict=True))
        self.box_heads = nn.ModuleList(nn.Conv2d(c, 4 * len(sizes), 1) for c, sizes in pairs)
        self.class_heads = nn.ModuleList(nn.Conv2d(c, (num_classes + 1) * len(sizes), 1) for c, sizes in pairs)
        # exact shapes choose first, then the smallest shape that holds the box
        ordered = sorted(branches, key=lambda shape: (not shape.exact, shape.height * shape.width, shape.height))
        self.shapes = tuple(ordered)
        self.branches = nn.ModuleList(Branch(taps, s, steps, num_classes, centred) for s in ordered)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # by fan in: fan out would count all groups of the branches' depthwise layer, which has no norm
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        heads = (*self.box_heads, *self.class_heads, *(branch.score for branch in self.branches))
        for head in heads:
            nn.init.normal_(head.weight, std=0.01)

    def forward(self, image: Tensor) -> SSDOutput:
        """Detect on ``(N, 3, H, W)`` floats in 0..1; sizes that 32 does not divide are padded right and below."""
        height, width = image.shape[-2:]
        # after the normalisation zero is mid grey, what the convolutions see beyond every border
        x = F.pad(image * 2 - 1, (0, -width % STRIDE, 0, -height % STRIDE))
        maps = self.backbone(x)
        return self.heads(maps if isinstance(maps, Features) else maps.for_detection)

    def heads(self, features: Features) -> SSDOutput:
        """Detect on the maps of the backbone."""
        return self.output_of(*self.predictions(features), features)

    def predictions(self, features: Features) -> tuple[Tensor, Tensor]:
        """What the heads compute on the maps of the backbone: ``deltas`` and ``logits`` of ``SSDOutput``."""
        maps = [features.stride16, features.stride32]
        for extra in self.extras:
            maps.append(extra(maps[-1]))  # (N, C, ceil(H/64), ceil(W/64)), 1/128, 1/256, 1/512
        deltas = [_flat(head(x), 4) for head, x in zip(self.box_heads, maps, strict=True)]
        logits = [_flat(head(x), self.num_classes + 1) for head, x in zip(self.class_heads, maps, strict=True)]
        return torch.cat(deltas, dim=1), torch.cat(logits, dim=1)

    def output_of(self, deltas: Tensor, logits: Tensor, features: Features) -> SSDOutput:
        """Predictions with the anchors that they are for."""
        height, width = (STRIDE * side for side in features.stride32.shape[-2:])
        anchors = make_anchors(height, width, self.anchor_table).to(features.stride32.device)
        return SSDOutput(deltas, logits, anchors, features)

    def masks(self, features: Features, boxes: Sequence[Tensor]) -> list[BranchMasks]:
        """Segment boxes of a batch.

        Args:
            features: from ``forward``.
            boxes: per image ``(M, 4)`` in pixels of the input, the most important first.

        Returns:
            One entry per branch that took a box. A box has no mask where its branch is full, or where all
            branches are exact and none has its shape.
        """
        if self.stop_gradient:
            features = Features(*(x.detach() for x in features))
        rows, columns = features.stride32.shape[-2:]
        device = features.stride32.device
        image = torch.cat([torch.full((len(b),), n, dtype=torch.int64) for n, b in enumerate(boxes)]).to(device)
        index = torch.cat([torch.arange(len(b)) for b in boxes]).to(device)
        crops = encompassing(torch.cat(list(boxes)).to(device), self.align, rows * STRIDE, columns * STRIDE)
        chosen = choose_branches(crops, self.shapes)
        result = []
        for n, branch in enumerate(self.branches):
            taken = _first(image, chosen == n, self.max_boxes)
            if len(taken):
                logits = branch(features, crops[taken], image[taken])
                result.append(BranchMasks(logits, crops[taken], image[taken], index[taken]))
        return result


def _first(image: Tensor, mask: Tensor, most: int) -> Tensor:
    """Indices where ``mask``, at most ``most`` of each image."""
    taken = torch.nonzero(mask).squeeze(1)
    kept = [taken[image[taken] == n][:most] for n in torch.unique(image[taken])]
    return torch.cat(kept) if kept else taken


def _flat(x: Tensor, values: int) -> Tensor:
    """``(N, n * values, H, W)`` to ``(N, H * W * n, values)``."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)  # len(x) would be a constant in what is traced


def ssd_mobilenet(
    multiplier: float = 1.0, anchors: tuple[Sizes, ...] = ANCHORS_PUBLISHED, num_classes: int = 1
) -> SSDISB:
    """The detector alone: 5,543,558 variables, 3,152,790 with multiplier 0.75. Arguments as in ``SSDISB``."""
    return SSDISB((), multiplier, num_classes, anchors=anchors)


def single_branch(
    multiplier: float = 1.0, steps: int = 2, anchors: tuple[Sizes, ...] = ANCHORS_PUBLISHED, num_classes: int = 1
) -> SSDISB:
    """Single-Branch, 5,790,631 variables; SB-FCN16 with one step, SB-MN0.75 with that multiplier (Tables 5.5, 5.7).

    Arguments as in ``SSDISB``.
    """
    return SSDISB(SINGLE_BRANCH, multiplier, num_classes, steps, anchors)


def multi_shape(
    shapes: str | Sequence[Shape] = "multi",
    multiplier: float = 1.0,
    steps: int = 2,
    anchors: tuple[Sizes, ...] = ANCHORS_PUBLISHED,
    num_classes: int = 1,
) -> SSDISB:
    """Multi-Shape, 8,014,288 variables; MS-FCN16, MS-MN0.75, MS-NewShapes, MS-SmallShapes (Tables 5.5, 5.9).

    Args:
        shapes: a key of ``THRESHOLDS``, or shapes of your own; each is the threshold of one branch.
        multiplier, steps, anchors, num_classes: as in ``SSDISB``.

    Raises:
        ValueError: no such shapes, or none at all.
    """
    if isinstance(shapes, str):
        if shapes not in THRESHOLDS:
            raise ValueError(f"shapes should be one of {', '.join(THRESHOLDS)}, got {shapes!r}")
        shapes = THRESHOLDS[shapes]
    if not shapes:
        raise ValueError("shapes should hold at least one shape, got none")
    return SSDISB(shapes, multiplier, num_classes, steps, anchors, max_boxes=30)


def single_shape(anchors: tuple[Sizes, ...] = ANCHORS_PUBLISHED, num_classes: int = 1) -> SSDISB:
    """Single-Shape: 12 branches without resizing. Boxes of other shapes get no mask."""
    return SSDISB(SINGLE_SHAPE, num_classes=num_classes, anchors=anchors, max_boxes=30)


def single_shape_plus(anchors: tuple[Sizes, ...] = ANCHORS_PUBLISHED, num_classes: int = 1) -> SSDISB:
    """Single-Shape+, 9,002,580 variables: Single-Shape, 1x1, and a 14x14 branch that resizes all other boxes."""
    return SSDISB(SINGLE_SHAPE_PLUS, num_classes=num_classes, anchors=anchors, max_boxes=30)


def person_isb(
    multiplier: float = 0.75,
    align: int = 8,
    centred: bool = False,
    backbone: Backbone = "mobilenet_v1",
    num_classes: int = 1,
    shapes: str = "single",
    steps: int = 2,
) -> SSDISB:
    """Our network for people: Single-Branch with upright anchors and tight encompassing boxes.

    Args:
        shapes: ``single``, or a key of ``THRESHOLDS`` or ``EXACT_SHAPES``: the branches of the thesis on our detector.
        multiplier, align, centred, backbone, num_classes, steps: as in ``SSDISB``.

    Raises:
        ValueError: an argument is not one of these.
    """
    known = {"single": SINGLE_BRANCH, **THRESHOLDS, **EXACT_SHAPES}
    if shapes not in known:
        raise ValueError(f"shapes should be one of {', '.join(known)}, got {shapes!r}")
    return SSDISB(
        known[shapes],
        multiplier,
        num_classes,
        steps,
        anchors=ANCHORS_PERSON,
        align=align,
        max_boxes=100 if shapes == "single" else 30,
        centred=centred,
        backbone=backbone,
    )
