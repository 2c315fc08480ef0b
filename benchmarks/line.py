"""The line as a whole: stages at once or one after the other, beside a busy neighbour, its start and its messages.

    python benchmarks/line.py                    # five minutes
    python benchmarks/line.py --json line.json

*stages*: the shipped pipeline on the sample, with an overlay video and JSON lines written and every result encoded,
against the very same stages called one after the other in one thread; rounds of each side alternate. *neighbour*: the
stages' milliseconds with and without a process that counts as fast as it can. *processor*: what a frame costs the
processor, all threads together, in the networks and besides; at 30 frames a second two cores have 66.7 ms for each.
*start*: from the command to the first result in its file; cold without anything kept from earlier starts but what the
system caches of files. *message*: the semantic mask of a walking person, 7 % of 720p.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
FILM = str(ROOT / "samples" / "people.mp4")
WARM = 12
"""Results of a round that do not count: the planner learns, primitives are made."""

Figures = dict[str, Any]


def main() -> int:
    """Measure, print and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48, help="of a round that count (default 48)")
    parser.add_argument("--rounds", type=int, default=4, help="of each side (default 4)")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    from argos.engines.threads import prepare_threads
    from argos.machine import cores, processor

    prepare_threads(None)
    name, flags = processor()
    machine = {"processor": name, "flags": flags, "cores": cores(), "load": os.getloadavg()[0]}
    report: Figures = {"machine": machine, "frames": args.frames, "rounds": args.rounds}
    report["stages"] = stages(args.frames, args.rounds)
    report["neighbour"] = neighbour(args.frames, args.rounds)
    report["processor"] = processor_ms(args.frames)
    report["start"] = starts(args.rounds)
    report["message"] = message()
    print(json.dumps(report, indent=1))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def spread(values: list[float]) -> Figures:
    """Median, least and most."""
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def stages(frames: int, rounds: int) -> Figures:
    """Frames per second by mode: one after the other, and in stages with one or two frames in flight."""
    rates: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for mode in ("pack", "full"):
                of_mode = rates.setdefault(mode, {"serial": [], "staged": [], "staged, 2 in flight": []})
                of_mode["serial"].append(rate(serial(mode, Path(folder)), frames))
                of_mode["staged"].append(rate(staged(mode, Path(folder), 1), frames))
                of_mode["staged, 2 in flight"].append(rate(staged(mode, Path(folder), 2), frames))
    return {
        mode: {
            name: {**spread(values), "x": round(statistics.median(np.array(values) / sides["serial"]), 2)}
            for name, values in sides.items()
        }
        for mode, sides in rates.items()
    }


def rate(results: Iterator[object], frames: int) -> float:
    """Results per second, but for the first ones."""
    for _ in islice(results, WARM):
        pass
    start = time.perf_counter()
    count = sum(1 for _ in islice(results, frames))
    rate = count / (time.perf_counter() - start)
    results.close()  # type: ignore[attr-defined]
    return rate


def configured(mode: str, folder: Path, in_flight: int) -> Any:
    """The sample, both tasks, with files written."""
    from argos.config import config_from_sources

    outputs = f"[{{type: overlay, path: '{folder}/o.mp4'}}, {{type: jsonl, path: '{folder}/r.jsonl'}}]"
    overrides = ["camera.name=door", f"camera.regions.mode={mode}", "camera.tasks=[instances,semantic]",
                 f"engine.in_flight={in_flight}", f"outputs={outputs}"]  # fmt: skip
    return config_from_sources([FILM], overrides)


def staged(mode: str, folder: Path, in_flight: int) -> Iterator[object]:
    """Results of the pipeline; each is encoded as a publisher does."""
    import argos
    from argos.publishing.encode import encode_result

    with argos.Pipeline(configured(mode, folder, in_flight)) as pipeline:
        for result in pipeline:
            encode_result(result)
            yield result


def serial(mode: str, folder: Path) -> Iterator[object]:
    """The same stages in one thread: decode, analyse, encode the message, write the files."""
    from argos.config import source_options
    from argos.pipelines.build import output_files, people_of_config, view_of
    from argos.pipelines.outputs import open_outputs
    from argos.publishing.encode import encode_result
    from argos.sources.read import read

    config = configured(mode, folder, 1)
    people, cards = people_of_config(config)
    (camera,) = config.cameras.values()
    view = view_of(camera, config, cards)
    outputs = open_outputs(output_files(config)[camera.name])
    models = {role: card.identity for role, card in cards.items()}
    try:
        for n, frame in enumerate(read(camera.source.url, camera.name, source_options(camera))):
            (found,) = people.step([frame], [view], [False])
            result = result_of(frame, found, n, models)
            encode_result(result)
            for output in outputs:
                output.write(result)
            yield result
    finally:
        for output in outputs:
            output.close()


def result_of(frame: Any, found: Any, seq: int, models: dict[str, str]) -> Any:
    """The result of an analysed frame."""
    from argos.types import Result

    return Result(
        camera=frame.camera, epoch=frame.epoch, seq=seq, index=frame.index, pts=frame.pts, time_base=frame.time_base,
        pts_s=frame.pts_s, captured_ns=frame.captured_ns, clock=frame.clock, run="serial", size=frame.size,
        mode=found.mode, regions=found.regions, instances=found.instances, semantic=found.semantic,
        deep_share=found.deep_share, spans_ms=found.spans_ms, dropped={}, models=models, config="",
        published_ns=time.time_ns(), image=frame.pixels,
    )  # fmt: skip


