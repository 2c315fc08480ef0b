"""The deep networks of all tasks as one module of plain tensors: what other runtimes are given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.backbones.efficientnet_lite import Pyramid
from argos.networks.backbones.mobilenet_v1 import Features
from argos.networks.ssd_isb import SSDISB, SSDOutput
from argos.networks.unets import UNetLite


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules have the same weights under the same names."""
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(
        first[key].shape == second[key].shape and torch.equal(first[key], second[key]) for key in first
    )


class Core(nn.Module):
    """Everything that is computed for every picture; the branches of SSD-ISB, which run on the found boxes, are left.

    An encoder that both networks share runs once.

    Args:
        semantic: one logit per pixel; None when the task is off.
        instances: SSD-ISB; None when the task is off.
    """

    def __init__(self, semantic: nn.Module | None, instances: SSDISB | None) -> None:
        super().__init__()
        self.semantic, self.instances = semantic, instances
        self.shared = (
            isinstance(semantic, UNetLite)
            and instances is not None
            and same_weights(semantic.backbone, instances.backbone)
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """What the tasks need of pictures whose sides are multiples of 32.

        Args:
            pixels: ``(B, H, W, 3)`` uint8, RGB.

        Returns:
            With ``semantic`` its logits ``(B, 1, H, W)``, of a U-Net half as large, before the last step; then with
            ``instances`` deltas, logits and the three maps of ``SSDOutput``.
        """
        image = pixels.permute(0, 3, 1, 2).float() / 255
        found: list[Tensor] = []
        maps: Pyramid | Features | None = None
        if isinstance(self.semantic, UNetLite):
            maps = self.semantic.backbone(image * 2 - 1)
            found.append(self.semantic.decoder(maps))
        elif self.semantic is not None:
            found.append(self.semantic(image))
        if self.instances is not None:
            if maps is None or not self.shared:
                maps = self.instances.backbone(image * 2 - 1)
            features = maps if isinstance(maps, Features) else maps.for_detection
            found += [*self.instances.predictions(features), *features]
        return tuple(found)

    @property
    def precise(self) -> tuple[int, ...]:
        """Which tensors of ``forward`` suffer from rounding: deltas and logits of the detector."""
        first = int(self.semantic is not None)
        return () if self.instances is None else (first, first + 1)

    def split(self, found: Sequence[Tensor]) -> tuple[Tensor | None, SSDOutput | None]:
        """What ``forward`` gave, by task: logits of the pixels ``(B, 1, H, W)``, output of the detector."""
        logits = found[0] if self.semantic is not None else None
        if logits is not None and isinstance(self.semantic, UNetLite):
            # here, as ONNX Runtime enlarges sixteen channels where one is needed
            logits = F.interpolate(logits, scale_factor=2, mode="bilinear")
        if self.instances is None:
            return logits, None
        deltas, scores, *features = found[-5:]
        return logits, self.instances.output_of(deltas, scores, Features(*features))
