"""HOTA, MOTA, IDF1 and id switches on the recorded scenes of the tests, beside an established tracker.

    pip install --no-deps trackeval && python benchmarks/tracking.py

The scenes are rendered people with exact truth, seen by a detector that errs (``tests/tracked_scenes.py``); the ids of
the other tracker, the ByteTrack of the package trackers with the same thresholds, were recorded with them.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "tracking")]

from test_scenes import Tracked, by_argos, by_oracle, trackeval_data  # noqa: E402
from tracked_scenes import SCENES, load  # noqa: E402


def measured(tracked: dict[str, Tracked]) -> dict[str, float]:
    """All scenes together."""
    from trackeval.metrics import CLEAR, HOTA, Identity

    with contextlib.redirect_stdout(io.StringIO()):
        metrics = [HOTA(), CLEAR({"PRINT_CONFIG": False}), Identity({"PRINT_CONFIG": False})]
        data = {name: trackeval_data(scene) for name, scene in tracked.items()}
        hota, clear, identity = (
            metric.combine_sequences({name: metric.eval_sequence(one) for name, one in data.items()})
            for metric in metrics
        )
    return {
        "HOTA": round(float(np.mean(hota["HOTA"])), 3),
        "AssA": round(float(np.mean(hota["AssA"])), 3),
        "MOTA": round(float(clear["MOTA"]), 3),
        "IDF1": round(float(identity["IDF1"]), 3),
        "id switches": int(clear["IDSW"]),
    }


def main() -> None:
    """Print a table and write ``benchmarks/results/tracking.json``."""
    scenes = {name: load(name) for name in SCENES}
    rows = {
        "ARGOS": measured({name: by_argos(scene) for name, scene in scenes.items()}),
        "ByteTrack (trackers 2.6.1)": measured({name: by_oracle(scene) for name, scene in scenes.items()}),
    }
    print("| tracker |", " | ".join(rows["ARGOS"]), "|")
    print("|---" * (1 + len(rows["ARGOS"])), end="|\n")
    for name, row in rows.items():
        print(f"| {name} |", " | ".join(map(str, row.values())), "|")
    path = ROOT / "benchmarks" / "results" / "tracking.json"
    path.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
