"""What a GPU does: proposals recorded or not, networks on active blocks, and streams of 30 frames per second.

    python benchmarks/gpu.py --json benchmarks/results/gpu.json

Every side of a row runs in turns in one process. A stream is a camera that shows one frame of the sample after the
other; all streams are analysed together, without decoding, and as many are kept up with as are analysed in 33 ms. With
``--device cpu`` the script runs where there is no GPU, which says nothing about one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from sparse import boxes  # type: ignore[import-not-found]  # noqa: E402

from argos.config import config_from_sources, source_options  # noqa: E402
from argos.engines.dense import for_inference  # noqa: E402
from argos.engines.sparse import SparseNetwork  # noqa: E402
from argos.engines.weights import load_network  # noqa: E402
from argos.pipelines.build import people_of_config, view_of  # noqa: E402
from argos.propose.qunet import QUNetProposer  # noqa: E402
from argos.sources.read import read  # noqa: E402

SAMPLE = str(ROOT / "samples" / "people.mp4")
SHARES = (0.1, 0.25, 0.5)
STREAMS = (1, 2, 4, 8, 16, 32, 64)
FRAME_MS = 1000 / 30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu to try the script (default: cuda:0)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds, each runs every side once (default: 30)")
    parser.add_argument("--modes", default="full,pack,gather,auto", help="with commas (default: full,pack,gather,auto)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here: nothing measured; --device cpu tries the script", file=sys.stderr)
        return
    report: dict[str, Any] = {
        "machine": {
            "cpu": torch.cuda.get_device_name(given.device) if given.device.startswith("cuda") else "cpu",
            "torch": torch.__version__,
        },
        "repeats": given.repeats,
        "proposals": proposals(given.device, given.repeats),
        "networks": {name: network(name, given.device, given.repeats) for name in ("unet_lite", "asbunet", "ssdisb")},
        "streams": {mode: streams(mode, given.device, given.repeats) for mode in given.modes.split(",")},
    }
    print(json.dumps(report, indent=2))
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def proposals(device: str, repeats: int) -> dict[str, dict[str, float]]:
    """QU-Net on a frame of 720p, from its pixels to its mask."""
    (frame,) = islice(_frames(), 1)
    plain, recorded = (QUNetProposer(load_network("qunet16")[0], device=device, integer=on) for on in (False, True))
    return timed({"plain": partial(plain, frame), "recorded": partial(recorded, frame)}, device, repeats)


def network(name: str, device: str, repeats: int) -> dict[str, dict[str, float]]:
    """One network on a picture of 352x640: dense, and on shares of its blocks."""
    model = load_network(name)[0].to(device).eval()
    image = torch.rand(1, 3, 352, 640, device=device).contiguous(memory_format=torch.channels_last)
    sparse, dense = SparseNetwork(model, dense_above=1.0), for_inference(model)

    def whole() -> None:
        with torch.inference_mode():
            dense(image)

    calls: dict[str, Callable[[], object]] = {"dense": whole}
    for share in SHARES:
        calls[f"{share:.0%}"] = partial(sparse.forward, image, boxes((352, 640), share))
    rows = timed(calls, device, repeats)
    for row in rows.values():
        row["share_of_dense"] = row["ms"] / rows["dense"]["ms"]
    return rows


def streams(mode: str, device: str, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds in which a frame of each of N streams is analysed, up to the first N that takes too long."""
    config = config_from_sources([SAMPLE], [f"engine.device={device}", "camera.tasks=[instances,semantic]"])
    (camera,) = config.cameras.values()
    people, cards = people_of_config(config)
    view, rows = replace(view_of(camera, config, cards), mode=mode), {}
    frames = list(islice(_frames(), repeats + 3))
    for count in STREAMS:
        line, spent = people.apart(), []
        for n in range(repeats + 3):
            shown = [replace(frames[(n + 7 * k) % len(frames)], camera=f"camera{k}") for k in range(count)]
            _wait_for(device)
            start = time.perf_counter()
            line.step(shown, [view] * count, [n == 0] * count)
            _wait_for(device)
            spent.append((time.perf_counter() - start) * 1e3)
        rows[str(count)] = figures(spent[3:])
        if rows[str(count)]["ms"] > FRAME_MS:
            break
    return rows


def timed(calls: dict[str, Callable[[], object]], device: str, repeats: int) -> dict[str, dict[str, float]]:
    """Each side in turns; three rounds before those that count."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 3):
        for name, call in calls.items():
            _wait_for(device)
            start = time.perf_counter()
            call()
            _wait_for(device)
            spent[name].append((time.perf_counter() - start) * 1e3)
    return {name: figures(times[3:]) for name, times in spent.items()}


def figures(times: list[float]) -> dict[str, float]:
    """Median and spread."""
    p10, p90 = np.percentile(times, [10, 90]).tolist()
    return {"ms": statistics.median(times), "ms_p10": p10, "ms_p90": p90}


def _frames() -> Any:
    config = config_from_sources([SAMPLE], [])
    (camera,) = config.cameras.values()
    return read(camera.source.url, camera.name, source_options(camera))


def _wait_for(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
