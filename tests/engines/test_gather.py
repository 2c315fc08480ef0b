"""People are found in place only where the network has looked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from argos.engines.dense import to_unit_floats
from argos.engines.gather import _anchor_activity
from argos.engines.sparse import SparseNetwork
from argos.networks.ssd_isb import person_isb


@pytest.mark.parametrize("size", [(352, 640), (384, 640), (288, 352), (192, 320)])
def test_every_anchor_that_may_find_somebody_was_computed(size: tuple[int, int]) -> None:
    """A logit that was not is 0 for every class, an even bet: people as large as half the frame."""
    torch.manual_seed(0)
    network = person_isb(multiplier=0.25).eval()
    sparse = SparseNetwork(network)
    rng = np.random.default_rng(0)
    image = to_unit_floats(rng.integers(0, 256, (1, *size, 3), np.uint8), torch.device("cpu"))
    for _ in range(4):
        active = np.zeros(size, np.bool_)
        y, x = rng.integers(0, size[0] - 40), rng.integers(0, size[1] - 40)
        active[y : y + 40, x : x + 20] = True
        computed = sparse.forward(image, active).logits[0].abs().sum(1) > 0
        counts = _anchor_activity(sparse, active, network.anchor_table)
        assert counts.any()
        assert not counts.all()
        assert computed[counts].all()
