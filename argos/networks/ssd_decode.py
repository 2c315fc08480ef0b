"""From the raw outputs of SSD-ISB to detections and masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from argos.networks.finite import checked
from argos.networks.ssd_boxes import decode, nms
from argos.networks.ssd_branches import STRIDE
from argos.networks.ssd_isb import SSDISB, SSDOutput
from argos.types import Instances, Size

CANDIDATES = 400  # best anchors of an image that enter the suppression


class Detections(NamedTuple):
    """Boxes found in one image, best first.

    Attributes:
        boxes: ``(M, 4)`` floats in pixels of the network's input.
        scores: ``(M,)`` floats in 0..1.
        labels: ``(M,)`` int64, 0 is the first class.
        anchors: ``(M, 4)`` floats, the default anchors from which the boxes were regressed.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    anchors: Tensor


def detections(
    output: SSDOutput,
    score_threshold: float = 0.4,
    nms_iou: float = 0.5,
    max_people: int = 100,
    size: Size | None = None,
) -> list[Detections]:
    """Decode, threshold and suppress.

    Args:
        output: of the network.
        score_threshold: least probability of the best class.
        nms_iou: greatest IoU of two detections of one class.
        max_people: most detections of an image.
        size: of the image before padding; boxes are clipped to it. None: the padded input.

    Returns:
        One entry per image; boxes of less than a pixel are dropped.
    """
    rows, columns = output.features.stride32.shape[-2:]
    height, width = size or (rows * STRIDE, columns * STRIDE)
    limit = output.deltas.new_tensor([width, height, width, height])
    best, labels = output.logits.softmax(dim=-1)[..., 1:].max(dim=-1)  # (N, A)
    result = []
    for deltas, scores, label in zip(output.deltas, best, labels, strict=True):
        scores, top = scores.topk(min(CANDIDATES, len(scores)))
        boxes = torch.minimum(decode(deltas[top], output.anchors[top]).clamp(min=0), limit)
        good = (scores >= score_threshold) & ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
        boxes, scores, label, anchors = boxes[good], scores[good], label[top][good], output.anchors[top][good]
        where, sure = boxes.float().numpy(force=True), scores.float().numpy(force=True)  # numpy has no bfloat16
        best_first = nms(where, sure, label.numpy(force=True), nms_iou)
        kept = torch.from_numpy(best_first[:max_people])
        result.append(Detections(boxes[kept], scores[kept], label[kept], anchors[kept]))
    return result


@torch.inference_mode()
def detect(
    network: SSDISB,
    image: Tensor,
    *,
    score_threshold: float = 0.4,
    nms_iou: float = 0.5,
    max_people: int = 100,
    grow: int = 3,
    crop_anchors: bool = False,
) -> list[Instances]:
    """Find people and their masks.

    Args:
        network: in evaluation mode.
        image: ``(N, 3, H, W)`` floats in 0..1, of any size.
        score_threshold: least probability.
        nms_iou: greatest IoU of two detections of one class.
        max_people: most people of an image.
        grow: pixels by which a mask may stick out of its detection; the box then grows with it.
        crop_anchors: see ``people_of``.

    Returns:
        As ``people_of``.
    """
    size = (image.shape[2], image.shape[3])
    return people_of(
        network,
        network(image),
        size,
        score_threshold=score_threshold,
        nms_iou=nms_iou,
        max_people=max_people,
        grow=grow,
        crop_anchors=crop_anchors,
    )


