"""One encoder learns both tasks at once: what a person is, pixel by pixel and one by one.

Photos with boxes teach the segmentation where nobody is, masks teach the detector what is inside of a box, and the
encoder runs once for both. Two models come out of it, each with its own copy of the encoder.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from argos.engines.weights import check_shapes, load_network, weights_path
from argos.errors import WeightsError
from argos.networks.ssd_isb import SSDISB, person_isb
from argos.networks.unets import Decoder, UNetLite
from argos.training.detection import truths_of
from argos.training.losses import dice_loss, person_targets, weighted_bce
from argos.training.losses_ssd import detector_losses
from argos.training.pretrained import load_backbone
from argos.training.stream import Batch

log = logging.getLogger(__name__)

FROZEN_BLOCKS = 3
"""Blocks of the encoder that keep their ImageNet weights: edges and colours down to 1/4, half of the time to train."""


class Joint(nn.Module):
    """SSD-ISB on EfficientNet-Lite0 with the decoder of ``UNetLite`` on the same maps.

    The statistics of the encoder's normalisations stay those of ImageNet: batches of a few views know them less well.
    """

    def __init__(self) -> None:
        super().__init__()
        self.detector = person_isb(centred=True, backbone="efficientnet_lite0")
        self.detector.stop_gradient = False
        self.decoder = Decoder()
        for head in self.detector.class_heads:  # every anchor begins as background, 99 %
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.constant_(head.bias[0::2], 2.3)
            nn.init.constant_(head.bias[1::2], -2.3)
        for frozen in (self.detector.backbone.stem, self.detector.backbone.blocks[:FROZEN_BLOCKS]):
            frozen.requires_grad_(False)

    def train(self, mode: bool = True) -> Joint:
        super().train(mode)
        self.detector.backbone.eval()
        return self

    def semantic(self) -> UNetLite:
        """The segmentation network as it ships; it shares its weights with this one."""
        network = UNetLite()
        network.backbone, network.decoder = self.detector.backbone, self.decoder  # type: ignore[assignment]
        return network.train(self.training)


def joint_for_training(backbone: Path | None = None, start: str | None = None) -> Joint:
    """The network to train.

    Args:
        backbone: ImageNet weights of the encoder.
        start: ``DETECTOR+SEGMENTER``, two models made by this training before.

    Raises:
        WeightsError: one of the files does not fit.
    """
    network = Joint()
    if start is not None:
        detector, plus, segmenter = start.partition("+")
        if not plus:
            raise WeightsError(f"--start {start}: this recipe makes two models; write ssdisb+unet_lite")
        found = load_network(detector, task="instances")[0].state_dict()
        check_shapes(weights_path(detector), network.detector.state_dict(), found, "the detector to train")
        network.detector.load_state_dict(found)
        unet = load_network(segmenter, task="semantic")[0]
        if not isinstance(unet, UNetLite):
            raise WeightsError(f"--start {start}: {segmenter} should be a unet_lite")
        network.decoder.load_state_dict(unet.decoder.state_dict())
    if backbone is not None:
        log.info("%s: %s", backbone.name, load_backbone(network.detector.backbone, backbone))
    return network


def joint_loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
    """Multibox and mask losses of the detector, weighted BCE and dice of the segmentation."""
    assert isinstance(network, Joint)
    detector: SSDISB = network.detector
    images = batch.images.to(memory_format=torch.channels_last).float().div_(127.5).sub_(1)
    maps = detector.backbone(images)
    output = detector.heads(maps.for_detection)
    parts = detector_losses(detector, output, truths_of(batch), batch.ids.shape[-1])
    logits = F.interpolate(network.decoder(maps), scale_factor=2, mode="bilinear")[:, 0]
    person, valid = person_targets(batch.ids)
    return {
        **parts,
        "bce": 2 * weighted_bce(logits, person, valid, positive_weight=1.5),
        "dice": 0.5 * dice_loss(logits, person, valid),
    }
