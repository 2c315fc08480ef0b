"""Whatever comes over the wire: a message, or a ``SchemaError``; a ``Subscriber`` counts it and goes on."""

from __future__ import annotations

import base64
import json
import random
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

import argos
from argos.errors import SchemaError
from argos.publishing.decode import decode

CHECKOUT = Path(__file__).parents[2]
GOLDEN = CHECKOUT / "tests" / "golden" / "messages"
sys.path.append(str(CHECKOUT / "benchmarks"))

from mutants import mutated_message  # noqa: E402


def golden() -> list[list[bytes]]:
    messages = []
    for path in sorted(GOLDEN.glob("*.parts")):
        topic, *parts = path.read_text().split()
        messages.append([topic.encode(), path.with_suffix(".json").read_bytes().strip(), *map(base64.b64decode, parts)])
    return messages


edits = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1 << 20), st.integers(0, 40), st.binary(max_size=40)), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(which=st.sampled_from(golden()), edits=edits)
def test_edited_golden_messages_are_messages_or_schema_errors(
    which: list[bytes], edits: list[tuple[int, int, int, bytes]]
) -> None:
    parts = list(which)
    for part, at, length, put in edits:
        n = part % len(parts)
        at %= len(parts[n]) + 1
        parts[n] = parts[n][:at] + put + parts[n][at + length :]
    with suppress(SchemaError):
        assert type(decode(parts)).__name__ in ("Result", "Event", "Status", "Hello", "Overlay", "Notice")


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_refused_by_name(parts: list[bytes]) -> None:
    with pytest.raises(SchemaError, match=r"\w"):
        decode(parts)


def test_a_subscriber_counts_bad_messages_and_gets_the_good_one_after() -> None:
    messages, rng = golden(), random.Random(0)
    good = next(parts for parts in messages if parts[0].startswith(b"argos/1/result/"))
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 0)
        publisher.setsockopt(zmq.SNDHWM, 0)
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        with argos.Subscriber(f"tcp://127.0.0.1:{port}", queue=10_000, timeout=60) as subscriber:
            assert publisher.recv().startswith(b"\x01argos/1/")  # subscribed
            for _ in range(400):
                parts = mutated_message(rng, messages) or [b""]
                publisher.send_multipart([good[0], *parts[1:]])  # with a topic that it hears
            header = json.dumps({**json.loads(good[1]), "run": "the-last"}).encode()
            publisher.send_multipart([good[0], header, *good[2:]])
            got = 1
            while subscriber.receive().run != "the-last":
                got += 1
            assert got + subscriber.malformed == 401
            assert subscriber.malformed > 200