@torch.inference_mode()
def people_of(
    network: SSDISB,
    output: SSDOutput,
    size: Size,
    *,
    score_threshold: float = 0.4,
    nms_iou: float = 0.5,
    max_people: int = 100,
    grow: int = 3,
    crop_anchors: bool = False,
) -> list[Instances]:
    """Segment the detections of an output that was computed before, by whatever engine.

    Args:
        network: whose branches are used, in evaluation mode.
        output: for N images.
        size: of the images before padding.
        score_threshold: least probability.
        nms_iou: greatest IoU of two detections of one class.
        max_people: most people of an image.
        grow: pixels by which a mask may stick out of its detection; the box then grows with it.
        crop_anchors: segment the default anchors of the detections instead of their boxes. Only to see why the thesis
            gave it up (section 3.1.4): an anchor holds half of its person at best, and the rest gets no mask.

    Returns:
        One ``Instances`` per image, best first, in pixels of the image. A detection that got no mask, because
        its branch was full or none has its shape, or whose mask is empty, is dropped.

    Raises:
        WeightsError: the network gives NaN.
    """
    checked(output.logits, "instance")
    checked(output.deltas, "instance")
    found = detections(output, score_threshold, nms_iou, max_people, size)
    people: list[dict[int, _Person]] = [{} for _ in found]
    crops = [d.anchors if crop_anchors else d.boxes for d in found]
    for branch in network.masks(output.features, crops):
        checked(branch.logits, "instance")
        boxes = branch.boxes.cpu().numpy()
        for n, (i, k) in enumerate(zip(branch.image.tolist(), branch.index.tolist(), strict=True)):
            logits = branch.logits[n, found[i].labels[k]].float().cpu().numpy()
            person = fit_mask(logits, boxes[n], found[i].boxes[k].cpu().numpy(), grow, size)
            if person is not None:
                people[i][k] = person
    return [_instances(d, p, size) for d, p in zip(found, people, strict=True)]


class _Person(NamedTuple):
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


def fit_mask(
    logits: NDArray[np.float32], encompassing: NDArray[np.float32], box: NDArray[np.float32], grow: int, size: Size
) -> _Person | None:
    """Resize a mask from its encompassing box to the pixels of a detection.

    Args:
        logits: ``(h, w)``, covering ``encompassing``; positive is inside.
        encompassing: ``(4,)`` pixels.
        box: ``(4,)`` pixels, the detection, inside the picture.
        grow: pixels around the detection where mask is kept.
        size: of the picture.

    Returns:
        The integer box, the detection rounded to pixels and enlarged where the mask sticks out of it, and
        the mask of that box; None where the mask is empty.
    """
    height, width = size
    x0, y0 = (int(v) for v in np.floor(box[:2] + 0.5))
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    x1, y1 = (int(v) for v in np.floor(box[2:] + 0.5))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    left, top = max(x0 - grow, 0), max(y0 - grow, 0)
    right, bottom = min(x1 + grow, width), min(y1 + grow, height)
    down = _interpolation(top, bottom, encompassing[1], encompassing[3], logits.shape[0])
    across = _interpolation(left, right, encompassing[0], encompassing[2], logits.shape[1])
    mask = down @ logits @ across.T > 0  # (bottom - top, right - left)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    x0, x1 = min(x0, left + int(columns[0])), max(x1, left + int(columns[-1]) + 1)
    y0, y1 = min(y0, top + int(rows[0])), max(y1, top + int(rows[-1]) + 1)
    return _Person((x0, y0, x1, y1), mask[y0 - top : y1 - top, x0 - left : x1 - left].copy())


def _interpolation(first: int, last: int, start: float, end: float, cells: int) -> NDArray[np.float32]:
    """Weights ``(last - first, cells)`` that sample pixels from ``cells`` half-pixel cells between start and end."""
    pixels = np.arange(first, last, dtype=np.float32) + 0.5
    position = ((pixels - start) / (end - start) * cells - 0.5).clip(0, cells - 1)
    hat = 1 - np.abs(position[:, None] - np.arange(cells, dtype=np.float32))
    return hat.clip(min=0).astype(np.float32)


def _instances(found: Detections, people: dict[int, _Person], size: Size) -> Instances:
    kept = sorted(people)
    return Instances(
        boxes=np.array([people[k].box for k in kept], np.int32).reshape(-1, 4),
        scores=found.scores[kept].float().cpu().numpy(),
        labels=found.labels[kept].cpu().numpy().astype(np.int32),
        masks=tuple(people[k].mask for k in kept),
        size=size,
    )
