"""Average precision on photos of which some people have a mask and others a box alone."""

from __future__ import annotations

import numpy as np
import pytest

from argos.training.detection import COCO_FIGURES, score_people
from argos.training.photos import IGNORE, Photo
from argos.types import Instances


@pytest.mark.parametrize("found", [1, 2])
def test_masks_of_people_who_have_none_are_not_judged(found: int) -> None:
    ids = np.zeros((200, 200), np.uint8)
    ids[20:120, 20:70], ids[20:180, 100:180] = 1, IGNORE
    boxes = np.array([[20, 20, 70, 120], [100, 20, 180, 180]], np.float32)
    photo = Photo(np.zeros((200, 200, 3), np.uint8), ids, boxes, np.array([1, 0], np.uint8),
                  np.zeros((0, 4), np.float32), "coco", "mine.jpg")  # fmt: skip
    seen = np.array([[20, 20, 70, 120], [110, 30, 170, 180]], np.int32)[:found]
    masks = tuple(np.ones((y1 - y0, x1 - x0), np.bool_) for x0, y0, x1, y1 in seen.tolist())
    people = Instances(boxes=seen, scores=np.array([0.8, 0.9], np.float32)[:found], labels=np.zeros(found, np.int32),
                       masks=masks, size=(200, 200))  # fmt: skip
    assert score_people([people], [photo], "segm")["ap50"] == pytest.approx(1.0)
    assert score_people([people], [photo], "bbox")["ap50"] == pytest.approx(1.0 if found == 2 else 0.5, abs=0.01)


def test_people_are_small_and_large_by_their_masks_as_in_coco() -> None:
    ids = np.zeros((200, 200), np.uint8)
    ids[20:180, 50:55] = 1  # with the next lines 1000 pixels in a box of 8000
    ids[20:60, 50:100] = 1
    ids[20:60, 55:95] = 0
    box = np.array([[50, 20, 100, 180]], np.float32)
    photo = Photo(np.zeros((200, 200, 3), np.uint8), ids, box, np.ones(1, np.uint8), np.zeros((0, 4), np.float32),
                  "coco", "mine.jpg")  # fmt: skip
    people = Instances(boxes=box.astype(np.int32), scores=np.ones(1, np.float32), labels=np.zeros(1, np.int32),
                       masks=(ids[20:180, 50:100] == 1,), size=(200, 200))  # fmt: skip
    for kind in ("bbox", "segm"):
        figures = score_people([people], [photo], kind)
        sizes = [figures[name] for name in COCO_FIGURES if name in ("ap_small", "ap_medium", "ap_large")]
        assert sizes == pytest.approx([1, -1, -1])
