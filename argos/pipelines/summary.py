"""What a run did, in one table: frames, speed, share of the pixels computed, people, latency, milliseconds by stage."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

import numpy as np

from argos.types import Result


class Summary:
    """Adds up results as they come."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._frames = 0
        self._ages_ms: list[float] = []
        self._shares: list[float] = []
        self._people: list[int] = []
        self._areas: list[float] = []
        self._modes: Counter[str] = Counter()
        self._spans: defaultdict[str, float] = defaultdict(float)
        self._dropped: dict[str, int] = {}

    def add(self, result: Result) -> None:
        """Count one result."""
        self._last = time.monotonic()
        self._frames += 1
        if result.clock != "recording":  # what was captured long ago is no late result
            self._ages_ms.append((result.published_ns - result.captured_ns) / 1e6)
        self._shares.append(result.deep_share)
        self._modes[result.mode] += 1
        self._dropped[result.camera] = sum(result.dropped.values())
        for stage, milliseconds in result.spans_ms.items():
            self._spans[stage] += milliseconds
        if result.instances is not None:
            self._people.append(len(result.instances))
        if result.semantic is not None:
            self._areas.append(result.semantic.area)

    @property
    def frames(self) -> int:
        """Results so far."""
        return self._frames

    def fps(self) -> float:
        """Results per second, from the start to the last one."""
        return self.frames / max(1e-6, self._last - self._start)

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain data."""
        frames = max(1, self.frames)
        summary: dict[str, Any] = {
            "frames": self.frames,
            "fps": round(self.fps(), 2),
            "deep_pixels_share": round(float(np.mean(self._shares)) if self._shares else 0.0, 4),
            "modes": dict(self._modes),
            "latency_ms": {
                "p50": round(float(np.percentile(self._ages_ms, 50)), 1) if self._ages_ms else None,
                "p95": round(float(np.percentile(self._ages_ms, 95)), 1) if self._ages_ms else None,
            },
            "ms_per_frame": {stage: round(total / frames, 2) for stage, total in self._spans.items()},
            "dropped": sum(self._dropped.values()),
        }
        if self._people:
            summary["people"] = {"most": max(self._people), "mean": round(float(np.mean(self._people)), 2)}
        if self._areas:
            summary["person_area_share"] = round(float(np.mean(self._areas)), 4)
        return summary

    def table(self) -> str:
        """The summary for people to read."""
        data = self.as_dict()
        rows = [("frames", f"{data['frames']}"), ("frames per second", f"{data['fps']:.1f}")]
        rows.append(("pixels the deep network saw", f"{data['deep_pixels_share']:.1%} of the full frames"))
        rows.append(("modes", ", ".join(f"{mode} {count}" for mode, count in data["modes"].items())))
        if "people" in data:
            rows.append(("people found", f"{data['people']['mean']:.1f} per frame, at most {data['people']['most']}"))
        if "person_area_share" in data:
            rows.append(("person pixels", f"{data['person_area_share']:.1%} of the frames"))
        if data["latency_ms"]["p50"] is not None:
            latency = data["latency_ms"]
            rows.append(("latency, decoded to published", f"p50 {latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms"))
        if data["dropped"]:
            rows.append(("frames dropped", f"{data['dropped']}"))
        total = sum(data["ms_per_frame"].values())
        rows.append(("ms per frame", f"{total:.1f}"))
        rows += [(f"  {stage}", f"{spent:.2f}") for stage, spent in data["ms_per_frame"].items()]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
