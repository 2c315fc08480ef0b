"""Delivering to who may be away: order, bounds, pauses, and what is said of what was lost."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from receivers import wait_for

from argos.publishing import delivery as module
from argos.publishing.delivery import Backoff, Delivery, Message, NotDelivered, Refused

FAST = Backoff(initial_s=0.01, max_s=0.05, jitter=0.0)


def event(name: str) -> Message:
    return Message(None, name, name.encode())


class Receiver:
    """Takes messages while ``is_there``; refuses those named in ``unwanted``."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.is_there, self.unwanted = True, set[str]()
        self.attempts: list[float] = []

    def send(self, message: Message) -> None:
        self.attempts.append(time.monotonic())
        if not self.is_there:
            raise NotDelivered("away")
        if message.address in self.unwanted:
            raise Refused("status 400")
        self.taken.append(message.address)


def test_messages_come_in_order_after_the_receiver_was_away(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.is_there = False
    with caplog.at_level(logging.INFO, "argos"):
        delivery = Delivery("webhook http://h", receiver.send, 100, FAST)
        for n in range(5):
            delivery.put(event(str(n)))
        assert wait_for(lambda: delivery.tally().failed >= 3)
        assert delivery.tally().waiting == 5
        receiver.is_there = True
        assert wait_for(lambda: delivery.tally().delivered == 5)
        delivery.close()
    assert receiver.taken == list("01234")
    tally = delivery.tally()
    assert (tally.waiting, tally.dropped) == (0, {})
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "webhook http://h: cannot be reached, messages wait (away)",
        "webhook http://h: takes messages again",
    ]


def test_when_the_spool_is_full_the_oldest_goes_and_is_counted() -> None:
    receiver = Receiver()
    receiver.is_there = False
    delivery = Delivery("r", receiver.send, 3, FAST)
    delivery.put(event("first"))
    assert wait_for(lambda: bool(receiver.attempts))  # it is on its way, and not in the spool any more
    for n in range(10):
        delivery.put(event(str(n)))
    assert delivery.tally().dropped == {"full": 7}
    assert delivery.tally().waiting == 4
    receiver.is_there = True
    delivery.close()
    assert receiver.taken == ["first", "7", "8", "9"]


def test_a_state_replaces_the_one_that_waits_and_events_stay() -> None:
    receiver = Receiver()
    receiver.is_there = False
    delivery = Delivery("r", receiver.send, 100, FAST)
    delivery.put(event("first"))
    assert wait_for(lambda: bool(receiver.attempts))
    for n in range(5):
        delivery.put(Message("people", f"people {n}", b""))
        delivery.put(event("same"))
    receiver.is_there = True
    delivery.close()
    assert receiver.taken == ["first", *["same"] * 4, "people 4", "same"]


def test_what_is_refused_is_dropped_and_the_rest_comes(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.unwanted = {"b"}
    delivery = Delivery("r", receiver.send, 100, FAST)
    for name in "abc":
        delivery.put(event(name))
    delivery.close()
    assert receiver.taken == ["a", "c"]
    assert delivery.tally().dropped == {"refused": 1}
    assert "r: refuses a message, which is dropped (status 400)" in caplog.text
    assert "r: 1 messages were not delivered (1 refused)" in caplog.text


def test_at_the_end_what_waits_is_tried_for_a_moment_and_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.3)
    receiver = Receiver()
    receiver.is_there = False
    delivery = Delivery("r", receiver.send, 100, Backoff(initial_s=30.0, max_s=30.0))
    for name in "abc":
        delivery.put(event(name))
    assert wait_for(lambda: bool(receiver.attempts))
    start = time.monotonic()
    delivery.close()  # a pause of 30 s does not hold it up
    assert time.monotonic() - start < 25
    delivery.close()
    delivery.put(event("late"))
    assert delivery.tally().dropped == {"closed": 4}
    assert delivery.tally().waiting == 0
    assert not any(thread.name == "argos-delivery" and thread.is_alive() for thread in threading.enumerate())


def test_a_receiver_that_hangs_is_left_behind_and_nothing_is_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.1)
    monkeypatch.setattr(module, "GIVEN_UP_S", 0.1)
    answers = threading.Event()

    def send(message: Message) -> None:
        answers.wait(60)

    delivery = Delivery("r", send, 100, FAST)
    for name in "abc":
        delivery.put(event(name))
    start = time.monotonic()
    delivery.close()
    assert time.monotonic() - start < 30
    left = delivery.tally()
    answers.set()
    assert wait_for(lambda: not delivery._thread.is_alive())
    delivery.close()
    assert left == delivery.tally()
    assert (left.delivered, left.waiting, left.dropped) == (0, 0, {"closed": 3})


def test_the_receiver_may_ask_for_a_longer_pause() -> None:
    attempts: list[float] = []

    def send(message: Message) -> None:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            raise NotDelivered("status 429", after_s=0.4)

    delivery = Delivery("r", send, 9, Backoff(initial_s=0.01, max_s=5.0))
    delivery.put(event("a"))
    assert wait_for(lambda: delivery.tally().delivered == 1)
    delivery.close()
    assert attempts[1] - attempts[0] >= 0.4


@settings(deadline=None)
@given(st.floats(0.01, 5), st.floats(1, 4), st.floats(0, 1), st.integers(0, 10_000))
def test_pauses_grow_to_their_bound(initial: float, factor: float, jitter: float, attempt: int) -> None:
    backoff = Backoff(initial, 60.0, factor, jitter)
    middle = min(60.0, initial * factor ** min(attempt, 64))
    assert middle * (1 - jitter) - 1e-9 <= backoff.pause_s(attempt) <= middle * (1 + jitter) + 1e-9


def test_a_bug_in_the_thread_is_raised_where_the_next_message_is_put_and_at_the_end() -> None:
    def send(message: Message) -> None:
        raise KeyError(message.address)

    delivery = Delivery("broker", send, 10, FAST)
    delivery.put(event("first"))

    def is_raised() -> bool:
        try:
            delivery.put(event("next"))
        except KeyError as error:
            return error.args == ("first",)
        return False

    assert wait_for(is_raised)
    with pytest.raises(KeyError, match="first"):
        delivery.close()
