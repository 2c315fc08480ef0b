"""Results as they are handed out: nobody may write into arrays that outputs and the frames to come read."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from argos.types import Instances, Regions, Result, SemanticMask

Number = TypeVar("Number", bound=np.generic)


def read_only(result: Result) -> Result:
    """The same result with views of its arrays that refuse to be written into; nothing is copied."""
    regions, people, semantic, image = result.regions, result.instances, result.semantic, result.image
    return replace(
        result,
        regions=Regions(_view(regions.boxes), _view(regions.scores), regions.frame_size),
        instances=None if people is None else _people(people),
        semantic=None if semantic is None else SemanticMask(_view(semantic.mask)),
        image=None if image is None else _view(image),
    )


def _people(people: Instances) -> Instances:
    return Instances(
        boxes=_view(people.boxes),
        scores=_view(people.scores),
        labels=_view(people.labels),
        masks=tuple(_view(mask) for mask in people.masks),
        size=people.size,
        ids=_view(people.ids),
    )


def _view(array: NDArray[Number]) -> NDArray[Number]:
    view = array.view()
    view.flags.writeable = False
    return view
