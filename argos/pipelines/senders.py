"""Events of one camera to those who may be away: webhooks and MQTT."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection

from argos.analytics.hours import Hours
from argos.config import Camera
from argos.config_outputs import EventsOutput, MomentsOutput, MqttOutput, SenderOutput, WebhookOutput
from argos.errors import UsageError
from argos.publishing.delivery import Backoff, Delivery, DeliveryTally, Message
from argos.publishing.home_assistant import EXPIRES_S, discovery
from argos.publishing.jsonl import event_line
from argos.publishing.webhook import Webhook
from argos.types import Event, Result

AGAIN_S = EXPIRES_S / 3
"""Numbers that do not change are told again after this long."""

CHANGE_S = 1.0
"""Numbers that change are told at most this often."""


class EventFilter:
    """Which events of a camera go to an output.

    Args:
        types: only these; None: all.
        hours: only those within; None: always.
    """

    def __init__(self, types: Collection[str] | None, hours: Hours | None) -> None:
        self._types, self._hours = types, hours

    def passed(self, result: Result) -> list[Event]:
        """The events of a result that go there."""
        if not result.events or not (self._hours is None or self._hours.hold(result.captured_ns)):
            return []
        return [event for event in result.events if self._types is None or event.type in self._types]


def event_filter(output: SenderOutput | EventsOutput | MomentsOutput) -> EventFilter:
    """The filter that an output asks for."""
    return EventFilter(output.events, None if output.active is None else output.active.span)


def backoff_of(output: SenderOutput) -> Backoff:
    """The pauses that an output asks for."""
    retry = output.retry
    return Backoff(retry.initial_s, retry.max_s, retry.factor, retry.jitter)


def event_key(event: Event) -> str:
    """What tells an event from all others, for receivers that get one twice."""
    return f"{event.run}-{event.camera}-{event.seq}"


class WebhookEvents:
    """Posts the events of a camera; writing never waits."""

    def __init__(self, output: WebhookOutput) -> None:
        hook = Webhook(output.url, output.headers, output.timeout_s)
        self._filter = event_filter(output)
        self._delivery = Delivery(hook.name, hook.send, output.spool, backoff_of(output))

    def write(self, result: Result) -> None:
        """Hand over the events of a result."""
        for event in self._filter.passed(result):
            self._delivery.put(Message(None, event_key(event), event_line(event)))

    def tally(self) -> tuple[str, DeliveryTally]:
        """Kind of the output, and how it fares."""
        return "webhook", self._delivery.tally()

    def close(self) -> None:
        """Send what waits, for a moment."""
        self._delivery.close()


class MqttEvents:
    """Publishes the events of a camera, how many people it sees, and which zones are occupied; writing never waits.

    Topics begin with ``PREFIX/CAMERA``: ``/event`` (JSON), ``/people``, ``/zone/NAME/people``, ``/zone/NAME/occupied``
    (``ON`` or ``OFF``) and ``/availability``; all but the events are retained.
    """

    def __init__(self, output: MqttOutput, camera: Camera) -> None:
        try:
            from argos.publishing.mqtt import Broker, MqttConnection
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "paho":
                raise
            raise UsageError("outputs: type mqtt needs paho-mqtt: pip install 'argos-vision[mqtt]'") from error
        self._topics, self._home_assistant = f"{output.prefix}/{camera.name}", output.home_assistant
        self._filter = event_filter(output)
        self._announced = self._announcements(camera)
        self._numbers: dict[str, bytes] = {}
        self._told: dict[str, tuple[float, bytes]] = {}
        for zone in camera.zones:
            self._occupied(zone, 0)
        port = output.port or (8883 if output.tls else 1883)
        broker = Broker(output.host, port, output.username, output.password, output.tls, output.ca, output.timeout_s)
        self._delivery: Delivery | None = None
        self._connection = MqttConnection(
            broker,
            f"argos-{camera.name}-{secrets.token_hex(4)}",
            f"{self._topics}/availability",
            backoff_of(output),
            self._connected,
        )
        self._delivery = Delivery(self._connection.name, self._connection.send, output.spool, backoff_of(output))
        self._connected()

    def write(self, result: Result) -> None:
        """Hand over the events of a result, and numbers that changed."""
        delivery = self._delivery
        assert delivery is not None
        for event in self._filter.passed(result):
            delivery.put(Message(None, f"{self._topics}/event", event_line(event)))
        for event in result.events:
            if event.occupancy is not None:
                self._occupied(event.name, event.occupancy)
        people = result.instances
        if people is not None:
            known = int((people.ids >= 0).sum()) if len(people.ids) else len(people)
            self._numbers["people"] = str(known).encode()
        now_s = time.monotonic()
        for topic, number in self._numbers.items():
            told_s, told = self._told.get(topic, (-AGAIN_S, b""))
            if now_s - told_s >= (AGAIN_S if number == told else CHANGE_S):
                self._told[topic] = now_s, number
                self._put_number(delivery, topic, number)

    def watch(self, camera: Camera) -> None:
        """Announce the zones that a camera has now, all empty; what the broker keeps of others is cleared."""
        delivery = self._delivery
        assert delivery is not None
        before, self._announced = self._announced, self._announcements(camera)
        kept = {message.address for message in self._announced}
        gone = [message.address for message in before if message.address not in kept]
        for topic in [topic for topic in self._numbers if topic.startswith("zone/")]:
            del self._numbers[topic]
            self._told.pop(topic, None)
            if topic.split("/")[1] not in camera.zones:
                gone.append(f"{self._topics}/{topic}")
        for address in gone:
            delivery.put(Message(address, address, b"", retained=True))
        for message in self._announced:
            delivery.put(message)
        for zone in camera.zones:
            self._occupied(zone, 0)

    def tally(self) -> tuple[str, DeliveryTally]:
        """Kind of the output, and how it fares."""
        assert self._delivery is not None
        return "mqtt", self._delivery.tally()

    def close(self) -> None:
        """Send what waits, for a moment, and say that nothing more comes."""
        if self._delivery is not None:
            self._delivery.close()
        self._connection.close()

    def _announcements(self, camera: Camera) -> list[Message]:
        if not self._home_assistant:
            return []
        return discovery(camera.name, list(camera.zones), self._topics, self._home_assistant)

    def _occupied(self, zone: str, people: int) -> None:
        self._numbers[f"zone/{zone}/people"] = str(people).encode()
        self._numbers[f"zone/{zone}/occupied"] = b"ON" if people else b"OFF"

    def _put_number(self, delivery: Delivery, topic: str, number: bytes) -> None:
        delivery.put(Message(topic, f"{self._topics}/{topic}", number, retained=True))

    def _connected(self) -> None:
        """Announce, and tell the last numbers: the broker may have forgotten them."""
        if self._delivery is None:
            return  # connected before the constructor was done, which calls again
        for message in self._announced:
            self._delivery.put(message)
        for topic, (_, number) in list(self._told.items()):
            self._put_number(self._delivery, topic, number)


def sender_of(output: WebhookOutput | MqttOutput, camera: Camera) -> Callable[[], WebhookEvents | MqttEvents]:
    """What opens an output for a camera."""
    if output.type == "webhook":
        return lambda: WebhookEvents(output)
    return lambda: MqttEvents(output, camera)
