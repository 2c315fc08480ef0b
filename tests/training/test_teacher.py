"""A teacher labels the insides of boxes, and only where it sees somebody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from argos.training.photos import CROWD, IGNORE, Photo
from argos.training.teacher import label_boxes


def test_a_teacher_fills_boxes_in_which_it_sees_somebody() -> None:
    ids = np.zeros((40, 60), np.uint8)
    boxes = np.asarray([[5, 5, 25, 35], [40, 5, 50, 35]], np.float32)
    for x0, y0, x1, y1 in boxes.astype(int):
        ids[y0:y1, x0:x1] = IGNORE
    photo = Photo(
        np.zeros((40, 60, 3), np.uint8), ids, boxes, np.zeros(2, np.uint8), np.zeros((0, 4), np.float32), "x", "x.jpg"
    )

    def score(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = np.zeros(image.shape[:2], np.float32)
        scores[10:30, 10:20] = 0.9  # somebody in the first box
        scores[10:30, 20:22] = 0.5  # not sure
        scores[0:4] = 0.9  # outside of every box: people have said that nobody is there
        return scores

    (labelled,) = label_boxes([photo], score)
    assert (labelled.ids[10:30, 10:20] == CROWD).all()
    assert (labelled.ids[10:30, 20:22] == IGNORE).all()
    assert (labelled.ids[5:10, 5:25] == 0).all()
    assert (labelled.ids[0:4] == 0).all()
    assert (labelled.ids[5:35, 40:50] == IGNORE).all(), "the second box shows somebody whom the teacher does not see"
    assert (photo.ids == ids).all()
