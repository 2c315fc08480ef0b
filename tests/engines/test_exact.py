from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from sparse_cases import (
    NETWORKS,
    Mixed,
    Places,
    blocks,
    convolutions,
    dtypes,
    mask_of,
    masks,
    network_of,
    people,
    seeds,
    sizes,
    transposed,
    whole,
    whole_image,
)
from torch import Tensor, nn

from argos.engines.fold import tensors_in
from argos.engines.sparse import SparseNetwork
from argos.errors import UsageError


def exact(network: nn.Module, block: int = 16, dense_above: float = 1.0) -> SparseNetwork:
    return SparseNetwork(network, block, dense_above, "exact")


@settings(max_examples=40, deadline=None)
@given(convolutions(), transposed(), sizes, masks, blocks, seeds, dtypes)
def test_active_blocks_equal_those_of_the_whole_network_exactly(
    conv: nn.Module, up: nn.Module, size: tuple[int, int], kind: str, block: int, seed: int, dtype: torch.dtype
) -> None:
    layers = whole(nn.Sequential(conv, nn.ReLU(inplace=True), nn.Conv2d(conv.weight.shape[0], 4, 1), up), seed)
    layers, image, active = layers.to(dtype), whole_image(size, 4, seed).to(dtype), mask_of(kind, size, seed)
    expected = layers(image)
    if expected.shape[2:] == (1, 1):
        return
    network = exact(layers, block)
    out = network.forward(image, active)
    inside = torch.from_numpy(network.active_mask(active, tuple(expected.shape[2:])))
    assert torch.equal(out[..., inside], expected[..., inside])


@pytest.mark.parametrize("kind", ["empty", "pixel", "border", "random", "half", "full"])
def test_every_output_is_exact_whatever_lies_between(kind: str) -> None:
    torch.manual_seed(0)
    network, image, active = Places().eval(), torch.rand(1, 3, 69, 93) - 0.5, mask_of(kind, (69, 93), 1)
    sparse = exact(network, 8)
    for found, expected in zip(sparse.forward(image, active), network(image), strict=True):
        inside = torch.from_numpy(sparse.active_mask(active, tuple(expected.shape[2:])))
        torch.testing.assert_close(found[..., inside], expected[..., inside], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_of_argos_are_exact_where_it_matters(name: str) -> None:
    network, size = network_of(NETWORKS[name]), (101, 149)
    image, active = torch.rand(1, 3, *size), people((101, 149), 0.05, 2)
    sparse = exact(network)
    with torch.inference_mode():
        expected = list(tensors_in(network(image)))
    found = list(tensors_in(sparse.forward(image, active)))
    compared = 0
    for x, y in zip(found, expected, strict=True):
        if x.ndim == 4:
            inside = torch.from_numpy(sparse.active_mask(active, (x.shape[2], x.shape[3])))
            torch.testing.assert_close(x[..., inside], y[..., inside], atol=1e-4, rtol=1e-4)
            compared += int(inside.sum())
    assert compared


def test_layers_grow_by_what_later_layers_read_and_no_more() -> None:
    layers = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)))
    sparse = exact(layers, block=1)
    sparse.forward(torch.rand(1, 3, 40, 40), mask_of("pixel", (40, 40), 8))
    assert [layer.active for layer in sparse.layers] == [25, 9, 1]


def test_maps_that_shrink_to_one_pixel_stay_exact() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2, padding=1) for _ in range(5)), nn.Conv2d(3, 3, 1)).eval()
    image = torch.rand(1, 3, 20, 30)
    found = exact(layers).forward(image, mask_of("pixel", (20, 30), 0))
    torch.testing.assert_close(found, layers(image), atol=1e-6, rtol=1e-5)


def test_above_the_limit_of_operations_the_whole_network_runs() -> None:
    layers = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)))
    image, active = torch.rand(1, 3, 64, 64), np.zeros((64, 64), np.bool_)
    active[16:48, 16:32] = True  # 2 of 16 blocks, but 16 and 12 of 16 before
    sparse = exact(layers, dense_above=0.5)
    sparse.forward(image, active)
    assert [layer.reason for layer in sparse.layers] == ["62% of the blocks are active"] * 3


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        x = self.a(image)
        return self.b(F.interpolate(x.flatten(2).view(1, 4, 6, -1), size=(8, 8)))  # type: ignore[no-any-return]


