"""A network without ImageNet weights learns from one that has them: masks, and what the encoder sees on the way.

Reference:
    Romero et al., FitNets: Hints for Thin Deep Nets, section 2.2; Hinton et al., Distilling the Knowledge in a Neural
    Network, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.networks.asbunet import ASBUNet
from argos.networks.backbones.efficientnet_lite import NARROW
from argos.networks.unets import UNetLite
from argos.training.losses import dice_loss, person_targets, weighted_bce
from argos.training.precision import arithmetic
from argos.training.segmentation import PEOPLE_WEIGHT, log_odds
from argos.training.stream import Batch

TRUST = 0.5
"""Weight of the teacher's opinion against the label, where there is one."""


class HintedASBUNet(nn.Module):
    """ASBU-Net whose maps at 1/8 and 1/16 guess the teacher's by a 1x1 convolution; only ``student`` ships."""

    def __init__(self, student: ASBUNet) -> None:
        super().__init__()
        self.student = student
        self.guesses = nn.ModuleList(
            nn.Conv2d(layer.out_channels, channels, 1)  # type: ignore[arg-type]
            for layer, channels in zip((student.encoder[4], student.encoder[6]), NARROW[2:4], strict=True)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits ``(N, H, W)``, and guesses ``(N, 40, H/8, W/8)`` and ``(N, 112, H/16, W/16)``."""
        maps = self.student.encode(image)
        logits = self.student.decode(maps, image.shape[-2:])
        return logits[:, 0], [guess(x) for guess, x in zip(self.guesses, maps[2:], strict=True)]


def hinted_loss(teacher: UNetLite) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a ``HintedASBUNet``: masks that lie between label and teacher, and the teacher's maps.

    Ignored pixels take the teacher's word alone. The maps are standardised by channel, so that ``hint`` is the share
    of their variance that the guesses do not explain.

    Args:
        teacher: in evaluation mode.
    """
    teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        images = batch.images.to(memory_format=torch.channels_last).float().div_(255)
        teacher.to(images.device)  # where the student has gone
        with torch.no_grad(), arithmetic("bfloat16", images.device):
            seen = teacher.backbone(images * 2 - 1)
            opinion = torch.sigmoid(F.interpolate(teacher.decoder(seen).float(), scale_factor=2, mode="bilinear")[:, 0])
        person, valid = person_targets(batch.ids)
        target = torch.where(valid > 0, torch.lerp(person, opinion, TRUST), opinion)
        logits, guesses = network(images)
        hints = [
            F.mse_loss(guess.float(), F.batch_norm(of.float(), None, None, training=True))
            for guess, of in zip(guesses, (seen.stride8, seen.stride16), strict=True)
        ]
        return {
            "bce": 2 * weighted_bce(logits, target, torch.ones_like(target), positive_weight=1.5),
            "dice": 0.5 * dice_loss(logits, person, valid),
            "hint": 0.5 * (hints[0] + hints[1]),
        }

    return loss


def taught_loss(teacher: UNetLite) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of QU-Net between label and teacher, who sees the views twice as large: as the line shows it frames.

    Args:
        teacher: in evaluation mode.
    """
    teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        images = batch.images.to(memory_format=torch.channels_last)
        teacher.to(images.device)
        with torch.no_grad(), arithmetic("bfloat16", images.device):
            large = F.interpolate(images.float().div_(127.5).sub_(1), scale_factor=2, mode="bilinear")
            half = teacher.decoder(teacher.backbone(large))[:, 0]  # (N, S, S), half the side of what it saw
            opinion = torch.sigmoid(half.float())
        person, valid = person_targets(batch.ids)
        target = torch.where(valid > 0, torch.lerp(person, opinion, TRUST), opinion)
        logits = log_odds(network, images)
        return {
            "bce": 2 * weighted_bce(logits, target, torch.ones_like(target), PEOPLE_WEIGHT),
            "dice": 0.5 * dice_loss(logits, person, valid),
        }

    return loss
