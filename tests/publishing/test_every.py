"""Consumers that need every message: real sockets, processes that die, keys."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import zmq
from publishing_results import made_event, made_result
from waiting import wait_for

from argos.errors import PublishError
from argos.publishing import every as every_module
from argos.publishing.consumer import Consumer
from argos.publishing.curve import make_keys, read_server_keys
from argos.publishing.every import MOST_CONSUMERS, Ask, Every, Told
from argos.publishing.publisher import Publisher
from argos.publishing.subscriber import Subscriber
from argos.types import Event, Result

LOCAL = "tcp://127.0.0.1:*"


def made_publisher(run: str = "01jtest", **options) -> Publisher:
    return Publisher(LOCAL, run=run, cameras=("desk",), every=options.pop("every", LOCAL), **options)


def known(publisher: Publisher, name: str) -> None:
    """Wait until the publisher keeps messages for a consumer."""
    wait_for(lambda: name in publisher.spools() and publisher.spools()[name].connected)


def seqs(messages: list) -> list[int]:
    return [message.seq for message in messages]


def test_every_message_arrives_in_order_and_nothing_is_kept_afterwards() -> None:
    with made_publisher() as publisher, Consumer(publisher.every_endpoint, "book", credit=4, timeout=60) as consumer:
        known(publisher, "book")
        for n in range(300):
            publisher.send(made_result(n))
            if n % 100 == 99:  # the queue of the publisher's thread is no spool
                wait_for(lambda n=n: publisher.spools()["book"].messages == n + 1)
        got = [consumer.receive() for _ in range(300)]
        wait_for(lambda: publisher.spools()["book"].messages == 1)  # the last one is being worked on
    assert seqs(got) == list(range(300))
    assert (consumer.missed, consumer.repeated, consumer.malformed) == (0, 0, 0)


def test_kinds_and_cameras_are_chosen() -> None:
    with (
        made_publisher() as publisher,
        Consumer(publisher.every_endpoint, "book", ["desk"], ["event"], timeout=60) as consumer,
    ):
        known(publisher, "book")
        publisher.send(replace(made_result(0, camera="door"), events=(replace(made_event(), camera="door"),)))
        publisher.send(replace(made_result(0), events=(made_event(),)))
        message = consumer.receive()
    assert isinstance(message, Event)
    assert message.camera == "desk"
    assert publisher.sent["result"] == 0  # nobody subscribed


def test_a_stalled_consumer_loses_its_oldest_and_is_told_while_others_get_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    size = sum(map(len, _parts())) + 256
    with (
        made_publisher(spool_bytes=20 * size) as publisher,
        Subscriber(publisher.endpoint, queue=1000, timeout=60) as subscriber,
        Consumer(publisher.every_endpoint, "slow", credit=4, timeout=60) as slow,
        Consumer(publisher.every_endpoint, "quick", credit=64, timeout=60) as quick,
    ):
        known(publisher, "slow")
        known(publisher, "quick")
        wait_for(lambda: publisher.wants("result", "desk"))
        publisher.send(made_result(0))
        first, others = slow.receive(), [quick.receive()]
        for n in range(1, 100):  # slow has stalled
            publisher.send(made_result(n))
            others.append(quick.receive())
            assert publisher.spools()["slow"].size <= 21 * size
        all_live = [subscriber.receive() for _ in range(100)]
        wait_for(lambda: publisher.spools()["slow"].messages + publisher.spools()["slow"].lost == 100)
        spool = publisher.spools()["slow"]
        rest = [slow.receive() for _ in range(spool.messages - 1)]
    assert first.seq == 0
    assert seqs(others) == seqs(all_live) == list(range(100))
    assert seqs(rest)[:3] == [1, 2, 3]  # those that were on their way
    assert seqs(rest)[3:] == list(range(100 - len(rest) + 3, 100))  # and the newest
    assert slow.missed == spool.lost == 99 - len(rest) > 50
    assert [r.event for r in caplog.records if r.levelno >= logging.WARNING] == ["every.lost"]


def test_what_credit_lets_go_is_not_lost_while_acknowledgements_are_on_their_way() -> None:
    size = sum(map(len, _parts())) + 256
    with (
        made_publisher(spool_bytes=5 * size) as publisher,
        Consumer(publisher.every_endpoint, "book", credit=64, timeout=60) as consumer,
    ):
        known(publisher, "book")
        for n in range(30):  # nothing is done with yet
            publisher.send(made_result(n))
        assert seqs([consumer.receive() for _ in range(30)]) == list(range(30))
    assert consumer.missed == 0


def _parts() -> list[bytes]:
    from argos.publishing.encode import encode_result

    return encode_result(made_result(99))


TAKER = """
import sys
from argos.publishing.consumer import Consumer
consumer = Consumer(sys.argv[1], "book", credit=8, timeout=100)
for message in consumer:
    print(message.seq, flush=True)
    if message.seq == 11:
        sys.stdin.readline()  # until it is killed
