"""Frames in flight: in order, whatever ends first, and the same as one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from argos.config import config_from_sources
from argos.pipelines.api import Pipeline
from argos.pipelines.flight import Flight, Job, Steps, finished
from argos.types import Result

FILM = str(Path(__file__).parents[2] / "samples" / "people.mp4")
WAIT_S = 20.0


def step(*jobs: Job) -> Generator[Job, object, list[object]]:
    """Run jobs one after the other; what they gave."""
    given = []
    for job in jobs:
        given.append((yield job))
    return given


def waits(event: threading.Event, value: object) -> Job:
    def run() -> object:
        assert event.wait(WAIT_S)
        return value

    return Job(run)


def fails() -> object:
    raise ValueError("no")


@pytest.fixture(params=[1, 2, 3])
def flight(request: pytest.FixtureRequest) -> Generator[Flight[list[object], int]]:
    flight: Flight[list[object], int] = Flight(request.param, torch.get_num_threads(), landed=lambda: None)
    yield flight
    flight.close()


def test_steps_are_finished_in_their_order(flight: Flight[list[object], int]) -> None:
    found = []
    for n in range(7):
        flight.begin(step(*[Job(lambda n=n: n, alone=n % 3 == 0)] * (n % 3)), n)  # type: ignore[misc]
        if flight.is_full:
            found.append(flight.finish())
    while flight:
        found.append(flight.finish())
    assert found == [(n, [n] * (n % 3)) for n in range(7)]


def test_two_jobs_run_at_once_and_the_first_is_waited_for() -> None:
    second_runs, landed = threading.Event(), []
    flight: Flight[list[object], str] = Flight(2, 2, landed=lambda: landed.append(1))
    flight.begin(step(waits(second_runs, "first"), Job(lambda: "again")), "a")
    assert not flight.has_landed

    def second() -> str:
        second_runs.set()
        return "second"

    flight.begin(step(Job(second)), "b")
    assert flight.is_full
    assert flight.finish() == ("a", ["first", "again"])
    assert flight.finish() == ("b", ["second"])
    flight.close()
    assert len(landed) == 3


def test_jobs_that_share_something_never_run_at_once() -> None:
    inside, most = [], []

    def run() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()

    flight: Flight[list[object], None] = Flight(4, 4, landed=lambda: None)
    for _ in range(4):
        flight.begin(step(Job(run, alone=True)), None)
    while flight:
        flight.finish()
    flight.close()
    assert most == [1] * 4


def test_threads_are_shared_by_jobs_side_by_side() -> None:
    """A job alone has all threads, one beside another its share; other threads, old and new, are not touched."""
    threads, go = torch.get_num_threads(), threading.Event()
    flight: Flight[list[object], None] = Flight(2, threads + 4, landed=lambda: None)

    def first() -> int:
        assert go.wait(WAIT_S)
        return torch.get_num_threads()

    def second() -> int:
        go.set()
        return torch.get_num_threads()

    flight.begin(step(Job(first)), None)
    flight.begin(step(Job(second)), None)
    assert [flight.finish()[1], flight.finish()[1]] == [[threads + 4], [(threads + 4) // 2]]
    flight.close()
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as new:
        assert new.submit(torch.get_num_threads).result() == threads


def test_an_error_comes_after_the_results_before_it(flight: Flight[list[object], int]) -> None:
    def broken() -> Steps[list[object]]:
        yield Job(lambda: 1)
        raise RuntimeError("in the step")

    if flight.most == 1:
        flight.begin(broken(), 0)
        with pytest.raises(RuntimeError, match="in the step"):
            flight.finish()
        return
    flight.begin(step(Job(lambda: "good")), 0)
    flight.begin(step(Job(fails)), 1)
    assert flight.finish() == (0, ["good"])
    with pytest.raises(ValueError, match="no"):
        flight.finish()
    assert not flight


def test_a_step_may_catch_what_its_job_raises(flight: Flight[list[object], int]) -> None:
    def careful() -> Steps[list[object]]:
        try:
            yield Job(fails)
        except ValueError:
            return [(yield Job(lambda: "mended"))]
        raise AssertionError

    flight.begin(careful(), 5)
    assert flight.finish() == (5, ["mended"])
    assert finished(careful()) == ["mended"]


def test_a_closed_flight_runs_nothing_more() -> None:
    runs, go, ran = threading.Event(), threading.Event(), []
    flight: Flight[list[object], int] = Flight(3, 3, landed=lambda: None)

    def first() -> bool:
        runs.set()
        return go.wait(WAIT_S)

    flight.begin(step(Job(first, alone=True)), 0)
    flight.begin(step(Job(lambda: ran.append(1), alone=True)), 1)
    assert runs.wait(WAIT_S)
    closing = threading.Thread(target=flight.close)
    closing.start()
    time.sleep(0.1)
    go.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert flight.finish() == (0, [True])
    with pytest.raises(CancelledError):
        flight.finish()
    with pytest.raises(CancelledError):
        flight.begin(step(Job(lambda: 1)), 2)
    assert ran == []


def run(in_flight: int, mode: str, frames: int, **given: object) -> list[Result]:
    overrides = [f"engine.in_flight={in_flight}", f"camera.regions.mode={mode}", "camera.tasks=[semantic]"]
    results: list[Result] = []
    with Pipeline.from_sources(FILM, overrides=["engine.scale=0.25", *overrides], **given) as pipeline:  # type: ignore[arg-type]
        for result in pipeline:
            results.append(result)
            if len(results) == frames:
                break
    return results


def test_full_frames_give_the_same_one_at_a_time_and_together() -> None:
    one, two = run(1, "full", 8), run(2, "full", 8)
    assert [result.index for result in two] == [result.index for result in one] == list(range(8))
    for a, b in zip(one, two, strict=True):
        assert a.semantic is not None
        assert b.semantic is not None
        assert (a.semantic.mask != b.semantic.mask).mean() < 1e-4  # one thread sums in another order than two


def test_a_file_gives_the_same_regions_every_time() -> None:
    """What a frame knows of those before it does not depend on how fast they were."""
    first, second = run(2, "pack", 16), run(2, "pack", 16)
    for a, b in zip(first, second, strict=True):
        assert a.mode == b.mode
        assert np.array_equal(a.regions.boxes, b.regions.boxes)


def test_a_network_of_somebody_else_is_never_run_twice_at_once() -> None:
    class Own(nn.Module):
        inside = most = 0

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.02)
            self.inside -= 1
            return pictures[:, :1] - 0.5

    own = Own()
    assert len(run(2, "full", 6, semantic=own)) == 6
    assert own.most == 1


def test_no_frame_in_flight_is_shown_uncovered_once_covering_is_asked_for() -> None:
    config = config_from_sources([FILM], ["engine.in_flight=3", "camera.name=a", "engine.scale=0.25"])
    covered = config_from_sources([FILM], ["engine.in_flight=3", "camera.name=a", "engine.scale=0.25",
                                           "camera.privacy.people=blur"])  # fmt: skip
    seen = []
    with Pipeline(config) as pipeline:
        for result in pipeline:
            seen.append((result.privacy, result.seq, result.dropped.get("reload", 0)))
            if len(seen) == 3:
                pipeline.reload(covered)
            if len(seen) == 8:
                break
    assert [privacy for privacy, *_ in seen[:3]] == ["off"] * 3
    assert "off" not in [privacy for privacy, *_ in seen[3:]]
    assert [seq for _, seq, _ in seen] == list(range(8))
    assert 1 <= seen[-1][2] <= 3


def test_a_slow_consumer_makes_no_mask_late() -> None:
    overrides = ["camera.name=a", "engine.scale=0.25", "camera.privacy.people=blur", "camera.privacy.late_s=0.6"]
    with Pipeline(config_from_sources([FILM], overrides)) as pipeline:
        seen = []
        for result in pipeline:
            seen.append(result.privacy)
            if len(seen) == 6:
                break
            time.sleep(0.8)
    assert "fallback:late" not in seen


def test_the_number_is_checked() -> None:
    from argos.errors import ConfigError

    with pytest.raises(ConfigError, match="in_flight"):
        config_from_sources([FILM], ["engine.in_flight=0"])
