"""The integer engine gives the logits of the network, all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from argos.engines.integer_conv import ROUTES, instructions
from argos.engines.integer_qunet import IntegerQUNet, is_integer
from argos.engines.weights import load_network
from argos.engines.workers import workers
from argos.networks.qunet import FULL_PRECISION, BitPlan, QUNet, qunet
from argos.sources.read import read

CLIP = Path(__file__).parents[2] / "samples" / "people.mp4"
PLANS = {"published": BitPlan(), "few": BitPlan(4, 2, 8), "binary": BitPlan(8, 1, 1), "even": BitPlan(5, 3, 3),
         "deep": BitPlan(2, 8, 4),
         "layers": BitPlan(8, 4, 2, {"inc.1": 2, "down2.0": 1, "down4.1": 8, "up1.0": 1, "up4.1": 3})}  # fmt: skip

HERE = [name for name in ROUTES if name != "multiply-add" or "+avx2" in instructions()]


def images(n: int, height: int, width: int, seed: int = 3) -> torch.Tensor:
    return torch.randint(
        0, 256, (n, 3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
    )


def drawn(width: int, bits: BitPlan = PLANS["published"], num_classes: int = 2, seed: int = 0) -> QUNet:
    """Random weights whose channels, gates and saturations all differ."""
    torch.manual_seed(seed)
    network = qunet(width, num_classes, bits)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(-1.5, 1.5)
                layer.bias.uniform_(-0.5, 1.0)
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(3)
        network.train()(images(2, 64, 48))
    return network.eval()


def test_shipped_weights_give_the_same_logits_on_the_sample_clip() -> None:
    network, _ = load_network("qunet16")
    assert isinstance(network, QUNet)
    frame = next(iter(read(str(CLIP), "clip")))
    pixels = torch.from_numpy(frame.pixels[::4, ::4].copy())
    image = pixels.permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = network(image)
    assert expected[:, 1].std() > 0.1
    for route in (None, *HERE):
        assert torch.equal(IntegerQUNet(network, route)(image), expected)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("route", HERE)
def test_logits_are_those_of_the_network_for_every_bit_plan(plan: str, route: str) -> None:
    network, image = drawn(8, PLANS[plan]), images(2, 48, 64)
    with torch.no_grad():
        expected = network(image)
    assert expected.std() > 0
    assert torch.equal(IntegerQUNet(network, route)(image), expected)


@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize("route", HERE)
def test_every_route_gives_the_logits_of_the_network(route: str, width: int) -> None:
    network, image = drawn(width), images(1, 50, 70)
    engine = IntegerQUNet(network, route)
    takes = [name for name, taken in network.bits.every().items() if route != "popcount" or taken == 1]
    assert [name for name, used in engine.routes.items() if used == route] == takes
    with torch.no_grad():
        assert torch.equal(engine(image), network(image))


@given(st.sampled_from([8, 16]), st.integers(1, 70), st.integers(1, 70), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=12, deadline=None)
def test_logits_are_those_of_the_network_for_any_size(
    width: int, rows: int, columns: int, num_classes: int, seed: int
) -> None:
    network, image = drawn(width, num_classes=num_classes, seed=seed), images(1, rows, columns, seed)
    with torch.no_grad():
        assert torch.equal(IntegerQUNet(network)(image), network(image))


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_pictures_give_the_same_logits(value: int) -> None:
    network, image = drawn(16), torch.full((1, 3, 32, 48), value, dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(IntegerQUNet(network)(image), network(image))


@pytest.mark.parametrize("limit", ["SSE41", "AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_logits_are_exact_under_every_limit_of_instructions(limit: str) -> None:
    """oneDNN reads its limit once, so each has a process; one above what the processor has changes nothing."""
    here = Path(__file__)
    code = (
        f"import sys; sys.path.insert(0, {str(here.parent)!r})\n"
        "import torch\n"
        f"from {here.stem} import *\n"
        "torch.set_grad_enabled(False)\n"
        "for width, size in ((8, (33, 50)), (16, (64, 48))):\n"
        "    network, image = drawn(width), images(1, *size)\n"
        "    for route in (None, 'onednn'):\n"
        "        engine = IntegerQUNet(network, route)\n"
        "        print('onednn' in engine.routes.values(), torch.equal(engine(image), network(image)))\n"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": limit}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.endswith(" True") for line in lines)
    assert lines[1] == lines[3] == "True True"


def test_layout_of_the_image_does_not_matter() -> None:
    engine, image = IntegerQUNet(drawn(8)), images(2, 48, 64)
    assert torch.equal(engine(image), engine(image.contiguous(memory_format=torch.channels_last)))


def test_pictures_of_a_batch_do_not_mix() -> None:
    engine, batch = IntegerQUNet(drawn(8)), images(3, 48, 64)
    together = engine(batch)
    for n in range(3):
        assert torch.equal(together[n], engine(batch[n : n + 1])[0])


def test_threads_share_an_engine() -> None:
    engine = IntegerQUNet(drawn(8))
    pictures = [images(1, 48, 64, seed) for seed in range(8)]
    expected = [engine(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine, pictures))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_engine_keeps_its_weights_when_the_network_learns_on() -> None:
    network, image = drawn(8), images(1, 32, 32)
    engine = IntegerQUNet(network)
    before = engine(image)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(-1)
        network.train()(image)
    assert torch.equal(engine(image), before)


@pytest.mark.parametrize(
    "network",
    [
        qunet(8, published=True),
        qunet(8, dct=True),
        qunet(8, bits=FULL_PRECISION),
        qunet(8, bits=BitPlan(8, None, 4)),
        nn.Conv2d(3, 2, 1),
    ],
    ids=["published", "dct", "float", "float middle", "another"],
)
def test_network_with_floats_is_refused(network: nn.Module) -> None:
    assert not is_integer(network)
    with pytest.raises(ValueError, match="only a QU-Net whose layers all have bits runs in integers"):
        IntegerQUNet(network)  # type: ignore[arg-type]


def test_float_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image should be uint8, got torch.float32"):
        IntegerQUNet(drawn(8))(images(1, 32, 32).float())


def test_one_cpu_thread_and_all_give_the_same() -> None:
    """It runs on either, whichever is the faster here; both must be right, and nobody else's threads change."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine, image = IntegerQUNet(drawn(8)), images(2, 48, 64)
        found = engine(image)
        engine._one = None if engine._one is not None else workers("qunet", 1, 1)
        assert torch.equal(engine(image), found)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_pictures_have_no_logits() -> None:
    network = qunet(8).eval()
    none = torch.zeros(0, 3, 32, 48, dtype=torch.uint8)
    assert IntegerQUNet(network)(none).shape == network(none).shape == (0, 2, 32, 48)


@pytest.mark.parametrize("route", HERE)
def test_a_process_that_was_forked_off_computes_on_one_thread(route: str) -> None:
    code = (
        "import os, sys, torch; torch.set_num_threads(2)\n"
        "from argos.networks.qunet import qunet; from argos.engines.integer_qunet import IntegerQUNet\n"
        f"engine = IntegerQUNet(qunet(8).eval(), {route!r})\n"
        "picture = torch.zeros(1, 3, 192, 320, dtype=torch.uint8)\n"
        "engine._all(picture.permute(0, 2, 3, 1).contiguous().numpy())\n"
        "child = os.fork()\n"
        "if child == 0: engine(picture); os._exit(0)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)
