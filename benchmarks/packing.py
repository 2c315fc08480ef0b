"""From regions to canvases: the kernels beside rectpack and plain Python, and what a frame pays for plan and paste.

    python benchmarks/packing.py --regions 5,20,100 --json packing.json

Regions of 720p on canvases of 640x640, at scale 1 unless asked otherwise. In each round every side runs once, one after
the other; the figures are medians with the 10th and 90th percentile. The ratios are those of processor time, which
alone means something on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "packing"))

from by_rectpack import place_by_rectpack  # type: ignore[import-not-found]  # noqa: E402
from test_rectangles import plain_rectangles  # type: ignore[import-not-found]  # noqa: E402

from argos.machine import cores, processor  # noqa: E402
from argos.packing.costs import Costs, Line  # noqa: E402
from argos.packing.layout import lay_out  # noqa: E402
from argos.packing.pack import paste, plan_placements  # noqa: E402
from argos.packing.place import place  # noqa: E402
from argos.packing.planner import Choice, Planner, Seen  # noqa: E402
from argos.packing.rectangles import boxes_of, rectangles_of  # noqa: E402
from argos.packing.steady import settled  # noqa: E402
from argos.propose.regions import cells_of, regions_of  # noqa: E402
from argos.types import Frame, RegionMask, Regions  # noqa: E402

FRAME, CANVAS, GRID, MARGIN, GUTTER = (720, 1280), (640, 640), (180, 320), 16, 8
SIDES = {5: (100, 200), 20: (40, 110), 100: (10, 30)}
"""Shortest and longest side of a region before its margin, so that they are about one canvas in all."""


def main() -> None:
    """Measure both sides in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", default="5,20,100", help="numbers of regions, with commas (default: 5,20,100)")
    parser.add_argument("--scale", type=float, default=1.0, help="canvas pixels per frame pixel (default: 1)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds, each runs every side once (default: 30)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    name, flags = processor()
    report: dict[str, Any] = {
        "machine": {"processor": name, "flags": flags, "cores": cores(), "load": os.getloadavg()[0]},
        "scale": given.scale,
        "repeats": given.repeats,
        "regions": {},
    }
    for count in map(int, given.regions.split(",")):
        report["regions"][count] = rows = measured(count, given.scale, given.repeats)
        print(f"{count} regions")
        for row, side in rows.items():
            ratio = f"; {side['ratio']:.1f} times as long" if "ratio" in side else ""
            print(
                f"  {row:<24}{side['ms']:8.3f} ms ({side['ms_p10']:.3f}-{side['ms_p90']:.3f}), "
                f"{side['cpu_ms']:.3f} ms of processor{ratio}"
            )
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def measured(count: int, scale: float, repeats: int) -> dict[str, dict[str, float]]:
    """Each side of one number of regions; ``ratio`` is to the kernel."""
    frame = Frame(np.random.default_rng(0).integers(0, 256, (*FRAME, 3), np.uint8), "camera", 0, 0.0)
    regions = [drawn(count)]
    sizes = rectangles_of(regions, CANVAS, scale=scale, margin=MARGIN).size
    placements = plan_placements(regions, CANVAS, scale=scale, margin=MARGIN, gutter=GUTTER, max_canvases=4)

    cells = cells_of(regions[0].boxes, FRAME, GRID, outward=False)
    mask = RegionMask(cells.astype(np.float32), cells, FRAME)

    # what the machine costs does not matter here, only that regions are weighed as in a run
    tasks, pixels = ("instances",), round(FRAME[0] * FRAME[1] * scale**2)
    planner = Planner({tasks: Costs(20.0, Line(10.0, 500.0))})
    for _ in range(2):
        planner.times(tasks).observe("full", pixels, 10 + 5e-4 * pixels)
    seen = Seen("camera", tasks, regions[0], scale, MARGIN, pixels)

    def plan() -> Choice:
        return planner.choose([seen], CANVAS, gutter=GUTTER, most=4)

    fresh, before = (
        lay_out(boxes_of([of_frame], scale=scale, margin=MARGIN), CANVAS, gutter=GUTTER)
        for of_frame in (regions[0], moved(regions[0]))
    )

    def plan_and_paste() -> None:
        layout = plan().layout
        if layout is not None:
            paste([frame], layout.placements, layout.canvas_size)

    sides: dict[str, Callable[[], object]] = {
        "mask to regions": lambda: regions_of(mask, dilation=1, min_area=0.0, margin=MARGIN),
        "cut": lambda: rectangles_of(regions, CANVAS, scale=scale, margin=MARGIN),
        "cut, plain Python": lambda: plain_rectangles(regions, CANVAS, [scale], [MARGIN], 1.0),
        "place": lambda: place(sizes, CANVAS, gutter=GUTTER, max_canvases=4),
        "place, rectpack": lambda: place_by_rectpack(sizes, CANVAS, gutter=GUTTER, max_canvases=4),
        "plan": plan,
        "keep in place": lambda: settled(fresh, before, gutter=GUTTER),
        "paste": lambda: paste([frame], placements, CANVAS),
        "plan + paste": plan_and_paste,
    }
    times: dict[str, list[float]] = {side: [] for side in sides}
    cpu: dict[str, list[float]] = {side: [] for side in sides}
    for n in range(repeats + 1):
        for side, call in sides.items():
            start, start_cpu = time.perf_counter(), time.thread_time()
            call()
            if n > 0:  # the first round compiles
                times[side].append((time.perf_counter() - start) * 1e3)
                cpu[side].append((time.thread_time() - start_cpu) * 1e3)
    rows = {side: figures(times[side], cpu[side]) for side in sides}
    for fast, slow in (("cut", "cut, plain Python"), ("place", "place, rectpack")):
        rows[slow]["ratio"] = statistics.median(b / a for a, b in zip(cpu[fast], cpu[slow], strict=True))
    return rows


def figures(times: list[float], cpu: list[float]) -> dict[str, float]:
    """Medians and spread of milliseconds that passed and that the processor worked."""
    p10, p90 = np.percentile(times, [10, 90]).tolist()
    return {"ms": statistics.median(times), "ms_p10": p10, "ms_p90": p90, "cpu_ms": statistics.median(cpu)}


def drawn(count: int) -> Regions:
    """Regions of a frame, drawn at random from one seed."""
    random = np.random.default_rng(count)
    least, most = SIDES.get(count, (20, 60))
    size = random.integers(least, most + 1, (count, 2))
    corner: NDArray[np.int64] = random.integers(0, np.array([FRAME[1], FRAME[0]]) - size, (count, 2))
    return Regions(np.hstack([corner, corner + size]).astype(np.int32), np.ones(count, np.float32), FRAME)


def moved(regions: Regions) -> Regions:
    """The same a frame before: each side elsewhere by up to 8 pixels."""
    sides = np.random.default_rng(0).integers(-8, 9, regions.boxes.shape)
    boxes = np.clip(regions.boxes + sides, 0, [FRAME[1], FRAME[0], FRAME[1], FRAME[0]])
    return Regions(boxes.astype(np.int32), regions.scores, FRAME)


if __name__ == "__main__":
    main()