@contextmanager
def busy(on: bool) -> Iterator[None]:
    """With a process beside us that counts as fast as it can."""
    if not on:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as counting:
        try:
            yield
        finally:
            counting.kill()


def neighbour(frames: int, rounds: int) -> Figures:
    """Milliseconds of each stage in mode pack, one frame in flight: alone, and beside a busy process."""
    import argos

    spans: dict[bool, dict[str, list[float]]] = {False: {}, True: {}}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for on in (False, True):
                with busy(on), argos.Pipeline(configured("pack", Path(folder), 1)) as pipeline:
                    results = iter(pipeline)
                    for _ in islice(results, WARM):
                        pass
                    for result in islice(results, frames):
                        for stage, ms in result.spans_ms.items():
                            spans[on].setdefault(stage, []).append(ms)
    sides = {name: {stage: statistics.median(ms) for stage, ms in spans[on].items()}
             for name, on in (("alone", False), ("beside", True))}  # fmt: skip
    return {
        **{name: {stage: round(ms, 2) for stage, ms in side.items()} for name, side in sides.items()},
        "times": {stage: round(ms / sides["alone"][stage], 2) for stage, ms in sides["beside"].items()},
    }


def processor_ms(frames: int) -> Figures:
    """Mean milliseconds of the processor for a frame in mode pack, by part; messages are encoded, no files written."""
    from argos.config import config_from_sources, source_options
    from argos.pipelines.build import people_of_config, view_of
    from argos.pipelines.follow import Following, track_settings
    from argos.publishing.encode import encode_result
    from argos.sources.read import read

    config = config_from_sources([FILM], ["camera.regions.mode=pack", "camera.tasks=[instances,semantic]"])
    people, cards = people_of_config(config)
    (camera,) = config.cameras.values()
    view = view_of(camera, config, cards)
    following = Following({camera.name: track_settings(camera, view.instances)})
    view = following.view(camera.name, view)
    spent: dict[str, float] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        spent[name] = spent.get(name, 0.0) + (time.process_time() - start) * 1e3

    source = read(camera.source.url, camera.name, source_options(camera))
    for n in range(WARM + frames):
        if n == WARM:
            spent.clear()
        with part("decode"):
            frame = next(source)
        steps, value, jobs = people.steps([frame], [view], [False]), None, True
        while jobs:
            with part("propose, pack, stitch"):
                try:
                    job = steps.send(value)
                except StopIteration as end:
                    (found,) = end.value
                    jobs = False
            if jobs:
                with part("networks"):
                    value = job.run()
        with part("track"):
            found = following.followed(frame, found)
        with part("encode"):
            encode_result(result_of(frame, found, n, {}))
    by_part = {name: round(ms / frames, 2) for name, ms in spent.items()}
    return {**by_part, "besides_the_networks": round(sum(by_part.values()) - by_part["networks"], 2)}


def starts(rounds: int) -> Figures:
    """Seconds from ``argos run`` to the first result in its file, and of ``argos --help``."""
    with tempfile.TemporaryDirectory() as folder:
        cold = [first_result(Path(folder) / f"cold{n}", Path(folder)) for n in range(2)]
        kept = Path(folder) / "kept"
        first_result(kept, Path(folder))
        warm = [first_result(kept, Path(folder)) for _ in range(rounds)]
    asked = []
    for _ in range(2 * rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "argos", "--help"], check=True, capture_output=True)
        asked.append(time.perf_counter() - start)
    return {"cold_s": spread(cold), "warm_s": spread(warm), "help_s": spread(asked)}


def first_result(kept: Path, folder: Path) -> float:
    """One start; ``kept`` holds what is measured and compiled once."""
    results = folder / "first.jsonl"
    results.unlink(missing_ok=True)
    environment = {**os.environ, "ARGOS_CACHE": str(kept / "argos"), "NUMBA_CACHE_DIR": str(kept / "numba")}
    command = [sys.executable, "-m", "argos", "run", FILM, "--quiet", "--frames", "8",
               "--set", f"outputs=[{{type: jsonl, path: '{results}'}}]"]  # fmt: skip
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as child:
        while not (results.is_file() and results.stat().st_size):
            if child.poll() is not None:
                raise SystemExit(f"it ended without a result, status {child.returncode}")
            time.sleep(0.005)
        took = time.perf_counter() - start
    return took


def message() -> Figures:
    """Bytes and milliseconds of the semantic mask of a person, by encoding."""
    import cv2

    from argos.publishing.masks import MASK_ENCODINGS, encode_mask

    drawn = np.zeros((720, 1280), np.uint8)
    cv2.ellipse(drawn, (600, 200), (45, 60), 0, 0, 360, 1, -1)
    cv2.ellipse(drawn, (600, 400), (95, 150), 5, 0, 360, 1, -1)
    for x, lean in ((560, 6), (650, -8)):
        cv2.ellipse(drawn, (x, 590), (32, 115), lean, 0, 360, 1, -1)
    ragged = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 3)
    ragged += np.random.default_rng(0).normal(0, 0.05, drawn.shape)  # an outline as a network draws it
    mask = cv2.medianBlur((ragged > 0.5).astype(np.uint8), 5).astype(bool)
    rows: Figures = {"share": round(float(mask.mean()), 3)}
    for encoding in MASK_ENCODINGS:
        times = []
        for _ in range(50):
            start = time.perf_counter()
            data = encode_mask(mask, encoding)  # type: ignore[arg-type]
            times.append((time.perf_counter() - start) * 1e3)
        rows[encoding] = {"bytes": len(data), "ms": spread(times)}
    return rows


if __name__ == "__main__":
    sys.exit(main())
