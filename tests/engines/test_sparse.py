from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.engines.block_conv import bucketed
from argos.engines.masked import masked_dense
from argos.engines.sparse import SparseNetwork


def whole(layer: nn.Module, seed: int) -> nn.Module:
    """Give small whole numbers as weights: then every order of summation has the same result, bit by bit."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        parameter.data = torch.randint(-3, 4, parameter.shape, generator=generator).float()
    return layer.eval()


def whole_image(size: tuple[int, int], channels: int, seed: int) -> Tensor:
    return torch.randint(-3, 4, (1, channels, *size), generator=torch.Generator().manual_seed(seed)).float()


def mask_of(kind: str, size: tuple[int, int], seed: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, np.bool_)
    if kind == "pixel":
        mask[rng.integers(size[0]), rng.integers(size[1])] = True
    elif kind == "corners":
        mask[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    elif kind == "border":
        mask[-1, :] = True
    elif kind == "random":
        mask = rng.random(size) < 0.02
    elif kind == "half":
        mask[:, : size[1] // 2] = True
    elif kind == "full":
        mask[:] = True
    return mask


masks = st.sampled_from(["empty", "pixel", "corners", "border", "random", "half", "full"])
seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(9, 45), st.integers(9, 45))
blocks = st.sampled_from([1, 3, 4, 8, 16, 32])


@st.composite
def convolutions(draw: st.DrawFn) -> nn.Conv2d:
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    reach = [dilation[n] * (kernel[n] - 1) for n in (0, 1)]
    if stride == (1, 1) and draw(st.booleans()):
        padding: str | tuple[int, int] = "same"
    else:
        padding = tuple(draw(st.integers(max(0, reach[n] // 2 - 1), reach[n])) for n in (0, 1))  # type: ignore[assignment]
    out = groups * draw(st.integers(1, 3))
    return nn.Conv2d(4, out, kernel, stride, padding, dilation, groups, bias=draw(st.booleans()))


@st.composite
def transposed(draw: st.DrawFn) -> nn.ConvTranspose2d:
    groups = draw(st.sampled_from([1, 2, 4]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pad_y, pad_x = (draw(st.integers(0, min(3, dilation[n] * (kernel[n] - 1)))) for n in (0, 1))
    extra_y, extra_x = (draw(st.integers(0, max(stride[n], dilation[n]) - 1)) for n in (0, 1))
    out = groups * draw(st.integers(1, 3))
    padding, extra, bias = (pad_y, pad_x), (extra_y, extra_x), draw(st.booleans())
    return nn.ConvTranspose2d(4, out, kernel, stride, padding, extra, groups, bias, dilation)


@settings(max_examples=150, deadline=None)
@given(st.one_of(convolutions(), transposed()), sizes, masks, blocks, seeds)
@example(nn.ConvTranspose2d(4, 4, 4, stride=3, padding=1), (21, 33), "half", 1, 0)  # blocks at every phase of 3
@example(nn.ConvTranspose2d(4, 4, 1, stride=3), (21, 33), "half", 1, 0)  # outputs without a tap
@example(nn.Conv2d(4, 4, 3, padding=6, dilation=6), (45, 33), "random", 4, 0)  # taps further apart than a block
def test_any_convolution_on_blocks_equals_masking_the_dense_one_exactly(
    conv: nn.Module, size: tuple[int, int], kind: str, block: int, seed: int
) -> None:
    image, active = whole_image(size, 4, seed), mask_of(kind, size, seed)
    network = SparseNetwork(whole(conv, seed), block, dense_above=1.0)  # blocks also where all are active
    out = network.forward(image, active)
    assert torch.equal(out, masked_dense(conv, image, active, block))
    assert network.layers[0].mode == ("sparse" if active.any() else "skipped")
    if kind == "full":
        assert torch.equal(out, conv(image))


class Mixed(nn.Module):
    """All that an unmodified network may do between its convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)  # padded by hand as TensorFlow does
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.atrous = nn.Conv2d(8, 8, 3, padding=5, dilation=5)
        self.deep = nn.Conv2d(8, 12, 3, padding=1)
        self.gate = nn.Conv2d(12, 12, 1)
        self.up = nn.ConvTranspose2d(12, 8, 4, stride=2, padding=1)
        self.last = nn.Conv2d(16, 1, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        height, width = image.shape[-2:]
        x = F.pad(image, (0, -width % 4 + 1, 0, -height % 4 + 1))
        x = F.relu6(self.stem(x) / 64)
        skip = self.atrous(x) + self.depthwise(x)
        x = self.deep(F.max_pool2d(F.relu(skip), 2))
        x = x * self.gate(x.mean((2, 3), keepdim=True))  # squeeze and excite, from the whole masked map
        x = self.last(torch.cat([self.up(x, output_size=list(skip.shape[-2:])), skip], 1))
        large = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return {"logits": large[:, :, :height, :width], "deep": x}


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
@pytest.mark.parametrize("kind", ["empty", "pixel", "border", "random", "half", "full"])
def test_a_network_of_all_kinds_of_layers_equals_its_dense_twin(size: tuple[int, int], kind: str) -> None:
    torch.manual_seed(0)
    network, image, active = Mixed().eval(), torch.rand(1, 3, *size), mask_of(kind, size, 1)
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
        nn.Sigmoid(),  # not 0 at 0, so the convolution after it sees a whole map
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
        "avg_pool2d after 3",
        "adaptive_avg_pool2d after 6",
        "9",
    ]
    assert [layer.name for layer in sparse.layers if layer.mode == "sparse"] == ["1", "3", "6"]


class Places(nn.Module):
    """Maps read by several layers, summed in place and out of place, on tapes laid out differently."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.c = nn.Conv2d(8, 8, 1)
        self.d = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.scale = nn.Parameter(torch.rand(1, 8, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = self.a(image)
        before = F.relu(x)
        y = self.b(x)
        kept = y
        y += self.c(x) * self.scale
        y = F.hardtanh(y, inplace=True)
        z = self.d(kept) - before
        z = F.max_pool2d(z, 3, 2, 1, ceil_mode=True)
        w = F.interpolate(z, size=(37, 29), mode="bilinear", align_corners=True)
        v = F.interpolate(z, scale_factor=2.0, mode="bilinear")
        n = F.interpolate(v, size=[37, 29])
        return x, kept, z, torch.cat([w, n], dim=1), -2 * F.silu(v) / 3


@pytest.mark.parametrize("kind", ["empty", "pixel", "border", "random", "half", "full"])
def test_maps_may_be_shared_and_changed_in_place(kind: str) -> None:
    torch.manual_seed(0)
    network, image, active = Places().eval(), torch.rand(1, 3, 37, 61) - 0.5, mask_of(kind, (37, 61), 1)
    out = SparseNetwork(network, 8, dense_above=1.0).forward(image, active)
    for found, expected in zip(out, masked_dense(network, image, active, 8), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_double_precision_runs_densely_with_the_same_meaning() -> None:
    network = nn.Conv2d(3, 4, 3, padding=1).double().eval()
    image, active = torch.rand(1, 3, 40, 40).double(), mask_of("pixel", (40, 40), 5)
    sparse = SparseNetwork(network)
    assert torch.equal(sparse.forward(image, active), masked_dense(network, image, active))
    assert sparse.coverage()[0].reason == "torch.float64 on cpu"


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
