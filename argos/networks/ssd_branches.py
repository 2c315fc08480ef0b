"""Instance segmentation branches of SSD-ISB: their inputs, which box goes where, and the layers of one branch.

Reference:
    Kolhatkar, Real-Time Instance and Semantic Segmentation Using Deep Learning, 2020, sections 3.1.4, 3.1.5 and 3.2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from argos.networks.backbones.mobilenet_v1 import Features
from argos.networks.ssd_boxes import crop

STRIDE = 32
"""Of the map from which branches are cropped."""

SEPARABLE_FILTERS, DECODER_FILTERS = 128, 32


@dataclass(frozen=True, slots=True)
class Shape:
    """Input of one branch, in cells of the 1/32 map.

    Attributes:
        height: cells.
        width: cells.
        exact: take only boxes of exactly this shape; otherwise also smaller ones, resized.
        pool: crop at twice the size, then 2x2 max pooling, as the Single-Branch network does.
    """

    height: int
    width: int
    exact: bool = False
    pool: bool = False


class Branch(nn.Module):
    """Instance segmentation branch: separable convolution, then FCN steps with skips, then a score.

    ReLU follows each sum, as is the default of the layers that the thesis used.

    Args:
        channels: of the maps at 1/8, 1/16 and 1/32.
        shape: of the input.
        steps: 2, 1 or 0 doublings, for FCN-8, FCN-16 and FCN-32.
        num_classes: masks per box.
        centred: see ``SSDISB``.

    Reference:
        Kolhatkar 2020, Figure 3.4 and section 3.2.1.
    """

    def __init__(
        self, channels: tuple[int, int, int], shape: Shape, steps: int, num_classes: int, centred: bool = False
    ) -> None:
        super().__init__()
        self.shape = shape
        self.centred = centred
        self.depthwise = nn.Conv2d(channels[2], channels[2], 3, padding=1, groups=channels[2], bias=False)
        self.pointwise = nn.Conv2d(channels[2], SEPARABLE_FILTERS, 1)
        self.up = nn.ModuleList()
        self.skips = nn.ModuleList()
        width = SEPARABLE_FILTERS
        for skip_channels in (channels[1], channels[0])[:steps]:
            self.up.append(nn.ConvTranspose2d(width, DECODER_FILTERS, 4, stride=2, padding=1))
            self.skips.append(nn.Conv2d(skip_channels, DECODER_FILTERS, 1))
            width = DECODER_FILTERS
        self.score = nn.Conv2d(width, num_classes, 1)

    def forward(self, features: Features, boxes: Tensor, image: Tensor) -> Tensor:
        """Mask logits ``(M, num_classes, h * 2**steps, w * 2**steps)`` of encompassing boxes ``(M, 4)``."""
        h, w = self.shape.height, self.shape.width
        pool = 2 if self.shape.pool else 1
        x = self._crop(features.stride32, STRIDE, boxes, image, (pool * h, pool * w), pool)  # (M, C32, h, w)
        x = F.relu(self.pointwise(self.depthwise(x)))  # (M, 128, h, w)
        maps = ((features.stride16, STRIDE // 2), (features.stride8, STRIDE // 4))
        for up, skip, (feature, stride) in zip(self.up, self.skips, maps, strict=False):
            h, w = 2 * h, 2 * w
            # a 1x1 convolution commutes with interpolation; before the crop it is paid once, not per box
            x = up(x).add_(self._crop(_pointwise(skip, feature), stride, boxes, image, (h, w))).relu_()  # (M, 32, h, w)
        logits: Tensor = self.score(x)
        return logits

    def _crop(
        self, features: Tensor, stride: int, boxes: Tensor, image: Tensor, size: tuple[int, int], pool: int = 1
    ) -> Tensor:
        # with symmetric padding the field of cell k is centred on pixel k * stride, not on the middle of the cell
        shift = (stride - 1) / 2 if self.centred else 0.0
        return crop(features, stride, boxes + shift, image, size, pool)


def _pointwise(layer: nn.Module, x: Tensor) -> Tensor:
    """A 1x1 convolution of a map in either memory format: torch's own takes four times as long where formats differ.

    The weights here are channels last, but ONNX Runtime gives maps with their channels first.
    """
    assert isinstance(layer, nn.Conv2d)
    return F.linear(x.permute(0, 2, 3, 1), layer.weight.flatten(1), layer.bias).permute(0, 3, 1, 2)


def choose_branches(boxes: Tensor, shapes: Sequence[Shape]) -> Tensor:
    """Branch of each encompassing box ``(M, 4)``: the first shape that holds it, the largest if none does.

    Returns:
        ``(M,)`` int64, -1 where only exact shapes exist and none fits.
    """
    chosen = torch.full((len(boxes),), -1, dtype=torch.int64, device=boxes.device)
    cells = torch.ceil((boxes[:, 2:] - boxes[:, :2]) / STRIDE)  # (M, 2): width, height
    for n in reversed(range(len(shapes))):
        size = cells.new_tensor([shapes[n].width, shapes[n].height])
        fits = (cells == size).all(dim=1) if shapes[n].exact else (cells <= size).all(dim=1)
        if n == len(shapes) - 1 and not shapes[n].exact:
            fits = torch.ones_like(fits)
        chosen[fits] = n
    return chosen


SINGLE_BRANCH = (Shape(10, 10, pool=True),)
THRESHOLDS = {
    "multi": tuple(
        Shape(h, w) for h, w in ((15, 10), (9, 4), (7, 3), (6, 3), (5, 2), (4, 2), (3, 2), (2, 2), (2, 1), (1, 1))
    ),
    "new": tuple(Shape(n, n) for n in (15, 10, 8, 6, 4, 2, 1)),
    "small": tuple(Shape(h, w) for h, w in ((10, 10), (8, 6), (6, 4), (5, 3), (4, 2), (2, 2), (2, 1), (1, 1))),
}
"""Of Multi-Shape, MS-NewShapes and MS-SmallShapes (Table 5.9)."""

SINGLE_SHAPE = tuple(
    Shape(h, w, exact=True)
    for h, w in ((7, 2), (6, 3), (6, 2), (5, 3), (5, 2), (4, 3), (4, 2), (3, 3), (3, 2), (3, 1), (2, 2), (2, 1))
)
SINGLE_SHAPE_PLUS = (*SINGLE_SHAPE, Shape(1, 1, exact=True), Shape(14, 14))
EXACT_SHAPES = {"exact": SINGLE_SHAPE, "exact+": SINGLE_SHAPE_PLUS}
"""Of Single-Shape and Single-Shape+ (section 5.2.1)."""
