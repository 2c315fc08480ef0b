"""Ground truth of a clip in COCO format: the person mask of each frame."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from argos.errors import UsageError
from argos.publishing.masks import mask_of_runs, read_rle_string
from argos.types import Frame, Size


class Truth:
    """Person masks by frame, decoded when asked for.

    Args:
        path: a COCO file; the ``id`` of an image is the index of its frame, masks are compressed run lengths.

    Raises:
        UsageError: the file is missing or of another form.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            document = json.loads(path.read_text())
            self._sizes: dict[int, Size] = {i["id"]: (i["height"], i["width"]) for i in document["images"]}
            self._people: defaultdict[int, list[bytes]] = defaultdict(list)
            for annotation in document["annotations"]:
                self._people[annotation["image_id"]].append(annotation["segmentation"]["counts"].encode())
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            words = f"{type(error).__name__}: {error}"  # never the repr, which may hold the file as a whole
            raise UsageError(f"{path}: not a COCO file with the truth of a clip ({words})") from error

    def check(self, frames: Iterable[Frame]) -> None:
        """Refuse frames of which it says nothing.

        Raises:
            UsageError: one has no truth, or is of another size there.
        """
        for frame in frames:
            size = self._sizes.get(frame.index)
            if size != frame.size:
                height, width = frame.size
                there = "is not in it" if size is None else f"is {size[1]}x{size[0]} there"
                raise UsageError(
                    f"{self._path}: frame {frame.index} {there}, and {width}x{height} in the source; is it the truth "
                    "of another clip?"
                )

    def masks(self, index: int) -> list[NDArray[np.bool_]]:
        """The mask of each person in frame ``index``, ``(H, W)`` bool."""
        size = self._sizes[index]
        return [mask_of_runs(read_rle_string(runs), size) for runs in self._people[index]]

    def person(self, index: int) -> NDArray[np.bool_]:
        """All person pixels of frame ``index``, ``(H, W)`` bool."""
        union = np.zeros(self._sizes[index], np.bool_)
        for mask in self.masks(index):
            union |= mask
        return union
