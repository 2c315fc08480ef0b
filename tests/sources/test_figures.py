"""One rendered person: outline, walk, and the choice of figures."""

from __future__ import annotations

import numpy as np
import pytest

from argos.sources.figure_pose import pose
from argos.sources.figures import HELD_OUT_SEED, draw_person, random_person


def test_same_generator_gives_the_same_person_and_picture() -> None:
    one, two = (random_person(np.random.default_rng(5)) for _ in range(2))
    assert one == two
    assert np.array_equal(draw_person(one, 80, 0.3, 1.0), draw_person(two, 80, 0.3, 1.0))


def test_people_differ() -> None:
    rng = np.random.default_rng(2)
    people = [random_person(rng) for _ in range(60)]
    assert len({person.skin for person in people}) > 40
    assert {person.bottom_kind for person in people} >= {"trousers", "shorts", "skirt"}
    assert {person.bag for person in people} == {"none", "backpack", "shoulder", "hand"}
    assert len({person.top.pattern for person in people}) == 6
    assert 1.48 <= min(person.stature for person in people) < max(person.stature for person in people) <= 1.98


def test_outline_is_as_high_as_asked_and_cut_tight() -> None:
    person = random_person(np.random.default_rng(8))
    rgba = draw_person(person, 150, 0.25, 0.0, pitch=0.0)
    assert rgba.dtype == np.uint8
    assert rgba.shape[2] == 4
    assert 140 <= rgba.shape[0] <= 160
    alpha = rgba[..., 3]
    assert all(edge.any() for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
    assert 0.25 < (alpha > 127).mean() < 0.75
    assert ((alpha > 0) & (alpha < 255)).any(), "edges are soft"


def test_side_view_walks_and_standing_is_narrow() -> None:
    person = random_person(np.random.default_rng(3))
    widths = [draw_person(person, 120, phase, np.pi / 2).shape[1] for phase in (0.0, 0.25)]
    assert widths[0] > 1.2 * widths[1], "legs are apart at heel strike and pass at a quarter of the stride"
    assert draw_person(person, 120, 0.0, np.pi / 2, stride=0.0).shape[1] < widths[0]


def test_face_is_seen_from_the_front_and_hair_from_behind() -> None:
    people = (random_person(np.random.default_rng(seed)) for seed in range(100))
    person = next(p for p in people if p.hair == "long" and p.hat == "none" and max(p.hair_colour) < 60 < min(p.skin))
    front, back = (draw_person(person, 200, 0.25, facing)[: 200 // 8] for facing in (0.0, np.pi))
    assert front[front[..., 3] == 255, 0].mean() > back[back[..., 3] == 255, 0].mean() + 20


@pytest.mark.parametrize("phase", np.linspace(0, 0.95, 12).tolist())
def test_lower_foot_stays_on_the_floor(phase: float) -> None:
    joints = pose(random_person(np.random.default_rng(HELD_OUT_SEED + 1)), phase)
    lowest = min(leg.ankle[1] for leg in joints.legs)
    assert 0.02 < lowest < 0.09
    assert 0.75 < joints.neck[1] < 0.87


def test_too_small_a_person_is_refused() -> None:
    with pytest.raises(ValueError, match="height_px: expected 24 or more, got 10"):
        draw_person(random_person(np.random.default_rng(1)), 10, 0.0, 0.0)
