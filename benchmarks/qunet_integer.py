"""QU-Net in integers against its own float forward and a plain float U-Net of the same widths, interleaved.

    python benchmarks/qunet_integer.py --widths 8,16 --json qunet_integer.json

Both ratios are to the integer engine; on a busy machine only that of processor time means something. Weights are drawn
at random there. The shipped ones follow, with what they propose of the sample either way. ONEDNN_MAX_CPU_ISA=AVX2 (or
another limit) shows what a smaller processor gains; it limits the kernels of Numba as well here.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from conditions import limit_numba

from argos.engines.threads import prepare_threads

prepare_threads(None)
limit_numba()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from argos.engines.fold import fold_batch_norm  # noqa: E402
from argos.engines.integer_qunet import IntegerQUNet  # noqa: E402
from argos.engines.weights import load_network  # noqa: E402
from argos.machine import cores, instruction_limit, processor  # noqa: E402
from argos.networks.qunet import FULL_PRECISION, qunet  # noqa: E402
from argos.pipelines.truth import Truth  # noqa: E402
from argos.propose.qunet import QUNetProposer  # noqa: E402
from argos.propose.regions import grow  # noqa: E402
from argos.sources.read import read  # noqa: E402
from argos.training.segmentation import DILATION, LEAST_AREA  # noqa: E402
from argos.types import RegionMask  # noqa: E402

SHIPPED = ("qunet8", "qunet16", "qunet32", "qunet64")
SAMPLES = Path(__file__).parents[1] / "samples"
FILM, TRUTH = str(SAMPLES / "people.mp4"), SAMPLES / "people_truth.json"


def main() -> None:
    """Measure both sides in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", default="16", help="channels of the first stage, with commas (default: 16)")
    parser.add_argument("--size", default="176x320", help="of the picture, HEIGHTxWIDTH (default: 176x320)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds, each runs every side once (default: 15)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    height, width = map(int, given.size.split("x"))
    networks = {base: compare(int(base), (height, width), given.repeats) for base in given.widths.split(",")}
    shipped = {name: proposals(name) for name in SHIPPED}
    report = {"machine": machine(), "size": [height, width], "repeats": given.repeats, "widths": networks,
              "shipped": shipped}  # fmt: skip
    for base, sides in networks.items():
        print(f"width {base}, {given.size}, {sides['differing_logits']} logits differ")
        for name, side in sides["sides"].items():
            print(
                f"  {name:<22}{side['ms']:8.1f} ms ({side['ms_p10']:.1f}-{side['ms_p90']:.1f}), "
                f"{side['cpu_ms']:.1f} ms of processor; ratios {side['ms_ratio']:.2f}, {side['cpu_ratio']:.2f}"
            )
        for route in dict.fromkeys(sides["routes"].values()):
            print(f"  {route:<22}{', '.join(name for name, used in sides['routes'].items() if used == route)}")
    for name, sides in shipped.items():
        for side, found in sides.items():
            print(f"{name}, {side}: {found['covered']:.4f} of the people's pixels in {found['area']:.4f} of the frame")
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def compare(width: int, size: tuple[int, int], repeats: int) -> dict[str, Any]:
    """Time each side of one width, and count the logits in which the integer engine differs from the network."""
    torch.manual_seed(0)
    image = torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    network = qunet(width).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plain = qunet(width, bits=FULL_PRECISION).eval()
    folded = fold_batch_norm(plain, image).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    engine = IntegerQUNet(network)
    with torch.inference_mode():
        differing = int((engine(image) != network(image)).sum())
        sides = measure({"integer": engine, "float QU-Net": network, "float U-Net": folded}, image, repeats)
    return {"differing_logits": differing, "logits": 2 * size[0] * size[1], "routes": engine.routes, "sides": sides}


def proposals(name: str) -> dict[str, dict[str, float]]:
    """What a shipped model proposes of every tenth frame of the sample, by its float network and by the engine.

    Returns:
        By side, the share of the person pixels that is covered, the share of the frame that is proposed, and how many
        scores differ from those of the float network.
    """
    network, card = load_network(name, task="proposal")
    sides = {"float": False, "integer": True}
    proposers = {side: QUNetProposer(copy.deepcopy(network), integer=integer) for side, integer in sides.items()}
    truth, limit = Truth(TRUTH).person, card.thresholds["threshold"]
    found = {side: {"covered": 0.0, "area": 0.0, "differing_scores": 0.0} for side in sides}
    pixels, frames = 0, 0
    for frame in islice(read(FILM, "sample"), 0, None, 10):
        people = truth(frame.index)
        scores = {side: propose(frame).scores for side, propose in proposers.items()}
        pixels, frames = pixels + int(people.sum()), frames + 1
        for side, of_side in scores.items():
            seen = RegionMask(of_side, of_side >= limit, frame.size)
            cells = grow(seen, dilation=DILATION, min_area=LEAST_AREA).mask
            shape = (people.shape[1], people.shape[0])
            proposed = cv2.resize(cells.view(np.uint8), shape, interpolation=cv2.INTER_NEAREST) > 0
            found[side]["covered"] += float((people & proposed).sum())
            found[side]["area"] += float(cells.mean())
            found[side]["differing_scores"] += float((of_side != scores["float"]).sum())
    for of_side in found.values():
        of_side["covered"] /= max(1, pixels)
        of_side["area"] /= frames
    return found


def measure(
    sides: dict[str, Callable[[torch.Tensor], torch.Tensor]], image: torch.Tensor, repeats: int
) -> dict[str, dict[str, float]]:
    """Run the sides by turns; medians of wall and processor time, and their ratios to those of the first side."""
    wall: dict[str, list[float]] = {name: [] for name in sides}
    processor_time: dict[str, list[float]] = {name: [] for name in sides}
    for n in range(repeats + 2):
        for name, run in sides.items():
            start, used = time.perf_counter(), time.process_time()
            run(image)
            if n >= 2:  # the first rounds compile and warm up
                wall[name].append(1e3 * (time.perf_counter() - start))
                processor_time[name].append(1e3 * (time.process_time() - used))
    first, *_ = sides
    return {
        name: {
            "ms": statistics.median(wall[name]),
            "ms_p10": float(np.percentile(wall[name], 10)),
            "ms_p90": float(np.percentile(wall[name], 90)),
            "cpu_ms": statistics.median(processor_time[name]),
            "ms_ratio": statistics.median(wall[name]) / statistics.median(wall[first]),
            "cpu_ratio": statistics.median(processor_time[name]) / statistics.median(processor_time[first]),
        }
        for name in sides
    }


def machine() -> dict[str, Any]:
    """What it ran on."""
    name, flags = processor()
    return {
        "processor": name,
        "flags": flags,
        "isa_limit": instruction_limit(),
        "cores": cores()[0],
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
    }


if __name__ == "__main__":
    main()
