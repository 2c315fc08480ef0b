"""The table at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argos.pipelines.summary import Summary
from argos.types import Instances, Mode, Regions, Result, SemanticMask, Size

SIZE: Size = (40, 60)


def people(count: int) -> Instances:
    boxes = np.array([[4 * n, 2, 4 * n + 3, 8] for n in range(count)], np.int32).reshape(-1, 4)
    return Instances(
        boxes, np.ones(count, np.float32), np.zeros(count, np.int32), [np.ones((6, 3), np.bool_)] * count, SIZE
    )


def result(
    seq: int,
    camera: str = "door",
    mode: Mode = "pack",
    share: float = 0.25,
    age_ms: float = 30.0,
    dropped: int = 0,
    instances: Instances | None = None,
    semantic: SemanticMask | None = None,
) -> Result:
    regions = Regions(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), SIZE)
    return Result(
        run="r", camera=camera, epoch=0, seq=seq, index=seq, pts=seq, pts_s=seq / 10, time_base=(1, 10),
        captured_ns=10**9, published_ns=10**9 + int(age_ms * 1e6), clock="file", size=SIZE, mode=mode, regions=regions,
        instances=instances, semantic=semantic, deep_share=share, dropped={"stale": dropped}, models={}, config="c",
        spans_ms={"propose": 2.0, "segment": 6.0},
    )  # fmt: skip


def summed(results: Sequence[Result]) -> Summary:
    summary = Summary()
    for each in results:
        summary.add(each)
    return summary


def test_a_run_of_two_cameras_is_added_up() -> None:
    half = SemanticMask(np.arange(40 * 60).reshape(SIZE) % 2 == 0)
    data = summed(
        [
            result(0, age_ms=10, dropped=1, instances=people(2)),
            result(1, age_ms=30, dropped=3, instances=people(5), share=1.0, mode="full"),
            result(0, "yard", age_ms=20, dropped=2, semantic=half, share=0.0, mode="skip"),
            result(1, "yard", age_ms=20, dropped=2, semantic=half, share=0.75),
        ]
    ).as_dict()
    assert data["frames"] == 4
    assert data["fps"] > 0
    assert data["deep_pixels_share"] == 0.5
    assert data["modes"] == {"pack": 2, "full": 1, "skip": 1}
    assert data["latency_ms"] == {"p50": 20.0, "p95": 28.5}
    assert data["ms_per_frame"] == {"propose": 2.0, "segment": 6.0}
    assert data["dropped"] == 5  # counts of a camera grow from result to result; cameras are added
    assert data["people"] == {"most": 5, "mean": 3.5}
    assert data["person_area_share"] == 0.5


def test_the_table_says_it_in_aligned_lines() -> None:
    lines = summed([result(0, dropped=2, instances=people(1)), result(1, dropped=2, instances=people(2))]).table()
    cells = dict(line.split("  ", 1) if line[0] != " " else (line[2:].split("  ", 1)) for line in lines.splitlines())
    words = {name.strip(): value.strip() for name, value in cells.items()}
    assert words.pop("frames per second")
    assert words == {
        "frames": "2",
        "pixels the deep network saw": "25.0% of the full frames",
        "modes": "pack 2",
        "people found": "1.5 per frame, at most 2",
        "latency, decoded to published": "p50 30 ms, p95 30 ms",
        "frames dropped": "2",
        "ms per frame": "8.0",
        "propose": "2.00",
        "segment": "6.00",
    }


def test_a_run_without_a_frame_has_a_summary_too() -> None:
    summary = Summary()
    assert summary.as_dict() == {
        "frames": 0,
        "fps": 0.0,
        "deep_pixels_share": 0.0,
        "modes": {},
        "latency_ms": {"p50": None, "p95": None},
        "ms_per_frame": {},
        "dropped": 0,
    }
    assert "latency" not in summary.table()
