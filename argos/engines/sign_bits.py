"""Binary weights in a file: a bit for each sign and one scale for each layer, a sixteenth of float16.

A binary convolution ``NAME`` is stored as ``NAME.weight.signs``, uint8 ``(C_out, ceil(9 * C_in / 8))``, the bits of
``numpy.packbits`` over the 3x3 weights of each output channel, 1 where a weight is at least 0; and as
``NAME.weight.scale``, float64 ``()``, their mean magnitude. In evaluation the network needs no more of them.

A training needs more: how far each weight is from turning. That lies in a file beside, ``MODEL.latents`` (safetensors):
by name the magnitudes in 8 bits, two of them a fraction, and the digest of the model's file as ``of``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from argos.networks.layers.binary import BinaryConv2d

SIGNS, SCALE = ".signs", ".scale"
LATENTS, LATENT = ".latents", torch.float8_e5m2
STEP = 2.0**-24
"""Every float16 is a multiple of it, so sums of magnitudes are whole numbers of it and are not rounded."""


def binary_weights(network: nn.Module) -> set[str]:
    """Names of the weights of which a network takes the signs."""
    return {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, BinaryConv2d)}


def pack_signs(state: Mapping[str, Tensor], binary: Collection[str]) -> dict[str, Tensor]:
    """Replace the weights ``binary``, ``(C_out, C_in, 3, 3)`` floating, by their bits and scales."""
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if name not in binary:
            packed[name] = value
            continue
        weight = value.detach().cpu()
        packed[name + SIGNS] = torch.from_numpy(np.packbits((weight >= 0).flatten(1).numpy(), axis=1))
        packed[name + SCALE] = weight.double().abs().mean()
    return packed


def latents_of(state: Mapping[str, Tensor], binary: Collection[str]) -> dict[str, Tensor]:
    """Magnitudes of the weights ``binary`` in 8 bits."""
    return {name: value.detach().cpu().abs().to(LATENT).contiguous() for name, value in state.items() if name in binary}


def with_latents(state: Mapping[str, Tensor], latents: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with the magnitudes of ``latents_of`` where there are some; their signs stay."""
    magnitudes = {name: value.float().clamp(min=STEP) for name, value in latents.items()}
    return {
        name: torch.copysign(magnitudes[name], value) if name in magnitudes else value for name, value in state.items()
    }


def unpack_signs(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put weights with the stored signs and the stored mean magnitude in the place of bits and scales.

    The mean is that of the packed weights to the last bit of float64 (of float32 weights, to 2**-25 in all), which no
    single float32 magnitude has: of each layer the first few weights are larger by ``STEP``.
    """
    names = {name.removesuffix(SIGNS) for name in state if name.endswith(SIGNS)}
    names = {name for name in names if name + SCALE in state and state[name + SIGNS].ndim == 2}
    plain = {name: value for name, value in state.items() if name.removesuffix(SIGNS).removesuffix(SCALE) not in names}
    for name in names:
        rows = np.unpackbits(state[name + SIGNS].numpy(), axis=1)
        channels = rows.shape[1] // 9  # what fills the last byte is less than one channel
        positive = torch.from_numpy(rows[:, : 9 * channels].astype(np.bool_)).reshape(-1, channels, 3, 3)
        steps, larger = divmod(round(float(state[name + SCALE]) * positive.numel() / STEP), positive.numel())
        magnitude = torch.full((positive.numel(),), max(steps, 1) * STEP, dtype=torch.float32)
        magnitude[:larger] += STEP
        plain[name] = magnitude.reshape(positive.shape) * torch.where(positive, 1.0, -1.0)
    return plain
