"""Arithmetic in 16 bits, where it is the faster one."""

from __future__ import annotations

from typing import Literal

import torch

from argos.machine import lacks_bfloat16

Precision = Literal["float32", "bfloat16"]


def arithmetic(precision: Precision, device: torch.device) -> torch.autocast:
    """A context in which matrix products and convolutions have this precision; the weights keep their 32 bits.

    A processor without instructions for bfloat16 would emulate it, slower than 32 bits: there the context does nothing.
    """
    emulated = device.type == "cpu" and lacks_bfloat16()
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16" and not emulated)