"""


def test_a_consumer_that_is_killed_gets_the_rest_when_it_is_back() -> None:
    with made_publisher() as publisher:
        taker = subprocess.Popen(
            [sys.executable, "-c", TAKER, str(publisher.every_endpoint)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert taker.stdout is not None
        known(publisher, "book")
        for n in range(30):
            publisher.send(made_result(n))
        before = [int(taker.stdout.readline()) for _ in range(12)]
        taker.kill()
        taker.communicate()
        for n in range(30, 60):
            publisher.send(made_result(n))
        with Consumer(publisher.every_endpoint, "book", timeout=60) as back:
            after = [back.receive() for _ in range(60 - 11)]
        assert before == list(range(12))
        # the one it was working on, and those of which its word had not arrived yet, come again
        assert seqs(after)[-1] < 60
        assert seqs(after) == list(range(after[0].seq, after[0].seq + len(after)))
        assert 11 - 8 <= after[0].seq <= 11
        assert back.missed == 0


def test_what_was_lost_while_a_consumer_was_away_is_missed_and_what_it_had_not_done_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = sum(map(len, _parts())) + 256
    with made_publisher(spool_bytes=5 * size) as publisher:
        with Consumer(publisher.every_endpoint, "book", credit=4, timeout=60) as consumer:
            known(publisher, "book")
            for n in range(4):
                publisher.send(made_result(n))
            assert seqs([consumer.receive() for _ in range(2)]) == [0, 1]
        wait_for(lambda: publisher.spools()["book"].messages == 2)
        with Consumer(publisher.every_endpoint, "book", credit=4, timeout=60) as again:
            assert seqs([again.receive() for _ in range(2)]) == [2, 3]
            again.close(done=False)  # with 3
        assert (again.missed, again.repeated) == (0, 0)
        wait_for(lambda: publisher.spools()["book"].messages == 1)
        monkeypatch.setattr(every_module, "GONE_S", 0.1)
        wait_for(lambda: not publisher.spools()["book"].connected)
        monkeypatch.undo()
        for n in range(4, 30):
            publisher.send(made_result(n))
        wait_for(lambda: publisher.spools()["book"].lost + publisher.spools()["book"].messages == 27)
        spool = publisher.spools()["book"]
        with Consumer(publisher.every_endpoint, "book", credit=64, timeout=60) as back:
            got = [back.receive() for _ in range(spool.messages)]
    assert seqs(got)[-1] == 29
    assert (back.missed, back.repeated) == (spool.lost, 0)
    assert back.missed == 27 - len(got) > 15


def test_a_publisher_that_does_not_say_what_is_done_lets_nobody_miss_the_beginning() -> None:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    with Consumer(f"tcp://127.0.0.1:{port}", "book", timeout=60) as consumer:
        identity, _ = router.recv_multipart()
        router.send_multipart([identity, b"", b'{"run":"01jtest","waiting":2,"lost":0,"refused":""}'])
        for number in (b"7", b"9"):
            router.send_multipart([identity, number, *_parts()])
            consumer.receive()
    assert consumer.missed == 1
    router.close(linger=0)
    context.term()


def test_what_was_done_well_is_not_repeated_and_what_failed_is() -> None:
    with made_publisher() as publisher:
        with Consumer(publisher.every_endpoint, "book", timeout=60) as consumer:
            known(publisher, "book")
            for n in range(6):
                publisher.send(made_result(n))
            assert [consumer.receive().seq for _ in range(3)] == [0, 1, 2]
        wait_for(lambda: publisher.spools()["book"].messages == 3)
        failing = Consumer(publisher.every_endpoint, "book", timeout=60)
        with pytest.raises(OSError, match="the disk is full"):
            write_badly(failing)
        with Consumer(publisher.every_endpoint, "book", timeout=60) as consumer:
            assert [consumer.receive().seq for _ in range(3)] == [3, 4, 5]


def write_badly(consumer: Consumer) -> None:
    with consumer:
        assert consumer.receive().seq == 3
        raise OSError("the disk is full")


def test_a_publisher_that_starts_again_is_counted_and_followed() -> None:
    first = made_publisher()
    address = first.every_endpoint
    with Consumer(address, "book", timeout=60) as consumer:
        known(first, "book")
        first.send(made_result(0))
        assert consumer.receive().run == "01jtest"
        first.close()
        with made_publisher("02jnext", every=address) as second:
            known(second, "book")
            second.send(made_result(0, run="02jnext"))
            again = consumer.receive()
            assert (again.run, again.seq) == ("02jnext", 0)
    assert (consumer.restarted, consumer.missed) == (1, 0)


def test_the_end_of_the_publisher_waits_for_consumers_that_are_there() -> None:
    publisher = made_publisher()
    with Consumer(publisher.every_endpoint, "book", credit=64, timeout=60) as consumer:
        known(publisher, "book")
        for n in range(40):
            publisher.send(made_result(n))
        publisher.close()
        assert seqs([consumer.receive() for _ in range(40)]) == list(range(40))


class Raw:
    """A consumer written by somebody else: one DEALER, no thread."""

    def __init__(self, context: zmq.Context, address: str) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)

    def ask(self, *parts: bytes, **fields) -> None:
        self.socket.send_multipart(
            parts or [msgspec.json.encode(Ask(**{"name": "raw", "topics": ["argos/1/result/"]} | fields))]
        )

    def told(self) -> Told:
        while True:
            assert self.socket.poll(60_000)
            number, *rest = self.socket.recv_multipart()
            if not number:
                return msgspec.json.decode(rest[0], type=Told)

    def numbers(self, count: int) -> list[int]:
        got: list[int] = []
        while len(got) < count:
            assert self.socket.poll(60_000)
            number = self.socket.recv_multipart()[0]
            got += [int(number)] if number else []
        return got

    def close(self) -> None:
        self.socket.close()


def test_a_connection_that_breaks_goes_on_after_what_was_seen_and_credit_bounds_what_is_on_the_way() -> None:
    context = zmq.Context()
    with made_publisher() as publisher:
        with closing(Raw(context, publisher.every_endpoint)) as raw:
            raw.ask(credit=3)
            assert raw.told() == Told("01jtest", done=0)
            for n in range(9):
                publisher.send(made_result(n))
            assert raw.numbers(3) == [1, 2, 3]
            assert not raw.socket.poll(100) or raw.told()  # no credit is left, whatever else is told
            raw.ask(credit=3, run="01jtest", seen=3, done=1)
            assert raw.numbers(1) == [4]
        with closing(Raw(context, publisher.every_endpoint)) as raw:
            raw.ask(credit=9, run="01jtest", seen=4, done=2)
            assert raw.numbers(5) == [5, 6, 7, 8, 9]
        with closing(Raw(context, publisher.every_endpoint)) as raw:  # another process: it has seen nothing
            raw.ask(credit=9)
            assert raw.numbers(7) == [3, 4, 5, 6, 7, 8, 9]
    context.term()


def test_of_two_consumers_of_one_name_the_newer_one_is_served() -> None:
    context = zmq.Context()
    with made_publisher() as publisher, closing(Raw(context, publisher.every_endpoint)) as older:
        older.ask()
        assert older.told().refused == ""
        with closing(Raw(context, publisher.every_endpoint)) as newer:
            newer.ask()
            assert newer.told().refused == ""
            older.ask()
            wait_for(lambda: older.told().refused == "another consumer of this name has connected since")
            publisher.send(made_result(0))
            assert newer.numbers(1) == [1]
    context.term()


def test_garbage_and_too_many_names_disturb_nobody() -> None:
    context = zmq.Context()
    with (
        made_publisher() as publisher,
        Consumer(publisher.every_endpoint, "book", timeout=60) as consumer,
        closing(Raw(context, publisher.every_endpoint)) as raw,
    ):
        known(publisher, "book")
        for parts in ([b""], [b"{"], [b"[]", b"x"], [b"\xff" * 100], [b'{"name":1,"topics":[]}'], [b"[" * 4000]):
            raw.ask(*parts)
        raw.ask(name="Bad Name")
        assert "a-z" in raw.told().refused
        for n in range(MOST_CONSUMERS):
            raw.ask(name=f"n-{n}")
        wait_for(lambda: raw.told().refused == f"{MOST_CONSUMERS} consumers are known already")
        publisher.send(made_result(0))
        assert consumer.receive().seq == 0
    context.term()


def test_keys_are_asked_for_here_too(tmp_path: Path) -> None:
    make_keys(tmp_path, ["known"])
    make_keys(tmp_path / "other", ["stranger"])
    keys = read_server_keys(tmp_path / "server.key_secret", tmp_path / "clients")
    server = tmp_path / "server.key"
    with made_publisher(curve=keys) as publisher:
        right = {"server_key": server, "client_key": tmp_path / "known.key_secret"}
        wrong = {"server_key": server, "client_key": tmp_path / "other" / "stranger.key_secret"}
        with (
            Consumer(publisher.every_endpoint, "right", timeout=60, **right) as consumer,
            Consumer(publisher.every_endpoint, "wrong", timeout=60, **wrong) as stranger,
            Consumer(publisher.every_endpoint, "plain", timeout=60) as plain,
        ):
            known(publisher, "right")
            publisher.send(made_result(0))
            assert consumer.receive().seq == 0
            for nobody in (stranger, plain):
                with pytest.raises(TimeoutError, match="not connected"):
                    nobody.receive(timeout=0.3)
        assert list(publisher.spools()) == ["right"]


def test_a_consumer_that_was_refused_says_so_and_gets_in_once_its_key_is_there(tmp_path: Path) -> None:
    make_keys(tmp_path, ["known", "later"])
    public = tmp_path / "clients" / "later.key"
    public.rename(tmp_path / "later.key")
    keys = read_server_keys(tmp_path / "server.key_secret", tmp_path / "clients")
    own = {"server_key": tmp_path / "server.key", "client_key": tmp_path / "later.key_secret"}
    with (
        made_publisher(curve=keys) as publisher,
        Consumer(publisher.every_endpoint, "later", timeout=60, **own) as consumer,
    ):
        wait_for(lambda: consumer.refused)
        with pytest.raises(TimeoutError, match="the handshake was refused, check the keys"):
            consumer.receive(timeout=0)
        (tmp_path / "later.key").rename(public)
        known(publisher, "later")
        publisher.send(made_result(0))
        assert (consumer.receive().seq, consumer.refused) == (0, "")


def test_a_consumer_may_choose_from_many_cameras() -> None:
    names = [f"{number:02d}-{'n' * 60}" for number in range(100)]
    kinds = ("result", "event", "status", "notice")
    with (
        made_publisher() as publisher,
        Consumer(publisher.every_endpoint, "book", names, kinds, timeout=60),
    ):
        known(publisher, "book")


def test_an_address_that_others_reach_asks_for_keys() -> None:
    with pytest.raises(PublishError, match=r"tcp://0.0.0.0:5556: reachable from other machines without encryption"):
        made_publisher(every="tcp://0.0.0.0:5556")


def test_a_consumer_is_taken_for_gone_and_forgotten_in_the_end() -> None:
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    every = Every(router, "01jtest", 1 << 20)
    with closing(Raw(context, f"tcp://127.0.0.1:{port}")) as raw:
        raw.ask(credit=2)
        assert router.poll(60_000)
        every.serve(0.0)
        for n in range(4):
            every.put("result", "desk", [b"argos/1/result/desk/", b"%d" % n])
        assert raw.numbers(2) == [1, 2]
        every.serve(4.9)
        assert every.spools()["raw"].connected
        every.serve(5.1)
        assert not every.spools()["raw"].connected
        assert not every.has_unsent()
        every.put("result", "desk", [b"argos/1/result/desk/", b"4"])
        assert every.spools()["raw"].messages == 5
        every.serve(3600.0)
        assert every.wants("result", "desk")
        every.serve(3700.0)
        assert (every.spools(), every.wants("result", "desk")) == ({}, False)
        raw.ask(credit=4, run="01jtest", seen=2, done=2)
        assert router.poll(60_000)
        every.serve(3701.0)
        every.put("result", "desk", [b"argos/1/result/desk/", b"5"])
        assert raw.numbers(1) == [6]  # what was given up is a gap, and nothing new looks like the old
    router.close(linger=0)
    context.term()


def test_the_command_writes_every_result_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    with made_publisher() as publisher:
        command = [sys.executable, "-m", "argos", "sub", str(publisher.every_endpoint), "--every", "book"]
        process = subprocess.Popen([*command, "--jsonl", str(path), "--count", "20", "--timeout", "100"])
        known(publisher, "book")
        for n in range(20):
            publisher.send(made_result(n))
        assert process.wait(100) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(20))
    assert isinstance(made_result(0), Result)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"credit": 0}, "credit 0: expected 1 to 256"),
        ({"kinds": ["overlay"]}, "hello and overlay are not kept"),
        ({"kinds": []}, "expected some of"),
        ({"name": "Bad Name"}, "consumer 'Bad Name': the name should be of a-z"),
        ({"server_key": "a"}, "expected both or none"),
        ({"endpoint": "tcp://nowhere"}, "not an address"),
    ],
)
def test_wrong_arguments_are_told(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Consumer(**{"endpoint": "tcp://127.0.0.1:5556", "name": "book"} | changes)
