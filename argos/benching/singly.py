"""One inference for each canvas, as tools without batches run them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from argos.benching.contender import Networks
from argos.types import Instances


def singly(networks: Networks) -> Networks:
    """The same networks, one picture after the other."""

    def run(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32] | None, Sequence[Instances] | None]:
        found = [networks(pixels[n : n + 1]) for n in range(len(pixels))]
        scores = [one[0] for one in found if one[0] is not None]
        people = [one[1] for one in found if one[1] is not None]
        return (
            np.concatenate(scores) if scores else None,
            [picture for one in people for picture in one] if people else None,
        )

    return run
