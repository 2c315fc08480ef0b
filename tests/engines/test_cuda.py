"""What a GPU does otherwise than a CPU; skipped without one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sparse_cases import NETWORKS, network_of, people
from torch import Tensor

from argos.engines.block_held import Held
from argos.engines.fold import tensors_in
from argos.engines.graphed import MOST_SHAPES, GraphedNetwork
from argos.engines.masked import masked_dense
from argos.engines.sparse import SparseNetwork
from argos.networks.qunet import qunet
from argos.propose.qunet import QUNetProposer
from argos.types import Frame

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def assert_near(found: object, expected: object) -> None:
    for a, b in zip(tensors_in(found), tensors_in(expected), strict=True):
        scale = max(1.0, float(b.abs().max()))
        assert float((a - b).abs().max()) <= 5e-3 * scale  # TF32 keeps ten bits


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("semantics", ["masked", "previous"])
def test_blocks_on_a_gpu_are_the_masked_network(name: str, semantics: str) -> None:
    network, image = network_of(NETWORKS[name]).cuda(), torch.rand(1, 3, 101, 149, device="cuda")
    sparse = SparseNetwork(network, semantics=semantics)  # type: ignore[arg-type]
    active = people((101, 149), 0.1, 0)
    held = Held() if semantics == "previous" else None  # at first it holds zeros
    assert_near(sparse.forward(image, active, held), masked_dense(network, image, active))


@pytest.mark.parametrize("dct", [False, True])
def test_a_recorded_network_is_the_network_for_every_shape(dct: bool) -> None:
    network = qunet(16, dct=dct).cuda().eval()
    recorded = GraphedNetwork(network)
    for n in (*range(MOST_SHAPES + 2), 0):
        image = torch.randint(0, 256, (1, 3, 96, 96 + 16 * n), dtype=torch.uint8, device="cuda")
        with torch.inference_mode():
            expected: Tensor = network(image)
        for _ in range(2):
            assert_near(recorded(image), expected)


def test_proposals_of_a_gpu_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    network = qunet(16).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    frame = Frame(pixels, "door", 0, 0.0)
    with_cpu = QUNetProposer(network)(frame)
    with_gpu = QUNetProposer(network, device="cuda")(frame)
    assert np.mean(np.abs(with_cpu.scores - with_gpu.scores) > 0.01) < 0.01
