"""Grouped convolutions trained gradually from dense ones, and the shuffle of their channels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from argos.networks.counting import conv_weights
from argos.networks.essnet import essnet_b
from argos.networks.layers.grouping import GradualGroupConv2d, alpha_at, channel_shuffle, set_alpha, to_grouped
from argos.networks.layers.resample import Upsampler, enlarging
from argos.networks.layers.residual import SeparableResidual


def test_shuffle_deals_the_groups_out() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@given(groups=st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_shuffle_by_the_width_of_the_groups_undoes_a_shuffle(groups: int) -> None:
    x = torch.rand(2, 12, 2, 3)
    assert torch.equal(channel_shuffle(channel_shuffle(x, groups), 12 // groups), x)


def test_alpha_scales_exactly_the_weights_between_groups() -> None:
    torch.manual_seed(0)
    conv = GradualGroupConv2d(6, 4, 2)
    x = torch.rand(2, 6, 3, 5)
    for alpha in (1.0, 0.25, 0.0):
        set_alpha(conv, alpha)
        weight = conv.weight.detach().clone()
        for o in range(4):
            for i in range(6):
                if o // 2 != i // 3:
                    weight[o, i] *= alpha
        torch.testing.assert_close(conv(x), torch.nn.functional.conv2d(x, weight, conv.bias))


@pytest.mark.parametrize("module", ["DG2", "DG8S"])
def test_export_gives_the_same_output_with_grouped_convolutions(module: str) -> None:
    torch.manual_seed(0)
    network = essnet_b(module, num_classes=3, gradual=True)
    image = torch.rand(2, 3, 32, 40)
    with torch.no_grad():
        network(image)  # statistics of the batch normalisations
        network.eval()
        dense = network(image)
        assert set_alpha(network, 0.0) == 26
        expected = network(image)
        assert not torch.allclose(dense, expected, atol=1e-3)
        grouped = to_grouped(network)
        torch.testing.assert_close(grouped(image), expected, atol=1e-5, rtol=1e-5)
        plain = essnet_b(module, num_classes=3)
        assert conv_weights(grouped) == conv_weights(plain) < conv_weights(network)
        plain.load_state_dict(grouped.state_dict())
        assert torch.equal(plain.eval()(image), grouped(image))


def test_gradual_convolution_at_alpha_1_is_the_dense_module() -> None:
    torch.manual_seed(0)
    gradual, dense = SeparableResidual(8, groups=4, gradual=True), SeparableResidual(8)
    missing, unexpected = dense.load_state_dict(gradual.state_dict(), strict=False)
    assert not missing
    assert unexpected == ["pointwise1.alpha", "pointwise2.alpha"]
    x = torch.rand(1, 8, 6, 6)
    torch.testing.assert_close(gradual.eval()(x), dense.eval()(x))


def test_weights_between_groups_learn_until_alpha_is_0() -> None:
    torch.manual_seed(0)
    conv = GradualGroupConv2d(4, 4, 2)
    for alpha, learns in ((0.5, True), (0.0, False)):
        set_alpha(conv, alpha)
        conv.weight.grad = None
        conv(torch.rand(1, 4, 3, 3)).sum().backward()
        assert conv.weight.grad is not None
        assert bool(conv.weight.grad[0, 2] != 0) == learns
        assert conv.weight.grad[0, 1] != 0


def test_a_little_training_with_falling_alpha_fits_grouped_targets() -> None:
    torch.manual_seed(0)
    target = torch.nn.Conv2d(8, 8, 1, groups=4)
    conv = GradualGroupConv2d(8, 8, 4)
    optimizer = torch.optim.Adam(conv.parameters(), 0.05)
    x = torch.randn(4, 8, 6, 6)
    wanted = target(x).detach()
    for step in range(100):
        set_alpha(conv, alpha_at(step / 99))
        loss = (conv(x) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (to_grouped(conv)(x) - wanted).square().mean() < 1e-3


def test_alpha_falls_in_a_straight_line_and_stays_0() -> None:
    assert [round(alpha_at(n / 10), 3) for n in range(11)] == [
        1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0, 0.0, 0.0,
    ]  # fmt: skip


def test_alpha_is_saved_with_the_weights() -> None:
    conv, other = GradualGroupConv2d(4, 4, 2), GradualGroupConv2d(4, 4, 2)
    set_alpha(conv, 0.25)
    other.load_state_dict(conv.state_dict())
    assert float(other.alpha) == 0.25
    assert sorted(conv.state_dict()) == ["alpha", "bias", "weight"]


def test_wrong_arguments_are_named() -> None:
    conv = GradualGroupConv2d(4, 4, 2)
    set_alpha(conv, 0.5)
    with pytest.raises(ValueError, match=r"alpha is 0.5: the convolution still joins its 2 groups"):
        to_grouped(conv)
    with pytest.raises(ValueError, match=r"alpha should be in 0..1, got 1.5"):
        set_alpha(conv, 1.5)
    with pytest.raises(ValueError, match="fine_tuning should be at least 0 and below 1, got 1"):
        alpha_at(0.5, fine_tuning=1)
    with pytest.raises(ValueError, match="target_groups should divide 6 and 4, got 3"):
        GradualGroupConv2d(6, 4, 3)
    with pytest.raises(ValueError, match="groups should divide the 16 channels, got 3"):
        SeparableResidual(16, groups=3)
    with pytest.raises(ValueError, match="factor should be 2 in the published form, got 4"):
        Upsampler(8, 4, 3, factor=4, published=True)


@pytest.mark.parametrize(("kernel", "factor"), [(3, 2), (1, 2), (2, 2), (3, 4), (8, 4), (3, 8), (16, 8)])
def test_transposed_convolutions_enlarge_exactly(kernel: int, factor: int) -> None:
    conv = enlarging(2, 3, kernel, factor)
    assert conv(torch.rand(1, 2, 3, 5)).shape == (1, 3, 3 * factor, 5 * factor)


@pytest.mark.parametrize(("kernel", "gaps"), [(3, True), (16, False)])
def test_narrow_kernels_leave_gaps(kernel: int, gaps: bool) -> None:
    conv = enlarging(1, 1, kernel, 8)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.bias.zero_()
        assert bool((conv(torch.ones(1, 1, 4, 4)) == 0).any()) == gaps
