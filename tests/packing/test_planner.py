"""Choosing how the deep network is run."""

from __future__ import annotations

import numpy as np
import pytest

from argos.packing.planner import AskedMode, plan_frames
from argos.types import Mode, Regions, Size

HD: Size = (720, 1280)


def regions(*boxes: tuple[int, int, int, int], frame_size: Size = HD) -> Regions:
    return Regions(np.array(boxes, np.int32).reshape(-1, 4), np.ones(len(boxes), np.float32), frame_size)


def plan(
    mode: AskedMode, of_frame: Regions | None, size: Size, canvas: Size, scale: float, *, margin: int, gutter: int
) -> Mode:
    """The mode of a frame that has the canvases for itself."""
    (chosen,) = plan_frames(mode, [of_frame], [size], canvas, scale, margin=margin, gutter=gutter)
    return chosen


@pytest.mark.parametrize(
    ("boxes", "scale", "mode"),
    [
        ([], 1.0, "skip"),
        ([(100, 100, 200, 400)], 1.0, "pack"),
        ([(0, 0, 1280, 720)], 1.0, "full"),
        ([(0, 0, 1200, 720)], 1.0, "full"),
        # 2 canvases of 512x512 are 0.57 of the frame, 3 are 0.85
        ([(0, 0, 400, 470), (500, 0, 900, 470)], 1.0, "pack"),
        ([(0, 0, 400, 470), (420, 0, 820, 470), (840, 0, 1240, 470)], 1.0, "full"),
        # at half the scale one canvas alone is 1.14 of the frame, a part of it less
        ([(100, 100, 900, 700)], 0.5, "full"),
        ([(100, 100, 200, 400)], 0.5, "pack"),
    ],
)
def test_auto_weighs_whole_canvases_against_the_frame(
    boxes: list[tuple[int, int, int, int]], scale: float, mode: Mode
) -> None:
    assert plan("auto", regions(*boxes), HD, (512, 512), scale, margin=16, gutter=8) == mode


@pytest.mark.parametrize("mode", ["pack", "gather", "mask"])
def test_asked_mode_is_kept_where_there_are_regions(mode: AskedMode) -> None:
    everything = regions((0, 0, 1280, 720))
    assert plan(mode, everything, HD, (512, 512), 1.0, margin=0, gutter=0) == mode
    assert plan(mode, regions(), HD, (512, 512), 1.0, margin=0, gutter=0) == "skip"


def test_full_needs_no_regions() -> None:
    assert plan("full", regions(), HD, (512, 512), 1.0, margin=0, gutter=0) == "full"


@pytest.mark.parametrize("mode", ["auto", "pack", "gather", "mask", "full"])
def test_frame_without_a_proposer_is_computed_in_full(mode: AskedMode) -> None:
    assert plan(mode, None, HD, (512, 512), 1.0, margin=0, gutter=0) == "full"


def test_small_cameras_share_a_canvas_that_none_of_them_is_worth_alone() -> None:
    size = (360, 640)
    one = regions((100, 100, 500, 200), frame_size=size)  # too wide for the smaller shapes
    assert plan("auto", one, size, (512, 512), 1.0, margin=8, gutter=8) == "full"
    three = plan_frames("auto", [one, one, one], [size] * 3, (512, 512), 1.0, margin=8, gutter=8)
    assert three == ["pack", "pack", "pack"]


def test_crowded_camera_is_computed_in_full_and_the_others_still_share() -> None:
    size = (360, 640)
    one, crowd = regions((100, 100, 200, 300), frame_size=size), regions((0, 0, 640, 350), frame_size=size)
    given = [one, crowd, regions(frame_size=size), None, one]
    chosen = plan_frames("auto", given, [size] * 5, (512, 512), 1.0, margin=8, gutter=8)
    assert chosen == ["pack", "full", "skip", "full", "pack"]
