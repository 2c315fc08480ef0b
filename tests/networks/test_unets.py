"""The U-Net on EfficientNet-Lite0."""

from __future__ import annotations

import pytest
import torch

from argos.networks.unets import unet_lite


@pytest.mark.parametrize("size", [(64, 96), (33, 71), (1, 1)])
def test_one_logit_per_pixel_at_any_size(size: tuple[int, int]) -> None:
    assert unet_lite().eval()(torch.rand(2, 3, *size)).shape == (2, 1, *size)


def test_every_parameter_learns() -> None:
    network = unet_lite()
    network(torch.rand(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert sum(p.numel() for p in network.parameters()) == 3_350_033


def test_padding_does_not_reach_into_the_picture() -> None:
    """Grey, what the encoder sees beyond every border, is also what a picture of odd size is filled with."""
    torch.manual_seed(0)
    network = unet_lite().eval()
    image = torch.rand(1, 3, 64, 64)
    image[..., 50:] = 0.5
    assert torch.equal(network(image)[..., :50], network(image[..., :50]))


def test_wrong_number_of_classes_is_named() -> None:
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        unet_lite(0)
