"""Average precision on photos of which some people have a mask and others a box alone."""

from __future__ import annotations

import numpy as np
import pytest

from argos.training.detection import score_people
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
