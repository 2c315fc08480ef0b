"""Rendered people: the truth agrees with the pixels, and the same seed gives the same film."""

from __future__ import annotations

import threading
import time
from itertools import islice

import numpy as np
import pytest

from argos.errors import SourceError
from argos.sources.backdrop import make_backdrop
from argos.sources.scene import Scene
from argos.sources.synthetic import SceneParams, parse_scene, read_synthetic, render
from argos.sources.walkers import Visits

SMALL = SceneParams(people=4, seed=3, fps=5, size=(136, 241), frames=6)


@pytest.fixture(scope="module")
def film() -> list:
    return list(render(SMALL))


def test_same_seed_gives_the_same_bytes_and_masks(film) -> None:
    for one, two in zip(film, render(SMALL), strict=True):
        assert np.array_equal(one.pixels, two.pixels)
        assert [(p.id, p.box) for p in one.people] == [(p.id, p.box) for p in two.people]
        assert all(np.array_equal(p.mask, q.mask) for p, q in zip(one.people, two.people, strict=True))


def test_another_seed_gives_another_film(film) -> None:
    other = next(render(SceneParams(people=4, seed=4, fps=5, size=(136, 241), frames=1)))
    assert np.abs(other.pixels.astype(int) - film[0].pixels).mean() > 5


def test_frames_have_the_asked_size_number_and_type(film) -> None:
    assert len(film) == 6
    assert all(r.pixels.shape == (136, 241, 3) and r.pixels.dtype == np.uint8 for r in film)


def test_masks_fit_their_boxes_and_are_disjoint(film) -> None:
    assert sum(len(r.people) for r in film) > 6
    for rendered in film:
        count = np.zeros((136, 241), int)
        for person in rendered.people:
            x0, y0, x1, y1 = person.box
            assert person.mask.shape == (y1 - y0, x1 - x0)
            assert person.mask.dtype == np.bool_
            assert all(edge.any() for edge in (person.mask[0], person.mask[-1], person.mask[:, 0], person.mask[:, -1]))
            count[y0:y1, x0:x1] += person.mask
        assert count.max() <= 1


def test_masks_hold_the_changed_pixels_and_nothing_else_but_shadows() -> None:
    scene = Scene((180, 320), people=5, seed=3)
    empty = scene.backdrop.pixels.astype(int)
    changed_inside = changed = total = 0
    for index in range(6):
        clean = scene.picture(index * 0.4)
        inside = np.zeros((180, 320), np.bool_)
        for person in clean.people:
            x0, y0, x1, y1 = person.box
            inside[y0:y1, x0:x1] |= person.mask
        difference = np.abs(clean.pixels.astype(int) - empty).max(axis=2)
        changed_inside += np.count_nonzero(difference[inside] > 12)
        total += np.count_nonzero(inside)
        changed += np.count_nonzero(difference[~inside] > 60)
        assert np.median(difference[~inside]) == 0
    assert total > 1000
    assert changed_inside / total > 0.85
    assert changed / total < 0.05, "only soft edges, shadows and reflections may lie outside the masks"


def test_empty_scene_is_the_backdrop_alone() -> None:
    scene = Scene((90, 160), people=0, seed=1)
    rendered = scene.picture(1.0)
    assert rendered.people == ()
    assert np.array_equal(rendered.pixels, scene.backdrop.pixels)


def test_ids_persist_and_people_move_little_between_frames() -> None:
    last: dict[int, tuple[int, int, int, int]] = {}
    kept = 0
    for rendered in render(SceneParams(people=4, seed=3, fps=15, size=(90, 160), frames=12)):
        now = {person.id: person.box for person in rendered.people}
        assert len(now) == len(rendered.people)
        for person in now.keys() & last.keys():
            kept += 1
            assert abs(now[person][3] - last[person][3]) < 12
        last = now
    assert kept > 20


def test_visits_end_and_new_people_get_new_ids() -> None:
    visits = Visits(2, 5, make_backdrop((60, 96), np.random.default_rng(5)))
    times: dict[int, list[int]] = {}
    for second in range(240):
        for walker in visits.at(float(second)):
            times.setdefault(walker.person, []).append(second)
    assert len(times) >= 10
    assert all(seen == list(range(seen[0], seen[-1] + 1)) for seen in times.values()), "nobody comes back"


def test_query_gives_parameters() -> None:
    params = parse_scene("fake://people?n=7&seed=9&fps=12.5&size=641x359&frames=30&realtime=1")
    assert params == SceneParams(people=7, seed=9, fps=12.5, size=(359, 641), frames=30, realtime=True)
    assert parse_scene("fake://people") == SceneParams()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fake://people?people=3", "unknown key 'people'; allowed are n, seed, fps, size, frames, realtime"),
        ("fake://people?n=3&n=4", "'n' is given twice"),
        ("fake://people?size=640", "size: should be WIDTHxHEIGHT, got '640'"),
        ("fake://people?realtime=yes", "realtime: should be 0 or 1, got 'yes'"),
        ("fake://people?fps=0", "fps: should be greater than 0"),
        ("fake://people?fps=nan", "fps: should be greater than 0"),
        ("fake://people?n=many", "n: should be a whole number, got 'many'"),
        ("fake://people?frames=0", "frames: should be 1 or more, got 0"),
        ("fake://cars?n=3", "the only rendered source is fake://people"),
    ],
)
def test_wrong_query_names_the_key(source: str, message: str) -> None:
    with pytest.raises(SourceError, match="fake://") as caught:
        read_synthetic(source, "desk")
    assert message in str(caught.value)
    assert caught.value.code == "unsupported"


def test_frames_carry_camera_index_and_time() -> None:
    frames = list(read_synthetic("fake://people?n=2&seed=1&fps=12.5&size=161x97&frames=3", "desk"))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.pts_s for frame in frames] == [0.0, 0.08, 0.16]
    assert [frame.pts for frame in frames] == [0, 7200, 14400]
    assert all(frame.time_base == (1, 90_000) and frame.camera == "desk" for frame in frames)
    assert all(frame.size == (97, 161) and frame.clock == "file" for frame in frames)


def test_endless_source_stops_when_told() -> None:
    stop = threading.Event()
    frames = read_synthetic("fake://people?n=1&size=96x64", "desk", stop)
    assert len(list(islice(frames, 3))) == 3
    stop.set()
    assert list(frames) == []


def test_realtime_keeps_the_pace_of_the_wall_clock() -> None:
    frames = read_synthetic("fake://people?n=0&size=96x64&fps=20&frames=9&realtime=1", "desk")
    next(frames)
    began = time.monotonic()
    rest = list(frames)
    assert time.monotonic() - began >= rest[-1].pts_s - 0.05
    assert all(frame.clock == "arrival" for frame in rest)
