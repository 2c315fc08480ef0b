"""A QU-Net begins as a narrower one: what that has learnt need not be learnt again at four times the work a step.

Reference:
    Chen, Goodfellow and Shlens, Net2Net: Accelerating Learning via Knowledge Transfer, arXiv:1511.05641, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from argos.networks.layers.binary import QuantizedUnit
from argos.networks.layers.quantize import weight_scale
from argos.networks.qunet import GROUPS, QUNet, qunet

NOISE = 0.2
"""Standard deviation of what is added to the weights, in mean magnitudes of their layer. Copies of a channel that get
no noise would have the same gradients for ever."""


@torch.no_grad()
def widened(network: QUNet, width: int, noise: float = NOISE) -> QUNet:
    """A wider QU-Net that gives the logits of a narrower one, but for the noise.

    Every channel is copied, and a layer that takes copies weighs each by their number: of a layer of signs that is its
    scale, the mean magnitude of the weights.

    Args:
        network: quantised, on pixels (no DCT), in the deployed arithmetic.
        width: a multiple of its width.
        noise: see ``NOISE``; 0 for none.

    Raises:
        ValueError: the width is no multiple, or a layer of the network is in full precision.
    """
    times, rest = divmod(width, network.channels[0])
    units = [module for module in network.modules() if isinstance(module, QuantizedUnit)]
    if rest or network.published or network.dct is not None or len(units) != 2 * sum(map(len, GROUPS.values())):
        raise ValueError(f"only a QU-Net of signs is widened, and to a multiple of its width, got {width}")
    wide = qunet(width, network.num_classes, network.bits, network.se_reduction).to(next(network.parameters()).device)
    c1, c2, c3, c4, c5 = network.channels
    inputs = {"inc": (3,), "down1": (c1,), "down2": (c2,), "down3": (c3,), "down4": (c4,), "up1": (c4, c5),
              "up2": (c3, c4 // 2), "up3": (c2, c3 // 2), "up4": (c1, c2 // 2)}  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    for stage, channels in inputs.items():
        first, second = getattr(network, stage)
        new = getattr(wide, stage)
        if stage == "inc":
            _widen(first, new[0], torch.arange(3), 1, noise, generator)
        else:
            _widen(first, new[0], _copies(channels, times), times, noise, generator)
        _widen(second, new[1], _copies((first.conv.out_channels,), times), times, noise, generator)
    wide.out.weight.copy_(network.out.weight[:, _copies((c1,), times)] / times)
    _take(wide.out.bias, network.out.bias)
    return wide.train(network.training)


def _copies(groups: Sequence[int], times: int) -> Tensor:
    """For each channel of the wide map, which one of the narrow map it copies; maps side by side stay side by side."""
    parts, start = [], 0
    for channels in groups:
        parts.append((start + torch.arange(channels)).repeat(times))
        start += channels
    return torch.cat(parts)


def _widen(
    old: QuantizedUnit, new: QuantizedUnit, of: Tensor, times: int, noise: float, generator: torch.Generator
) -> None:
    """Fill a unit whose inputs ``of`` copy each input of the old one ``times`` times."""
    to = _copies((old.conv.out_channels,), new.conv.out_channels // old.conv.out_channels)
    weight = old.conv.weight[to][:, of]
    spread = noise * weight_scale(old.conv.weight) * torch.randn(weight.shape, generator=generator).to(weight.device)
    changed = weight + spread
    # the scale of the layer stays that of the old one, which its normalisation was measured with
    changed *= weight_scale(weight) / weight_scale(changed)
    new.conv.weight.copy_(changed / times)
    _take(new.conv.bias, old.conv.bias, to)

    hidden = torch.arange(new.gate.squeeze.out_features) % old.gate.squeeze.out_features
    shares = hidden.bincount()[hidden].to(weight.device)
    new.gate.squeeze.weight.copy_(old.gate.squeeze.weight[hidden][:, of] / times)
    _take(new.gate.squeeze.bias, old.gate.squeeze.bias, hidden)
    new.gate.excite.weight.copy_(old.gate.excite.weight[to][:, hidden] / shares)
    _take(new.gate.excite.bias, old.gate.excite.bias, to)

    for name, value in old.norm.state_dict().items():
        getattr(new.norm, name).copy_(value[to] if value.ndim else value)


def _take(new: Tensor | None, old: Tensor | None, index: Tensor | None = None) -> None:
    assert new is not None
    assert old is not None
    new.copy_(old if index is None else old[index])
