"""The deep networks by torch, torch.compile and ONNX Runtime: milliseconds a picture, and seconds until the first.

    python benchmarks/compiled.py --json benchmarks/results/compiled.json

In each round every side runs once, one after the other, on one thread unless asked otherwise. *Frozen* is inductor with
the weights as constants. torch.compile begins with an empty cache; it needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from argos.engines.threads import prepare_threads

prepare_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from argos.engines.dense import for_inference  # noqa: E402
from argos.engines.export import export, load_exported  # noqa: E402
from argos.engines.weights import load_network  # noqa: E402
from argos.machine import cores, processor  # noqa: E402

Run = Callable[[Tensor], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="unet_lite,asbunet", help="shipped ones (default: unet_lite,asbunet)")
    parser.add_argument("--size", default="384x640", help="of the picture, HEIGHTxWIDTH (default: 384x640)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds, each runs every side once (default: 15)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    height, width = map(int, given.size.split("x"))
    name, flags = processor()
    report: dict[str, Any] = {
        "machine": {"processor": name, "flags": flags, "cores": cores(), "load": os.getloadavg()[0]},
        "threads": torch.get_num_threads(),
        "size": [height, width],
        "repeats": given.repeats,
        "networks": {},
    }
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{scratch}/inductor"
        for label in given.networks.split(","):
            image = torch.rand(1, 3, height, width).contiguous(memory_format=torch.channels_last)
            rows = report["networks"][label] = measured(label, image, Path(scratch), given.repeats)
            for side, row in rows.items():
                print(
                    f"{label:<10} {side:<15} {row['ms']:7.1f} ms ({row['ms_p10']:.1f}-{row['ms_p90']:.1f}), "
                    f"{row['cpu_ms']:.1f} of processor, first picture after {row['start_s']:.1f} s"
                )
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def measured(label: str, image: Tensor, scratch: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Each side of one network; all give the same but for rounding."""
    network = for_inference(load_network(label)[0])
    makers: dict[str, Callable[[], Run]] = {
        "torch": lambda: network,
        "torch.compile": lambda: compiled(network, freezing=False),
        "frozen": lambda: compiled(network, freezing=True),
        "ONNX Runtime": lambda: by_onnx(network, image, scratch / f"{label}.onnx"),
    }
    sides: dict[str, Run] = {}
    rows: dict[str, dict[str, float]] = {}
    expected = for_inference(load_network(label)[0])(image)
    for side, make in makers.items():
        begin = time.perf_counter()
        sides[side] = make()
        found = sides[side](image)
        rows[side] = {"start_s": time.perf_counter() - begin}
        first = found[0] if isinstance(found, list) else found
        assert isinstance(first, Tensor)
        torch.testing.assert_close(first, expected, atol=1e-3, rtol=1e-3)
    for run in sides.values():  # the second compiled side made the first forget
        run(image)
    wall: dict[str, list[float]] = {side: [] for side in sides}
    spent: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, run in sides.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            run(image)
            wall[side].append((time.perf_counter() - start) * 1e3)
            spent[side].append((time.process_time() - start_cpu) * 1e3)
    for side, row in rows.items():
        row["ms"], row["cpu_ms"] = statistics.median(wall[side]), statistics.median(spent[side])
        row["ms_p10"], row["ms_p90"] = np.percentile(wall[side], [10, 90]).tolist()
    return rows


def compiled(network: nn.Module, *, freezing: bool) -> Run:
    """By inductor."""
    torch.compiler.reset()
    return torch.compile(network, options={"freezing": freezing})


def by_onnx(network: nn.Module, image: Tensor, path: Path) -> Run:
    """By ONNX Runtime; the time to write the file counts as start, as it does when a model is first used."""
    export(network, image, "onnx", path, {})
    return load_exported(path, torch.get_num_threads())


if __name__ == "__main__":
    main()
