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
        chosen = turns.of(priorities, hurried=True)
        assert chosen, "a step without a frame would wait for ever"
        taken.update(chosen)
    assert all(abs(taken[name] - 10 * priority) <= 1 for name, priority in priorities.items())


def test_nobody_sits_out_while_there_is_time() -> None:
    turns = Turns()
    for _ in range(5):
        assert turns.of({"door": 1, "till": 9}, hurried=False) == ["door", "till"]


def test_who_waits_alone_is_taken() -> None:
    turns = Turns()
    assert turns.of({"door": 1, "till": 9}, hurried=True) == ["till"]
    assert turns.of({"door": 1}, hurried=True) == ["door"]
    assert turns.of({}, hurried=True) == []
