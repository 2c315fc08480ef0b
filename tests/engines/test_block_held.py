"""Blocks beside which the blocks of earlier pictures lie, instead of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sparse_cases import (
    DTYPES,
    NETWORKS,
    Mixed,
    Places,
    blocks,
    convolutions,
    dtypes,
    mask_of,
    masks,
    network_of,
    transposed,
    whole,
    whole_image,
)
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from argos.engines.block_functions import LAYERS
from argos.engines.block_grid import block_grid
from argos.engines.block_held import Held
from argos.engines.fold import fold_batch_norm, tensors_in
from argos.engines.masked import masked_dense
from argos.engines.sparse import SparseNetwork


class Holding(TorchFunctionMode):
    """The plain form: every layer dense, on its input with what it held before outside of the mask."""

    def __init__(self, image_channels: int, block: int) -> None:
        super().__init__()
        self.image_channels, self.block = image_channels, block
        self.active: NDArray[np.bool_] = np.zeros((1, 1), np.bool_)
        self.held: dict[int, Tensor] = {}
        self.reads = 0

    def mask(self, x: Tensor) -> Tensor:
        return torch.from_numpy(block_grid(self.active, (x.shape[2], x.shape[3]), self.block).mask())

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func not in LAYERS:
            return func(*args, **(kwargs or {}))
        x = args[0]
        if x.shape[1] != self.image_channels:
            before = self.held.get(self.reads, torch.zeros_like(x))
            x = self.held[self.reads] = torch.where(self.mask(x), x, before)
            self.reads += 1
        out = func(x, *args[1:], **(kwargs or {}))
        return out * self.mask(out)

    @torch.inference_mode()
    def run(self, network: nn.Module, image: Tensor, active: NDArray[np.bool_]) -> Any:
        self.active, self.reads = active, 0
        folded = fold_batch_norm(network, image)
        with self:
            return folded(image)


def halves(size: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    left = mask_of("half", size, 0)
    left[:, 16 * (size[1] // 32) :] = False  # on the grid
    return left, ~left


def inside(network: SparseNetwork, out: object, active: NDArray[np.bool_]) -> list[Tensor]:
    """The computed pixels of every map of an output."""
    return [
        x[:, :, torch.from_numpy(network.active_mask(active, (x.shape[2], x.shape[3])))]
        for x in tensors_in(out)
        if x.ndim == 4
    ]


def distance(a: list[Tensor], b: list[Tensor]) -> float:
    return sum(float((x - y).abs().mean()) for x, y in zip(a, b, strict=True))


@settings(max_examples=40, deadline=None)
@given(
    convolutions(),
    st.one_of(convolutions(), transposed()),
    # what the first leaves is larger than the kernel of the second
    st.tuples(st.integers(13, 45), st.integers(13, 45)),
    blocks,
    st.lists(masks, min_size=3, max_size=3),
    dtypes,
)
def test_any_convolution_reads_what_the_blocks_beside_it_held_exactly(
    first: nn.Conv2d, second: nn.Module, size: tuple[int, int], block: int, kinds: list[str], dtype: torch.dtype
) -> None:
    """Three pictures of a camera, each with other active blocks."""
    stem, between = nn.Conv2d(5, 4, 1), nn.Conv2d(first.out_channels, 4, 1)
    network = whole(nn.Sequential(stem, first, nn.ReLU(), between, second), 1).to(dtype)
    sparse, held, twin = SparseNetwork(network, block, 1.0, "previous"), Held(), Holding(5, block)
    assume(first.out_channels != 5)  # the twin knows the picture by its channels
    for seed, kind in enumerate(kinds):
        image, active = whole_image(size, 5, seed).to(dtype), mask_of(kind, size, seed)
        out = sparse.forward(image, active, held)
        assert torch.equal(out, twin.run(network, image, active))


@pytest.mark.parametrize("build", [Mixed, Places])
@pytest.mark.parametrize("dtype", DTYPES)
def test_networks_of_all_kinds_of_layers_equal_their_plain_form(build: type[nn.Module], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network, size = build().eval().to(dtype), (64, 96)
    sparse, held, twin = SparseNetwork(network, dense_above=1.0, semantics="previous"), Held(), Holding(3, 16)
    for seed, kind in enumerate(("half", "pixel", "full", "border", "empty", "half")):
        image, active = torch.rand(1, 3, *size).to(dtype), mask_of(kind, size, seed)
        expected = list(tensors_in(twin.run(network, image, active)))
        for a, b in zip(tensors_in(sparse.forward(image, active, held)), expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=0)
        if seed in (3, 5):  # what is remembered does change the result
            zeros = tensors_in(masked_dense(network, image, active))
            assert max(float((a - b).abs().max()) for a, b in zip(zeros, expected, strict=True)) > 1e-3


def test_on_a_still_picture_halves_in_turn_become_the_dense_network_exactly() -> None:
    """Each run brings one layer more right: what the blocks beside it held was computed beside zeros at first."""
    layers = [nn.Conv2d(3 if n == 0 else 4, 4, 3, padding=1) for n in range(4)]
    network, image = whole(nn.Sequential(*layers), 0), whole_image((64, 96), 3, 0)
    previous, masked, held = SparseNetwork(network, semantics="previous"), SparseNetwork(network), Held()
    errors = []
    with torch.inference_mode():
        dense = network(image)
    for active in halves((64, 96)) * 2:
        out = previous.forward(image, active, held)
        errors.append(distance(inside(previous, out, active), inside(previous, dense, active)))
        zero = distance(inside(previous, masked.forward(image, active), active), inside(previous, dense, active))
        assert errors[-1] == zero if len(errors) == 1 else errors[-1] < zero
    assert errors[0] > errors[1] > 0
    assert errors[3] == 0


@pytest.mark.parametrize("name", ["unet_lite", "ssd"])
def test_beside_blocks_of_the_same_picture_a_network_is_the_dense_one(name: str) -> None:
    network, image = network_of(NETWORKS[name]), torch.rand(1, 3, 101, 149)
    sparse, held = SparseNetwork(network, dense_above=1.0, semantics="previous"), Held()
    with torch.inference_mode():
        dense = network(image)
    sparse.forward(image, np.ones((101, 149), np.bool_), held)
    size = held.nbytes
    for kind in ("pixel", "half", "random"):
        active = mask_of(kind, (101, 149), 1)
        found, expected = (inside(sparse, x, active) for x in (sparse.forward(image, active, held), dense))
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    assert held.nbytes == size  # of the picture, not of what is active


@pytest.mark.parametrize("name", NETWORKS)
def test_the_second_half_is_nearer_to_the_dense_network_than_beside_zeros(name: str) -> None:
    network, image = network_of(NETWORKS[name]), torch.rand(1, 3, 96, 160)
    previous, masked, held = SparseNetwork(network, semantics="previous"), SparseNetwork(network), Held()
    with torch.inference_mode():
        dense = network(image)
    left, right = halves((96, 160))
    previous.forward(image, left, held)
    wanted = inside(previous, dense, right)
    near, far = (
        distance(inside(previous, out, right), wanted)
        for out in (previous.forward(image, right, held), masked.forward(image, right))
    )
    assert near < far


def test_without_memory_and_after_forgetting_it_counts_as_zero() -> None:
    """Pictures of another size, and those that are computed densely, make it forget too."""
    torch.manual_seed(0)
    network, size = Mixed().eval(), (64, 96)
    sparse, held = SparseNetwork(network, semantics="previous"), Held()
    image, (left, right) = torch.rand(1, 3, *size), halves(size)
    zero = list(tensors_in(SparseNetwork(network).forward(image, left)))
    everything = np.ones(size, np.bool_)

    def is_zero(memory: Held | None) -> bool:
        out = tensors_in(sparse.forward(image, left, memory))
        return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(out, zero, strict=True))

    assert is_zero(None)
    for forget in (
        held.forget,
        lambda: sparse.forward(torch.rand(1, 3, 64, 64), left[:, :64], held),
        lambda: sparse.forward(image, everything, held),
    ):
        sparse.forward(image, right, held)
        assert not is_zero(held)
        sparse.forward(image, right, held)
        forget()
        assert is_zero(held)


def test_only_previous_semantics_remember() -> None:
    image, active = torch.rand(1, 3, 32, 32), np.ones((32, 32), np.bool_)
    for semantics in ("masked", "exact"):
        with pytest.raises(ValueError, match=f"held belongs to previous semantics, these are {semantics}"):
            SparseNetwork(nn.Conv2d(3, 4, 3), semantics=semantics).forward(image, active, Held())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="should be masked, previous or exact, got 'zero'"):
        SparseNetwork(nn.Conv2d(3, 4, 3), semantics="zero")  # type: ignore[arg-type]


def test_what_another_network_held_is_refused() -> None:
    """Whose first map that is read beyond its blocks has other channels."""
    image, active, held = torch.rand(1, 3, 64, 64), mask_of("half", (64, 64), 0), Held()
    for channels in (4, 5):
        network = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, 2, 3, padding=1))
        sparse = SparseNetwork(network, semantics="previous")
        if channels == 4:
            sparse.forward(image, active, held)
            continue
        with pytest.raises(ValueError, match="takes other steps than at the picture before"):
            sparse.forward(image, active, held)
