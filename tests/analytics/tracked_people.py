"""Results with people who have ids, at given places."""

from __future__ import annotations

import numpy as np

from argos.types import Instances, Regions, Result

SIZE = (1000, 1000)


def people_result(n: int, people: dict[int, tuple[float, float]], epoch: int = 0) -> Result:
    """Result ``n`` at ``n / 10`` s: boxes of 3 by 4 pixels that stand at the given place, shares of the frame."""
    feet = np.array(list(people.values())).reshape(-1, 2) * 1000
    corners = np.rint(feet - [1.5, 4]).astype(np.int32)
    boxes = np.concatenate([corners, corners + np.array([3, 4], np.int32)], axis=1).astype(np.int32)
    count = len(people)
    instances = Instances(
        boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int32), (np.ones((4, 3), np.bool_),) * count, SIZE,
        np.array(list(people), np.int64),
    )  # fmt: skip
    none = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), SIZE)
    return Result(
        camera="door", epoch=epoch, seq=n, index=3 * n, pts=None, time_base=(1, 1000), pts_s=n / 10,
        captured_ns=n * 10**8, clock="file", run="run", size=SIZE, mode="full", regions=none, instances=instances,
        semantic=None, deep_share=1.0, spans_ms={}, dropped={}, models={},
    )  # fmt: skip
