"""Boxes of a single-shot detector: anchors, overlap, coding, matching, suppression, crops.

Boxes are ``(x0, y0, x1, y1)`` in pixels of the network's input, end exclusive.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from argos.kernels.crops import crop_rows

Sizes = tuple[tuple[float, float], ...]
"""(width, height) in pixels of the anchors of one cell."""

STRIDES = (16, 32, 64, 128, 256, 512)  # of the six maps that predict
BACKGROUND = -1  # label of an anchor that matches nothing
IGNORED = -2  # label of an anchor that takes no part in the loss

# A delta of 1 is a tenth of the anchor's size for the centre, a fifth in log size: targets of about unit variance.
_VARIANCES = (0.1, 0.1, 0.2, 0.2)
_MAX_LOG_SIZE = math.log(62.5)  # a decoded side is at most 62.5 anchors long, so exp never overflows


def published_anchors(size: int = 640, smallest: float = 0.2, largest: float = 0.9) -> tuple[Sizes, ...]:
    """Anchors of SSD MobileNet-v1, 3 per cell on the first map and 6 on the others.

    Reference:
        Liu et al., SSD, arXiv:1512.02325, eq. 4; the first map is reduced to three boxes as in the TensorFlow
        Object Detection API; Kolhatkar 2020, eq. 3.1.
    """
    scales = [smallest + (largest - smallest) * k / (len(STRIDES) - 1) for k in range(len(STRIDES))] + [1.0]
    maps = []
    for k, (scale, following) in enumerate(pairwise(scales)):
        if k == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [(scale, aspect) for aspect in (1.0, 2.0, 0.5, 3.0, 1 / 3)] + [(math.sqrt(scale * following), 1.0)]
        maps.append(tuple((size * s * math.sqrt(aspect), size * s / math.sqrt(aspect)) for s, aspect in shapes))
    return tuple(maps)


def _upright(*shapes: tuple[float, float]) -> Sizes:
    """Sizes from (height in pixels, width / height)."""
    return tuple((height * aspect, height) for height, aspect in shapes)


ANCHORS_PUBLISHED = published_anchors()

# Standing people are tall; wide shapes are people cut by the frame's border. A map takes the heights that its
# receptive field covers (about 220, 320, 380, 510, 760 px), the dense map the small ones.
ANCHORS_PERSON: tuple[Sizes, ...] = (
    _upright((26, 0.45), (42, 0.4), (68, 0.4)),
    _upright((64, 0.75), (96, 0.32), (100, 0.55), (144, 0.3), (144, 0.5), (130, 0.85)),
    _upright((205, 0.3), (205, 0.5), (190, 0.85), (280, 0.3), (280, 0.5), (260, 0.85)),
    _upright((360, 0.3), (360, 0.5), (340, 0.8), (440, 0.3), (440, 0.5), (400, 1.0)),
    _upright((520, 0.3), (520, 0.5), (480, 0.75), (480, 1.0), (600, 0.4), (600, 0.6)),
    _upright((600, 0.3), (600, 0.5), (600, 0.8), (600, 1.0), (720, 0.45), (720, 0.7)),
)


@lru_cache(maxsize=16)
def _anchor_array(height: int, width: int, table: tuple[Sizes, ...]) -> np.ndarray:
    boxes = []
    for stride, sizes in zip(STRIDES, table, strict=True):
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = np.mgrid[0:rows, 0:columns] * float(stride) + stride / 2
        centres = np.stack([x, y], axis=-1)[:, :, None, :]  # (rows, columns, 1, 2)
        half = np.asarray(sizes)[None, None] / 2  # (1, 1, n, 2)
        boxes.append(np.concatenate([centres - half, centres + half], axis=-1).reshape(-1, 4))
    return np.concatenate(boxes).astype(np.float32)


def make_anchors(height: int, width: int, table: tuple[Sizes, ...]) -> Tensor:
    """Anchors for an input of ``height`` x ``width``: maps, then rows, then columns, then the shapes of a cell.

    Sizes and steps are absolute, so a person of 50 pixels meets the same anchors on a small canvas and on a
    full frame.

    Returns:
        ``(A, 4)`` float32; anchors reach over the borders of the input.
    """
    return torch.tensor(_anchor_array(height, width, table))


# as torch.compiler.assume_constant_result marks it; calling that imports the whole compiler, seconds at every start
make_anchors._dynamo_marked_constant = True  # type: ignore[attr-defined]


def area(boxes: Tensor) -> Tensor:
    """Area of ``(..., 4)`` boxes; 0 where a box is inside out."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Area shared by each of ``(A, 4)`` and each of ``(B, 4)`` boxes, ``(A, B)``."""
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = (bottom_right - top_left).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each of ``(A, 4)`` and each of ``(B, 4)`` boxes, ``(A, B)``."""
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return shared / union.clamp(min=1e-9)


def ioa(a: Tensor, b: Tensor) -> Tensor:
    """Part of each of ``(A, 4)`` boxes that each of ``(B, 4)`` boxes covers, ``(A, B)``."""
    return intersection(a, b) / area(a)[:, None].clamp(min=1e-9)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Deltas ``(..., 4)`` that move ``anchors`` onto ``boxes`` of positive size; the inverse of ``decode``."""
    anchor_size = anchors[..., 2:] - anchors[..., :2]
    size = boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + size / 2 - anchors[..., :2] - anchor_size / 2) / anchor_size
    return torch.cat([shift, torch.log(size / anchor_size)], dim=-1) / boxes.new_tensor(_VARIANCES)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes ``(..., 4)`` from the ``(..., 4)`` outputs of the network and the anchors they belong to."""
    anchor_size = anchors[..., 2:] - anchors[..., :2]
    scaled = deltas * deltas.new_tensor(_VARIANCES)
    centre = anchors[..., :2] + anchor_size / 2 + scaled[..., :2] * anchor_size
    half = torch.exp(scaled[..., 2:].clamp(max=_MAX_LOG_SIZE)) * anchor_size / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def match(anchors: Tensor, truths: Tensor, ignore: Tensor, threshold: float = 0.5) -> Tensor:
    """Give each anchor a true box, the background, or nothing.

    Each truth gets the free anchor that fits it best, the best pair of all first; every other anchor gets the
    truth it overlaps most if that is above ``threshold``. Of the remaining anchors those that overlap an
    ignore box, or lie in it, by more than half take no part.

    Args:
        anchors: ``(A, 4)``.
        truths: ``(M, 4)``.
        ignore: ``(K, 4)`` boxes of crowds and of people that are not annotated one by one.
        threshold: least IoU of a match.

    Returns:
        ``(A,)`` int64: index into ``truths``, ``BACKGROUND`` or ``IGNORED``.

    Reference:
        Liu et al., SSD, arXiv:1512.02325, section 2.2, matching strategy.
    """
    labels = torch.full((len(anchors),), BACKGROUND, dtype=torch.int64, device=anchors.device)
    if len(ignore):
        covered = torch.maximum(iou(anchors, ignore), ioa(anchors, ignore)).amax(dim=1)
        labels[covered > 0.5] = IGNORED
    if not len(truths):
        return labels
    overlaps = iou(anchors, truths)
    best, choice = overlaps.max(dim=1)
    labels = torch.where(best > threshold, choice, labels)
    for _ in range(len(truths)):
        pair = int(overlaps.argmax())
        anchor, truth = divmod(pair, len(truths))
        if overlaps[anchor, truth] <= 0:
            break
        labels[anchor] = truth
        overlaps[anchor, :] = -1
        overlaps[:, truth] = -1
    return labels


def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: drop a box that overlaps a better kept one of its class.

    By numpy: for as few boxes as a picture shows, what torch does around each operation takes ten times as long.

    Args:
        boxes: ``(M, 4)``.
        scores: ``(M,)``.
        labels: ``(M,)`` classes; boxes of different classes never suppress each other.
        threshold: greatest IoU of two kept boxes.

    Returns:
        Indices of the kept boxes, best score first.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, classes = boxes[order], labels[order]
    start, end = ranked[:, None, :2], ranked[:, None, 2:]
    shared = np.maximum(np.minimum(end, ranked[:, 2:]) - np.maximum(start, ranked[:, :2]), 0).prod(axis=2)
    areas = np.maximum(ranked[:, 2:] - ranked[:, :2], 0).prod(axis=1)
    overlap = shared / np.maximum(areas[:, None] + areas - shared, np.float32(1e-9))
    clash = (overlap > threshold) & (classes[:, None] == classes)
    alive = np.ones(len(order), np.bool_)
    for n in range(len(order)):
        if alive[n]:
            alive[n + 1 :] &= ~clash[n, n + 1 :]
    return order[alive]


def encompassing(boxes: Tensor, align: int, height: int, width: int) -> Tensor:
    """Smallest boxes on the ``align`` grid that hold ``boxes``, inside ``height`` x ``width``.

    Args:
        boxes: ``(M, 4)``.
        align: grid in pixels, a divisor of ``height`` and ``width``.
        height: of the (padded) input.
        width: of the (padded) input.

    Returns:
        ``(M, 4)`` of the type of ``boxes``, multiples of ``align``, at least one step high and wide.

    Reference:
        Kolhatkar 2020, section 3.1.3 and Figure 3.5.
    """
    limit = boxes.new_tensor([width, height])
    start = (torch.floor(boxes[:, :2] / align) * align).clamp(min=0)
    start = torch.minimum(start, limit - align)
    end = torch.minimum(torch.ceil(boxes[:, 2:] / align) * align, limit)
    return torch.cat([start, torch.maximum(end, start + align)], dim=1)


def crop(features: Tensor, stride: int, boxes: Tensor, image: Tensor, size: tuple[int, int], pool: int = 1) -> Tensor:
    """Crop boxes from a map and resize them bilinearly, all boxes at once.

    Cell centres are half-pixel: a box that is aligned to the stride and has ``size`` cells is copied exactly. Where
    nothing is learnt a kernel does the same on CPUs, in a fraction of the time.

    Args:
        features: ``(N, C, H, W)`` floats.
        stride: pixels per cell.
        boxes: ``(M, 4)`` in pixels.
        image: ``(M,)`` int64, image of each box.
        size: ``(h, w)`` to which a box is resized, in cells.
        pool: of so many cells, across and down, the largest is kept; divides ``size``.

    Returns:
        ``(M, C, h / pool, w / pool)``; outside of the map its border is repeated.
    """
    n, channels, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).reshape(n * height * width, channels)
    y, next_y, fraction_y = _positions(boxes[:, 1], boxes[:, 3], stride, size[0], height)
    x, next_x, fraction_x = _positions(boxes[:, 0], boxes[:, 2], stride, size[1], width)
    base = image[:, None] * height
    if torch.is_inference_mode_enabled() and rows.device.type == "cpu" and rows.dtype == torch.float32:
        positions = (y, next_y, fraction_y, x, next_x, fraction_x)
        maps = np.ascontiguousarray(rows.numpy())
        windows = crop_rows(maps, (image * height * width).numpy(), width, *(p.numpy() for p in positions), pool)
        return torch.from_numpy(windows).permute(0, 3, 1, 2)

    def corner(y: Tensor, weight_y: Tensor, x: Tensor, weight_x: Tensor) -> Tensor | None:
        weight = weight_y[:, :, None] * weight_x[:, None, :]  # (M, h, w)
        if not weight.any():  # aligned boxes touch one corner only, a quarter of the work
            return None
        index = ((base + y) * width)[:, :, None] + x[:, None, :]
        picked = rows.index_select(0, index.reshape(-1)).view(*index.shape, channels)
        return picked * weight[..., None].to(picked.dtype)

    result: Tensor | None = None
    for row, weight_y in ((y, 1 - fraction_y), (next_y, fraction_y)):
        for column, weight_x in ((x, 1 - fraction_x), (next_x, fraction_x)):
            part = corner(row, weight_y, column, weight_x)
            if part is not None:
                result = part if result is None else result + part
    if result is None:  # no boxes
        return features.new_zeros((0, channels, size[0] // pool, size[1] // pool))
    result = result.permute(0, 3, 1, 2)
    return result if pool == 1 else F.max_pool2d(result, pool)


def _positions(start: Tensor, end: Tensor, stride: int, cells: int, limit: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cell, following cell and fraction between them of ``cells`` samples of each interval, each ``(M, cells)``."""
    steps = (torch.arange(cells, device=start.device) + 0.5) / cells
    position = (start[:, None] + (end - start)[:, None] * steps) / stride - 0.5
    position = position.clamp(0, limit - 1)
    # sums of floats miss whole cells by 1e-6; aligned boxes have to be copied, not interpolated
    position = torch.where((position - position.round()).abs() < 1e-4, position.round(), position)
    cell = position.floor()
    fraction = position - cell
    return cell.long(), (cell + 1).clamp(max=limit - 1).long(), fraction
