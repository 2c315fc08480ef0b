"""How much slower than the full frame mode auto ever is: both on every frame in turns, over any ten seconds.

    python benchmarks/auto.py "fake://people?n=30&seed=2&size=1280x720" "fake://people?n=1&seed=2&size=1280x720"

For each source the frames are run in mode full and in mode auto, as cameras of their own, in an order that alternates;
one that ends too early begins again, with a cut as where a camera turns.
The worst window is that of ten seconds of auto, after its first two, in which it took longest beside the same frames in
full. With --set as for argos run; what argos tune kept is used, set ARGOS_CACHE to an empty folder to do without.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argos.engines.threads import prepare_threads

if TYPE_CHECKING:
    from argos.types import Frame

WINDOW_MS, START_MS = 10_000.0, 2_000.0


def main() -> None:
    """Measure each source and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="files or fake://...")
    parser.add_argument("--seconds", type=float, default=30.0, help="time of mode auto on each (default: 30)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for argos run")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    prepare_threads(None)
    report = {
        "machine": machine(),
        "sources": {name: measured(name, given.set, given.seconds) for name in given.sources},
    }
    print(
        "| source | frames | full, ms | auto, ms | auto / full | worst 10 s | chosen |\n|---|---|---|---|---|---|---|"
    )
    for name, row in report["sources"].items():
        chosen = ", ".join(f"{mode} {share:.0%}" for mode, share in row["chosen"].items())
        worst = "-" if row["worst_window"] is None else f"{row['worst_window']:.3f}"
        print(
            f"| `{name}` | {row['frames']} | {row['full_ms']:.1f} | {row['auto_ms']:.1f} | {row['auto_over_full']:.3f} "
            f"| {worst} | {chosen} |"
        )
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What it was measured on."""
    from argos.machine import cores, processor

    name, flags = processor()
    return {"cpu": name, "flags": flags, "cores": cores(), "load_1m": os.getloadavg()[0]}


def measured(source: str, changes: list[str], seconds: float) -> dict[str, Any]:
    """One source: both modes on its frames until auto has run so long."""
    import time

    import cv2

    from argos.config import config_from_sources, source_options
    from argos.pipelines.build import people_of_config, view_of
    from argos.sources.read import read

    cv2.setNumThreads(1)
    config = config_from_sources([source], changes)
    (camera,) = config.cameras.values()
    people, cards = people_of_config(config)
    view, every = view_of(camera, config, cards), camera.regions.refresh_full_s
    lines = {"full": people.apart(), "auto": people.apart()}  # as in use, auto learns from its own frames
    spent: dict[str, list[float]] = {"full": [], "auto": []}
    chosen: Counter[str] = Counter()
    last_s: float | None = None
    for n, frame in enumerate(over_and_over(lambda: read(camera.source.url, camera.name, source_options(camera)))):
        due = every is not None and (last_s is None or frame.pts_s - last_s >= every)
        last_s = frame.pts_s if due else last_s
        for mode in ("full", "auto") if n % 2 else ("auto", "full"):
            own = [replace(frame, camera=mode)]
            start = time.perf_counter()
            (analysis,) = lines[mode].step(own, [replace(view, mode=mode)], [due])
            spent[mode].append((time.perf_counter() - start) * 1e3)
            if mode == "auto":
                chosen[analysis.mode] += 1
        if sum(spent["auto"]) > seconds * 1e3:
            break
    frames = len(spent["auto"])
    return {
        "frames": frames,
        "full_ms": statistics.median(spent["full"]),
        "auto_ms": statistics.median(spent["auto"]),
        "auto_over_full": sum(spent["auto"]) / sum(spent["full"]),
        "worst_window": worst_window(spent["auto"], spent["full"]),
        "chosen": {mode: count / frames for mode, count in chosen.most_common()},
    }


def over_and_over(begin: Callable[[], Iterable[Frame]]) -> Iterator[Frame]:
    """The frames of a source, then again, with times that go on."""
    start_s = last_s = step_s = 0.0
    while True:
        for frame in begin():
            step_s, last_s = start_s + frame.pts_s - last_s, start_s + frame.pts_s
            yield replace(frame, pts_s=last_s)
        start_s = last_s + step_s


def worst_window(auto_ms: list[float], full_ms: list[float]) -> float | None:
    """Largest ratio over the windows of auto; None where it ran for less than a window after its start."""
    starts = [0.0]
    for ms in auto_ms:
        starts.append(starts[-1] + ms)
    ratios = []
    for first in range(len(auto_ms)):
        last = next((n for n in range(first, len(starts)) if starts[n] - starts[first] >= WINDOW_MS), None)
        if starts[first] >= START_MS and last is not None:
            ratios.append(sum(auto_ms[first:last]) / sum(full_ms[first:last]))
    return max(ratios, default=None)


if __name__ == "__main__":
    main()
