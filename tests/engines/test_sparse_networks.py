"""The networks that ARGOS runs by gather-scatter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sparse_cases import DTYPES, NETWORKS, network_of, people
from torch import Tensor

from argos.engines.count_macs import count_macs
from argos.engines.fold import tensors_in
from argos.engines.masked import masked_dense
from argos.engines.sparse import SparseNetwork
from argos.networks import table as published


def largest_difference(a: object, b: object) -> float:
    """Largest difference between the tensors of two outputs, as a share of the largest value."""

    def one(x: Tensor, y: Tensor) -> float:
        assert x.shape == y.shape
        return float((x - y).abs().max() / max(1.0, float(y.abs().max())))

    return max(one(x, y) for x, y in zip(tensors_in(a), tensors_in(b), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("size", "dtype"), [((96, 160), DTYPES[0]), ((101, 149), DTYPES[0]), ((101, 149), DTYPES[1])])
def test_sparse_equals_masked_dense(name: str, size: tuple[int, int], dtype: torch.dtype) -> None:
    network, image = network_of(NETWORKS[name]).to(dtype), torch.rand(1, 3, *size).to(dtype)
    sparse = SparseNetwork(network)
    one = np.zeros(size, np.bool_)
    one[-1, -1] = True
    for active in (people(size, 0.1, 0), one, np.zeros(size, np.bool_)):
        out = sparse.forward(image, active)
        # sums run in another order than in the dense network, so the last bits differ
        assert largest_difference(out, masked_dense(network, image, active)) <= 1e-5


@pytest.mark.parametrize("name", ["erfnet", "essnet_a", "essnet_b", "essnet", "wspdnet"])
def test_networks_that_pool_the_image_stay_on_blocks_in_both_semantics(name: str) -> None:
    network, size = network_of(published.NETWORKS[name]), (96, 160)
    image, active = torch.rand(1, 3, *size), people(size, 0.1, 0)
    sparse = SparseNetwork(network, dense_above=1.0)
    assert largest_difference(sparse.forward(image, active), masked_dense(network, image, active)) <= 1e-5
    assert len(sparse.coverage()) <= 1  # what comes after the last layer
    exact = SparseNetwork(network, dense_above=1.0, semantics="exact")
    found, expected = exact.forward(image, active), network(image)
    for x, y in zip(tensors_in(found), tensors_in(expected), strict=True):
        inside = torch.from_numpy(exact.active_mask(active, (x.shape[2], x.shape[3])))
        assert largest_difference(x[..., inside], y[..., inside]) <= 1e-5


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dense_above", [0.7, 1.0])
def test_all_pixels_active_is_the_ordinary_network(name: str, dense_above: float) -> None:
    network, image = network_of(NETWORKS[name]), torch.rand(1, 3, 101, 149)
    sparse = SparseNetwork(network, dense_above=dense_above)
    out = sparse.forward(image, np.ones((101, 149), np.bool_))
    with torch.inference_mode():
        assert largest_difference(out, network(image)) <= 1e-5
    convolutions = {layer.mode for layer in sparse.layers if layer.reason != "a map of one pixel" and layer.dense_macs}
    assert convolutions == {"dense" if dense_above < 1 else "sparse"}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tenth_of_the_pixels_costs_at_most_a_fifth_of_the_macs(name: str) -> None:
    network, size = network_of(NETWORKS[name]), (352, 640)
    image = torch.rand(1, 3, *size)
    sparse = SparseNetwork(network)
    shares = []
    for seed in range(5):
        active = people(size, 0.1, seed)
        assert active.mean() == pytest.approx(0.1, abs=0.003)
        sparse.forward(image, active)
        shares.append(sparse.executed_macs / sparse.dense_macs)
        assert shares[-1] >= 0.1
    assert sparse.dense_macs == count_macs(network, image)
    assert max(shares) <= 0.2
