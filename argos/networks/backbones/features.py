"""What the encoders of the DeepLab heads give."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class DeepFeatures(NamedTuple):
    """Maps of an encoder.

    Attributes:
        stride4: ``(N, C4, H/4, W/4)`` floats.
        stride8: ``(N, C8, H/8, W/8)`` floats.
        deep: ``(N, C, H/s, W/s)`` floats, at the output stride s of the encoder, 16 or 32.
    """

    stride4: Tensor
    stride8: Tensor
    deep: Tensor


def check_output_stride(output_stride: int, allowed: tuple[int, ...]) -> None:
    """Raise ``ValueError`` unless ``output_stride`` is one of ``allowed``."""
    if output_stride not in allowed:
        raise ValueError(f"output_stride must be {' or '.join(map(str, allowed))}, got {output_stride!r}")
