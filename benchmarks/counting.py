"""What the shipped line counts on rendered scenes with exact truth, by itself: detector, tracker, lines and zones.

    pip install --no-deps trackeval && python benchmarks/counting.py

Each scene has a line across the hall and a zone in it. The truth is what the same analytics say of the true people: of
the same frames, with the true masks and ids. The scenes have other people, walks and noise than any training picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "tracking"), str(ROOT / "benchmarks")]

from tracked_scenes import SMALLEST, Seen  # noqa: E402
from tracking import measured  # noqa: E402

import argos  # noqa: E402
from argos.config import Config, config_from_sources  # noqa: E402
from argos.pipelines.follow import analyst_of  # noqa: E402
from argos.sources.synthetic import Person, parse_scene, render  # noqa: E402
from argos.types import Event, Instances, Result  # noqa: E402

SEEDS = (9001, 9002, 9003, 9004)
PEOPLE, FPS, SIZE = 6, 10, "960x540"
SCENE = (
    "camera.lines={gate: {points: [[0.5, 0.35], [0.5, 1.0]]}}",
    "camera.zones={hall: {polygon: [[0.15, 0.4], [0.45, 0.4], [0.45, 0.95], [0.15, 0.95]]}}",
)


def scene(seed: int, frames: int) -> Config:
    """The configuration of one scene."""
    source = f"fake://people?n={PEOPLE}&seed={seed}&fps={FPS}&size={SIZE}&frames={frames}"
    return config_from_sources([source], ["camera.tasks=[instances]", *SCENE])


def true_instances(people: tuple[Person, ...], size: tuple[int, int]) -> Instances:
    """The people who can be seen at all, with their own ids."""
    seen = [person for person in people if person.mask.sum() >= SMALLEST]
    return Instances(
        np.array([person.box for person in seen], np.int32).reshape(-1, 4),
        np.ones(len(seen), np.float32), np.zeros(len(seen), np.int32), tuple(person.mask for person in seen), size,
        np.array([person.id for person in seen], np.int64),
    )  # fmt: skip


def counts(events: list[Event]) -> Counter[str]:
    """Crossings by direction, and entries of the zone."""
    return Counter(
        f"gate {event.direction}" if event.type == "line_cross" else "hall enter"
        for event in events if event.type in ("line_cross", "zone_enter")
    )  # fmt: skip


def watched(seed: int, frames: int) -> tuple[list[tuple[Seen, Instances]], Counter[str], Counter[str]]:
    """One scene: people and tracks of each frame, what is counted, and what is true."""
    config = scene(seed, frames)
    with argos.Pipeline(config) as pipeline:
        results: list[Result] = list(pipeline)
    (camera,) = config.cameras.values()
    truth = analyst_of(camera)
    assert truth is not None
    tracked, true_events = [], list[Event]()
    for result, picture in zip(results, render(parse_scene(camera.source.url)), strict=True):
        assert result.instances is not None
        people = true_instances(picture.people, result.size)
        true_events += truth.update(replace(result, instances=people, events=()))
        tracked.append((Seen(result.pts_s, people.boxes, people.ids, people, people.ids), result.instances))
    return tracked, counts([event for result in results for event in result.events]), counts(true_events)


def main() -> None:
    """Print a table and write ``benchmarks/results/counting.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200, help="of each scene (default 200)")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "counting.json")
    args = parser.parse_args()
    scenes = {str(seed): watched(seed, args.frames) for seed in SEEDS}
    counted, true = (sum((of[n] for of in scenes.values()), Counter()) for n in (1, 2))
    names = sorted({*counted, *true})
    off = {name: sum(abs(of[1][name] - of[2][name]) for of in scenes.values()) for name in names}
    report = {
        "seconds": len(SEEDS) * args.frames / FPS,
        "counts": {name: {"true": true[name], "counted": counted[name], "off": off[name]} for name in names},
        "tracks": measured({seed: of[0] for seed, of in scenes.items()}),
    }
    print(json.dumps(report, indent=2))
    args.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
