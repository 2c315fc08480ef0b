"""Binary weights in a file are bits, and the network they give is the one that was packed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from argos.engines.integer_qunet import IntegerQUNet
from argos.engines.sign_bits import binary_weights, latents_of, pack_signs, unpack_signs, with_latents
from argos.engines.weights import SHIPPED, load_card, load_network
from argos.errors import WeightsError
from argos.networks.layers.binary import QuantizedUnit
from argos.networks.layers.quantize import weight_scale
from argos.networks.qunet import QUNet, qunet
from argos.networks.table import NETWORKS
from argos.training.pretrained import take_what_fits
from argos.training.recipes import started
from argos.training.ship import write_model


def lively(network: QUNet) -> QUNet:
    """Random weights whose batch normalisations fit what they see, so that codes of every layer differ."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    return network.eval()


def latent(width: int) -> QUNet:
    """A network with weights of every sign and size that float16 has, zeros of both signs among them."""
    torch.manual_seed(width)
    network = lively(qunet(width))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, QuantizedUnit):
                weight = module.conv.weight
                weight.mul_(torch.rand_like(weight) ** 4).copy_(weight.half())
                weight.view(-1)[:2] = torch.tensor([0.0, -0.0])
    return network


def packed(network: QUNet) -> QUNet:
    """The same network through bits."""
    other = qunet(network.channels[0]).eval()
    state = unpack_signs(pack_signs(network.state_dict(), binary_weights(network)))
    other.load_state_dict(state)
    return other


@pytest.mark.parametrize("width", [8, 16, 64])
def test_bits_give_the_same_network_to_the_last_bit(width: int) -> None:
    network = latent(width)
    other = packed(network)
    for ours, theirs in zip(network.modules(), other.modules(), strict=True):
        if isinstance(ours, QuantizedUnit) and isinstance(theirs, QuantizedUnit):
            assert torch.equal(ours.conv.weight >= 0, theirs.conv.weight >= 0)
            assert torch.equal(weight_scale(ours.conv.weight.double()), weight_scale(theirs.conv.weight.double()))
            assert all(torch.equal(a, b) for a, b in zip(ours.affine_parts(), theirs.affine_parts(), strict=True))
    image = torch.randint(0, 256, (1, 3, 96, 128), dtype=torch.uint8)
    with torch.no_grad():
        logits = network(image)
        assert logits.std() > 0
        assert torch.equal(logits, other(image))
        if width < 64:  # seconds less
            assert torch.equal(logits, IntegerQUNet(other)(image))


@pytest.mark.parametrize("name", ["qunet16", "qunet8"])
def test_shipped_binary_weights_are_bits(name: str) -> None:
    path = SHIPPED / f"{name}.safetensors"
    stored, card = load_file(path), load_card(name)
    with torch.device("meta"):
        network = NETWORKS[card.network](**card.arguments)
    binary = binary_weights(network)
    assert len(binary) == 18
    assert not binary & stored.keys()
    assert all(stored[f"{key}.signs"].dtype == torch.uint8 for key in binary)
    parameters = sum(value.numel() for value in network.state_dict().values())
    assert path.stat().st_size < 2 * parameters / 7, "a seventh of float16: gates, scales and names stay"


def test_a_model_is_written_with_bits_and_loads(tmp_path: Path) -> None:
    network = latent(8)
    card = msgspec.structs.replace(load_card("qunet8"), name="mine", metrics={}, sha256="")
    seen: list[nn.Module] = []

    def measured(path: Path, card: object) -> dict[str, float]:
        seen.append(load_network(str(path))[0])
        return {}

    write_model(tmp_path, card, network.state_dict(), measured)
    loaded, _ = load_network(str(tmp_path / "mine.safetensors"))
    stored = load_file(tmp_path / "mine.safetensors")
    assert {value.dtype for key, value in stored.items() if key.endswith(".signs")} == {torch.uint8}
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded(image), seen[0](image))
    for ours, theirs in zip(network.modules(), loaded.modules(), strict=True):
        if isinstance(ours, QuantizedUnit) and isinstance(theirs, QuantizedUnit):
            assert torch.equal(ours.conv.weight >= 0, theirs.conv.weight >= 0)


def test_latents_keep_every_sign_and_roughly_every_magnitude() -> None:
    weight = torch.randn(8, 4, 3, 3) * torch.logspace(-4, 0, 8)[:, None, None, None]
    weight.view(-1)[:3] = torch.tensor([0.0, -1e-9, 1e-9])
    signs = unpack_signs(pack_signs({"conv.weight": weight}, {"conv.weight"}))
    found = with_latents(signs, latents_of({"conv.weight": weight}, {"conv.weight"}))["conv.weight"]
    assert torch.equal(found >= 0, weight >= 0)
    large = weight.abs() > 1e-4
    assert ((found - weight).abs()[large] <= 0.13 * weight.abs()[large]).all()


def test_weights_of_float32_keep_signs_that_float16_has_not() -> None:
    weight = torch.full((2, 3, 3, 3), 0.01)
    weight[0, 0, 0] = -1e-9
    state: dict[str, Tensor] = unpack_signs(pack_signs({"conv.weight": weight}, {"conv.weight"}))
    assert torch.equal(state["conv.weight"] >= 0, weight >= 0)
    assert state["conv.weight"].double().abs().mean() == pytest.approx(float(weight.double().abs().mean()), abs=2**-25)


def test_a_training_begins_with_bits_or_with_what_they_were_made_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun = started(qunet(8), "qunet8")
    assert not caplog.text, "its latents are beside it"
    weight = begun.inc[1].conv.weight  # type: ignore[union-attr]
    assert len(weight.abs().unique()) > 8
    assert torch.equal(weight >= 0, load_network("qunet8")[0].inc[1].conv.weight >= 0)  # type: ignore[index, union-attr]
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"qunet8{suffix}").write_bytes((SHIPPED / f"qunet8{suffix}").read_bytes())
    started(qunet(8), str(tmp_path / "qunet8.safetensors"))
    assert "qunet8.latents that tells how far each is from turning is not beside it" in caplog.text
    caplog.clear()
    (tmp_path / "qunet8.latents").write_bytes((SHIPPED / "qunet16.latents").read_bytes())
    started(qunet(8), str(tmp_path / "qunet8.safetensors"))
    assert "is not beside it" in caplog.text, "those of another model do not count"
    caplog.clear()
    network = latent(8)
    torch.save(network.state_dict(), tmp_path / "average.pt")
    again = started(qunet(8), str(tmp_path / "average.pt"))
    assert not caplog.text
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    said = take_what_fits(qunet(8), SHIPPED / "qunet8.safetensors")
    assert said.startswith(f"{len([key for key in begun.state_dict() if 'num_batches' not in key])} of ")
    assert "0 left out" in said
    with pytest.raises(WeightsError, match=r"average.pt: weights do not fit the network of the recipe: inc.0.conv"):
        started(qunet(16), str(tmp_path / "average.pt"))
    hinted = {f"student.{key}": value for key, value in network.state_dict().items()} | {"hint.weight": torch.zeros(1)}
    torch.save(hinted, tmp_path / "average.pt")
    again = started(qunet(8), str(tmp_path / "average.pt"))
    assert torch.equal(again.out.weight, network.out.weight)
