"""The sparse engine against the dense network: whole networks and single layers, by share of active blocks.

    python benchmarks/sparse.py --json benchmarks/results/sparse.json

Both sides run in turns in one process, one thread unless asked otherwise, on drawn weights: speed only. A share is that
of the blocks of 16 pixels that four upright boxes fill; its error is below a block. Times are of the whole forward, the
ratio is sparse over dense. On a busy machine the ratio of the least processor times is the one to read; it needs one
thread. Quality beside it: how far the masked network's logits move from the dense network's inside of the mask.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from argos.engines.threads import prepare_threads

prepare_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from torch import nn  # noqa: E402

from argos.engines.dense import for_inference  # noqa: E402
from argos.engines.fold import tensors_in  # noqa: E402
from argos.engines.sparse import BLOCK, SparseNetwork  # noqa: E402
from argos.machine import cores, processor  # noqa: E402
from argos.networks.asbunet import asbunet  # noqa: E402
from argos.networks.backbones.mobilenet_v1 import MobileNetV1  # noqa: E402
from argos.networks.ssd_isb import person_isb  # noqa: E402
from argos.networks.unets import unet_lite  # noqa: E402

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "asbunet": asbunet,
    "ssd backbone": MobileNetV1,
    "ssd": person_isb,
    "ssdisb": lambda: person_isb(centred=True, backbone="efficientnet_lite0"),
    "unet_lite": unet_lite,
}
# as many channels come in as go out, so that layers can follow each other
LAYERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "3x3 64-64 at 1/4": (lambda: nn.Conv2d(64, 64, 3, padding=1), 4),
    "3x3 128-128 at 1/8": (lambda: nn.Conv2d(128, 128, 3, padding=1), 8),
    "3x3 64-64 rate 5 at 1/4": (lambda: nn.Conv2d(64, 64, 3, padding=5, dilation=5), 4),
    "1x1 256-256 at 1/8": (lambda: nn.Conv2d(256, 256, 1), 8),
    "depthwise 3x3 256 at 1/8": (lambda: nn.Conv2d(256, 256, 3, padding=1, groups=256), 8),
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS), help=f"with commas (default: {','.join(NETWORKS)})")
    parser.add_argument("--shares", default="10,25,50,75", help="active blocks in percent (default: 10,25,50,75)")
    parser.add_argument("--size", default="352x640", help="of the picture, HEIGHTxWIDTH (default: 352x640)")
    parser.add_argument("--repeats", type=int, default=12, help="rounds, each runs every side once (default: 12)")
    parser.add_argument("--exact", action="store_true", help="also the exact semantics, at the same shares of output")
    parser.add_argument("--layers", action=argparse.BooleanOptionalAction, default=True, help="single layers too")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    height, width = map(int, given.size.split("x"))
    shares = [int(share) / 100 for share in given.shares.split(",")]
    name, flags = processor()
    report: dict[str, Any] = {
        "machine": {"processor": name, "flags": flags, "cores": cores(), "load": os.getloadavg()[0]},
        "threads": torch.get_num_threads(),
        "size": [height, width],
        "repeats": given.repeats,
        "networks": {},
        "layers": {},
    }
    for label in given.networks.split(","):
        rows = report["networks"][label] = network_rows(label, (height, width), shares, given)
        show(label, rows)
    for label in LAYERS if given.layers else ():
        rows = report["layers"][label] = layer_rows(label, (height, width), shares, given.repeats)
        show(label, rows)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def boxes(size: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """Four upright boxes of whole blocks that together cover ``share`` of the blocks; the last is cut to fit."""
    rows, columns = size[0] // BLOCK, size[1] // BLOCK
    blocks = np.zeros((rows, columns), np.bool_)
    wanted = round(share * rows * columns)
    high = min(rows, round((wanted / 4 / 0.4) ** 0.5))
    wide = -(-wanted // (4 * high))
    for n in range(4):
        left = min(n * columns // 4 + (columns // 4 - wide) // 2, columns - wide)
        top = (rows - high) * (n % 2) // 2
        for y in range(top, top + high):
            for x in range(max(0, left), left + wide):
                if blocks.sum() < wanted:
                    blocks[y, x] = True
    mask = np.zeros(size, np.bool_)
    large = np.kron(blocks, np.ones((BLOCK, BLOCK), np.bool_))
    mask[: large.shape[0], : large.shape[1]] = large
    return mask


def network_rows(
    label: str, size: tuple[int, int], shares: list[float], given: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """One network at each share."""
    torch.manual_seed(0)
    network = NETWORKS[label]().eval()
    whole, image = for_inference(network), torch.rand(1, 3, *size).contiguous(memory_format=torch.channels_last)
    sides = {"blocks": SparseNetwork(network, dense_above=1.0), "engine": SparseNetwork(network)}
    if given.exact:
        sides["exact"] = SparseNetwork(network, semantics="exact")
    rows = {}
    for share in shares:
        active = boxes(size, share)
        calls = {"dense": partial(whole, image)}
        calls |= {name: partial(side.forward, image, active) for name, side in sides.items()}
        rows[f"{share:.0%}"] = row = timed(calls, given.repeats)
        row["active"] = float(active.mean())
        for name, side in sides.items():
            row[f"{name}_macs"] = side.executed_macs / side.dense_macs
        row["moved"] = moved(whole, sides["blocks"], image, active)
        row["ran_dense"] = [layer.name for layer in sides["blocks"].coverage()]
    return rows


def moved(whole: nn.Module, sparse: SparseNetwork, image: torch.Tensor, active: NDArray[np.bool_]) -> float:
    """Mean change of the first output of four axes inside of the mask, in its standard deviations."""
    with torch.inference_mode():
        found = next(x for x in tensors_in(sparse.forward(image, active)) if x.ndim == 4)
        expected = next(x for x in tensors_in(whole(image)) if x.ndim == 4)
    inside = torch.from_numpy(sparse.active_mask(active, (found.shape[2], found.shape[3])))
    change = (found[..., inside] - expected[..., inside]).abs().mean() / expected[..., inside].std()
    return round(float(change), 4)


def layer_rows(label: str, size: tuple[int, int], shares: list[float], repeats: int) -> dict[str, dict[str, Any]]:
    """One layer at each share: its tape filled, convolved and kept, as within a network."""
    torch.manual_seed(0)
    build, stride = LAYERS[label]
    layer = build().eval()
    block = BLOCK // stride
    x = torch.rand(1, layer.in_channels, size[0] // stride, size[1] // stride)  # type: ignore[attr-defined]
    x = x.contiguous(memory_format=torch.channels_last)
    whole = for_layer(layer)
    rows = {}
    for share in shares:
        active = boxes(size, share)[::stride, ::stride].copy()
        # two layers less one: the second reads blocks, as within a network; nothing is scattered in between
        once = SparseNetwork(nn.Sequential(layer), block, 1.0)
        twice = SparseNetwork(nn.Sequential(layer, layer), block, 1.0)
        calls = {
            "dense": partial(whole, x),
            "once": partial(once.forward, x, active),
            "twice": partial(twice.forward, x, active),
        }
        row = timed(calls, repeats)
        row["blocks"] = {kind: row["twice"][kind] - row["once"][kind] for kind in row["once"]}
        row["blocks"] |= ratios(row["blocks"], row["dense"])
        rows[f"{share:.0%}"] = row
    return rows


def for_layer(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The dense layer, channels last."""
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return layer(x)  # type: ignore[no-any-return]

    return run


