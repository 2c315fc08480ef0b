from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zmq
from publishing_results import assert_same, made_event, made_result, made_status
from waiting import wait_for

from argos.errors import PublishError
from argos.publishing.consumer import Consumer
from argos.publishing.jsonl import JsonlWriter, read_jsonl
from argos.publishing.message import MaskEncodings
from argos.publishing.publisher import Publisher
from argos.publishing.subscriber import Subscriber
from argos.types import Event, Hello, Result, SemanticMask, Status

LOOPBACK = "tcp://127.0.0.1:*"
CHECKOUT = Path(__file__).parents[2]


def made_publisher(address: str = LOOPBACK, cameras: tuple[str, ...] = ("desk",), **options: Any) -> Publisher:
    return Publisher(address, run=options.pop("run", "01jtest"), cameras=cameras, **options)


def test_a_late_subscriber_is_told_hello_and_the_last_status_at_once() -> None:
    with made_publisher(cameras=("desk", "door"), models={"regions": "qunet@sha256:dd"}) as publisher:
        publisher.status_changed(made_status("desk"))
        publisher.status_changed(made_status("door", state="up"))
        begin = time.monotonic()
        with Subscriber(publisher.endpoint, cameras=["desk"], kinds=["hello", "status"], queue=9, timeout=20) as late:
            hello, status = sorted((late.receive(), late.receive()), key=lambda message: type(message).__name__)
        waited = time.monotonic() - begin
    assert isinstance(hello, Hello)
    assert (hello.run, hello.cameras, hello.kinds) == (
        "01jtest", ("desk", "door"), ("hello", "result", "event", "status", "overlay", "notice"),
    )  # fmt: skip
    assert hello.models == {"regions": "qunet@sha256:dd"}
    assert isinstance(status, Status)
    assert (status.camera, status.state, status.code) == ("desk", "lost", "timeout")
    assert waited < 1


def test_the_events_of_a_result_follow_it() -> None:
    happened = made_event()
    with (
        made_publisher() as publisher,
        Subscriber(publisher.endpoint, kinds=["result", "event"], queue=9, timeout=20) as subscriber,
    ):
        wait_for(lambda: publisher.wants("event", "desk"))
        publisher.send(replace(made_result(0), events=(replace(happened, sent_ns=0), replace(happened, seq=6))))
        result, first, second = (subscriber.receive() for _ in range(3))
    assert isinstance(result, Result)
    assert result.events == ()
    assert isinstance(first, Event)
    assert first == replace(happened, sent_ns=first.sent_ns)
    assert first.sent_ns > happened.captured_ns
    assert second == replace(happened, seq=6)
    assert publisher.sent["event"] == 2


def test_status_comes_every_second_from_the_provider_and_on_change() -> None:
    asked: list[str] = []

    def status(camera: str) -> Status:
        asked.append(camera)
        return made_status(camera, state="up", fps_in=float(len(asked)))

    with (
        made_publisher(status=status) as publisher,
        Subscriber(publisher.endpoint, kinds=["status"], queue=100, timeout=20) as subscriber,
    ):
        messages = [subscriber.receive() for _ in range(2)]
        publisher.status_changed(made_status(state="stalled"))
        states = [subscriber.receive().state]
        while "stalled" not in states:
            states.append(subscriber.receive().state)
    assert [message.fps_in for message in messages] == [1.0, 2.0]
    assert 0.7e9 < messages[1].sent_ns - messages[0].sent_ns < 5e9


