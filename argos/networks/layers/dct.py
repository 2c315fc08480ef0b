"""Block DCT of an image, as a fixed layer, and images and coefficients as codes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BlockDCT(nn.Module):
    """8x8 block DCT-II of each colour channel: ``(N, 3, H, W)`` -> ``(N, 192, H/8, W/8)``; nothing is learned.

    Channel ``64 * colour + 8 * v + u`` holds vertical frequency ``v`` and horizontal frequency ``u``.

    Reference:
        Xu et al., Learning in the Frequency Domain, arXiv:2002.12416; QU-Net thesis, section 4.2.2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", dct_basis(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Pictures ``(N, 3, H, W)``, floating, to coefficients ``(N, 192, H/8, W/8)``."""
        basis: Tensor = self.basis  # type: ignore[assignment]
        return F.conv2d(image, basis.to(image.dtype), stride=8, groups=3)


def dct_basis() -> Tensor:
    """Orthonormal 8x8 DCT-II for three colours, as weights ``(192, 1, 8, 8)`` of a grouped convolution."""
    n = torch.arange(8, dtype=torch.float64)
    rows = torch.cos(math.pi / 8 * (n[None, :] + 0.5) * n[:, None]) * math.sqrt(2 / 8)
    rows[0] /= math.sqrt(2)
    return torch.einsum("vy,ux->vuyx", rows, rows).reshape(64, 1, 8, 8).repeat(3, 1, 1, 1).float()


def dct_codes(coefficients: Tensor, bits: int) -> Tensor:
    """Put DCT coefficients of an image in 0..255 on the grid of ``bits`` bits.

    The mean (0 to 2040) is divided by 8; the others are halved and moved to the middle of 0..255, which cuts them at
    +-256: the codes have no sign, and larger ones are rare in pictures.
    """
    slope = coefficients.new_full((64,), 0.5)
    offset = coefficients.new_full((64,), 128.0)
    slope[:1].fill_(1 / 8)  # an assignment copies the number from the CPU, for which a recorded graph has no place
    offset[:1].zero_()
    scaled = torch.addcmul(offset.repeat(3)[:, None, None], coefficients, slope.repeat(3)[:, None, None])
    return image_codes(scaled.round_().clamp_(0, 255), bits)


def image_codes(image: Tensor, bits: int) -> Tensor:
    """Reduce an image of integers 0..255 to ``bits`` bits by a shift."""
    return image if bits == 8 else (image * 2.0 ** (bits - 8)).floor_()
