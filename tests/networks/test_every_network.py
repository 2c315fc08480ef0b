"""What holds of every network of the table, whatever it computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from network_checks import check_captures_as_one_graph
from torch import Tensor, nn

from argos.engines.fold import tensors_in
from argos.networks.table import NETWORKS

SMALL: dict[str, dict[str, Any]] = {
    "qunet": {"width": 8},
    "qunet.unet": {"width": 8},
    "asbunet": {},
    "unet_lite": {},
    "unet.efficientnet": {},
    "unet.mobilenet_v2": {},
    "fcn.squeezenet": {"steps": 1},
    "fcn.mobilenet": {"multiplier": 0.25, "steps": 2},
    "fcn.person_crop": {"output_stride": 8, "last_rate": 3},
    "ssd_isb.person": {"multiplier": 0.25, "num_classes": 2},
    "ssd_isb.single_branch": {"multiplier": 0.25},
    "ssd_isb.multi_shape": {"shapes": "small", "multiplier": 0.25, "steps": 0},
    "ssd_isb.single_shape": {},
    "ssd_isb.single_shape_plus": {},
    "ssd_isb.detector": {"multiplier": 0.25, "num_classes": 3},
    "dual_aspp": {"encoder": "mobilenet_v3_small", "build": "standard"},
    "erfnet": {},
    "essnet_a": {"module": "DG4S"},
    "essnet_b": {"module": "DG2", "gradual": True},
    "essnet": {"module": "DG2S", "decoder": "pyramid"},
    "wspdnet": {},
    "dynamic_unet": {},
}
"""Arguments that make each of them small, or another one than its own tests build."""

CAPTURED = [
    name
    for name in SMALL
    # of the same class and the same blocks as another one
    if name not in ("qunet.unet", "fcn.person_crop", "erfnet", "essnet_b", "essnet")
    and (not name.startswith("ssd_isb.") or name == "ssd_isb.person")
]


def built(name: str) -> nn.Module:
    """The network with statistics of its own, so that no normalisation is the identity."""
    torch.manual_seed(0)
    network = NETWORKS[name](**SMALL[name])
    generator = torch.Generator().manual_seed(1)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.uniform_(-0.1, 0.1, generator=generator)
            norm.running_var.uniform_(0.8, 1.2, generator=generator)
    return network.eval()


def pictures(name: str, n: int, height: int, width: int) -> Tensor:
    image = torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(2))
    return (image * 255).to(torch.uint8) if name.startswith("qunet") else image


def of_images(outputs: list[Tensor], n: int) -> list[Tensor]:
    """Those with one entry for each of ``n`` images; the anchors of a detector belong to all of them."""
    return [x for x in outputs if x.shape[0] == n]


def agree(found: list[Tensor], wanted: list[Tensor], share: float = 1e-4) -> None:
    """Equal to a share of the largest element: networks drawn at random may give thousands."""
    assert [x.shape for x in found] == [x.shape for x in wanted]
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=share * max(1.0, float(b.abs().max())))


def test_the_table_below_has_every_network() -> None:
    assert list(SMALL) == list(NETWORKS)


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_batches_layouts_devices_and_saved_weights_give_the_same(name: str) -> None:
    network, images = built(name), pictures(name, 2, 45, 70)
    together = list(tensors_in(network(images)))
    if not name.startswith("ssd_isb."):
        assert together[0].shape == (2, network.num_classes, 45, 70)
    for n in range(2):
        agree([x[0] for x in of_images(list(tensors_in(network(images[n : n + 1]))), 1)],
              [x[n] for x in of_images(together, 2)])  # fmt: skip

    other = NETWORKS[name](**SMALL[name]).eval()
    other.load_state_dict(network.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(tensors_in(other(images)), together, strict=True))

    other.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    agree(list(tensors_in(other(images.contiguous(memory_format=torch.channels_last)))), together)
    if torch.cuda.is_available():
        agree([x.cpu() for x in tensors_in(network.cuda()(images.cuda()))], together, 1e-2)


@pytest.mark.parametrize("name", CAPTURED)
def test_captures_as_one_graph(name: str) -> None:
    torch.compiler.reset()
    check_captures_as_one_graph(built(name), pictures(name, 1, 32, 48))