def test_a_subscriber_in_another_process_gets_every_result_the_jsonl_holds(tmp_path: Path) -> None:
    received, held, count = tmp_path / "received.jsonl", tmp_path / "held.jsonl", 120
    script = f"""
import sys
from argos.publishing.jsonl import JsonlWriter
from argos.publishing.subscriber import Subscriber
with Subscriber(sys.argv[1], queue=1000, timeout=60) as subscriber, JsonlWriter(sys.argv[2]) as writer:
    for _, result in zip(range({count}), subscriber):
        writer.write(result)
    assert subscriber.missed == subscriber.discarded == subscriber.malformed == 0
assert not {{"torch", "av", "cv2", "numba"}} & set(sys.modules)
"""
    with made_publisher() as publisher, JsonlWriter(held) as writer:
        process = subprocess.Popen([sys.executable, "-c", script, publisher.endpoint, str(received)], cwd=CHECKOUT)
        wait_for(lambda: publisher.wants("result", "desk"))
        for seq in range(count):
            result = made_result(seq)
            writer.write(result)
            publisher.send(result)
            time.sleep(0.001)
        assert process.wait(60) == 0
    assert received.read_bytes() == held.read_bytes()
    for seq, result in enumerate(read_jsonl(received)):
        assert_same(result, made_result(seq))
    assert seq == count - 1


def test_the_sample_subscriber_prints_people() -> None:
    with made_publisher() as publisher:
        command = [sys.executable, "samples/subscribe.py", publisher.endpoint]
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: publisher.wants("result", "desk"))
            publisher.send(made_result(30))
            line = process.stdout.readline()
        finally:
            process.kill()
            process.communicate()
    assert line.startswith("desk 30 at 2.00 s: 2 people [[20, 20, 50, 80], [70, 15, 101, 77]], ")
    assert len((CHECKOUT / "samples/subscribe.py").read_text().splitlines()) <= 20


def test_a_subscriber_that_never_reads_harms_no_other() -> None:
    bits = MaskEncodings(semantic="bits")
    with made_publisher(masks=bits) as publisher, zmq.Context() as context, context.socket(zmq.SUB) as stopped:
        stopped.setsockopt(zmq.RCVHWM, 1)
        stopped.setsockopt(zmq.LINGER, 0)
        stopped.connect(publisher.endpoint)
        stopped.subscribe(b"argos/1/")
        wait_for(lambda: publisher.wants("overlay", "desk"))
        with Subscriber(publisher.endpoint, queue=5000, timeout=20) as reader:
            wait_for(lambda: reader.connected)
            frame = SemanticMask(np.zeros((480, 640), np.bool_))
            for seq in range(600):  # 38 KB each: more than the stopped one's buffers hold
                publisher.send(made_result(seq, size=(480, 640), semantic=frame))
                time.sleep(0.001)
            seqs = [reader.receive().seq]
            while seqs[-1] < 599:
                seqs.append(reader.receive().seq)
            assert seqs == list(range(600))


def test_cam1_does_not_get_what_cam10_sends() -> None:
    with (
        made_publisher(cameras=("cam1", "cam10")) as publisher,
        Subscriber(publisher.endpoint, cameras=["cam1"], queue=10, timeout=20) as subscriber,
    ):
        wait_for(lambda: publisher.wants("result", "cam1"))
        assert not publisher.wants("result", "cam10")
        publisher.send(made_result(0, "cam10"))
        publisher.send(made_result(1, "cam1"))
        assert subscriber.receive().camera == "cam1"
        with pytest.raises(TimeoutError):
            subscriber.receive(timeout=0.1)
    assert publisher.sent["result"] == 1


