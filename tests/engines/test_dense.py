"""Dense engines: the folded network says what the trained one says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from argos.engines.dense import for_inference
from argos.networks.ssd_isb import person_isb
from argos.networks.unets import unet_lite


@pytest.mark.parametrize("build", [unet_lite, lambda: person_isb(backbone="efficientnet_lite0")])
def test_the_folded_network_gives_the_same(build: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = build().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    folded = for_inference(network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    image = torch.rand(1, 3, 96, 128)
    with torch.inference_mode():
        wanted, found = network(image), folded(image)
    if not isinstance(wanted, torch.Tensor):
        wanted, found = wanted.logits, found.logits
    assert torch.allclose(wanted, found, atol=1e-4 * float(wanted.abs().max() + 1))
