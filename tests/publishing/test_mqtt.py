"""MQTT against a real broker: Debian's mosquitto, started and killed by the tests."""

from __future__ import annotations

import json
import logging
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from receivers import wait_for
from tracked_people import people_result

from argos.config import Camera, config_from_sources
from argos.config_outputs import MqttOutput
from argos.errors import PublishError
from argos.publishing.delivery import Backoff
from argos.types import Event

mqtt = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed (extra mqtt)")
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto (apt-get install mosquitto)")


def free_port() -> int:
    """A port below those that the system gives to whoever connects.

    One of those may be taken by anybody as soon as the broker is gone: another test, or a client that asks again and
    again whether the broker is back and in the end is connected to itself.
    """
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise OSError("no free port")


class BrokerProcess:
    """A broker on a port of its own that wants a password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        passwords = folder / "passwords"
        passwords.touch(0o600)
        tool = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        subprocess.run([tool, "-b", str(passwords), "argos", "s3cret-w0rd"], check=True, capture_output=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\npersistence false\n"
            "user root\n"
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert MOSQUITTO is not None
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log)

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        assert wait_for(answers), (self.folder / "log").read_text()
        assert self.process.poll() is None, f"another one answers: {(self.folder / 'log').read_text()}"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Listener:
    """A client that keeps every message it gets: topic, payload, whether it was retained."""

    def __init__(self, port: int) -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self._lock = threading.Lock()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "listener")
        self._client.username_pw_set("argos", "s3cret-w0rd")
        self._client.reconnect_delay_set(0.05, 0.1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = self._take
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(30)  # what is sent before and not retained never comes

    def _take(self, _: object, __: object, message: mqtt.MQTTMessage) -> None:
        with self._lock:
            self.got.append((message.topic, message.payload, message.retain))

    def last(self, topic: str) -> bytes | None:
        with self._lock:
            return next((body for name, body, _ in reversed(self.got) if name == topic), None)

    def all(self, topic: str) -> list[bytes]:
        with self._lock:
            return [body for name, body, _ in self.got if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    started = BrokerProcess(tmp_path)
    yield started
    started.kill()


@pytest.fixture
def listener(broker: BrokerProcess) -> Iterator[Listener]:
    started = Listener(broker.port)
    yield started
    started.close()


def camera() -> Camera:
    zones = "camera.zones={hall: {polygon: [[0, 0], [1, 0], [1, 1]]}, yard: {polygon: [[0, 0], [1, 0], [1, 1]]}}"
    (only,) = config_from_sources(["webcam:0"], ["camera.name=door", zones]).cameras.values()
    return only


def output(broker: BrokerProcess, **more: object) -> MqttOutput:
    settings = {
        "type": "mqtt", "host": "127.0.0.1", "port": broker.port, "username": "argos", "password": "s3cret-w0rd",
        "timeout_s": 0.5, "retry": {"initial_s": 0.05, "max_s": 0.2}, "home_assistant": "homeassistant",
    }  # fmt: skip
    return MqttOutput.model_validate({**settings, **more})


def enters(seq: int, occupancy: int, zone: str = "hall") -> Event:
    return Event(
        "door", "run", 0, seq, "zone_enter", zone, 7, seq, seq, 0.1, 10**18, (1, 2, 5, 9), (3.0, 9.0), 1, occupancy
    )  # fmt: skip


def test_events_numbers_and_discovery_reach_the_broker(broker: BrokerProcess, listener: Listener) -> None:
    from argos.pipelines.senders import MqttEvents

    sender = MqttEvents(output(broker), camera())
    result = people_result(0, {1: (0.5, 0.5), 2: (0.5, 0.6), -1: (0.2, 0.2)})
    sender.write(replace(result, events=(enters(0, 1),)))
    assert wait_for(lambda: listener.last("argos/door/zone/hall/occupied") == b"ON")
    assert wait_for(lambda: listener.last("argos/door/event") is not None)
    event = json.loads(listener.last("argos/door/event") or b"")
    assert (event["schema"], event["type"], event["name"], event["occupancy"]) == (
        "argos.event/1.0", "zone_enter", "hall", 1,
    )  # fmt: skip
    assert wait_for(lambda: listener.last("argos/door/people") == b"2")  # who has no id yet is nobody
    assert wait_for(lambda: listener.last("argos/door/zone/yard/occupied") == b"OFF")
    assert listener.last("argos/door/availability") == b"online"

    people = json.loads(listener.last("homeassistant/sensor/argos_door/people/config") or b"")
    assert people["state_topic"] == "argos/door/people"
    assert people["availability_topic"] == "argos/door/availability"
    for zone in ("hall", "yard"):
        config = json.loads(listener.last(f"homeassistant/binary_sensor/argos_door/zone_{zone}/config") or b"")
        assert (config["device_class"], config["state_topic"]) == ("occupancy", f"argos/door/zone/{zone}/occupied")
        assert config["payload_on"] == "ON"
        assert config["unique_id"] == f"argos_door_zone_{zone}"
        assert config["device"] == people["device"]

    late = Listener(broker.port)  # discovery and numbers are retained, events are not
    assert wait_for(lambda: late.last("argos/door/people") == b"2" and late.last("argos/door/availability") is not None)
    assert {topic for topic, _, retained in late.got if not retained} == set()
    late.close()
    assert late.all("argos/door/event") == []

    sender.close()
    assert wait_for(lambda: listener.last("argos/door/availability") == b"offline")
    kind, tally = sender.tally()
    assert (kind, tally.waiting, tally.dropped.total()) == ("mqtt", 0, 0)


def test_events_of_an_outage_of_the_broker_come_afterwards_and_so_does_discovery(
    broker: BrokerProcess, listener: Listener
) -> None:
    from argos.pipelines.senders import MqttEvents

    # it comes back later than the listener, whom the broker has forgotten too
    sender = MqttEvents(output(broker, retry={"initial_s": 1.0, "max_s": 1.0}), camera())
    sender.write(replace(people_result(0, {1: (0.5, 0.5)}), events=(enters(0, 1),)))
    assert wait_for(lambda: len(listener.all("argos/door/event")) == 1)
    assert wait_for(lambda: sender.tally()[1].waiting == 0)
    broker.kill()
    for seq in range(1, 6):
        sender.write(replace(people_result(seq, {1: (0.5, 0.5)}), events=(enters(seq, seq + 1),)))
    assert wait_for(lambda: sender.tally()[1].failed >= 1)
    before = len(listener.all("homeassistant/sensor/argos_door/people/config"))
    broker.start()  # without persistence: it has forgotten everything
    seqs = lambda: {json.loads(body)["seq"] for body in listener.all("argos/door/event")}  # noqa: E731
    assert wait_for(lambda: seqs() == set(range(6)))
    assert wait_for(lambda: len(listener.all("homeassistant/sensor/argos_door/people/config")) > before)
    assert wait_for(lambda: listener.last("argos/door/zone/hall/occupied") == b"ON")
    assert wait_for(lambda: listener.last("argos/door/availability") == b"online")
    assert sender.tally()[1].dropped.total() == 0
    sender.close()


KILLED = """
import sys, time
sys.path[:0] = {path!r}
from test_mqtt import camera, MqttOutput
from argos.pipelines.senders import MqttEvents
sender = MqttEvents(MqttOutput.model_validate_json({settings!r}), camera())
time.sleep(60)
"""


def test_the_last_will_says_offline_when_the_process_is_killed(broker: BrokerProcess, listener: Listener) -> None:
    import sys

    settings = json.dumps({**output(broker).model_dump(), "password": "s3cret-w0rd"})
    text = KILLED.format(path=sys.path, settings=settings)
    process = subprocess.Popen([sys.executable, "-c", text])
    try:
        assert wait_for(lambda: listener.last("argos/door/availability") == b"online", 120)
    finally:
        process.kill()
        process.wait()
    assert wait_for(lambda: listener.last("argos/door/availability") == b"offline")


def test_a_wrong_password_is_said_without_showing_it(broker: BrokerProcess, caplog: pytest.LogCaptureFixture) -> None:
    from argos.pipelines.senders import MqttEvents

    with caplog.at_level(logging.DEBUG):
        sender = MqttEvents(output(broker, password="wr0ng-w0rd", spool=2), camera())
        for seq in range(9):
            sender.write(replace(people_result(seq, {}), events=(enters(seq, 1),)))
        assert wait_for(lambda: "the broker refuses: Not authorized" in caplog.text)
        assert sender.tally()[1].dropped["full"] > 0
        start = time.monotonic()
        sender.close()
    assert time.monotonic() - start < 60
    assert f"mqtt 127.0.0.1:{broker.port}: cannot be reached, messages wait" in caplog.text
    assert "wr0ng" not in caplog.text


def test_a_broker_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from argos.publishing import mqtt as module

    monkeypatch.setattr(module, "DRAIN_S", 0.1)
    monkeypatch.setattr(module, "STOP_S", 0.1)

    def connect(port: int) -> module.MqttConnection:
        broker = module.Broker("127.0.0.1", port, timeout_s=20)
        return module.MqttConnection(broker, "argos-test", "argos/door/availability", Backoff(), lambda: None)

    def close(connection: module.MqttConnection) -> float:
        start = time.monotonic()
        connection.close()
        return time.monotonic() - start

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, and acknowledges no message
        connection = connect(silent.getsockname()[1])
        client, _ = silent.accept()
        with client:
            client.sendall(bytes([0x20, 2, 0, 0]))  # CONNACK
            assert connection._connected.wait(60)
            assert close(connection) < 10
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:  # answers no further SYN
        first.connect(full.getsockname())
        connection = connect(full.getsockname()[1])
        time.sleep(0.2)
        assert close(connection) < 10


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_of_certificates_that_cannot_be_read_is_named(text: str | None, tmp_path: Path) -> None:
    from argos.publishing.mqtt import Broker, MqttConnection

    ca = tmp_path / "ca.pem"
    if text is not None:
        ca.write_text(text)
    broker = Broker("127.0.0.1", 8883, is_encrypted=True, ca=str(ca))
    with pytest.raises(PublishError, match=r"ca\.pem: no certificates can be read from it"):
        MqttConnection(broker, "argos-test", "argos/door/availability", Backoff(), lambda: None)


def test_other_zones_are_announced_and_empty_and_what_was_told_of_the_old_ones_is_cleared(
    broker: BrokerProcess, listener: Listener
) -> None:
    from argos.pipelines.senders import MqttEvents

    sender = MqttEvents(output(broker), camera())
    sender.write(replace(people_result(0, {1: (0.5, 0.5)}), events=(enters(0, 1), enters(1, 1, "yard"))))
    for zone in ("hall", "yard"):
        assert wait_for(lambda zone=zone: listener.last(f"argos/door/zone/{zone}/occupied") == b"ON")
    zones = "camera.zones={hall: {polygon: [[0, 0], [0.1, 0], [0.1, 0.1]]}, gate: {polygon: [[0, 0], [1, 0], [1, 1]]}}"
    (moved,) = config_from_sources(["webcam:0"], ["camera.name=door", zones]).cameras.values()
    sender.watch(moved)
    sender.write(people_result(1, {1: (0.5, 0.5)}))
    assert wait_for(lambda: listener.last("argos/door/zone/hall/occupied") == b"OFF")
    assert wait_for(lambda: listener.last("argos/door/zone/gate/occupied") == b"OFF")
    config = "homeassistant/binary_sensor/argos_door/zone_{}/config"
    assert wait_for(lambda: listener.last(config.format("gate")))
    sender.close()
    late = Listener(broker.port)
    names = [f"argos/door/zone/{zone}/{what}" for zone in ("hall", "gate") for what in ("people", "occupied")]
    expected = {*names, config.format("hall"), config.format("gate")}
    assert wait_for(lambda: {topic for topic, _, _ in late.got} >= expected)
    time.sleep(0.2)  # what the broker keeps comes all at once
    assert {topic for topic, _, _ in late.got if "zone" in topic} == expected
    late.close()
