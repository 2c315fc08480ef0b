from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune

from argos.engines.fold import fold_batch_norm, is_plain


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every batch normalisation statistics that training could have left."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
            if layer.affine:
                layer.weight.data.uniform_(-1.5, 1.5, generator=generator)
                layer.bias.data.normal_(0, 0.3, generator=generator)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, 3, stride=2, bias=False),
        nn.Conv2d(4, 8, 3, groups=4, dilation=2),
        nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1),
        nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1, bias=False),
    ],
)
@pytest.mark.parametrize("affine", [True, False])
def test_folded_network_gives_the_same_outputs(convolution: nn.Conv2d | nn.ConvTranspose2d, affine: bool) -> None:
    network = trained(nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels, affine=affine), nn.ReLU()))
    image = torch.rand(2, 4, 11, 9)
    folded = fold_batch_norm(network, image)
    assert norms(folded) == 0
    assert norms(network) == 1
    torch.testing.assert_close(folded(image), network(image), atol=1e-5, rtol=1e-5)


class Pair(NamedTuple):
    raw: Tensor
    normed: Tensor


class ReadsTwice(nn.Module):
    """The convolution's own output is used besides its batch normalisation, in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.other = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> object:
        raw = self.conv(x)
        match self.way:
            case "added":
                return self.norm(raw) + raw
            case "read before":
                scale = raw.mean()
                return self.norm(raw) * scale
            case "two norms":
                return self.norm(raw) * self.other(raw)
            case "changed in place":
                return self.norm(raw.relu_())
            case "returned":
                return Pair(raw, self.norm(raw))
            case "convolved twice":
                return self.norm(self.conv(raw))
            case "normed twice":
                return self.norm(self.norm(raw))
        raise AssertionError(self.way)


@pytest.mark.parametrize(
    "way",
    ["added", "read before", "two norms", "changed in place", "returned", "convolved twice", "normed twice"],
)
def test_a_convolution_that_others_read_is_not_folded(way: str) -> None:
    network = trained(ReadsTwice(way))
    image = torch.rand(1, 3, 8, 8)
    folded = fold_batch_norm(network, image)
    assert norms(folded) == norms(network)
    torch.testing.assert_close(folded(image), network(image))


def test_a_subclass_with_its_own_forward_is_not_plain() -> None:
    class Rounded(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).round()

    assert is_plain(nn.Conv2d(1, 1, 1))
    assert is_plain(nn.ConvTranspose2d(1, 1, 1))
    assert not is_plain(Rounded(1, 1, 1))
    assert not is_plain(nn.ReLU())


def test_a_network_without_normalisations_is_copied_and_not_run() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    network.register_forward_pre_hook(lambda *_: pytest.fail("was run"))
    folded = fold_batch_norm(network, torch.zeros(1, 3, 8, 8))
    assert folded is not network
    assert folded[0].weight is not network[0].weight  # type: ignore[index]
    torch.testing.assert_close(folded[0].weight, network[0].weight)  # type: ignore[index]


@pytest.mark.parametrize(
    "computed",
    [
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
    ],
)
def test_a_weight_that_is_computed_is_left_as_it_is(computed: Callable[[nn.Module], nn.Module]) -> None:
    with torch.no_grad():  # a weight that still has its gradient cannot be copied
        network = trained(nn.Sequential(computed(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4)))
    image = torch.rand(1, 3, 9, 9)
    folded = fold_batch_norm(network, image)
    assert norms(folded) == 1
    torch.testing.assert_close(folded(image), network(image))


def test_a_weight_that_others_read_is_left_as_it_is() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, image: Tensor) -> Tensor:
            return F.conv_transpose2d(self.norm(self.first(image)), self.first.weight)

    network, image = trained(Tied()), torch.rand(1, 3, 9, 9)
    torch.testing.assert_close(fold_batch_norm(network, image)(image), network(image))


class ReadsParameter(nn.Module):
    """A parameter of a pair is used besides."""

    def __init__(self, layer: str, name: str) -> None:
        super().__init__()
        self.layer, self.name = layer, name
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, image: Tensor) -> Tensor:
        read: Tensor = getattr(self.get_submodule(self.layer), self.name)
        return self.norm(self.conv(image)) * read.flatten()[:4].view(-1, 1, 1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("layer", ["conv", "norm"])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_pair_of_which_others_read_a_parameter_is_left_as_it_is(layer: str, name: str) -> None:
    network, image = trained(ReadsParameter(layer, name)), torch.rand(1, 3, 9, 9)
    torch.testing.assert_close(fold_batch_norm(network, image)(image), network(image))


@pytest.mark.parametrize("layer", [0, 1])
def test_a_layer_with_a_hook_is_left_as_it_is(layer: int) -> None:
    network, image = trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))), torch.rand(1, 3, 9, 9)
    network[layer].register_forward_hook(lambda module, given, out: 2 * out)  # type: ignore[index]
    torch.testing.assert_close(fold_batch_norm(network, image)(image), network(image))
