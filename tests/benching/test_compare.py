"""The interleaved run: turns, reference, refreshes and what did not run."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

from argos.benching.compare import interleaved, refreshes
from argos.benching.contender import Contender, Outcome
from argos.benching.report import rows
from argos.types import Frame

FRAMES = [Frame(np.zeros((4, 8, 3), np.uint8), "cam", n, n / 2) for n in range(3)]


def columns(count: int) -> NDArray[np.bool_]:
    """The first columns of a frame are people."""
    person = np.zeros((4, 8), np.bool_)
    person[:, :count] = True
    return person


def test_contenders_take_turns_as_cameras_of_their_own_and_the_first_is_the_reference() -> None:
    calls: list[tuple[str, int, bool]] = []

    def finding(name: str, count: int, share: float) -> Contender:
        def run(frame: Frame, refresh: bool) -> Outcome:
            calls.append((name if frame.camera == name else frame.camera, frame.index, refresh))
            return Outcome(columns(count), share, "full" if refresh else "pack" if name == "half" else "")

        return run

    contenders = {"full": finding("full", 4, 1.0), "half": finding("half", 2, 0.5), "other": finding("other", 8, 2.0)}
    found = interleaved(contenders, FRAMES, [True, False, False], lambda index: columns(4))
    assert calls[:3] == [("warm-up", 0, False)] * 3
    assert [name for name, *_ in calls[3:]] == [
        "full",
        "half",
        "other",
        "half",
        "other",
        "full",
        "other",
        "full",
        "half",
    ]
    assert [refresh for *_, refresh in calls[3:]] == [True] * 3 + [False] * 6
    assert [(row.name, row.share, row.iou_full, row.iou_truth) for row in found] == [
        ("full", 1.0, 1.0, 1.0),
        ("half", 0.5, 0.5, 0.5),
        ("other", 2.0, 0.5, 0.5),
    ]
    assert found[0].speed_up == 1.0
    assert [dict(row.chosen) for row in found[:2]] == [{"full": 1 / 3}, {"pack": 2 / 3, "full": 1 / 3}]
    assert all(row.ms_p10 <= row.ms <= row.ms_p90 for row in found)


def test_an_empty_scene_on_which_all_agree_has_no_iou() -> None:
    def nobody(frame: Frame, refresh: bool) -> Outcome:
        return Outcome(columns(0), 1.0)

    found = interleaved({"full": nobody, "half": nobody}, FRAMES, [False] * 3, lambda index: columns(0))
    assert [(row.iou_full, row.iou_truth) for row in found] == [(None, None)] * 2
    assert all(line.endswith("| - | - |") for line in rows({"modes": [asdict(row) for row in found]})[2:])


@pytest.mark.parametrize(
    ("every_s", "due"), [(None, [False] * 3), (10.0, [True, False, False]), (1.0, [True, False, True])]
)
def test_the_first_frame_is_a_refresh_and_then_one_every_so_many_seconds(
    every_s: float | None, due: list[bool]
) -> None:
    assert refreshes(FRAMES, every_s) == due


def test_what_did_not_run_stands_in_the_table_with_its_reason() -> None:
    row = {"name": "full", "ms": 2.0, "ms_p10": 1.0, "ms_p90": 3.0, "fps": 500.0, "speed_up": 1.0, "share": 1.0,
           "iou_full": 1.0, "iou_truth": None}  # fmt: skip
    lines = rows({"modes": [row], "opponents": [], "not_run": {"full-bf16": "no bfloat16"}})
    assert lines[2] == "| full | 2.0 (1.0-3.0) | 500.0 | 1.00 | 100.0% | 1.000 | - |"
    assert lines[3] == "| full-bf16 | *not run*: no bfloat16 | | | | | |"
    assert len({line.count("|") for line in lines}) == 1
    chosen = {"pack": 0.9, "full": 0.1}
    auto, pack = rows({"modes": [row | {"name": name, "chosen": chosen} for name in ("auto", "pack")]})[2:]
    assert auto.startswith("| auto (pack 90%, full 10%) |")
    assert pack.startswith("| pack |")
