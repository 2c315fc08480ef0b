"""A still scene is remembered, and whatever changes in it is looked at again."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from argos.propose.memory import ANSWER_S, BLOCK, HELD_S, REACH, SURE_AFTER, SceneMemory
from argos.propose.qunet import shrunk
from argos.types import Frame, RegionMask

SIZE, GRID = (360, 640), (176, 320)
Mask = NDArray[np.bool_]
NOBODY, EVERYWHERE = np.zeros(SIZE, np.bool_), np.ones(SIZE, np.bool_)


def picture(seed: int = 0, noise: float = 4.0, person: int | None = None, epoch: int = 0) -> Frame:
    """A room with edges, sensor noise of its own, and perhaps a person of medium contrast at column ``person``."""
    rng = np.random.default_rng(7)
    room = np.kron(rng.integers(60, 200, (9, 16, 3)), np.ones((40, 40, 1)))
    if person is not None:
        room[150:250, person : person + 40] += 25
    noisy = room + np.random.default_rng(seed).normal(0, noise, room.shape)
    return Frame(np.clip(noisy, 0, 255).astype(np.uint8), "a", seed, seed / 10, epoch=epoch)


def proposal(*boxes: tuple[int, int, int, int]) -> RegionMask:
    """Cells of boxes in frame pixels."""
    mask = np.zeros(GRID, np.bool_)
    for x0, y0, x1, y1 in boxes:
        mask[y0 * 176 // 360 : y1 * 176 // 360, x0 // 2 : x1 // 2] = True
    return RegionMask(mask.astype(np.float32), mask, SIZE)


def look(memory: SceneMemory, computed: Mask = EVERYWHERE, noise: float = 4.0) -> None:
    """The deep network looks at the empty room often enough to be believed."""
    for seed in range(1, 1 + SURE_AFTER):
        assert recall(memory, picture(seed, noise), proposal(POSTER)).mask.any()
        memory.learn(memory.sight, computed, NOBODY)


def look_at(memory: SceneMemory, frame: Frame, grid: tuple[int, ...] = GRID) -> None:
    memory.look(frame, shrunk(frame, max(grid)))


def recall(memory: SceneMemory, frame: Frame, proposed: RegionMask) -> RegionMask:
    look_at(memory, frame, proposed.mask.shape)
    return memory.recall(proposed)


POSTER = (500, 60, 580, 160)


def person_at(column: int) -> Mask:
    mask = np.zeros(SIZE, np.bool_)
    mask[150:250, column : column + 40] = True
    return mask


def test_a_poster_is_proposed_until_the_network_has_looked() -> None:
    memory = SceneMemory()
    look(memory)
    for seed in range(5, 11):
        assert not recall(memory, picture(seed), proposal(POSTER)).mask.any()


def test_a_part_of_a_place_that_was_looked_at_is_asked_about_no_more_and_the_rest_is() -> None:
    memory, seen = SceneMemory(), np.zeros(SIZE, np.bool_)
    seen[56:164, 496:584] = True  # the poster and a little around it: no whole number of places
    look(memory, seen)
    assert not recall(memory, picture(5), proposal(POSTER)).mask.any()
    left = recall(memory, picture(6), proposal((460, 56, 584, 164))).mask
    assert left.any()
    assert not (left & proposal(POSTER).mask).any()


def test_only_what_was_computed_is_learnt() -> None:
    memory = SceneMemory()
    computed = NOBODY.copy()
    computed[:, 540:] = True  # half of the poster
    look(memory, computed)
    columns = np.flatnonzero(recall(memory, picture(5), proposal(POSTER)).mask.any(axis=0))
    assert columns.min() == 250
    assert 540 // 2 <= columns.max() + 1 <= 540 // 2 + BLOCK


@pytest.mark.parametrize("noise", [0.0, 4.0, 8.0])
def test_who_comes_in_is_looked_at(noise: float) -> None:
    memory = SceneMemory()
    look(memory, noise=noise)
    box = (200, 150, 240, 250)
    recalled = recall(memory, picture(5, noise, person=200), proposal(POSTER, box)).mask
    assert recalled[proposal(box).mask].all()
    assert not recalled[proposal(POSTER).mask].any()


def test_who_stands_still_is_looked_at_again_even_where_the_proposer_is_blind() -> None:
    memory = SceneMemory()
    recall(memory, picture(1, person=200), proposal())
    memory.learn(memory.sight, EVERYWHERE, person_at(200))
    for seed in range(2, 6):
        recalled = recall(memory, picture(seed, person=200), proposal()).mask
        assert recalled[proposal((200, 150, 240, 250)).mask].all()
        assert recalled.mean() < 0.05
        memory.learn(memory.sight, person_at(200), person_at(200))


def test_who_leaves_is_forgotten() -> None:
    memory = SceneMemory()
    recall(memory, picture(1, person=200), proposal())
    memory.learn(memory.sight, EVERYWHERE, person_at(200))
    for seed in range(2, 2 + SURE_AFTER):
        recall(memory, picture(seed), proposal())
        memory.learn(memory.sight, EVERYWHERE, NOBODY)
    assert not recall(memory, picture(9), proposal((200, 150, 240, 250))).mask.any()


def test_what_only_looks_a_little_like_somebody_is_asked_about_no_more() -> None:
    memory, weak = SceneMemory(), np.zeros(SIZE, np.bool_)
    weak[60:160, 500:580] = True
    for seed in range(1, 1 + SURE_AFTER):
        assert recall(memory, picture(seed), proposal(POSTER)).mask.any()
        memory.learn(memory.sight, EVERYWHERE, NOBODY, [weak])
    assert not recall(memory, picture(5), proposal(POSTER)).mask.any()


def test_who_was_found_and_is_hardly_recognised_any_more_is_looked_at_again() -> None:
    memory = SceneMemory()
    recall(memory, picture(1, person=200), proposal())
    memory.learn(memory.sight, EVERYWHERE, person_at(200))
    for seed in range(2, 4 + SURE_AFTER):
        recalled = recall(memory, picture(seed, person=200), proposal()).mask
        assert recalled[proposal((200, 150, 240, 250)).mask].all()
        memory.learn(memory.sight, EVERYWHERE, NOBODY, [person_at(320), person_at(204)])
    assert not recall(memory, picture(9, person=200), proposal((320, 150, 360, 250))).mask[:, 160:].any()


def test_the_neighbourhood_of_people_is_believed() -> None:
    """A hand that looks like the wall behind it is proposed, unchanged, and beside the person."""
    memory = SceneMemory()
    for seed in range(1, 1 + SURE_AFTER):
        recall(memory, picture(seed, person=200), proposal())
        memory.learn(memory.sight, EVERYWHERE, person_at(200))
    near, far = (244, 150, 260, 170), (244 + 2 * BLOCK * (REACH + 3), 150, 320, 170)
    recalled = recall(memory, picture(9, person=200), proposal(near, far)).mask
    assert recalled[proposal(near).mask].all()
    assert not recalled[proposal(far).mask].any()


def test_what_is_learnt_late_is_of_the_picture_it_was_found_in() -> None:
    """The next frame is looked at while the network is still busy with this one: who has just come in is seen."""
    memory = SceneMemory()
    recall(memory, picture(1), proposal(POSTER))
    for seed in range(2, 2 + SURE_AFTER):
        before = memory.sight
        recall(memory, picture(seed, person=200 if seed > SURE_AFTER else None), proposal(POSTER))
        memory.learn(before, EVERYWHERE, NOBODY)
    box = (200, 150, 240, 250)
    recalled = recall(memory, picture(9, person=200), proposal(POSTER, box)).mask
    assert recalled[proposal(box).mask].all()
    assert not recalled[proposal(POSTER).mask].any()


def test_what_was_found_in_another_scene_is_not_learnt() -> None:
    memory = SceneMemory()
    recall(memory, picture(1), proposal())
    before = memory.sight
    recall(memory, picture(2, epoch=1), proposal())
    memory.learn(before, EVERYWHERE, person_at(200))
    assert not memory.occupied.any()


@pytest.mark.parametrize("what", ["epoch", "moving", "grid"])
def test_another_scene_is_looked_at_anew(what: str) -> None:
    memory = SceneMemory()
    look(memory)
    frame, proposed = picture(9), proposal(POSTER)
    assert not recall(memory, frame, proposed).mask.any()
    if what == "epoch":
        frame = picture(9, epoch=1)
    elif what == "moving":
        frame = Frame(np.ascontiguousarray(np.roll(frame.pixels, 20, axis=1)), "a", 2, 0.2)
    else:
        mask = np.ones((96, 160), np.bool_)
        proposed = RegionMask(mask.astype(np.float32), mask, SIZE)
    kept = recall(memory, frame, proposed).mask
    assert kept.sum() > 0.9 * proposed.mask.sum()


def asked(noise: float = 4.0) -> SceneMemory:
    """A memory of what the proposer said about the empty room at 0 s."""
    memory = SceneMemory()
    look_at(memory, picture(0, noise))
    assert memory.answer(0.4) is None
    memory.keep(np.full(GRID, 0.3, np.float32))
    return memory


@pytest.mark.parametrize("noise", [0.0, 4.0])
def test_the_proposer_is_not_asked_again_while_nothing_moves(noise: float) -> None:
    memory = asked(noise)
    for seed in range(1, round(10 * ANSWER_S)):
        look_at(memory, picture(seed, noise))
        answer = memory.answer(0.4)
        assert answer is not None
        assert answer.scores.mean() == pytest.approx(0.3)
        assert not answer.mask.any()
    look_at(memory, picture(round(10 * ANSWER_S), noise))
    assert memory.answer(0.4) is None  # an answer does not live for ever


@pytest.mark.parametrize("frame", [picture(2, person=200), picture(1, epoch=1)], ids=["somebody", "epoch"])
def test_the_proposer_is_asked_again_when_something_is_new(frame: Frame) -> None:
    memory = asked()
    look_at(memory, frame)
    assert memory.answer(0.4) is None


def test_who_comes_in_between_two_questions_is_proposed_unasked() -> None:
    memory = asked()
    assert picture(1).pts_s < HELD_S
    look_at(memory, picture(1, person=200))
    answer = memory.answer(0.4)
    assert answer is not None
    inner, outer = (proposal(box).mask for box in ((200, 150, 240, 240), (184, 130, 256, 270)))
    assert answer.mask[inner].all()
    assert not answer.mask[~outer].any()


def test_where_much_changes_every_frame_is_asked_about() -> None:
    """As a camera does that moves, away from where somebody is seen already; there it may."""
    room = picture(0)
    moved = Frame(np.ascontiguousarray(np.roll(room.pixels, 20, axis=1)), "a", 1, 0.01)
    for score, held in ((0.3, False), (0.5, True)):
        memory = SceneMemory()
        look_at(memory, room)
        memory.keep(np.full(GRID, score, np.float32))
        look_at(memory, moved)
        assert (memory.answer(0.4) is not None) == held


def test_a_clock_that_goes_back_asks_again() -> None:
    memory = SceneMemory()
    look_at(memory, picture(5))
    memory.keep(np.zeros(GRID, np.float32))
    look_at(memory, picture(4))
    assert memory.answer(0.4) is None


def test_a_slow_change_adds_up() -> None:
    """Somebody comes out of the fog: two grey values a frame are noise, the sum is not."""
    memory = asked(noise=0.0)
    room = picture(0, 0.0).pixels
    heard = []
    for step in range(1, 9):
        pixels = room.copy()
        pixels[150:250, 200:240] += np.uint8(2 * step)
        look_at(memory, Frame(pixels, "a", step, step / 100))
        answer = memory.answer(0.4)
        assert answer is not None
        heard.append(answer.mask.any())
    assert not heard[0]
    assert heard[-1]
