"""Networks, masks and strategies that the tests of the sparse engine share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from argos.networks.asbunet import asbunet
from argos.networks.ssd_isb import person_isb
from argos.networks.unets import unet_lite

NETWORKS: dict[str, Callable[[], nn.Module]] = {"asbunet": asbunet, "ssd": person_isb, "unet_lite": unet_lite}


def network_of(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose batch normalisations do something, with maps of size one as after training."""
    torch.manual_seed(0)
    network = build().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 1.5)
            layer.weight.data.uniform_(0.5, 1.0)
            layer.bias.data.normal_(0, 0.3)
    return network


def people(size: tuple[int, int], share: float, seed: int) -> NDArray[np.bool_]:
    """Four upright boxes, 0.4 as wide as high, apart from each other, that together cover ``share``."""
    rng = np.random.default_rng(seed)
    active = np.zeros(size, np.bool_)
    height = round((share / 4 * size[0] * size[1] / 0.4) ** 0.5)
    width = round(0.4 * height)
    for n in range(4):
        y = rng.integers(0, size[0] - height)
        x = n * size[1] // 4 + rng.integers(0, size[1] // 4 - width)
        active[y : y + height, x : x + width] = True
    return active


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


DTYPES = (torch.float32, torch.float64)
"""Float32 goes through Numba's kernels; float64 has none and goes through indices, as everything on a GPU does."""

dtypes = st.sampled_from(DTYPES)
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