def test_networks_that_read_whole_maps_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"mean after layer deep reads a whole map, which engine.sparse: exact cannot"):
        exact(Mixed().eval()).forward(torch.rand(1, 3, 64, 96), np.ones((64, 96), np.bool_))
    with pytest.raises(
        UsageError, match=r"interpolate after layer a reads a map that was rearranged.*; set it to masked"
    ):
        exact(Gated().eval()).forward(torch.rand(1, 3, 14, 14), np.ones((14, 14), np.bool_))


class Head(nn.Conv2d):
    """A convolution and what follows it."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__(3, 6, 3, padding=1)
        self.function = function

    def forward(self, image: Tensor) -> Any:
        return self.function(super().forward(image))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.flatten(2).mean(-1),
        lambda x: x.flatten(2).amax(2),
        lambda x: x.flatten(2).softmax(-1),
        lambda x: x.flatten(1).topk(5),
        lambda x: x.flatten(2).transpose(1, 2) @ x.flatten(2),
        lambda x: x[:, :1].flip(3),
        lambda x: x[:, :1].roll(5, 2),
        lambda x: F.pad(x[..., 5:, 5:], (0, 5, 0, 5)),
    ],
)
def test_pixels_of_rearranged_maps_that_are_mixed_or_moved_are_refused(function: Callable[[Tensor], Any]) -> None:
    with pytest.raises(UsageError, match="the outputs mix or move pixels of a map that was rearranged or cut, which"):
        exact(Head(function).eval()).forward(torch.rand(1, 3, 54, 70), mask_of("half", (54, 70), 0))


def test_blocks_beside_a_rearranged_map_are_refused() -> None:
    def gated(x: Tensor) -> Tensor:
        return x * x.flatten(2).mean(-1)[:, :, None, None]

    with pytest.raises(UsageError, match=r"mul after layer .*reads a map that was rearranged"):
        exact(Head(gated).eval()).forward(torch.rand(1, 3, 54, 70), mask_of("half", (54, 70), 0))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.permute(0, 2, 3, 1).reshape(1, -1, 3).softmax(-1).view(1, 54, 70, 6).permute(0, 3, 1, 2),
        lambda x: x[:, :2].sigmoid() + x[:, 2:4].exp(),
        lambda x: x.flatten(2).amax(1).view(1, 1, 54, 70),
        lambda x: x[:, :].argmax(1, keepdim=True),
    ],
)
def test_values_of_rearranged_maps_that_follow_their_pixels_are_exact(function: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    network, image, active = Head(function).eval(), torch.rand(1, 3, 54, 70), mask_of("half", (54, 70), 0)
    sparse = exact(network, 8)
    found, expected = sparse.forward(image, active), network(image)
    inside = torch.from_numpy(sparse.active_mask(active, (54, 70)))
    torch.testing.assert_close(found[..., inside], expected[..., inside], atol=1e-6, rtol=1e-5)


def test_other_semantics_are_refused() -> None:
    with pytest.raises(ValueError, match="semantics should be masked, previous or exact, got 'fast'"):
        SparseNetwork(nn.Conv2d(3, 1, 1), semantics="fast")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "function", [lambda x: F.pixel_shuffle(x, 2), lambda x: F.pad(x, (1, 1)), lambda x: x.chunk(2, 1)[0]]
)
def test_what_nobody_has_written_for_blocks_is_not_said_to_read_a_whole_map(
    function: Callable[[Tensor], Tensor],
) -> None:
    class Network(nn.Conv2d):
        def forward(self, image: Tensor) -> Tensor:
            return function(super().forward(image))

    with pytest.raises(
        UsageError, match=r"(pixel_shuffle|pad|chunk) after layer \S* is not known to the sparse engine,"
    ):
        exact(Network(3, 4, 1)).forward(torch.rand(1, 3, 14, 14), np.ones((14, 14), np.bool_))
