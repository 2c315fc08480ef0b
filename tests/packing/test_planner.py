"""Choosing how the deep network is run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from simulated_cameras import TASKS, Machine, Run, drive

from argos.packing.costs import Costs, GatherCost, Line
from argos.packing.planner import AskedMode, Planner, Seen, mode_asked
from argos.types import Mode, Regions, Size

HD: Size = (720, 1280)
LINE = Line(0.0, 500.0)
"""Proportional: milliseconds weigh as pixels do."""


def regions(*boxes: tuple[int, int, int, int], frame_size: Size = HD) -> Regions:
    return Regions(np.array(boxes, np.int32).reshape(-1, 4), np.ones(len(boxes), np.float32), frame_size)


def seen(of_frame: Regions | None, size: Size = HD, scale: float = 1.0, *, camera: str = "a", active: int = 0) -> Seen:
    pixels = round(size[0] * size[1] * scale**2)
    return Seen(camera, TASKS, of_frame, scale, 16, pixels, active)


def planner(*sizes: int, gather: GatherCost | None = None) -> Planner:
    """One that knows the costs and has seen whole frames of so many pixels."""
    made = Planner({TASKS: Costs(0.0, LINE, gather)})
    for pixels in sizes:
        made.times(TASKS).observe("full", pixels, LINE(pixels))
    return made


def plan(*frames: Seen, canvas: Size = (512, 512), gather: GatherCost | None = None) -> list[Mode]:
    chooser = planner(*{frame.pixels for frame in frames}, gather=gather)
    return list(chooser.choose(frames, canvas, gutter=8, most=4).modes)


@pytest.mark.parametrize(
    ("boxes", "scale", "mode"),
    [
        ([], 1.0, "skip"),
        ([(100, 100, 200, 400)], 1.0, "pack"),
        ([(0, 0, 1280, 720)], 1.0, "full"),
        ([(0, 0, 1200, 720)], 1.0, "full"),
        ([(100, 100, 1060, 400)], 1.0, "pack"),
        ([(100, 100, 1150, 400)], 1.0, "full"),  # wider than two canvases, it would be reduced
        # 2 canvases of 512x448 are 0.50 of the frame, 4 of 512x352 are 0.78; 6 for halves of columns are more than 1
        ([(0, 0, 400, 470), (500, 0, 900, 470)], 1.0, "pack"),
        ([(0, 0, 310, 470), (320, 0, 630, 470), (640, 0, 950, 470), (960, 0, 1270, 470)], 1.0, "pack"),
        ([(0, 0, 400, 720), (440, 0, 840, 720), (880, 0, 1280, 720)], 1.0, "full"),
        # at half the scale one canvas alone is 1.14 of the frame, a part of it less; this one is turned, not cut
        ([(50, 50, 1150, 700)], 0.5, "pack"),
        ([(20, 20, 1250, 700)], 0.5, "full"),
        ([(100, 100, 200, 400)], 0.5, "pack"),
    ],
)
def test_auto_weighs_whole_canvases_against_the_frame(
    boxes: list[tuple[int, int, int, int]], scale: float, mode: Mode
) -> None:
    assert plan(seen(regions(*boxes), scale=scale)) == [mode]


def test_margins_end_at_the_border_of_the_frame() -> None:
    assert plan(replace(seen(regions((0, 0, 400, 720)), scale=0.5), margin=400), canvas=(384, 640)) == ["pack"]


@pytest.mark.parametrize("mode", ["pack", "gather", "mask"])
def test_asked_mode_is_kept_where_there_are_regions(mode: AskedMode) -> None:
    assert mode_asked(mode, regions((0, 0, 1280, 720))) == mode
    assert mode_asked(mode, regions()) == "skip"
    assert mode_asked(mode, None) == "full"


def test_full_needs_no_regions() -> None:
    assert mode_asked("full", regions()) == "full"


def test_small_cameras_share_a_canvas_that_none_of_them_is_worth_alone() -> None:
    size = (360, 640)
    one = seen(regions((100, 100, 500, 200), frame_size=size), size)  # too wide for the smaller of few shapes
    chooser = planner(one.pixels)
    assert chooser.choose([one], (512, 512), gutter=8, most=4).modes == ("pack",)
    assert chooser.choose([one], (512, 512), gutter=8, most=4, few=True).modes == ("full",)
    assert set(chooser.choose([one, one, one], (512, 512), gutter=8, most=4, few=True).modes) == {"pack"}


def test_crowded_camera_is_computed_in_full_and_the_others_still_share() -> None:
    size = (360, 640)
    one, crowd = regions((100, 100, 200, 300), frame_size=size), regions((0, 0, 640, 350), frame_size=size)
    given = [seen(r, size) for r in (one, crowd, regions(frame_size=size), None, one)]
    chosen = planner(360 * 640).choose(given, (512, 512), gutter=8, most=4)
    assert chosen.modes == ("pack", "full", "skip", "full", "pack")
    assert chosen.layout is not None
    assert chosen.layout.placements.frame.tolist() == [0, 1]  # of the packed frames


def test_frames_that_are_asked_about_are_run_as_those_between_them() -> None:
    """Where regions are worth it only because an answer is good for several frames."""
    one = seen(regions((0, 0, 400, 470), (500, 0, 900, 470)))
    chooser, modes = planner(one.pixels), []
    for n in range(24):
        asked = n % 4 == 0
        frame = replace(one, question_ms=200.0 if asked else 1.0, asked=asked)
        (mode,) = chooser.choose([frame], (512, 512), gutter=8, most=4).modes
        chooser.book(frame, mode, 461.0 if mode == "full" else 262.0, at_s=n / 2)
        modes.append(mode)
    assert set(modes[8:]) == {"pack"}


def test_regions_that_need_too_many_canvases_are_not_reduced_but_computed_in_full() -> None:
    far = seen(regions(*[(x, 0, x + 120, 470) for x in range(0, 1200, 160)]))
    chooser = planner(far.pixels)
    assert chooser.choose([far], (512, 512), gutter=8, most=3).modes == ("pack",)
    assert chooser.choose([far], (512, 512), gutter=8, most=2).modes == ("full",)


def test_canvases_that_the_networks_fill_up_are_reckoned_full() -> None:
    small = seen(regions((100, 100, 200, 400)), scale=0.5)
    chooser = planner(small.pixels)
    assert chooser.choose([small], (512, 512), gutter=8, most=3).modes == ("pack",)
    assert chooser.choose([small], (512, 512), gutter=8, most=3, filled=(512, 512)).modes == ("full",)


@pytest.mark.parametrize(
    ("box", "active", "cost", "mode"),
    [
        ((0, 0, 480, 480), 100_000, GatherCost(20.0, 20.0, 800.0), "gather"),  # 118 ms; the canvas 131, the frame 461
        ((0, 0, 480, 480), 100_000, GatherCost(300.0, 20.0, 800.0), "pack"),
        ((0, 0, 100, 100), 10_000, GatherCost(60.0, 20.0, 800.0), "pack"),
        ((0, 0, 1280, 720), 400_000, GatherCost(20.0, 20.0, 500.0), "gather"),
        ((0, 0, 1280, 720), 500_000, GatherCost(20.0, 20.0, 500.0), "full"),  # more than half: not run in place
        ((0, 0, 1280, 720), 500_000, GatherCost(20.0, 20.0, 900.0), "full"),
    ],
)
def test_the_cheapest_mode_is_chosen(box: tuple[int, int, int, int], active: int, cost: GatherCost, mode: Mode) -> None:
    assert plan(seen(regions(box), active=active), gather=cost) == [mode]


def test_gather_is_not_chosen_where_it_was_not_measured() -> None:
    assert plan(seen(regions((0, 0, 1280, 720)), active=1)) == ["full"]


def test_a_proposal_that_costs_as_much_as_the_frame_is_not_asked_for_again_and_again() -> None:
    run = drive(Planner(), Machine(Line(0.0, 500.0), propose_ms=130.0), [0.0] * 300)
    assert run.modes.count("full") > 280
    assert run.worst() <= 1.05


# -- sequences of frames -----------------------------------------------------------------------------------------------

USUAL = Machine(Line(15.0, 550.0), propose_ms=20.0, beside_ms=1.0)


def changes(run: Run) -> int:
    return sum(a != b for a, b in itertools.pairwise(run.modes))


def test_an_empty_scene_is_skipped_from_the_first_frame() -> None:
    run = drive(Planner(), USUAL, [0.0] * 100)
    assert run.modes[0] == "skip"
    assert run.modes.count("skip") >= 99


def test_two_full_frames_teach_enough_to_pack() -> None:
    run = drive(Planner(), USUAL, [0.05] * 50)
    assert run.modes == ["full"] * 2 + ["pack"] * 48


def test_with_stored_costs_one_full_frame_is_enough() -> None:
    run = drive(Planner({TASKS: Costs(20.0, USUAL.dense)}), USUAL, [0.05] * 50)
    assert run.modes == ["full"] + ["pack"] * 49


def test_a_crowded_scene_ends_in_full_and_is_seldom_asked_about() -> None:
    run = drive(Planner(), USUAL, [0.9] * 300)
    assert set(run.modes) == {"full"}
    assert all(run.asked[:3])
    assert 0.05 < np.mean(run.asked[50:]) < 0.2


def test_when_a_crowd_has_gone_the_next_question_shows_it() -> None:
    run = drive(Planner(), USUAL, [0.9] * 200 + [0.05] * 100)
    first = run.modes.index("pack")
    assert first < 215
    assert run.modes.count("pack") >= 300 - first - 3


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.4, 0.45, 0.5, 0.7])
def test_a_scene_that_stays_keeps_its_mode(share: float) -> None:
    """Full frames to measure, which come in between, change nothing."""
    noise = np.random.default_rng(1).normal(0, 0.03, 200)
    machine = Machine(USUAL.dense, 20.0, load=lambda n: float(np.exp(noise[n])))
    run = drive(Planner({TASKS: Costs(20.0, USUAL.dense)}), machine, [share] * 200)
    chosen = [mode for mode, measured in zip(run.modes[20:], run.measured[20:], strict=True) if not measured]
    assert sum(a != b for a, b in itertools.pairwise(chosen)) <= 2


def test_between_two_thresholds_a_camera_stays_as_it_is() -> None:
    """Both modes lie between them: whoever comes from full stays in full, whoever comes from regions stays there."""
    frame = seen(regions((0, 0, 400, 470), (500, 0, 900, 470)))
    cost_ms = LINE(2 * 512 * 448)
    full_ms = LINE(frame.pixels)
    question_ms = 0.93 * full_ms - cost_ms
    between = Seen("a", TASKS, frame.regions, 1.0, 16, frame.pixels, 0, question_ms)
    for before in ("full", "pack", "skip"):
        chooser = planner(frame.pixels)
        chooser.account("a").mode = before  # type: ignore[assignment]
        wanted = "full" if before == "full" else "pack"
        for _ in range(5):
            assert chooser.choose([between], (512, 512), gutter=8, most=4).modes == (wanted,)


STEADY: Callable[[int], float] = lambda _: 1.0  # noqa: E731
NEIGHBOUR: Callable[[int], float] = lambda n: 2.0 if 90 < n < 180 else 1.0  # noqa: E731
SCENES: dict[str, list[float]] = {
    "crowded": [0.9] * 270,
    "empty": [0.0] * 270,
    "half": [0.45] * 270,
    "crowds come and go": ([0.95] * 25 + [0.05] * 20) * 6,
    "every frame another": np.random.default_rng(3).choice([0.0, 0.05, 0.2, 0.4, 0.6, 0.95], 270).tolist(),
}


@pytest.mark.parametrize("load", [STEADY, NEIGHBOUR], ids=["steady", "neighbour"])
@pytest.mark.parametrize("propose_ms", [4.0, 30.0])
@pytest.mark.parametrize("scene", SCENES)
def test_over_any_ten_seconds_after_two_auto_is_at_most_5_percent_slower_than_full(
    scene: str, propose_ms: float, load: Callable[[int], float]
) -> None:
    machine = Machine(Line(20.0, 560.0), propose_ms, beside_ms=0.5, load=load)
    run = drive(Planner(), machine, SCENES[scene], refresh=100)
    window_s = min(10.0, sum(run.spent_ms) / 1e3 / 2)  # a scene that is skipped is over sooner
    assert run.worst(window_s, after_s=min(2.0, window_s / 2)) <= 1.05


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4])
@pytest.mark.parametrize("packed", [1.0, 1.4, 2.0, 3.0])
def test_canvases_that_cost_more_than_their_pixels_are_found_out(packed: float, share: float) -> None:
    """Their first runs contradict what was guessed; full frames must not look dearer for it."""
    machine = Machine(Line(2.0, 210.0), 8.0, beside_ms=0.5, packed=packed, jitter=0.08)
    assert drive(Planner(), machine, [share] * 900).worst() <= 1.05


def test_a_camera_slower_than_the_machine_is_bound_too() -> None:
    run = drive(Planner(), USUAL, SCENES["crowds come and go"], fps=3.0)
    assert run.worst(fps=3.0) <= 1.05


def test_a_gather_that_turns_out_dear_is_given_up() -> None:
    """The stored costs are wrong by far; the runs themselves say so."""
    machine = Machine(Line(0.0, 640.0), 10.0, gather=GatherCost(0.0, 0.0, 5000.0))
    stored = Costs(10.0, machine.dense, GatherCost(0.0, 0.0, 500.0))
    run = drive(Planner({TASKS: stored}), machine, [0.2] * 200)
    assert run.modes.count("gather") < 8
    assert run.modes[-1] == "pack"


def test_what_is_never_known_is_never_infinite() -> None:
    assert math.isfinite(Planner().times(TASKS).expect("full", 1))
