"""Results for the package ``supervision``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from argos.types import Result

if TYPE_CHECKING:
    import supervision


def detections(result: Result) -> supervision.Detections:
    """The people of a result as ``supervision.Detections``, masks on the whole frame.

    Returns:
        Detections with ``xyxy``, ``mask``, ``confidence``, ``class_id`` and, where a tracker ran, ``tracker_id``;
        none when the task ``instances`` is off.

    Raises:
        ImportError: the package is not installed.
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise ImportError("to_supervision() needs the package supervision: pip install supervision") from error
    people = result.instances
    if people is None or not len(people):
        return Detections.empty()
    return Detections(
        xyxy=people.boxes.astype(np.float32),
        mask=np.stack([people.full_mask(n) for n in range(len(people))]),
        confidence=people.scores,
        class_id=people.labels.astype(np.int64),
        tracker_id=people.ids if len(people.ids) else None,
    )
