"""Under overload cameras get frames through in proportion to their priorities."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from argos.pipelines.turns import Turns


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 100), min_size=1))
def test_shares_are_those_of_the_priorities(priorities: dict[str, int]) -> None:
    turns, taken = Turns(), Counter[str]()
    most = max(priorities.values())
    for _ in range(10 * most):
        chosen = turns.of(priorities, list(priorities), hurried=True)
        assert chosen, "a step without a frame would wait for ever"
        taken.update(chosen)
    assert all(abs(taken[name] - 10 * priority) <= 1 for name, priority in priorities.items())


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=2),
    st.lists(st.sampled_from("abcd"), max_size=400),
)
def test_shares_hold_when_a_slot_is_free_before_the_next_frame_is_there(
    priorities: dict[str, int], arriving: list[str]
) -> None:
    """Frames come one by one, and each is asked for at once: with credit for who waits alone all would be taken."""
    turns, taken, waiting = Turns(), Counter[str](), set[str]()
    for name in arriving:
        if name in priorities:
            waiting.add(name)
            chosen = turns.of(priorities, sorted(waiting), hurried=True)
            waiting -= set(chosen)
            taken.update(chosen)
    had = [taken[name] / priority for name, priority in priorities.items()]
    assert max(had) - min(had) <= 2 + 1e-3  # his last frame, and going along with the first


def test_nobody_sits_out_while_there_is_time() -> None:
    turns = Turns()
    for _ in range(5):
        assert turns.of({"door": 1, "till": 9}, ["door", "till"], hurried=False) == ["door", "till"]


def test_who_was_away_saves_nothing_up_and_owes_what_he_owed() -> None:
    turns = Turns()
    both = {"door": 1, "till": 2}
    assert turns.of(both, ["door", "till"], hurried=True) == ["door", "till"]
    for _ in range(4):
        assert turns.of({"till": 2}, ["till"], hurried=True) == ["till"]  # no frame of the door is near
    assert turns.of(both, ["door", "till"], hurried=True) == ["door", "till"]  # level with who went on
    assert turns.of(both, ["door"], hurried=True) == []  # the till's next frame is about to come
    assert turns.of(both, ["door", "till"], hurried=True) == ["till"]


def test_who_waits_alone_is_taken() -> None:
    turns = Turns()
    assert turns.of({"door": 1}, ["door"], hurried=True) == ["door"]
    assert turns.of({}, [], hurried=True) == []
