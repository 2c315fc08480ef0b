from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from publishing_results import made_result
from waiting import wait_for

import argos
from argos.publishing.message import encode_result
from argos.publishing.publisher import Publisher
from argos.publishing.subscriber import Subscriber

CHECKOUT = Path(__file__).parents[2]


class Raw:
    """A publishing socket in the hands of the test."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind("tcp://127.0.0.1:*")
        self.endpoint = socket.getsockopt(zmq.LAST_ENDPOINT).decode()

    def send(self, *seqs: int, run: str = "01jtest", camera: str = "desk") -> None:
        for seq in seqs:
            self.socket.send_multipart(encode_result(made_result(seq, camera, run)))

    def joined(self, subscriptions: int = 1) -> Raw:
        for _ in range(subscriptions):
            assert self.socket.poll(20_000)
            self.socket.recv()
        return self


@pytest.fixture
def raw() -> Iterator[Raw]:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        yield Raw(socket)


def test_importing_and_making_a_subscriber_loads_no_torch_av_or_opencv() -> None:
    script = """
import sys, argos
argos.Subscriber("tcp://127.0.0.1:9").close()
argos.Result, argos.Frame, argos.SchemaError, argos.__version__
print(sorted({"torch", "av", "cv2", "numba", "pydantic", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_latest_keeps_the_newest_of_each_camera_and_counts_the_others(raw: Raw) -> None:
    with argos.Subscriber(raw.endpoint, timeout=20) as subscriber:
        raw.joined().send(*range(10))
        raw.send(*range(5), camera="door")
        wait_for(lambda: subscriber.discarded == 13)
        newest = {(message.camera, message.seq) for message in (subscriber.receive(), subscriber.receive())}
        assert newest == {("desk", 9), ("door", 4)}
        assert subscriber.missed == 0
        assert 0 <= subscriber.age_s < 20


def test_a_queue_keeps_the_newest_in_order_and_counts_the_others(raw: Raw) -> None:
    with Subscriber(raw.endpoint, queue=4, timeout=20) as subscriber:
        raw.joined().send(*range(10))
        wait_for(lambda: subscriber.discarded == 6)
        assert [subscriber.receive().seq for _ in range(4)] == [6, 7, 8, 9]


def test_gaps_are_counted_by_run_camera_and_kind(raw: Raw) -> None:
    with Subscriber(raw.endpoint, queue=100, timeout=20) as subscriber:
        raw.joined().send(7, 8, 11)  # 9 and 10 are lost
        raw.send(100, 102, camera="door")  # 101 is lost
        raw.send(0, 1, 3, run="02jnext")  # started again: a new count, 2 is lost
        raw.send(5)  # the slower of two publishers: 12 is not lost, 5 is old
        raw.send(12)
        messages = [subscriber.receive() for _ in range(10)]
        assert subscriber.missed == 4
        assert [message.run for message in messages[5:8]] == ["02jnext"] * 3


def test_malformed_messages_are_counted_and_skipped(raw: Raw) -> None:
    good = encode_result(made_result(1))
    with Subscriber(raw.endpoint, queue=100, timeout=20) as subscriber:
        raw.joined()
        for parts in (
            [good[0]],
            [good[0], b"\x80\x04 not JSON"],
            [good[0], b"[" * 100_000],
            [good[0], b"{}"],
            [good[0], b"\xff\xfe", b"part"],
            [b"argos/1/result/../../etc/", good[1]],
            [b"argos/1/result/door/", *good[1:]],
            [*good[:2], good[2][:3], good[3]],
            good[:2],
        ):
            raw.socket.send_multipart(parts)
        raw.socket.send_multipart(good)
        assert subscriber.receive().seq == 1
        assert subscriber.malformed == 9


def test_a_restarted_publisher_is_found_again_and_its_count_starts_anew() -> None:
    first = Publisher("tcp://127.0.0.1:*", run="01jfirst", cameras=["desk"])
    with Subscriber(first.endpoint, queue=100, timeout=20) as subscriber:
        for run, publisher in (("01jfirst", first), ("02jsecond", None)):
            publisher = publisher or Publisher(first.endpoint, run=run, cameras=["desk"])
            with publisher:
                wait_for(lambda publisher=publisher: publisher.wants("result", "desk"))
                for seq in range(50, 53) if run == "01jfirst" else range(3):
                    publisher.send(made_result(seq, run=run))
                assert [subscriber.receive().run for _ in range(3)] == [run] * 3
            wait_for(lambda: not subscriber.connected)
        assert subscriber.missed == 0


def test_a_frozen_publisher_is_noticed() -> None:
    script = """
import time
from argos.publishing.publisher import Publisher
publisher = Publisher("tcp://127.0.0.1:*", run="01jtest", cameras=["desk"])
print(publisher.endpoint, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        endpoint = process.stdout.readline().strip()
        with Subscriber(endpoint, timeout=0.05, heartbeat_s=0.3) as subscriber:
            wait_for(lambda: subscriber.connected)
            with pytest.raises(TimeoutError, match=rf"{endpoint}: no message for 0.05 s \(connected\)"):
                subscriber.receive()
            process.send_signal(signal.SIGSTOP)
            wait_for(lambda: not subscriber.connected)
            with pytest.raises(TimeoutError, match="not connected"):
                subscriber.receive()
    finally:
        process.kill()
        process.communicate()


def test_iterating_without_a_publisher_times_out() -> None:
    with Subscriber("tcp://127.0.0.1:9", timeout=0.1) as subscriber:
        assert subscriber.age_s is None
        with pytest.raises(TimeoutError, match=r"no message for 0\.1 s \(not connected\)"):
            next(iter(subscriber))


def test_close_from_another_thread_ends_the_iteration(raw: Raw) -> None:
    subscriber = Subscriber(raw.endpoint)
    seen: list[int] = []
    consumer = threading.Thread(target=lambda: seen.extend(message.seq for message in subscriber))
    consumer.start()
    raw.joined().send(1)
    wait_for(lambda: seen)
    closers = [threading.Thread(target=subscriber.close) for _ in range(3)]
    for thread in closers:
        thread.start()
    for thread in [*closers, consumer]:
        thread.join(20)
        assert not thread.is_alive()
    assert seen == [1]
    with pytest.raises(ValueError, match="closed"):
        subscriber.receive()


def test_several_publishers_are_read_by_one_subscriber(raw: Raw) -> None:
    with Publisher("tcp://127.0.0.1:*", run="02jother", cameras=["door"]) as other:
        endpoints = [raw.endpoint, f"sub+connect:{other.endpoint}"]
        with Subscriber(endpoints, ["desk", "door"], queue=9, timeout=20) as subscriber:
            raw.joined(2).send(1)
            wait_for(lambda: other.wants("result", "door"))
            other.send(made_result(2, "door", "02jother"))
            cameras = {subscriber.receive().camera, subscriber.receive().camera}
    assert cameras == {"desk", "door"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"endpoints": "nonsense"}, "nonsense: not an address; expected one like tcp://127.0.0.1:5555"),
        (
            {"kinds": ["results"]},
            r"kinds \['results'\]: expected some of hello, result, event, status, overlay, notice",
        ),
        ({"kinds": []}, "expected some of"),
        ({"cameras": ["Desk"]}, "camera 'Desk': expected a name like desk-2"),
        ({"cameras": "desk"}, "cameras 'desk': expected a list of names"),
        ({"cameras": []}, "cameras: there is none"),
        ({"endpoints": []}, "endpoints: there is none"),
        ({"heartbeat_s": -1}, "heartbeat_s -1: expected 0 to 3600 seconds"),
        ({"queue": 0}, "at least 1"),
        ({"mode": "oldest"}, "expected mode 'latest'"),
    ],
)
def test_wrong_arguments_are_explained(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Subscriber(**({"endpoints": "tcp://127.0.0.1:9"} | arguments))


def test_a_restart_and_the_age_of_each_camera_are_told(raw: Raw) -> None:
    with Subscriber(raw.endpoint, queue=100, timeout=20) as subscriber:
        raw.joined().send(0, 1)
        raw.send(0, camera="door")  # another camera of the same run is no restart
        raw.send(0, run="02jnext")
        raw.send(2)  # and a run that was seen before comes from a second publisher
        for _ in range(5):
            subscriber.receive()
        assert subscriber.restarted == 1
        assert set(subscriber.ages_s) == {"desk", "door"}
        assert 0 <= subscriber.ages_s["desk"] <= subscriber.ages_s["door"] < 20