def test_an_overlay_is_drawn_and_encoded_only_while_someone_subscribes() -> None:
    drawn: list[int] = []
    picture = np.full((48, 64, 3), (200, 30, 10), np.uint8)

    def draw() -> np.ndarray:
        drawn.append(1)
        return picture

    with made_publisher(overlay_fps=1000) as publisher:
        assert not publisher.offer_overlay(made_result(0), draw)
        with Subscriber(publisher.endpoint, kinds=["overlay"], timeout=20) as subscriber:
            wait_for(lambda: publisher.wants("overlay", "desk"))
            assert publisher.offer_overlay(made_result(1), draw)
            overlay = subscriber.receive()
        wait_for(lambda: not publisher.wants("overlay", "desk"))
        assert not publisher.offer_overlay(made_result(2), draw)
        assert len(drawn) == publisher.overlays_encoded == 1
    assert (overlay.seq, overlay.result_seq, overlay.size, overlay.codec) == (0, 1, (48, 64), "jpeg")
    shown = cv2.imdecode(np.frombuffer(overlay.data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(shown.astype(int) - picture).max() < 12  # red stays red: RGB went in


def test_overlays_come_no_more_often_than_asked() -> None:
    with made_publisher(overlay_fps=4) as publisher, Subscriber(publisher.endpoint, kinds=["overlay"]):
        wait_for(lambda: publisher.wants("overlay", "desk"))
        begin, taken = time.monotonic(), 0
        while time.monotonic() < begin + 0.6:
            taken += publisher.offer_overlay(made_result(), lambda: np.zeros((8, 8, 3), np.uint8))
            time.sleep(0.005)
        assert 1 <= taken <= 1 + 4 * (time.monotonic() - begin)


def test_an_error_in_drawing_reaches_the_one_who_publishes() -> None:
    def draw() -> np.ndarray:
        raise ZeroDivisionError("drawing failed")

    publisher = made_publisher()
    with Subscriber(publisher.endpoint, kinds=["overlay"]):
        wait_for(lambda: publisher.wants("overlay", "desk"))
        publisher.offer_overlay(made_result(), draw)
        publisher._overlays._thread.join(20)
        with pytest.raises(ZeroDivisionError, match="drawing failed"):
            publisher.send(made_result())
        with pytest.raises(ZeroDivisionError, match="drawing failed"):
            publisher.close()


def test_an_address_in_use_says_what_to_do() -> None:
    with made_publisher() as publisher:
        with pytest.raises(PublishError) as caught:
            made_publisher(publisher.endpoint)
        assert str(caught.value) == (
            f"{publisher.endpoint}: address already in use; choose another publish.bind or stop the other process"
        )
        assert caught.value.exit_code == 6
        endpoint = publisher.endpoint
    made_publisher(endpoint).close()  # and it is free again


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense", "nonsense: not an address"),
        ("tcp://0.0.0.0:5555", r"without encryption; bind to 127.0.0.1, set publish.curve \(argos keygen makes keys\)"),
        ("tcp://*:5555", "without encryption"),
        ("tcp://127.0.0.1", "not an address; expected publish.bind like tcp://127.0.0.1:5555"),
        ("tcp://127.0.0.1:99999", "not an address"),
        ("tcp://192.0.2.7:5555", "reachable from other machines"),
        ("tcp://lo:1:2", "not an address"),
        ("tcp://[::]:5555", "without encryption"),
        ("tcp://[2001:db8::1]:5555", "reachable from other machines"),
        ("tcp://[::g]:5555", "not an address"),
        ("tcp://::1:5555", "not an address"),
        ("tcp://[::1]:99999", "not an address"),
        ("udp://127.0.0.1:5555", "not an address"),
        ("ipc:///no/such/folder/socket", "cannot be bound"),
    ],
)
def test_an_address_that_cannot_be_bound_is_explained(address: str, message: str) -> None:
    with pytest.raises(PublishError, match=message):
        made_publisher(address)


