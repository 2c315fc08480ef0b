"""Crops of single persons, as ``fcn.person_crop_fcn`` takes them.

Reference:
    Kolhatkar, Real-Time Instance and Semantic Segmentation Using Deep Learning, 2020, section 4.3.1 and Figure 4.4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CROP_SIZES = ((320, 192), (160, 96))
"""(height, width) of the network's input, both of aspect 5/3, about that of a pedestrian."""

MARGINS = (0.0, 0.05, 0.1)
"""Background added on every side, as shares of the crop."""

ASPECT = 5 / 3


def widen_boxes(boxes: Tensor, margin: float = 0.0, aspect: float = ASPECT) -> Tensor:
    """Grow boxes about their middle to an aspect, and by a margin; they may then leave the picture.

    Args:
        boxes: ``(N, 4)`` floats (x0, y0, x1, y1), end exclusive, not empty.
        margin: share of height and width added on every side, 0 or more.
        aspect: height over width.

    Returns:
        ``(N, 4)`` of the type of ``boxes``.

    Raises:
        ValueError: a negative margin.
    """
    if margin < 0:
        raise ValueError(f"margin must be 0 or more, got {margin!r}")
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    sides = torch.stack((torch.maximum(width, height / aspect), torch.maximum(height, width * aspect)), 1)
    half = sides * (0.5 + margin)
    return torch.cat((middle - half, middle + half), 1)


def crop_image(image: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes out of one picture, bilinear at pixel centres; beyond its border the last pixel goes on.

    Args:
        image: ``(C, H, W)`` floats.
        boxes: ``(N, 4)`` floats (x0, y0, x1, y1) in pixels, end exclusive.
        size: (height, width) of the crops.

    Returns:
        ``(N, C, height, width)`` floats.
    """

    def positions(start: Tensor, end: Tensor, steps: int, extent: int) -> Tensor:
        centres = (torch.arange(steps, device=boxes.device) + 0.5) / steps
        return (start[:, None] + (end - start)[:, None] * centres) * (2 / extent) - 1

    height, width = size
    x = positions(boxes[:, 0], boxes[:, 2], width, image.shape[2])  # (N, width), -1..1 over the picture
    y = positions(boxes[:, 1], boxes[:, 3], height, image.shape[1])
    grid = torch.stack((x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)), -1)
    pictures = image[None].expand(len(boxes), -1, -1, -1)
    return F.grid_sample(pictures, grid.to(image.dtype), padding_mode="border", align_corners=False)
