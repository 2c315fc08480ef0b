"""Results in COCO's result format."""

from __future__ import annotations

from typing import Any

from argos.publishing.masks import full_frame_runs, rle_string
from argos.types import Result


def coco_annotations(result: Result) -> list[dict[str, Any]]:
    """One annotation for each person, as ``pycocotools.coco.COCO.loadRes`` takes them.

    Returns:
        Dictionaries with ``image_id`` (the frame's index), ``category_id`` (label + 1: a person is 1), ``bbox``
        ``[x, y, w, h]``, ``score``, ``segmentation`` (compressed run lengths of the whole frame, ``size`` ``[h, w]``),
        and ``track_id`` of people with a confirmed track. Empty when the task ``instances`` is off. (``loadRes`` takes
        the area of a box where it finds one; drop ``bbox`` before an evaluation of masks by size.)
    """
    people = result.instances
    if people is None:
        return []
    annotations: list[dict[str, Any]] = []
    for n, ((x0, y0, x1, y1), mask) in enumerate(zip(people.boxes.tolist(), people.masks, strict=True)):
        runs = full_frame_runs(mask, (x0, y0), people.size)
        annotation: dict[str, Any] = {
            "image_id": result.index,
            "category_id": int(people.labels[n]) + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "score": float(people.scores[n]),
            "segmentation": {"size": list(people.size), "counts": rle_string(runs).decode()},
        }
        if len(people.ids) and people.ids[n] >= 0:
            annotation["track_id"] = int(people.ids[n])
        annotations.append(annotation)
    return annotations