def test_a_socket_file_in_use_is_left_to_its_publisher_and_one_left_behind_is_taken(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/socket"
    options: dict[str, Any] = {"run": "01jtest", "cameras": ["desk"]}
    with Publisher(address, **options):
        with pytest.raises(PublishError, match="address already in use"):
            Publisher(address, **options)
        with Subscriber(address, kinds=["hello"], timeout=20) as subscriber:
            assert subscriber.receive()
    assert (tmp_path / "socket").is_socket()  # 0MQ leaves it behind
    Publisher(address, **options).close()


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    if not speaks_ipv6():
        pytest.skip("no IPv6 here")
    with made_publisher("tcp://[::1]:*", every="tcp://[::1]:*") as publisher:
        with Subscriber(publisher.endpoint, kinds=["hello"], timeout=20) as subscriber:
            assert subscriber.receive()
        assert publisher.every_endpoint is not None
        with Consumer(publisher.every_endpoint, "club", timeout=20) as consumer:
            wait_for(lambda: consumer.connected)


def speaks_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_an_address_of_another_machine_cannot_be_bound() -> None:
    with pytest.raises(PublishError, match="no such address on this machine"):
        made_publisher("tcp://192.0.2.7:5555", insecure=True)


def test_other_machines_are_served_only_when_asked_for() -> None:
    with made_publisher("tcp://0.0.0.0:*", insecure=True) as publisher:
        address, _, port = publisher.endpoint.rpartition(":")
    assert address == "tcp://0.0.0.0"
    assert int(port) > 0


def test_a_full_queue_drops_the_oldest_and_never_blocks() -> None:
    hold, held, release = threading.Event(), threading.Event(), threading.Event()

    def status(camera: str) -> None:
        if hold.is_set():  # keeps the publisher's thread, as a busy processor would
            held.set()
            release.wait(30)

    with (
        made_publisher(status=status, queue=10) as publisher,
        Subscriber(publisher.endpoint, kinds=["status", "result"], queue=100, timeout=20) as subscriber,
    ):
        wait_for(lambda: publisher.wants("status", "desk") and publisher.wants("result", "desk"))
        hold.set()
        assert held.wait(20)
        begin = time.monotonic()
        for seq in range(50):
            publisher.send(made_result(seq))
        assert time.monotonic() - begin < 5
        assert publisher.dropped["result"] == 40
        release.set()
        assert [subscriber.receive().seq for _ in range(10)] == list(range(40, 50))


def test_what_one_subscriber_leaves_another_still_gets() -> None:
    with made_publisher() as publisher:
        first, second = (Subscriber(publisher.endpoint, timeout=20) for _ in range(2))
        wait_for(lambda: first.connected and second.connected and publisher.wants("result", "desk"))
        first.close()
        time.sleep(0.3)
        assert publisher.wants("result", "desk")
        publisher.send(made_result(3))
        assert second.receive().seq == 3
        second.close()
        wait_for(lambda: not publisher.wants("result", "desk"))


def test_close_sends_what_is_queued() -> None:
    publisher = made_publisher()
    with Subscriber(publisher.endpoint, queue=1000, timeout=20) as subscriber:
        wait_for(lambda: publisher.wants("result", "desk"))
        for seq in range(100):
            publisher.send(made_result(seq))
        publisher.close()
        assert [subscriber.receive().seq for _ in range(100)] == list(range(100))
    publisher.close()
    publisher.send(made_result(100))
    assert publisher.dropped == {"result": 1}


def test_results_are_not_encoded_when_nobody_listens() -> None:
    with made_publisher() as publisher:
        for seq in range(20):
            publisher.send(made_result(seq))
    assert publisher.sent["result"] == publisher.dropped["result"] == 0


def test_kinds_that_are_not_published_are_not_sent() -> None:
    with (
        made_publisher(kinds=["status"]) as publisher,
        Subscriber(publisher.endpoint, kinds=["hello", "result"], queue=9, timeout=20) as subscriber,
    ):
        assert subscriber.receive().kinds == ("hello", "status")
        assert not publisher.wants("result", "desk")
        publisher.send(made_result())
    assert publisher.sent == {"hello": 1}


def test_garbage_on_the_port_leaves_others_served() -> None:
    import socket

    with made_publisher() as publisher, Subscriber(publisher.endpoint, queue=9, timeout=20) as subscriber:
        wait_for(lambda: publisher.wants("result", "desk"))
        host, port = publisher.endpoint.removeprefix("tcp://").split(":")
        rng = np.random.default_rng(1)
        for garbage in [b"GET / HTTP/1.1\r\n\r\n", rng.bytes(4096), b"\xff" + b"\0" * 8 + b"\x7f\x03" + rng.bytes(99)]:
            with socket.create_connection((host, int(port)), timeout=5) as stranger:
                stranger.sendall(garbage)
        publisher.send(made_result(4))
        assert subscriber.receive().seq == 4


def test_a_camera_that_is_no_name_is_refused_where_it_is_sent() -> None:
    with made_publisher() as publisher, pytest.raises(ValueError, match="camera 'Front Door'"):
        publisher.send(made_result(camera="Front Door"))
