"""One interleaved run: every contender on every frame, in turns."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from argos.benching.contender import Contender, NotHereError, Setting
from argos.benching.modes import MODES, mode
from argos.benching.opponents import OPPONENTS
from argos.config import Config
from argos.packing.planner import AskedMode
from argos.pipelines.build import people_of_config, view_of
from argos.types import Frame

Truth = Callable[[int], NDArray[np.bool_]]
"""Index of a frame -> person mask ``(H, W)`` bool."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one contender did.

    Attributes:
        name: mode or opponent.
        ms: median milliseconds of a frame, proposal included.
        ms_p10, ms_p90: spread.
        fps: 1000 over the mean milliseconds, refresh frames included.
        speed_up: mean milliseconds of ``full`` over those of this contender.
        share: mean share of the full frame's pixels (``gather``: multiply-accumulates) the deep network computed;
            margins, gutter, overlap, empty canvas and refresh frames counted.
        iou_full: IoU of all person pixels with those of ``full``; None where neither found any.
        iou_truth: the same with the ground truth; None without one too.
        chosen: share of the frames by mode, refresh frames among them; empty for opponents.
    """

    name: str
    ms: float
    ms_p10: float
    ms_p90: float
    fps: float
    speed_up: float
    share: float
    iou_full: float | None
    iou_truth: float | None
    chosen: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows of a run.

    Attributes:
        modes: of ARGOS, ``full`` first.
        opponents: those that ran.
        not_run: the others of those asked for, with the reason.
    """

    modes: list[Row]
    opponents: list[Row]
    not_run: dict[str, str]


def compare(
    config: Config,
    frames: Sequence[Frame],
    truth: Truth | None,
    opponents: Sequence[str],
    progress: Callable[[int], None] = lambda _: None,
    modes: Sequence[AskedMode] = MODES,
) -> Comparison:
    """Run every mode and opponent on every frame, in turns and in an order that moves on from frame to frame.

    Args:
        config: one camera; its tasks, thresholds and scale hold for all.
        frames: of the camera, in order.
        truth: of the source; None where it is not known.
        opponents: names of ``OPPONENTS``.
        progress: called with the number of frames done.
        modes: to compare; ``full`` is the reference and always run.
    """
    people, cards = people_of_config(config)
    camera = next(iter(config.cameras.values()))
    setting = Setting(config, people, view_of(camera, config, cards), frames, 1.0)
    due = refreshes(frames, camera.regions.refresh_full_s)
    if "shrunk" in opponents:
        setting = replace(setting, budget=_packed_share(setting, due))
    asked: list[AskedMode] = ["full", *(name for name in modes if name != "full")]
    contenders: dict[str, Contender] = {name: mode(setting, name) for name in asked}
    not_run = {}
    if "gather" in asked and not people.gathers:
        asked.remove("gather")
        del contenders["gather"]
        precision = config.engine.precision
        whole = "a network that is not ours" if precision == "float32" else f"a network in {precision}"
        not_run["gather"] = f"{whole} runs as a whole"
    for name in opponents:
        try:
            contenders[name] = OPPONENTS[name](setting)
        except NotHereError as reason:
            not_run[name] = str(reason)
    rows = {row.name: row for row in interleaved(contenders, frames, due, truth, progress)}
    return Comparison(
        [rows[name] for name in asked], [row for name, row in rows.items() if name not in asked], not_run
    )  # fmt: skip


def interleaved(
    contenders: Mapping[str, Contender],
    frames: Sequence[Frame],
    due: Sequence[bool],
    truth: Truth | None,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Row]:
    """Run contenders in turns; the first is the reference.

    Args:
        contenders: by name.
        frames: in order.
        due: frames that modes with proposals compute in full.
        truth, progress: as in ``compare``.

    Returns:
        One row per contender.
    """
    order = list(contenders)
    for run in contenders.values():  # warm: compiled kernels, primitives, folded networks
        run(replace(frames[0], camera="warm-up"), False)
    spent: dict[str, list[float]] = {name: [] for name in order}
    shares: dict[str, list[float]] = {name: [] for name in order}
    ways: dict[str, Counter[str]] = {name: Counter() for name in order}
    overlap = {name: [0, 0] for name in order}
    overlap_truth = {name: [0, 0] for name in order}
    for n, frame in enumerate(frames):
        found: dict[str, NDArray[np.bool_]] = {}
        for name in order[n % len(order) :] + order[: n % len(order)]:
            own = replace(frame, camera=name)  # nobody learns from what another has found
            start = time.perf_counter()
            outcome = contenders[name](own, due[n])
            spent[name].append((time.perf_counter() - start) * 1e3)
            shares[name].append(outcome.share)
            ways[name][outcome.mode] += 1
            found[name] = outcome.person
        for name in order:
            _count(overlap[name], found[name], found[order[0]])
            if truth is not None:
                _count(overlap_truth[name], found[name], truth(frame.index))
        progress(n + 1)
    reference = statistics.fmean(spent[order[0]])
    return [
        Row(
            name,
            statistics.median(spent[name]),
            float(np.percentile(spent[name], 10)),
            float(np.percentile(spent[name], 90)),
            1e3 / statistics.fmean(spent[name]),
            reference / statistics.fmean(spent[name]),
            statistics.fmean(shares[name]),
            _iou(*overlap[name]),
            _iou(*overlap_truth[name]),
            {way: count / len(frames) for way, count in ways[name].most_common() if way},
        )
        for name in order
    ]


def refreshes(frames: Sequence[Frame], every_s: float | None) -> list[bool]:
    """Which frames are computed in full whatever the mode, so that nothing is missed for long; the first is one."""
    due: list[bool] = []
    last_s: float | None = None
    for frame in frames:
        due.append(every_s is not None and (last_s is None or frame.pts_s - last_s >= every_s))
        last_s = frame.pts_s if due[-1] else last_s
    return due


def _packed_share(setting: Setting, due: Sequence[bool]) -> float:
    """Mean share of the pixels that ``pack`` computes on the frames; found by packing them once, without measuring."""
    packed = mode(setting, "pack")
    camera = "budget"
    return statistics.fmean(
        packed(replace(frame, camera=camera), refresh).share for frame, refresh in zip(setting.frames, due, strict=True)
    )


def _iou(both: int, either: int) -> float | None:
    return both / either if either else None


def _count(sums: list[int], found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> None:
    sums[0] += int((found & wanted).sum())
    sums[1] += int((found | wanted).sum())
