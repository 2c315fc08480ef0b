"""Checks that every network passes; imported by the tests of each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn


def check_gradients(network: nn.Module, logits: Tensor, unused: tuple[str, ...] = ()) -> None:
    """A gradient reaches each parameter, but those whose names start with one of ``unused``, which get none."""
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in network.named_parameters():
        if unused and name.startswith(unused):
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.endswith("conv.bias"):  # removed again by the batch normalisation
            assert parameter.grad.abs().sum() > 0, name


def check_state_dict(network: nn.Module, other: nn.Module, image: Tensor) -> None:
    """``other``, built alike but drawn anew, gives the same logits once it has the state of ``network``."""
    network(image)  # moves the running statistics
    with torch.no_grad():
        assert not torch.equal(network.eval()(image), other.eval()(image))
        other.load_state_dict(network.state_dict())
        assert torch.equal(network(image), other(image))


def check_batch_and_layout(network: nn.Module, image: Tensor) -> None:
    """Images of a batch do not mix, and the memory layout does not matter."""
    network.eval()
    with torch.no_grad():
        together = network(image)
        for n, one in enumerate(image):
            torch.testing.assert_close(network(one[None])[0], together[n], atol=1e-4, rtol=1e-4)
        last = network.to(memory_format=torch.channels_last)(image.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, together, atol=1e-4, rtol=1e-4)
    if torch.cuda.is_available():
        with torch.no_grad():
            there = network.cuda()(image.cuda()).cpu()
        torch.testing.assert_close(there, together, atol=1e-2, rtol=1e-2)


def check_captures_as_one_graph(network: nn.Module, image: Tensor) -> None:
    """``torch.compile`` sees the whole forward pass; the backend that runs it as it is needs no compiler."""
    network.eval()
    with torch.no_grad():
        graph = torch.compile(network, backend="eager", fullgraph=True)
        torch.testing.assert_close(graph(image), network(image), atol=1e-5, rtol=1e-5)


SIZES = pytest.mark.parametrize("size", [(33, 50), (1, 1), (48, 64)])
"""Odd, smallest, and even heights and widths."""