def timed(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Any]:
    """Each side in turns: medians and least times, and their ratios to ``dense``."""
    wall, spent = defaultdict(list), defaultdict(list)
    for n in range(repeats + 2):
        for name, call in calls.items():
            start, used = time.perf_counter(), time.thread_time()
            with torch.inference_mode():
                call()
            if n >= 2:  # the first rounds compile kernels and prepare convolutions
                wall[name].append((time.perf_counter() - start) * 1e3)
                spent[name].append((time.thread_time() - used) * 1e3)
    row: dict[str, Any] = {
        name: {"ms": statistics.median(wall[name]), "ms_least": min(wall[name]), "cpu_ms_least": min(spent[name])}
        for name in calls
    }
    for name in calls:
        row[name] |= ratios(row[name], row["dense"])
    return row


def ratios(side: dict[str, float], dense: dict[str, float]) -> dict[str, float]:
    """To the dense side."""
    return {f"{kind}_ratio": round(side[kind] / dense[kind], 3) for kind in ("ms", "ms_least", "cpu_ms_least")}


def show(label: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print the rows of one network or layer."""
    print(label)
    for share, row in rows.items():
        sides = [name for name in ("blocks", "engine", "exact") if name in row]
        parts = [
            f"{name} {row[name]['ms']:.1f} ms, ratio {row[name]['ms_ratio']:.2f} "
            f"(least {row[name]['ms_least_ratio']:.2f}, processor {row[name]['cpu_ms_least_ratio']:.2f})"
            for name in sides
        ]
        print(f"  {share:>4}  dense {row['dense']['ms']:.1f} ms; " + "; ".join(parts))


if __name__ == "__main__":
    main()
