"""The networks with fused convolutions say what they say without."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch
from torch import nn

from argos.engines import prepared as module
from argos.engines.core import Core
from argos.engines.dense import for_inference
from argos.engines.prepared import MOST_SIZES, USUAL, FusedConvolution, Prepared, fused_copy
from argos.engines.weights import load_network

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="elsewhere the networks run as they are"
)


@pytest.fixture(scope="module")
def core() -> Core:
    unet, ssd = (for_inference(load_network(name)[0]) for name in ("unet_lite", "ssdisb"))
    return Core(unet, ssd)  # type: ignore[arg-type]


def pictures(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.mark.parametrize("shape", [(1, 64, 96), (2, 160, 32), (1, 352, 640)])
def test_outputs_are_those_of_the_networks(core: Core, shape: tuple[int, int, int]) -> None:
    pixels, prepared = pictures(*shape), Prepared(core)
    for _ in range(USUAL + 1):  # as they are, laid out, found laid out
        logits, output = prepared(pixels)
    with torch.inference_mode():
        plain_logits, plain = core.split(core(torch.from_numpy(pixels)))
    assert prepared.fused is not core
    torch.testing.assert_close(logits, plain_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.logits, plain.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.deltas, plain.deltas, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.features.stride8, plain.features.stride8, rtol=1e-4, atol=1e-4)


def test_more_sizes_than_are_kept_say_the_same(core: Core) -> None:
    prepared = Prepared(core)
    for n in range(MOST_SIZES + 2):
        pixels = pictures(1, 32, 32 * (n + 1))
        for _ in range(USUAL):
            found = prepared(pixels)[0]
        with torch.inference_mode():
            torch.testing.assert_close(found, core.split(core(torch.from_numpy(pixels)))[0], rtol=1e-4, atol=1e-4)
    kept = [len(layer._laid_out) for layer in prepared.fused.modules() if isinstance(layer, FusedConvolution)]
    assert max(kept) == MOST_SIZES


def test_a_copy_shares_the_weights_and_leaves_the_network_as_it_is(core: Core) -> None:
    before = [type(layer) for layer in core.modules()]
    copied = fused_copy(core)
    assert [type(layer) for layer in core.modules()] == before
    assert not [layer for layer in copied.modules() if type(layer) in (nn.Conv2d, nn.ReLU6)]
    own = {id(p) for p in core.parameters()}
    assert {id(p) for p in copied.parameters()} == own


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 5, padding=4, dilation=2, groups=4, bias=False),
        nn.Conv2d(4, 6, (1, 3), padding=(0, 1)),
    ],
    ids=["stride", "depthwise", "flat"],
)
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Sigmoid(), None], ids=str)
def test_a_sequence_of_any_convolution_and_activation(layer: nn.Module, activation: nn.Module | None) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        layer, nn.Identity(), *([activation] if activation else []), nn.Conv2d(layer.out_channels, 2, 1)
    )
    x = 20 * torch.randn(2, 4, 9, 12)
    with torch.inference_mode():
        torch.testing.assert_close(fused_copy(network)(x), network(x), rtol=1e-4, atol=1e-4)


def test_padding_by_repetition_stays_with_torch() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect"), nn.ReLU())
    assert not [layer for layer in fused_copy(network).modules() if isinstance(layer, FusedConvolution)]


def test_odd_sides_are_left_to_the_networks(core: Core) -> None:
    assert Prepared(core)(pictures(1, 40, 64)) == (None, None)


def test_without_the_operator_the_networks_run_as_they_are(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(network: nn.Module) -> nn.Module:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(module, "fused_copy", missing)
    prepared, pixels = Prepared(core), pictures(1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(prepared(pixels)[0], core.split(core(torch.from_numpy(pixels)))[0])


@pytest.mark.parametrize("off", ["processor", "library"])
def test_where_it_was_not_measured_the_networks_run_as_they_are(
    core: Core, off: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if off == "processor":
        monkeypatch.setattr(module.platform, "machine", lambda: "aarch64")
        assert Prepared(core).fused is core
    else:
        with torch.backends.mkldnn.flags(enabled=False):
            assert Prepared(core).fused is core


def test_a_layout_that_fails_is_found_out_before_it_is_needed(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(layer: FusedConvolution, size: torch.Size) -> None:
        raise RuntimeError("no such layout")

    monkeypatch.setattr(FusedConvolution, "_lay_out", broken)
    assert Prepared(core).fused is core


def test_a_size_that_comes_far_more_often_takes_the_place_of_another() -> None:
    network = fused_copy(nn.Sequential(nn.Conv2d(3, 2, 1)))
    (layer,) = (layer for layer in network.modules() if isinstance(layer, FusedConvolution))
    with torch.inference_mode():
        for n in range(MOST_SIZES):
            for _ in range(USUAL + n):
                network(torch.zeros(1, 3, 4, 4 + n))
        for _ in range(2 * USUAL):
            network(torch.zeros(1, 3, 9, 9))
        assert (1, 3, 9, 9) not in layer._laid_out
        network(torch.zeros(1, 3, 9, 9))
    assert (1, 3, 9, 9) in layer._laid_out
    assert (1, 3, 4, 4) not in layer._laid_out
    assert len(layer._laid_out) == MOST_SIZES


def test_autocast_reaches_the_networks(core: Core) -> None:
    prepared, pixels = Prepared(core), pictures(1, 64, 64)
    whole = prepared(pixels)[0]
    with torch.autocast("cpu", torch.bfloat16):
        half = prepared(pixels)[0]
    assert 0.001 < float((half.float() - whole).abs().max()) < 1


def test_an_operator_that_says_another_thing_is_not_used(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.ACTIVATIONS, nn.ReLU6, ("hardtanh", [0.0, 5.0]))
    assert Prepared(core).fused is core
