from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sparse_cases import (
    DTYPES,
    Mixed,
    Places,
    blocks,
    convolutions,
    dtypes,
    mask_of,
    masks,
    seeds,
    sizes,
    transposed,
    whole,
    whole_image,
)
from torch import Tensor, nn

from argos.engines import block_copy
from argos.engines.block_conv import bucketed
from argos.engines.masked import masked_dense
from argos.engines.sparse import SparseNetwork
from argos.errors import UsageError


@settings(max_examples=150, deadline=None)
@given(st.one_of(convolutions(), transposed()), sizes, masks, blocks, seeds, dtypes)
@example(nn.ConvTranspose2d(4, 4, 4, stride=3, padding=1), (21, 33), "half", 1, 0, torch.float32)  # every phase of 3
@example(nn.ConvTranspose2d(4, 4, 1, stride=3), (21, 33), "half", 1, 0, torch.float32)  # outputs without a tap
@example(nn.Conv2d(4, 4, 3, padding=6, dilation=6), (45, 33), "random", 4, 0, torch.float32)  # taps beyond a block
def test_any_convolution_on_blocks_equals_masking_the_dense_one_exactly(
    conv: nn.Module, size: tuple[int, int], kind: str, block: int, seed: int, dtype: torch.dtype
) -> None:
    image, active = whole_image(size, 4, seed).to(dtype), mask_of(kind, size, seed)
    network = SparseNetwork(whole(conv, seed).to(dtype), block, dense_above=1.0)  # blocks also where all are active
    out = network.forward(image, active)
    assert torch.equal(out, masked_dense(conv, image, active, block))
    assert network.layers[0].mode == ("sparse" if active.any() else "skipped")
    if kind == "full":
        assert torch.equal(out, conv(image))


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
@pytest.mark.parametrize("kind", ["empty", "pixel", "border", "random", "half", "full"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_of_all_kinds_of_layers_equals_its_dense_twin(
    size: tuple[int, int], kind: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    network, image, active = Mixed().eval().to(dtype), torch.rand(1, 3, *size).to(dtype), mask_of(kind, size, 1)
    out = SparseNetwork(network, dense_above=1.0).forward(image, active)
    expected = masked_dense(network, image, active)
    ordinary = network(image)
    for name in ("logits", "deep"):
        assert out[name].shape == ordinary[name].shape
        torch.testing.assert_close(out[name], expected[name], atol=1e-5, rtol=0)
        if kind == "full":
            torch.testing.assert_close(out[name], ordinary[name], atol=1e-5, rtol=0)
    if kind == "half":  # the mask does change the result, so the comparison above says something
        assert (expected["logits"] - ordinary["logits"]).abs().max() > 1e-3


def test_outputs_are_zero_outside_of_the_active_mask_and_computed_inside() -> None:
    network = SparseNetwork(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 2, 3, padding=1)))
    active = np.zeros((64, 96), np.bool_)
    active[20:40, 50:60] = True
    out = network.forward(torch.rand(1, 3, 64, 96), active)
    computed = network.active_mask(active, (32, 48))
    assert computed.sum() == 2 * 8 * 8  # rows 16..48, columns 48..64 of the image
    np.testing.assert_array_equal((out[0] != 0).all(0).numpy(), computed)
    np.testing.assert_array_equal((out[0] != 0).any(0).numpy(), computed)


def test_executed_macs_are_those_of_the_tape() -> None:
    network = SparseNetwork(nn.Conv2d(3, 5, 3, padding=1))
    active = np.zeros((64, 128), np.bool_)
    active[:16, :] = True  # 8 of 32 blocks, one run of 128 columns
    network.forward(torch.rand(1, 3, 64, 128), active)
    assert network.dense_macs == 64 * 128 * 5 * 27
    assert network.executed_macs == network.dense_macs // 4
    active[16, 0] = True  # 16 columns more, 2 between the runs, rounded up to 160
    network.forward(torch.rand(1, 3, 64, 128), active)
    assert network.executed_macs == 16 * 160 * 5 * 27
    assert network.layers[0].active == 9


@given(st.integers(1, 100_000))
def test_widths_are_rounded_up_to_few_values_and_by_an_eighth_at_most(width: int) -> None:
    assert width <= bucketed(width) <= width * 9 / 8
    assert len({bucketed(n) for n in range(width, 2 * width, max(1, width // 99))}) <= 18


def test_nothing_is_executed_for_an_empty_mask_and_a_crowded_network_runs_densely_and_unmasked() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1))
    network = SparseNetwork(layers, dense_above=0.7)
    image = torch.rand(1, 3, 80, 80)
    out = network.forward(image, np.zeros((80, 80), np.bool_))
    assert network.executed_macs == 0
    assert [layer.mode for layer in network.layers] == ["skipped", "skipped"]
    assert not out.any()
    active = np.ones((80, 80), np.bool_)
    active[:16] = False
    out = network.forward(image, active)
    assert network.executed_macs == network.dense_macs
    assert [(layer.name, layer.reason) for layer in network.coverage()] == [
        ("0", "80% of the blocks are active"),
        ("2", "80% of the blocks are active"),
    ]
    torch.testing.assert_close(out, layers(image))


class Halved(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) / 2


def test_what_ran_on_whole_maps_is_named() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.BatchNorm2d(3),
        Halved(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),  # not folded: what it reads is not what the convolution gave
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.AvgPool2d(2),
        nn.Sigmoid(),
        nn.Conv2d(4, 4, 3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 2),
    ).eval()
    image, active = torch.rand(1, 3, 40, 40), mask_of("pixel", (40, 40), 5)
    sparse = SparseNetwork(network)
    torch.testing.assert_close(sparse.forward(image, active), masked_dense(network, image, active))
    assert [layer.name for layer in sparse.coverage()] == [
        "pad after 1",
        "adaptive_avg_pool2d after 6",
        "9",
    ]
    assert [layer.name for layer in sparse.layers if layer.mode == "sparse"] == ["1", "3", "6"]


@pytest.mark.parametrize("kind", ["empty", "pixel", "border", "random", "half", "full"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_maps_may_be_shared_and_changed_in_place(kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network, active = Places().eval().to(dtype), mask_of(kind, (37, 61), 1)
    image = (torch.rand(1, 3, 37, 61) - 0.5).to(dtype)
    out = SparseNetwork(network, 8, dense_above=1.0).forward(image, active)
    for found, expected in zip(out, masked_dense(network, image, active, 8), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


class Applied(nn.Module):
    """A function of the image, beside what a convolution makes of it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.conv = whole(nn.Conv2d(4, 4, 1), 3)

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([self.function(image), self.function(self.conv(image))], dim=1)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(0, 1), st.booleans()),
    st.sampled_from(["max", "bilinear", "nearest"]),
    *(sizes, masks, blocks, st.sampled_from(["masked", "exact"]), seeds, dtypes),
)
def test_pooling_and_resizing_of_image_and_maps_run_on_blocks(
    pool: tuple[int, int, int, bool],
    kind: str,
    size: tuple[int, int],
    mask: str,
    block: int,
    semantics: Any,
    seed: int,
    dtype: torch.dtype,
) -> None:
    kernel, stride, padding, up = pool

    def function(x: Tensor) -> Tensor:
        if kind == "max":
            return F.max_pool2d(x, kernel, stride, padding, ceil_mode=up)
        return F.interpolate(x, scale_factor=stride / kernel, mode=kind)

    image, active, network = whole_image(size, 4, seed).to(dtype), mask_of(mask, size, seed), Applied(function)
    sparse = SparseNetwork(network.to(dtype), block, 1.0, semantics)
    found = sparse.forward(image, active)
    expected = masked_dense(network, image, active, block) if semantics == "masked" else network(image)
    inside = torch.from_numpy(sparse.active_mask(active, tuple(expected.shape[2:])))
    torch.testing.assert_close(found[..., inside], expected[..., inside], atol=1e-4, rtol=0)
    assert sparse.coverage() == ()


def slopes(count: int) -> Tensor:
    return torch.linspace(-0.5, 2, count)


LOCAL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sigmoid": lambda x, image: torch.sigmoid(x),
    "Tensor.sigmoid": lambda x, image: x.sigmoid(),
    "hardsigmoid": lambda x, image: F.hardsigmoid(x),
    "softplus": lambda x, image: F.softplus(x),
    "celu": lambda x, image: F.celu(x),
    "threshold": lambda x, image: F.threshold(x, 0.1, 0.3),
    "clamp": lambda x, image: torch.clamp(x, -0.5, max=0.5),
    "clamp without 0": lambda x, image: x.clamp(min=0.3),
    "clip": lambda x, image: x.clip(max=0.2),
    "prelu": lambda x, image: F.prelu(x, slopes(1).to(image)),
    "prelu by channels": lambda x, image: F.prelu(x, slopes(4).to(image)),
    "softmax": lambda x, image: F.softmax(x, dim=1) + torch.softmax(x, 1),
    "clones": lambda x, image: x.clone(memory_format=torch.channels_last) + torch.clone(x),
    "a number more": lambda x, image: x + 1,
    "a number less": lambda x, image: 1 - x,
    "channels more": lambda x, image: x + slopes(4).to(image)[:, None, None],
    "gate of one channel": lambda x, image: x * torch.sigmoid(x.abs() + image[:, :1]),
    "image more": lambda x, image: image + x,
    "quotient": lambda x, image: x / (image.abs() + 1),
    "quotient of maps": lambda x, image: x / (x + 99),
    "image beside": lambda x, image: torch.cat([x, image], dim=1)[:, 2:6],
    "mean of 2": lambda x, image: F.avg_pool2d(x, 2),
    "mean of 3": lambda x, image: F.avg_pool2d(x, 3, 1, 1),
    "mean of 3 inside": lambda x, image: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "mean of 3 up": lambda x, image: F.avg_pool2d(x, 3, 2, ceil_mode=True),
    "sum of 3 by 2": lambda x, image: F.avg_pool2d(x, (3, 2), 2, 1, divisor_override=1),
    "mean of the image": lambda x, image: F.avg_pool2d(image, 2) + F.avg_pool2d(x, 2),
}
"""Functions that read no more than what lies near."""


class Between(nn.Module):
    """A function between two convolutions, and after them."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.function = function

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.function(self.a(image), image)
        return self.b(x), torch.sigmoid(x)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(LOCAL)), masks, blocks, st.sampled_from(["masked", "exact"]), dtypes, seeds)
def test_local_functions_run_on_blocks(
    name: str, kind: str, block: int, semantics: Any, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(0)
    network, active = Between(LOCAL[name]).eval().to(dtype), mask_of(kind, (33, 47), seed)
    image = (torch.rand(1, 4, 33, 47) - 0.5).to(dtype)
    sparse = SparseNetwork(network, block, 1.0, semantics)
    if name == "image beside" and semantics == "exact":
        return  # a part of the channels leaves the blocks
    expected = masked_dense(network, image, active, block) if semantics == "masked" else network(image)
    for found, wanted in zip(sparse.forward(image, active), expected, strict=True):
        inside = torch.from_numpy(sparse.active_mask(active, (wanted.shape[2], wanted.shape[3])))
        torch.testing.assert_close(found[..., inside], wanted[..., inside], atol=1e-5, rtol=1e-5)
        if semantics == "masked" and name != "image beside":
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert name == "image beside" or sparse.coverage() == ()


IN_PLACE: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "silu": lambda x, y: F.silu(x, inplace=True),
    "leaky_relu": lambda x, y: F.leaky_relu(x, 0.3, True),
    "elu": lambda x, y: F.elu(x, inplace=True),
    "selu": lambda x, y: F.selu(x, inplace=True),
    "mish": lambda x, y: F.mish(x, inplace=True),
    "hardswish": lambda x, y: F.hardswish(x, inplace=True),
    "relu": lambda x, y: F.relu(x, inplace=True),
    "relu6": lambda x, y: F.relu6(x, inplace=True),
    "relu_": lambda x, y: x.relu_(),
    "hardtanh": lambda x, y: F.hardtanh(x, -0.2, 0.3, inplace=True),
    "dropout": lambda x, y: F.relu(F.dropout(x, training=False), inplace=True),
    "add_": lambda x, y: x.add_(y),
    "mul_": lambda x, y: x.mul_(0.5),
    "mul_ by channels": lambda x, y: x.mul_(torch.arange(4.0)[:, None, None][None]),
    "sub_ then div_": lambda x, y: x.sub_(y).div_(2),
    "hardtanh without 0": lambda x, y: F.hardtanh(x, 0.1, 0.3, inplace=True),
    "celu": lambda x, y: F.celu(x, inplace=True),
    "threshold": lambda x, y: F.threshold(x, 0.1, 0.2, inplace=True),
    "hardsigmoid": lambda x, y: F.hardsigmoid(x, inplace=True),
    "sigmoid_": lambda x, y: x.sigmoid_(),
    "clamp_": lambda x, y: x.clamp_(-0.1, 0.2),
    "clamp_ without 0": lambda x, y: torch.clamp_(x, min=0.2),
    "clip_": lambda x, y: x.clip_(max=0.1),
    "add_ of a number": lambda x, y: x.add_(0.5),
    "sub_ by channels": lambda x, y: x.sub_(torch.arange(4.0)[:, None, None]),
    "tanh_ by name": lambda x, y: torch.tanh_(input=x),
    "leaky_relu_ of a map in a list": lambda x, y: (torch.cat([x, y], 1), F.leaky_relu_(x)),
}
"""Statements whose result nobody reads."""

OTHERS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "rrelu": lambda x, y: F.rrelu(x, inplace=True),
    "clamp_ by maps": lambda x, y: x.clamp_(min=y),
    "add_ with alpha": lambda x, y: x.add_(y, alpha=2),
    "add_ of another type": lambda x, y: x.mul_(torch.full((1, 4, 1, 1), 0.3, dtype=torch.float64)),
    "pow_": lambda x, y: x.pow_(2),
    "floor_divide_": lambda x, y: x.floor_divide_(2),
    "abs to x": lambda x, y: torch.abs(y, out=x),
    "add to x": lambda x, y: torch.add(x, y, out=x),
    "copy_": lambda x, y: x.copy_(y),
    "one channel": lambda x, y: x.__setitem__((0, 0), 1.0),
    "exp_ by name": lambda x, y: torch.exp_(input=x),
    "data": lambda x, y: setattr(x, "data", y),
}


class Statement(nn.Module):
    """A map changed in place between two convolutions."""

    def __init__(self, change: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(n, 4, 3, padding=1) for n in (3, 3, 4))
        self.change = change

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self.a(image), self.b(image)
        self.change(x, y)
        return self.c(x), x


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(IN_PLACE)), masks, blocks, st.sampled_from(["masked", "exact"]), dtypes, seeds)
def test_a_change_in_place_reaches_whoever_holds_the_map(
    name: str, kind: str, block: int, semantics: Any, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(0)
    network, active = Statement(IN_PLACE[name]).eval().to(dtype), mask_of(kind, (33, 47), seed)
    image = (torch.rand(1, 3, 33, 47) - 0.5).to(dtype)
    sparse = SparseNetwork(network, block, 1.0, semantics)
    expected = masked_dense(network, image, active, block) if semantics == "masked" else network(image)
    for _ in range(2):  # at the second image limits follow depthwise convolutions at once
        for found, wanted in zip(sparse.forward(image, active), expected, strict=True):
            inside = torch.from_numpy(sparse.active_mask(active, (33, 47)))
            torch.testing.assert_close(found[..., inside], wanted[..., inside], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["empty", "random", "half", "full"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_changes_in_place_go_through_the_whole_map_and_are_refused_in_exact(name: str, kind: str) -> None:
    torch.manual_seed(0)
    image, active = torch.rand(1, 3, 33, 47) - 0.5, mask_of(kind, (33, 47), 0)
    network = Statement(OTHERS[name]).eval()
    found = SparseNetwork(network, 8, 1.0).forward(image, active)
    for one, wanted in zip(found, masked_dense(network, image, active, 8), strict=True):
        torch.testing.assert_close(one, wanted, atol=1e-5, rtol=1e-5)
    with pytest.raises(UsageError, match=r"after layer b changes a map in place, which engine.sparse: exact cannot"):
        SparseNetwork(network, 8, 1.0, "exact").forward(image, active)


def test_a_map_that_becomes_another_in_place_is_refused() -> None:
    network = Statement(lambda x, y: x.squeeze_(0))
    with pytest.raises(ValueError, match="squeeze_ after layer b makes another tensor of a map"):
        SparseNetwork(network, 8, 1.0).forward(torch.rand(1, 3, 33, 47), mask_of("half", (33, 47), 0))


class Part(nn.Module):
    """A map and a part of it, of which one is changed and one is read."""

    def __init__(self, changes_part: bool, reads_part: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.changes_part, self.reads_part = changes_part, reads_part

    def forward(self, image: Tensor) -> Tensor:
        x = self.a(image)
        part = x[:, :4]
        F.relu(part if self.changes_part else x, inplace=True)
        return self.b(part if self.reads_part else x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("part", [True, False])
def test_a_part_of_a_map_that_is_changed_apart_from_it_is_refused(part: bool) -> None:
    image, active = torch.rand(1, 3, 33, 47), mask_of("half", (33, 47), 0)
    with pytest.raises(ValueError, match="after layer a: of a map and a part of it one was changed in place"):
        SparseNetwork(Part(part, not part), dense_above=1.0).forward(image, active)
    network = Part(part, part).eval()
    found = SparseNetwork(network, dense_above=1.0).forward(image, active)
    torch.testing.assert_close(found, masked_dense(network, image, active))


WHOLE_MAPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normalised by the picture": lambda x, image: F.batch_norm(x, None, None, training=True),
    "normalisation without statistics": lambda x, image: nn.BatchNorm2d(4, track_running_stats=False).eval()(x),
    "bilinear, too little for a pixel more": lambda x, image: F.interpolate(x, scale_factor=1.02, mode="bilinear"),
    "nearest, too little for a pixel more": lambda x, image: F.interpolate(x, scale_factor=1.02),
    "nearest, too little over twice": lambda x, image: F.interpolate(x, scale_factor=2.01),
}
"""Functions that depend on all of a map, or of which torch decides by its size and layout what they are."""


@pytest.mark.parametrize("kind", ["empty", "pixel", "half", "full"])
@pytest.mark.parametrize("name", WHOLE_MAPS)
def test_functions_of_whole_maps_are_named_and_refused_in_exact(name: str, kind: str) -> None:
    torch.manual_seed(0)
    network, active = Between(WHOLE_MAPS[name]).eval(), mask_of(kind, (33, 47), 0)
    image = torch.rand(1, 4, 33, 47) - 0.5
    sparse = SparseNetwork(network, 8, 1.0)
    for found, wanted in zip(sparse.forward(image, active), masked_dense(network, image, active, 8), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert [layer.name.split(" after ")[0] for layer in sparse.coverage()] in (["batch_norm"], ["interpolate"])
    with pytest.raises(UsageError, match="exact cannot follow"):
        SparseNetwork(network, 8, 1.0, "exact").forward(image, active)


def test_integers_run_densely() -> None:
    class Counts(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return F.conv2d((4 * image).long(), torch.ones(1, 3, 3, 3, dtype=torch.long), padding=1)

    image, active = torch.rand(1, 3, 40, 40), mask_of("pixel", (40, 40), 5)
    sparse = SparseNetwork(Counts())
    assert torch.equal(sparse.forward(image, active), masked_dense(Counts(), image, active))
    assert sparse.coverage()[0].reason == "torch.int64 on cpu"


class _Scaled(nn.Module):
    """Convolutions of one pixel and of single channels whose weights are computed from the image."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing, self.single = torch.rand(4, 3, 1, 1), torch.rand(4, 1, 3, 3)
        self.mixed, self.alone = torch.empty(4, 3, 1, 1), torch.empty(4, 1, 3, 3)

    def forward(self, image: Tensor) -> Tensor:
        """``(1, 3, H, W)`` to ``(1, 4, H, W)``."""
        self.mixed.copy_(self.mixing * image[0, 0, 0, 0])
        self.alone.copy_(self.single * image[0, 0, 0, 0])
        return F.conv2d(F.conv2d(F.max_pool2d(image, 3, 1, 1), self.mixed), self.alone, padding=1, groups=4)


def test_weights_that_a_network_computes_are_read_anew_in_each_pass() -> None:
    torch.manual_seed(0)
    network, active = _Scaled().eval(), np.ones((32, 32), np.bool_)
    active[:, 16:] = False
    sparse = SparseNetwork(network, dense_above=1.0)
    for scale in (0.5, 2.0):
        image = torch.rand(1, 3, 32, 32)
        image[0, 0, 0, 0] = scale
        with torch.inference_mode():
            expected = masked_dense(network, image, active)
        torch.testing.assert_close(sparse.forward(image, active), expected)


class _Rewriting(nn.Module):
    """Writes its own parameters on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing, self.single = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4)

    def forward(self, image: Tensor) -> Tensor:
        """``(1, 3, H, W)`` to ``(1, 4, H, W)``."""
        self.mixing.weight.data = image[0, 0, 0, 0] * torch.ones(4, 3, 1, 1)
        self.single.weight.data.copy_(image[0, 0, 0, 0] * torch.ones(4, 1, 3, 3))
        return self.single(self.mixing(F.max_pool2d(image, 3, 1, 1)))


class _ByName(nn.Module):
    """Gives weights by name; one serves single channels and a single map."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.first = nn.Parameter(torch.rand(4, 1, 1, 1)), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """``(1, 3, H, W)`` to ``(1, 4, H, W)``."""
        x = F.conv2d(input=self.first(image), weight=self.weight, groups=4)
        return F.conv2d(x.sum(1, keepdim=True), weight=self.weight)


class _TwoLimits(nn.Sequential):
    """One limit after the other on what a depthwise convolution made."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 3, 3, padding=1, groups=3), nn.ReLU6(True), nn.Hardtanh(0, 1, True))


@pytest.mark.parametrize("build", [_Rewriting, _ByName, _TwoLimits])
def test_networks_of_unusual_ways_equal_their_twin_at_every_image(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network, active = build().eval(), np.ones((32, 32), np.bool_)
    active[:, 16:] = False
    sparse = SparseNetwork(network, dense_above=1.0)
    for scale in (0.5, 2.0, 1.0, 3.0):
        image = torch.rand(1, 3, 32, 32)
        image[0, 0, 0, 0] = scale
        with torch.inference_mode():
            expected = masked_dense(network, image, active)
        torch.testing.assert_close(sparse.forward(image, active), expected)


def test_what_lies_beyond_the_border_reaches_nobody() -> None:
    """Blocks at the border hold anything there; a quotient makes that infinite, and 0 times infinite is no number."""

    class Quotient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)

        def forward(self, image: Tensor) -> Tensor:
            x = F.softplus(self.first(image))
            return F.interpolate(x / x.sum(1, keepdim=True), scale_factor=2, mode="bilinear")

    torch.manual_seed(0)
    active = np.zeros((40, 64), np.bool_)
    active[36:] = True
    found = SparseNetwork(Quotient().eval(), dense_above=1.0).forward(torch.rand(1, 3, 40, 64), active)
    assert torch.isfinite(found).all()


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    SparseNetwork(network).forward(torch.rand(1, 3, 20, 20), np.ones((20, 20), np.bool_))
    assert network.training
    assert "forward" not in vars(network[0])
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_one_network_per_thread_gives_what_one_thread_gives() -> None:
    torch.manual_seed(0)
    network, image = Mixed().eval(), torch.rand(1, 3, 64, 64)
    active = [mask_of("random", (64, 64), seed) for seed in range(4)]
    expected = [SparseNetwork(network).forward(image, mask)["logits"] for mask in active]
    found: list[Tensor | None] = [None] * 4

    def work(n: int) -> None:
        sparse = SparseNetwork(network)
        for _ in range(5):
            found[n] = sparse.forward(image, active[n])["logits"]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out, want in zip(found, expected, strict=True):
        assert out is not None
        assert torch.equal(out, want)


def test_pictures_that_indices_cannot_count_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_copy, "MOST_PIXELS", 300)
    network = SparseNetwork(nn.Conv2d(3, 1, 3, padding=1).double(), dense_above=1.0)
    network.forward(torch.rand(1, 3, 7, 9).double(), np.ones((7, 9), np.bool_))
    with pytest.raises(UsageError, match=r"less than 300 pixels on cpu, got 20x20; set regions.mode to pack"):
        network.forward(torch.rand(1, 3, 20, 20).double(), np.ones((20, 20), np.bool_))


def test_wrong_inputs_say_what_was_expected() -> None:
    network = SparseNetwork(nn.Conv2d(3, 1, 1))
    with pytest.raises(ValueError, match=r"image should be \(1, C, H, W\), got \(2, 3, 8, 8\)"):
        network.forward(torch.rand(2, 3, 8, 8), np.ones((8, 8), np.bool_))
    with pytest.raises(ValueError, match=r"active should be bool \(8, 8\), got bool \(8, 9\)"):
        network.forward(torch.rand(1, 3, 8, 8), np.ones((8, 9), np.bool_))
    with pytest.raises(ValueError, match=r"active should be bool \(8, 8\), got uint8"):
        network.forward(torch.rand(1, 3, 8, 8), np.ones((8, 8), np.uint8))  # type: ignore[arg-type]


class Crops(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Conv2d(3, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.branch(image.reshape(4, 3, 4, 4))  # type: ignore[no-any-return]


def test_a_layer_that_does_not_see_a_map_of_the_image_is_named() -> None:
    with pytest.raises(ValueError, match="layer branch: expected one map of the image, got a batch of 4"):
        SparseNetwork(Crops(), dense_above=1.0).forward(torch.rand(1, 3, 8, 8), np.ones((8, 8), np.bool_))


@pytest.mark.parametrize("semantics", ["masked", "exact"])
@pytest.mark.parametrize("wide", [4, 40, 200, 256])
def test_blocks_pay_wherever_they_run(semantics: Literal["masked", "exact"], wide: int) -> None:
    """What is said before a run is what the run does; the first exact one tells what blocks need besides."""
    torch.manual_seed(0)
    network = SparseNetwork(nn.Sequential(*(nn.Conv2d(3 if n == 0 else 4, 4, 3, padding=1) for n in range(8))),
                            semantics=semantics)  # fmt: skip
    image, active = torch.rand(1, 3, 64, 256), np.zeros((64, 256), np.bool_)
    active[:, :wide] = True
    network.forward(image, active)
    on_blocks = not network.coverage()
    assert network.pays(active) == on_blocks
    assert on_blocks == (wide < 200)
