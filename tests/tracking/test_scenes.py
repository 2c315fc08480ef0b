"""Rendered people with exact truth: no worse than an established tracker, whose ids were recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tracked_scenes import LOW_SCORE, SCENES, SCORE, Seen, load

from argos.kernels.assignment import assign
from argos.tracking.likeness import box_overlaps
from argos.tracking.tracker import Tracker, TrackSettings
from argos.types import Instances

Tracked = list[tuple[Seen, Instances]]


def by_argos(scene: list[Seen]) -> Tracked:
    tracker = Tracker(TrackSettings(SCORE, LOW_SCORE))
    return [(seen, tracker.update(seen.people, seen.pts_s)) for seen in scene]


def by_oracle(scene: list[Seen]) -> Tracked:
    return [
        (s, Instances(s.people.boxes, s.people.scores, s.people.labels, s.people.masks, s.people.size, s.oracle))
        for s in scene
    ]


def overlaps(seen: Seen, shown: Instances) -> np.ndarray:
    return box_overlaps(seen.truth_boxes.astype(float), shown.boxes[shown.ids >= 0].astype(float))


def switches(tracked: Tracked) -> int:
    """How often a person's id is another one than the last time; who was paired a frame ago stays so if that is right.

    Reference:
        Bernardin and Stiefelhagen, Evaluating Multiple Object Tracking Performance: the CLEAR MOT Metrics, 2008.
    """
    last: dict[int, int] = {}
    before: dict[int, int] = {}
    count = 0
    for seen, shown in tracked:
        found, alike = shown.ids[shown.ids >= 0], overlaps(seen, shown)
        kept = np.array([[before.get(int(who)) == int(track) for track in found] for who in seen.truth_ids], np.bool_)
        alike[kept.reshape(alike.shape) & (alike >= 0.5)] += 1000
        before = {int(seen.truth_ids[row]): int(found[column]) for row, column in assign(alike, 0.5).tolist()}
        count += sum(last.get(who, track) != track for who, track in before.items())
        last.update(before)
    return count


def idf1(tracked: Tracked) -> float:
    """Share of the people found under the one id that suits them best.

    Reference:
        Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, arXiv:1609.01775.
    """
    people = sorted({int(who) for seen, _ in tracked for who in seen.truth_ids})
    tracks = sorted({int(track) for _, shown in tracked for track in shown.ids if track >= 0})
    together = np.zeros((len(people), len(tracks)))
    for seen, shown in tracked:
        found = shown.ids[shown.ids >= 0]
        for n, m in np.argwhere(overlaps(seen, shown) >= 0.5).tolist():
            together[people.index(int(seen.truth_ids[n])), tracks.index(int(found[m]))] += 1
    pairs = assign(together, 1.0)
    of_people = sum(len(seen.truth_ids) for seen, _ in tracked)
    of_tracks = sum(int((shown.ids >= 0).sum()) for _, shown in tracked)
    return float(2 * together[pairs[:, 0], pairs[:, 1]].sum() / (of_people + of_tracks))


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Seen]]:
    return {name: load(name) for name in SCENES}


def test_ids_switch_less_than_with_the_established_tracker(scenes: dict[str, list[Seen]]) -> None:
    ours = {name: switches(by_argos(scene)) for name, scene in scenes.items()}
    oracle = {name: switches(by_oracle(scene)) for name, scene in scenes.items()}
    assert sum(oracle.values()) >= 4, "the scenes are too easy to tell trackers apart"
    assert sum(ours.values()) < sum(oracle.values()), (ours, oracle)


def test_idf1_is_no_lower_than_that_of_the_established_tracker(scenes: dict[str, list[Seen]]) -> None:
    ours = {name: idf1(by_argos(scene)) for name, scene in scenes.items()}
    oracle = {name: idf1(by_oracle(scene)) for name, scene in scenes.items()}
    assert math.fsum(ours.values()) >= math.fsum(oracle.values()), (ours, oracle)
    assert min(ours.values()) > 0.75, ours


def test_most_people_keep_an_id_where_every_third_frame_is_seen(scenes: dict[str, list[Seen]]) -> None:
    """Three frames a second, and less than two."""
    assert np.mean([idf1(by_argos(scene[::3])) for scene in scenes.values()]) > 0.65


@pytest.mark.parametrize("name", SCENES)
def test_equal_input_gives_equal_ids(name: str, scenes: dict[str, list[Seen]]) -> None:
    first, second = by_argos(scenes[name]), by_argos(scenes[name])
    assert all(np.array_equal(a.ids, b.ids) for (_, a), (_, b) in zip(first, second, strict=True))
    given = [track for _, shown in first for track in shown.ids.tolist() if track >= 0]
    assert sorted(set(given)) == list(range(1, max(given) + 1))


def test_trackeval_agrees_on_the_measures(scenes: dict[str, list[Seen]]) -> None:
    """The short forms above are those of the benchmark; ``pip install --no-deps trackeval``."""
    metrics = pytest.importorskip("trackeval.metrics")
    for scene in scenes.values():
        tracked = by_argos(scene)
        data = trackeval_data(tracked)
        clear, identity = metrics.CLEAR({"PRINT_CONFIG": False}), metrics.Identity({"PRINT_CONFIG": False})
        assert clear.eval_sequence(data)["IDSW"] == switches(tracked)
        assert identity.eval_sequence(data)["IDF1"] == pytest.approx(idf1(tracked), abs=1e-9)


def trackeval_data(tracked: Tracked) -> dict[str, object]:
    people = sorted({int(who) for seen, _ in tracked for who in seen.truth_ids})
    tracks = sorted({int(track) for _, shown in tracked for track in shown.ids if track >= 0})
    return {
        "num_timesteps": len(tracked),
        "num_gt_ids": len(people),
        "num_tracker_ids": len(tracks),
        "num_gt_dets": sum(len(seen.truth_ids) for seen, _ in tracked),
        "num_tracker_dets": sum(int((shown.ids >= 0).sum()) for _, shown in tracked),
        "gt_ids": [np.searchsorted(people, seen.truth_ids) for seen, _ in tracked],
        "tracker_ids": [np.searchsorted(tracks, shown.ids[shown.ids >= 0]) for _, shown in tracked],
        "similarity_scores": [overlaps(seen, shown) for seen, shown in tracked],
    }
