"""EfficientNet-Lite0 has its published size, and its maps are where their names say."""

from __future__ import annotations

import torch

from argos.networks.backbones.efficientnet_lite import DETECTION_CHANNELS, NARROW, EfficientNetLite0

HEAD = 320 * 1280 + 2 * 1280  # 1x1 convolution and normalisation
CLASSIFIER = 1280 * 1000 + 1000


def test_it_has_the_published_size() -> None:
    total = sum(p.numel() for p in EfficientNetLite0().parameters()) + HEAD + CLASSIFIER
    assert total == 4_652_008  # published as 4.7 million


def test_maps_have_the_named_strides() -> None:
    maps = EfficientNetLite0().eval()(torch.rand(1, 3, 64, 96))
    for stride, channels, x in zip((2, 4, 8, 16, 32), NARROW, maps[:5], strict=True):
        assert x.shape == (1, channels, 64 // stride, 96 // stride)
    for stride, channels, x in zip((8, 16, 32), DETECTION_CHANNELS, maps.for_detection, strict=True):
        assert x.shape == (1, channels, 64 // stride, 96 // stride)
    assert float(maps.wide16.detach().min()) >= 0
