"""What a detector is asked to find in a batch, and its COCO measures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from argos.engines.dense import MOST_PEOPLE, InstanceSegmenter, network_size
from argos.networks.ssd_isb import SSDISB
from argos.packing.limits import InstanceLimits, limited, whole_placement
from argos.packing.pack import resized
from argos.packing.stitch import stitch_instances
from argos.training.losses_ssd import Truth
from argos.training.photos import CROWD, Photo
from argos.training.stream import Batch
from argos.types import Instances

EVERYBODY = InstanceLimits(score_threshold=0.05, nms=0.5, max_people=100)
"""Who counts in an evaluation."""

LEAST_HEIGHT, LEAST_WIDTH = 18, 5
"""Pixels. The smallest anchor is 26 high; who is much smaller cannot be found and would only blur what is learnt."""


COCO_FIGURES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip
"""Average precision at IoU 0.5 to 0.95, at 0.5, at 0.75, by size (up to 32^2, 96^2, above); average recall likewise."""


def truths_of(batch: Batch) -> list[Truth]:
    """People of a batch for the losses; the smallest become ignored."""
    truths = []
    for ids, boxes, numbers, ignore in zip(batch.ids, batch.boxes, batch.box_ids, batch.ignore, strict=True):
        size = boxes[:, 2:] - boxes[:, :2]
        small = (size[:, 0] < LEAST_WIDTH) | (size[:, 1] < LEAST_HEIGHT)
        ignore = torch.cat([ignore, boxes[small]])
        boxes, numbers = boxes[~small], numbers[~small]
        masks = (ids[None] == numbers[:, None, None]) & (numbers > 0)[:, None, None]
        truths.append(Truth(boxes, torch.zeros(len(boxes), dtype=torch.int64), ignore, masks))
    return truths


def evaluate_ssdisb(
    detector: nn.Module, held: Sequence[Photo], boxed: Sequence[Photo] | None = None, long_side: int = 512
) -> dict[str, float]:
    """Box AP50 on the photos with boxes and mask AP50 on the photos with masks.

    Args:
        detector: an ``SSDISB`` in evaluation mode.
        held: photos with masks, and empty ones.
        boxed: photos with boxes; those of ``held`` that have some for ``None``.
        long_side: network pixels of the longer side of a photo.

    Returns:
        ``box_ap50``, ``mask_ap50`` (area above 32^2), ``empty_ok`` (share of empty photos without a detection of
        0.5 or more); those for which there are photos.
    """
    assert isinstance(detector, SSDISB)
    known = [p for p in held if p.boxes_known]
    if boxed is None:
        boxed = [p for p in known if len(p.boxes)]
    masked = [p for p in known if p.box_ids.any()]
    empty = [p for p in known if not len(p.boxes) and not len(p.ignore)]
    seen = [float(_found(detector, p, long_side).scores.max(initial=0)) for p in empty]
    figures = {}
    if boxed:
        figures["box_ap50"] = average_precision(detector, boxed, "bbox", long_side)["ap50"]
    if masked:
        figures["mask_ap50"] = average_precision(detector, masked, "segm", long_side, min_area=32**2)["ap50"]
    if empty:
        figures["empty_ok"] = float(np.mean([score < 0.5 for score in seen]))
    return figures


def _found(detector: SSDISB, photo: Photo, long_side: int) -> Instances:
    """The people whom the line would find with the weakest scores let through, in pixels of the photo."""
    rows, columns = photo.image.shape[:2]
    scale = long_side / max(rows, columns)
    size = network_size((rows, columns), scale)
    segmenter = InstanceSegmenter(detector, EVERYBODY.score_threshold, EVERYBODY.nms)
    canvas = segmenter.instances(np.ascontiguousarray(resized(photo.image, size)[None]))
    placed = whole_placement((rows, columns), size, scale)
    people = stitch_instances(canvas, placed, 0, (rows, columns), nms=EVERYBODY.nms, max_people=MOST_PEOPLE)
    return limited(people, EVERYBODY)


def average_precision(
    detector: SSDISB,
    held: Sequence[Photo],
    kind: str,
    long_side: int,
    min_area: float = 0.0,
    iou: float | None = None,
) -> dict[str, float]:
    """``score_people`` of what a detector finds.

    Args:
        detector: in evaluation mode.
        held, kind, min_area, iou: as there.
        long_side: network pixels of the longer side of a photo.
    """
    return score_people([_found(detector, photo, long_side) for photo in held], held, kind, min_area, iou)


def score_people(
    found: Sequence[Instances], held: Sequence[Photo], kind: str, min_area: float = 0.0, iou: float | None = None
) -> dict[str, float]:
    """The twelve figures of COCO by pycocotools, by the names of ``COCO_FIGURES``; -1 where nobody is of that size.

    Args:
        found: people of each photo, in pixels of a picture of any size.
        held: photos; crowds and boxes of which nothing is known are ignored.
        kind: ``bbox`` or ``segm``.
        min_area: people smaller than this, in pixels of the photo, are ignored.
        iou: all figures at this IoU alone, instead of the mean over 0.5 to 0.95.
    """
    from pycocotools import mask as rle
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images: list[dict[str, Any]] = []
    truths: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for number, (photo, people) in enumerate(zip(held, found, strict=True), start=1):
        rows, columns = photo.ids.shape
        images.append({"id": number, "height": rows, "width": columns})
        entries = [(box, int(i), 0) for box, i in zip(photo.boxes.tolist(), photo.box_ids, strict=True)]
        entries += [(box, 0, 1) for box in photo.ignore.tolist()]
        for (x0, y0, x1, y1), own, crowd in entries:
            unmarked = kind == "segm" and not own  # a box without a mask is judged by nobody
            mask = photo.ids == own if own else (photo.ids >= CROWD)
            # COCO sizes people by their masks, for boxes as well
            area = float(mask.sum()) if own or kind == "segm" else (x1 - x0) * (y1 - y0)
            shape = rle.encode(np.asfortranarray(mask.astype(np.uint8))) if kind == "segm" else None
            truths.append({"id": len(truths) + 1, "image_id": number, "category_id": 1, "area": area,
                           "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": int(crowd or unmarked or area < min_area),
                           "segmentation": shape})  # fmt: skip
        sx, sy = columns / people.size[1], rows / people.size[0]
        for n, (x0, y0, x1, y1) in enumerate(people.boxes.tolist()):
            entry = {"image_id": number, "category_id": 1, "score": float(people.scores[n]),
                     "bbox": [x0 * sx, y0 * sy, (x1 - x0) * sx, (y1 - y0) * sy]}  # fmt: skip
            if kind == "segm":
                full = cv2.resize(people.full_mask(n).astype(np.uint8), (columns, rows))
                entry["segmentation"] = rle.encode(np.asfortranarray(full))
            answers.append(entry)
    if not answers:
        return dict.fromkeys(COCO_FIGURES, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": images,
            "annotations": truths,
            "categories": [{"id": 1, "name": "person"}],
            "info": {},
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(answers), kind)
        if iou is not None:
            evaluation.params.iouThrs = np.array([iou])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(COCO_FIGURES, evaluation.stats.tolist(), strict=True))
