"""Ground truth of a clip in COCO format: the person mask of each frame."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argos.errors import UsageError
from argos.publishing.masks import mask_of_runs, read_rle_string
from argos.types import Size


class Truth:
    """Person masks by frame, decoded when asked for.

    Args:
        path: a COCO file; the ``id`` of an image is the index of its frame, masks are compressed run lengths.

    Raises:
        UsageError: the file is missing or of another form.
    """

    def __init__(self, path: Path) -> None:
        try:
            document = json.loads(path.read_text())
            self._sizes: dict[int, Size] = {i["id"]: (i["height"], i["width"]) for i in document["images"]}
            self._people: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
            for annotation in document["annotations"]:
                self._people[annotation["image_id"]].append(annotation["segmentation"])
        except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: not a COCO file with the truth of a clip ({error!r})") from error

    def masks(self, index: int) -> list[NDArray[np.bool_]]:
        """The mask of each person in frame ``index``, ``(H, W)`` bool."""
        size = self._sizes[index]
        return [mask_of_runs(read_rle_string(rle["counts"].encode()), size) for rle in self._people[index]]

    def person(self, index: int) -> NDArray[np.bool_]:
        """All person pixels of frame ``index``, ``(H, W)`` bool."""
        union = np.zeros(self._sizes[index], np.bool_)
        for mask in self.masks(index):
            union |= mask
        return union
