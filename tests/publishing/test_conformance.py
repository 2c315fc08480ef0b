from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from publishing_results import T0, made_event, made_hello, made_overlay, made_result, made_status
from test_message import golden_values, read_golden

from argos.cli import main
from argos.publishing.conformance import RULES, Conformance
from argos.publishing.encode import encode_event, encode_hello, encode_overlay, encode_result, encode_status
from argos.publishing.publisher import Publisher

WALL_NS = T0 + 10_000_000_000
Parts = list[bytes]


def good() -> list[Parts]:
    """What a publisher sends that keeps every rule."""
    up = made_status(state="up", code="", message="", epoch=1)
    door = replace(up, camera="door")
    return [
        encode_hello(made_hello()),
        encode_status(up),
        encode_status(door),
        *(encode_result(made_result(seq)) for seq in range(3)),
        encode_overlay(made_overlay()),
        [b"argos/1/weather/desk/", b"{}"],
        encode_result(made_result(7)),  # four were lost on the way
        encode_result(made_result(0, run="02jnext")),
    ]


def judged(messages: list[Parts], began_s: float = 0.0, end_s: float = 2.0) -> Conformance:
    conformance = Conformance(began_s)
    for n, parts in enumerate(messages):
        conformance.take(parts, began_s + 0.1 * n, WALL_NS)
    conformance.finish(began_s + end_s)
    return conformance


def broken(conformance: Conformance) -> set[str]:
    return {rule for rule, tally in conformance.tallies.items() if tally.broken}


def test_a_good_publisher_keeps_every_rule() -> None:
    conformance = judged(good())
    assert broken(conformance) == set()
    assert all(tally.checked for tally in conformance.tallies.values())
    assert (conformance.missed, conformance.unknown, conformance.messages["result"]) == (4, 1, 5)


@pytest.mark.parametrize("name", golden_values())
def test_golden_messages_of_every_kind_keep_them_too(name: str) -> None:
    conformance = Conformance(0.0)
    conformance.take(read_golden(name), 0.1, WALL_NS)
    assert broken(conformance) == set()
    assert conformance.messages.total() == 1


def with_header(parts: Parts, **changes: Any) -> Parts:
    header = json.loads(parts[1])
    header.update(changes)
    return [parts[0], json.dumps(header).encode(), *parts[2:]]


def semantic_with(parts: Parts, **changes: Any) -> Parts:
    return with_header(parts, semantic=json.loads(parts[1])["semantic"] | changes)


RESULT = encode_result(made_result(8))
STATUS = encode_status(made_status())
BREAKERS: list[tuple[str, Callable[[], list[Parts]]]] = [
    ("topic", lambda: [[b"argos/1/result/desk", RESULT[1]]]),
    ("topic", lambda: [[b"argos/1/result/desk/"]]),
    ("topic", lambda: [[]]),
    ("message", lambda: [[RESULT[0], b"\x80\x04not JSON"]]),
    ("message", lambda: [RESULT[:2]]),
    ("message", lambda: [with_header(RESULT, seq=-1)]),
    ("seq", lambda: [RESULT, RESULT]),
    ("seq", lambda: [encode_overlay(made_overlay())]),
    ("seq", lambda: [encode_event(made_event()), encode_event(made_event())]),
    ("frame", lambda: [with_header(RESULT, frame=1)]),
    ("frame", lambda: [with_header(RESULT, pts_s=0.0)]),
    ("epoch", lambda: [with_header(RESULT, epoch=0)]),
    ("epoch", lambda: [encode_status(made_status(epoch=3)), encode_status(made_status(epoch=2))]),
    ("message", lambda: [with_header(RESULT, regions=[[100, 10, 30, 10, 0.5]])]),
    ("area", lambda: [semantic_with(RESULT, area=0.9)]),
    ("clock", lambda: [with_header(RESULT, t_publish_ns=T0 - 1)]),
    ("clock", lambda: [with_header(RESULT, t_publish_ns=WALL_NS + 6_000_000_000)]),
    ("state", lambda: [with_header(STATUS, state="asleep")]),
    ("state", lambda: [encode_status(made_status(code=""))]),
    ("state", lambda: [encode_status(made_status(state="up"))]),
    ("hello", lambda: [encode_result(made_result(1, camera="attic"))]),
]


@pytest.mark.parametrize(("rule", "make"), BREAKERS)
def test_each_rule_is_broken_by_what_it_forbids(rule: str, make: Callable[[], list[Parts]]) -> None:
    conformance = judged(good() + make())
    assert rule in broken(conformance)
    assert conformance.tallies[rule].examples


def test_every_rule_has_something_that_breaks_it() -> None:
    assert {rule for rule, _ in BREAKERS} | {"heartbeat"} == set(RULES)


def test_silence_breaks_the_heartbeat_and_a_missing_hello_is_told() -> None:
    assert broken(judged(good(), end_s=8.0)) == {"heartbeat"}
    assert broken(judged(good()[1:])) == set()  # it may still come
    assert broken(judged(good()[1:], end_s=3.5)) == {"hello", "heartbeat"}


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    done = threading.Event()
    with Publisher("tcp://127.0.0.1:*", run="01jtest", cameras=["desk"]) as publisher:
        publisher.status_changed(made_status(state="up", code="", message="", epoch=1))

        def send() -> None:
            seq = 0
            while not done.wait(0.02):
                publisher.send(made_result(seq, captured_ns=time.time_ns(), published_ns=0))
                seq += 1

        thread = threading.Thread(target=send)
        thread.start()
        yield publisher
        done.set()
        thread.join()


def test_the_command_passes_our_publisher(publisher: Publisher, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sub", publisher.endpoint, "--conformance", "1.2"]) == 0
    out = capsys.readouterr().out
    assert "seq        kept" in out
    assert "broken" not in out
    assert "1 hello" in out.splitlines()[-1]


def test_the_command_exits_with_7_and_shows_what_was_wrong(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher.status_changed(made_status(state="lost", code="", epoch=1))
    assert main(["sub", publisher.endpoint, "--conformance", "5", "--count", "20"]) == 7
    out = capsys.readouterr().out
    assert "state      broken" in out
    assert "camera 'desk': lost with code ''" in out


def test_nobody_there_and_arguments_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sub", "tcp://127.0.0.1:9", "--conformance", "0.1"]) == 3
    assert main(["sub", "tcp://127.0.0.1:9", "--conformance", "0.1", "--camera", "desk"]) == 2
    assert main(["sub", "nonsense", "--conformance", "0.1"]) == 2
    assert "no message for 0.1 s" in capsys.readouterr().err
