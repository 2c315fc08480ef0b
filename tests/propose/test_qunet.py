"""QU-Net as a proposer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from argos.engines.integer_qunet import IntegerQUNet
from argos.engines.weights import load_network
from argos.networks.qunet import FULL_PRECISION, QUNet, qunet
from argos.propose.qunet import QUNetProposer, grid_size
from argos.types import Frame


def small_network() -> QUNet:
    """Random weights in full precision: with one bit and no training the scores are almost constant."""
    torch.manual_seed(3)
    return qunet(width=8, bits=FULL_PRECISION)


def frame_of(height: int, width: int) -> Frame:
    random = np.random.default_rng(5)
    return Frame(random.integers(0, 256, (height, width, 3), dtype=np.uint8), "test", 0, 0.0)


@pytest.mark.parametrize(
    ("frame_size", "size", "grid"),
    [
        ((720, 1280), 320, (176, 320)),  # 180 is nearer to 176 than to 192
        ((1280, 720), 320, (320, 176)),
        ((576, 768), 320, (240, 320)),
        ((480, 480), 320, (320, 320)),
        ((10, 4000), 320, (16, 320)),
        ((1, 1), 64, (64, 64)),
    ],
)
def test_long_side_is_the_size_and_both_are_multiples_of_16(
    frame_size: tuple[int, int], size: int, grid: tuple[int, int]
) -> None:
    assert grid_size(frame_size, size) == grid


def test_scores_are_the_softmax_of_the_network_on_the_reduced_frame() -> None:
    network, frame = small_network(), frame_of(90, 160)
    mask = QUNetProposer(network, size=64, threshold=0.5)(frame)
    small = cv2.resize(frame.pixels, (64, 32), interpolation=cv2.INTER_LINEAR)
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(small.transpose(2, 0, 1)[None].copy()))
    expected = torch.exp(logits[0, 1]) / torch.exp(logits[0]).sum(dim=0)
    assert mask.scores.shape == (32, 64)
    assert mask.scores.std() > 1e-4
    assert mask.frame_size == (90, 160)
    np.testing.assert_allclose(mask.scores, expected.numpy(), atol=1e-6)


def test_mask_holds_the_cells_at_or_above_the_threshold() -> None:
    network, frame = small_network(), frame_of(60, 80)
    scores = QUNetProposer(network, size=64)(frame).scores
    threshold = float(np.median(scores))
    mask = QUNetProposer(network, size=64, threshold=threshold)(frame)
    assert 0.2 < mask.mask.mean() < 0.8
    np.testing.assert_array_equal(mask.mask, scores >= threshold)


def test_size_that_is_no_multiple_of_16_is_refused() -> None:
    with pytest.raises(ValueError, match="size should be a positive multiple of 16, got 100"):
        QUNetProposer(small_network(), size=100)


def test_integer_proposer_gives_the_scores_of_the_float_one() -> None:
    network, _ = load_network("qunet16", task="proposal")
    for frame in (frame_of(90, 160), frame_of(96, 64)):
        fast = QUNetProposer(network, size=96)(frame)
        plain = QUNetProposer(network, size=96, integer=False)(frame)
        assert plain.scores.std() > 1e-4
        np.testing.assert_array_equal(fast.scores, plain.scores)


def test_engine_is_chosen_by_the_layers_of_the_network() -> None:
    assert isinstance(QUNetProposer(qunet(8), size=32).network, IntegerQUNet)
    assert isinstance(QUNetProposer(qunet(8), size=32, integer=False).network, QUNet)
    assert isinstance(QUNetProposer(small_network(), size=32).network, QUNet)
