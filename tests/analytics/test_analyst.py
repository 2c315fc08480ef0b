"""Events of whole runs: what happened to a thousand people whose ways are known, and the same again from a file."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tracked_people import people_result

from argos.analytics.analyst import Analyst
from argos.analytics.anchors import Anchor
from argos.analytics.lines import Line
from argos.analytics.zones import Zone
from argos.publishing.jsonl import JsonlWriter, read_jsonl
from argos.types import Event, Result

GATE = Line("gate", (0.3, 0.5), (0.7, 0.5))
ROOM = Zone("room", ((0.4, 0.55), (0.6, 0.55), (0.6, 0.95), (0.4, 0.95)))


def walks(count: int, seed: int) -> tuple[list[Result], Counter[str]]:
    """People who walk straight, eight steps with jitter and three at rest at both ends; and what truly happens.

    Ways that pass an end of the gate or a corner of the room closer than the jitter are drawn again.
    """
    rng, truth = np.random.default_rng(seed), Counter[str]()
    frames: list[dict[int, tuple[float, float]]] = []
    for track in range(1, count + 1):
        while True:
            a, b = rng.uniform(0.05, 0.98, (2, 2))
            if abs(a[1] - b[1]) < 0.2 or min(abs(a[1] - 0.5), abs(b[1] - 0.5)) < 0.03:
                continue
            x = a[0] + (0.5 - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
            crosses = (a[1] - 0.5) * (b[1] - 0.5) < 0
            if min(abs(x - 0.3), abs(x - 0.7)) < 0.12 and crosses:
                continue
            if any(min(abs(p[0] - 0.4), abs(p[0] - 0.6), abs(p[1] - 0.55), abs(p[1] - 0.95)) < 0.02 for p in (a, b)):
                continue
            break
        if crosses and 0.3 < x < 0.7:
            truth["left_to_right" if b[1] > 0.5 else "right_to_left"] += 1
        began, ended = (0.4 < p[0] < 0.6 and 0.55 < p[1] < 0.95 for p in (a, b))
        truth["began_inside"] += began
        truth["ended_inside"] += ended
        path = np.concatenate(
            [np.repeat(a[None], 4, axis=0), np.linspace(a, b, 10)[1:-1], np.repeat(b[None], 9, axis=0)]
        )
        path[4:-9] += rng.uniform(-0.01, 0.01, (8, 2))
        path[::2] += rng.uniform(-0.005, 0.005, 2)
        start = track // 8
        while len(frames) < start + len(path):
            frames.append({})
        for n, place in enumerate(path.tolist()):
            frames[start + n][track] = (place[0], place[1])
    frames += [{}] * 30
    return [people_result(n, people) for n, people in enumerate(frames)], truth


def events_of(results: list[Result]) -> list[Event]:
    analyst = Analyst([ROOM], [GATE], lost_s=2.0)
    return [event for one in results for event in analyst.update(one)]


def test_counts_over_a_thousand_tracks_equal_the_truth() -> None:
    results, truth = walks(1000, seed=1)
    events = events_of(results)
    crossed = Counter(event.direction for event in events if event.type == "line_cross")
    assert crossed["left_to_right"] == truth["left_to_right"] > 60
    assert crossed["right_to_left"] == truth["right_to_left"] > 60
    last = {direction: [e.count for e in events if e.direction == direction][-1] for direction in crossed}
    assert last == crossed
    assert [event.seq for event in events] == list(range(len(events)))

    stays: dict[int, list[Event]] = {}
    for event in events:
        if event.name == "room":
            stays.setdefault(event.id, []).append(event)
    assert (
        sum(own[0].type == "zone_enter" and own[-1].cause == "lost" for own in stays.values()) == truth["ended_inside"]
    )
    for own in stays.values():
        assert [event.type for event in own] == ["zone_enter", "zone_leave"] * (len(own) // 2)
    occupancy = 0
    for event in events:
        if event.name == "room":
            occupancy += 1 if event.type == "zone_enter" else -1
            assert event.occupancy == occupancy
    assert occupancy == 0


def test_the_same_results_from_a_file_give_the_same_events(tmp_path: Path) -> None:
    results, _ = walks(80, seed=2)
    with JsonlWriter(tmp_path / "r.jsonl") as writer:
        for one in results:
            writer.write(one)
    events = events_of(results)
    assert len(events) > 40
    assert events_of(list(read_jsonl(tmp_path / "r.jsonl"))) == events


def test_an_event_says_who_where_when_and_how_long() -> None:
    way = [{7: (0.5, 0.4)}] * 3 + [{7: (0.5, 0.6)}] * 10 + [{7: (0.5, 0.97)}] * 6
    cross, enter, leave = events_of([people_result(n, people) for n, people in enumerate(way)])
    assert (cross.type, cross.name, cross.id, cross.direction, cross.count) == (
        "line_cross",
        "gate",
        7,
        "left_to_right",
        1,
    )
    assert (cross.result_seq, cross.index, cross.pts_s, cross.captured_ns) == (4, 12, 0.4, 4 * 10**8)
    assert cross.box == (498, 596, 501, 600)
    assert cross.anchor == (499.5, 600.0)
    assert (cross.occupancy, cross.dwell_s, cross.cause) == (None, None, None)
    assert (enter.type, enter.occupancy, enter.count, enter.dwell_s, enter.cause) == ("zone_enter", 1, 1, None, None)
    assert (leave.type, leave.occupancy, leave.count, leave.cause) == ("zone_leave", 0, 1, "left")
    assert leave.dwell_s == pytest.approx(1.0)
    assert leave.direction is None


def test_who_is_unseen_for_too_long_and_everybody_at_a_reconnect_has_left() -> None:
    inside = [people_result(n, {7: (0.5, 0.7), 8: (0.45, 0.7)}) for n in range(5)]
    alone = [people_result(n, {8: (0.45, 0.7)}) for n in range(5, 30)]
    again = [people_result(n, {7: (0.5, 0.7)}, epoch=1) for n in range(30, 34)]
    events = events_of(inside + alone + again)
    said = [(event.type, event.id, event.cause, event.epoch, event.occupancy) for event in events]
    assert said == [
        ("zone_enter", 7, None, 0, 1),
        ("zone_enter", 8, None, 0, 2),
        ("zone_leave", 7, "lost", 0, 1),
        ("zone_leave", 8, "reconnected", 0, 0),
        ("zone_enter", 7, None, 1, 1),
    ]
    assert events[2].dwell_s == pytest.approx(0.4)
    assert events[3].dwell_s == pytest.approx(2.9)
    assert events[2].pts_s == pytest.approx(2.5)


def test_people_without_an_id_and_results_without_people_are_no_events() -> None:
    strangers = [people_result(n, {-1: (0.5, 0.7)}) for n in range(9)]
    assert events_of(strangers) == []
    assert events_of([replace(one, instances=None) for one in strangers]) == []


@pytest.mark.parametrize("anchor", ["mask_bottom", "bottom_center"])
def test_whoever_is_cut_off_by_the_lower_edge_stands_in_a_zone_that_reaches_it(anchor: Anchor) -> None:
    whole = Zone("all", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), anchor=anchor)
    analyst = Analyst([whole], [], lost_s=2.0)
    steps = [0.9, 0.95, *[1.0] * 20]
    results = [people_result(n, {1: (0.5, y)}) for n, y in enumerate(steps)]
    events = [event for one in results for event in analyst.update(one)]
    assert [event.type for event in events] == ["zone_enter"]
    analyst = Analyst([whole], [], lost_s=2.0)
    close = [event for n in range(5) for event in analyst.update(people_result(n, {1: (0.5, 1.0)}))]
    assert [event.type for event in close] == ["zone_enter"]
