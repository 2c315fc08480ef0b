"""Modes against the honest opponent, the same networks on the full frame at the same scale, in one interleaved run."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from argos.config import Config, source_options
from argos.errors import SourceError
from argos.machine import cores, processor
from argos.packing.planner import AskedMode
from argos.pipelines.api import Pipeline
from argos.pipelines.build import people_of_config, view_of
from argos.pipelines.views import Analysis
from argos.sources.names import redact
from argos.sources.read import read
from argos.types import Frame

MODES: tuple[AskedMode, ...] = ("full", "auto", "pack", "gather", "mask")


@dataclass(frozen=True, slots=True)
class Row:
    """How one mode did.

    Attributes:
        mode: asked for.
        ms: median milliseconds of a frame, proposal included.
        ms_p10, ms_p90: spread.
        fps: 1000 over the mean milliseconds, refresh frames included.
        speed_up: mean milliseconds of ``full`` over those of this mode.
        share: mean share of the full frame's pixels (``gather``: multiply-accumulates) the deep network computed;
            margins, gutter, empty canvas and refresh frames counted.
        iou_full: IoU of all person pixels with those of ``full``.
        iou_truth: the same with the ground truth; None without one.
    """

    mode: str
    ms: float
    ms_p10: float
    ms_p90: float
    fps: float
    speed_up: float
    share: float
    iou_full: float
    iou_truth: float | None


def compare_modes(
    config: Config,
    frames: Sequence[Frame],
    truth: Callable[[int], NDArray[np.bool_]] | None,
    progress: Callable[[int], None] = lambda _: None,
    modes: Sequence[AskedMode] = MODES,
) -> list[Row]:
    """Run every mode on every frame, in turns and in an order that changes from frame to frame.

    Args:
        config: one camera; its tasks, thresholds and scale hold for every mode.
        frames: of the camera, in order.
        truth: index of a frame -> person mask ``(H, W)`` bool.
        progress: called with the number of frames done.
        modes: to compare; ``full`` is the reference and always run.

    Returns:
        One row per mode.
    """
    people, cards = people_of_config(config)
    camera = next(iter(config.cameras.values()))
    view = view_of(camera, config, cards)
    every = camera.regions.refresh_full_s
    order: list[AskedMode] = ["full", *(mode for mode in modes if mode != "full")]
    for mode in order:  # warm: compiled kernels, primitives, folded networks
        people.step([replace(frames[0], camera="warm-up")], [replace(view, mode=mode)], [False])

    spent: dict[str, list[float]] = {mode: [] for mode in order}
    shares: dict[str, list[float]] = {mode: [] for mode in order}
    overlap = {mode: [0, 0] for mode in order}
    overlap_truth = {mode: [0, 0] for mode in order}
    last_full_s: float | None = None
    for n, frame in enumerate(frames):
        due = every is not None and (last_full_s is None or frame.pts_s - last_full_s >= every)
        last_full_s = frame.pts_s if due else last_full_s
        found: dict[str, NDArray[np.bool_]] = {}
        for mode in order[n % len(order) :] + order[: n % len(order)]:
            own = replace(frame, camera=mode)  # no mode learns from what another has found
            start = time.perf_counter()
            (analysis,) = people.step([own], [replace(view, mode=mode)], [due])
            spent[mode].append((time.perf_counter() - start) * 1e3)
            shares[mode].append(analysis.deep_share)
            found[mode] = person_pixels(analysis)
        for mode in order:
            _count(overlap[mode], found[mode], found["full"])
            if truth is not None:
                _count(overlap_truth[mode], found[mode], truth(frame.index))
        progress(n + 1)
    reference = statistics.fmean(spent["full"])
    return [
        Row(
            mode,
            statistics.median(spent[mode]),
            float(np.percentile(spent[mode], 10)),
            float(np.percentile(spent[mode], 90)),
            1e3 / statistics.fmean(spent[mode]),
            reference / statistics.fmean(spent[mode]),
            statistics.fmean(shares[mode]),
            overlap[mode][0] / max(1, overlap[mode][1]),
            overlap_truth[mode][0] / max(1, overlap_truth[mode][1]) if truth is not None else None,
        )
        for mode in order
    ]


def first_frames(config: Config, most: int) -> list[Frame]:
    """The first frames of the only camera.

    Raises:
        SourceError: it cannot be opened, or there is no frame in it.
    """
    frames = list(_read(config, most))
    if not frames:
        (camera,) = config.cameras.values()
        raise SourceError(f"camera '{camera.name}': {redact(camera.source.url)} holds no frame to measure", "ended")
    return frames


def decode_fps(config: Config, most: int, repeats: int = 3) -> list[float]:
    """Frames per second of decoding the first frames alone, to RGB, once per repeat."""
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        count = sum(1 for _ in _read(config, most))
        rates.append(count / (time.perf_counter() - start))
    return rates


def pipeline_fps(config: Config, mode: AskedMode, most: int) -> float:
    """Frames per second of the whole pipeline on the first frames in one mode.

    Decoding has its own thread; nothing is published or written.
    """
    (name,) = config.cameras
    camera = config.cameras[name]
    changed = camera.model_copy(update={"regions": camera.regions.model_copy(update={"mode": mode})})
    silent = {"cameras": {name: changed}, "outputs": (), "publish": config.publish.model_copy(update={"bind": None})}
    with Pipeline(config.model_copy(update=silent)) as pipeline:
        start = time.perf_counter()
        count = sum(1 for _ in islice(pipeline, most))
        return count / (time.perf_counter() - start)


def person_pixels(analysis: Analysis) -> NDArray[np.bool_]:
    """Every pixel that any task calls a person, ``(H, W)`` bool."""
    height, width = analysis.regions.frame_size
    found = np.zeros((height, width), np.bool_)
    if analysis.instances is not None:
        found |= analysis.instances.union()
    if analysis.semantic is not None:
        found |= analysis.semantic.mask
    return found


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    usable, share = cores()
    return {
        "cpu": processor()[0],
        "cores": usable,
        "cores_share": share,
        "load_1m": round(os.getloadavg()[0], 2),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _read(config: Config, most: int) -> Iterator[Frame]:
    (camera,) = config.cameras.values()
    return islice(read(camera.source.url, camera.name, source_options(camera)), most)


def _count(sums: list[int], found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> None:
    sums[0] += int((found & wanted).sum())
    sums[1] += int((found | wanted).sum())
