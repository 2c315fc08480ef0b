"""How a network runs on active blocks (mode ``gather``): ``argos models info NAME --blocks 25``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from argos.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

SEMANTICS = ("masked", "exact")


def percent(text: str) -> float:
    """``25`` or ``25%`` as 0.25; for argparse.

    Raises:
        argparse.ArgumentTypeError: it is no number above 0 and up to 100.
    """
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"should be a percentage above 0 and up to 100, got {text!r}")
    return share


def on_blocks(network: nn.Module, size: tuple[int, int], share: float) -> dict[str, Any]:
    """Run a network on a grey image of which an upright part in the middle is active.

    Args:
        network: of any weights, also of none (device ``meta``): what runs where does not depend on them.
        size: (height, width) of the image.
        share: of it that is active, 0..1.

    Returns:
        By semantics, ``executed`` (share of the dense network's multiply-accumulates) and ``dense`` (the steps that
        ran on whole maps, as ``LayerRun``), or ``refused`` (why it cannot be run so).
    """
    import numpy as np
    import torch

    from argos.engines.sparse import SparseNetwork

    network = network.to_empty(device="cpu").eval()
    for values in (*network.parameters(), *network.buffers()):
        values.data.zero_()
    height, width = size
    active = np.zeros(size, np.bool_)
    wide = max(1, round(share * width))
    active[:, (width - wide) // 2 :][:, :wide] = True
    found: dict[str, Any] = {}
    for semantics in SEMANTICS:
        sparse = SparseNetwork(network, dense_above=1.0, semantics=semantics)  # type: ignore[arg-type]
        try:
            sparse.forward(torch.full((1, 3, height, width), 0.5), active)
        except (UsageError, ValueError) as error:
            found[semantics] = {"refused": str(error)}
            continue
        dense = [asdict(layer) for layer in sparse.coverage()]
        found[semantics] = {"executed": sparse.executed_macs / max(1, sparse.dense_macs), "dense": dense}
    return found


def show_blocks(found: dict[str, Any], size: tuple[int, int], share: float) -> str:
    """The same in words."""
    height, width = size
    lines = [f"on blocks    {share:.0%} of {width}x{height} active (mode gather)"]
    for semantics, run in found.items():
        if "refused" in run:
            lines.append(f"{semantics:<12} no: {run['refused']}")
            continue
        steps = f"{len(run['dense'])} step{'s' if len(run['dense']) > 1 else ''}"
        whole = f"; {steps} on whole maps:" if run["dense"] else "; every step on blocks"
        lines.append(f"{semantics:<12} {run['executed']:.0%} of the multiply-accumulates{whole}")
        lines += [f"             {layer['name']}: {layer['reason']}" for layer in run["dense"]]
    return "\n".join(lines)
