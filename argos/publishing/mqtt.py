"""Messages to an MQTT broker, over one connection with a last will."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from argos.errors import PublishError
from argos.publishing.delivery import DRAIN_S, Backoff, Message, NotDelivered

log = logging.getLogger(__name__)

ONLINE, OFFLINE = b"online", b"offline"

STOP_S = 1.0
"""The thread of a connection is waited for so long at the end; one that connects may take all of the timeout."""


@dataclass(frozen=True, slots=True)
class Broker:
    """How a broker is reached.

    Attributes:
        host, port: of it.
        username, password: None: none.
        is_encrypted: by TLS, its certificate checked.
        ca: file with the certificates that are trusted; None: those of the system.
        timeout_s: longest wait for an acknowledgement.
        keepalive_s: after one and a half of it the broker tells the last will.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    is_encrypted: bool = False
    ca: str | None = None
    timeout_s: float = 3.0
    keepalive_s: int = 20


class MqttConnection:
    """A connection that is made again whenever it is lost, with growing pauses.

    What is sent is acknowledged by the broker (QoS 1), so it may arrive twice.

    Args:
        broker: how it is reached.
        client_id: unlike those of all other clients; a second one with it would throw this one out.
        availability: topic that says ``online``, and ``offline`` when the connection is gone.
        backoff: pauses between attempts to connect.
        on_connect: called after every connect, in the thread of the connection.

    Raises:
        PublishError: the certificates to trust cannot be read.
    """

    def __init__(
        self, broker: Broker, client_id: str, availability: str, backoff: Backoff, on_connect: Callable[[], None]
    ) -> None:
        self.name = f"mqtt {broker.host}:{broker.port}"
        self._broker, self._availability, self._on_connect = broker, availability, on_connect
        self._connected = threading.Event()
        self._why = "connecting"
        self._pending: tuple[Message, mqtt.MQTTMessageInfo] | None = None
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.is_encrypted:
            client.tls_set_context(_trusting(broker.ca))
        client.will_set(availability, OFFLINE, qos=1, retain=True)
        client.reconnect_delay_set(backoff.initial_s, backoff.max_s)  # type: ignore[arg-type]  # takes any number
        client.connect_timeout = broker.timeout_s
        client.on_connect, client.on_disconnect = self._came, self._went
        client.connect_async(broker.host, broker.port, keepalive=broker.keepalive_s)
        client.loop_start()

    def send(self, message: Message) -> None:
        """Publish, and wait until the broker has it.

        Raises:
            NotDelivered: there is no connection, or no acknowledgement in time.
        """
        if not self._connected.wait(self._broker.timeout_s):
            raise NotDelivered(self._why)
        try:
            if self._pending is None or self._pending[0] is not message:  # paho itself repeats what was on its way
                info = self._client.publish(message.address, message.body, qos=1, retain=message.retained)
                self._pending = message, info
            info = self._pending[1]
            info.wait_for_publish(self._broker.timeout_s)
            is_published = info.is_published()
        except (RuntimeError, ValueError) as error:  # the connection was lost just now
            self._pending = None
            raise NotDelivered("the connection was lost") from error
        if not is_published:
            raise NotDelivered("no acknowledgement in time")
        self._pending = None

    def close(self) -> None:
        """Say that nothing more comes, and go; the broker does not tell the last will then."""
        if self._connected.is_set():
            info = self._client.publish(self._availability, OFFLINE, qos=1, retain=True)
            try:
                info.wait_for_publish(min(self._broker.timeout_s, DRAIN_S))
            except (RuntimeError, ValueError):
                log.debug("%s: the connection was lost while it closed", self.name)
        self._client.disconnect()
        stopping = threading.Thread(target=self._client.loop_stop, name="argos-mqtt-stop", daemon=True)
        stopping.start()
        stopping.join(STOP_S)

    def _came(
        self, client: mqtt.Client, _: object, flags: mqtt.ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._why = f"the broker refuses: {code}"
            return
        client.publish(self._availability, ONLINE, qos=1, retain=True)
        self._connected.set()
        self._on_connect()

    def _went(
        self,
        client: mqtt.Client,
        _: object,
        flags: mqtt.DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        was = self._connected.is_set()
        self._connected.clear()
        if was or not self._why.startswith("the broker refuses"):
            self._why = "the connection was lost" if was else "no connection"


def _trusting(ca: str | None) -> ssl.SSLContext:
    """TLS that trusts the certificates of a file; None: those of the system."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # a file without certificates too
        why = error.strerror or error
        raise PublishError(f"{ca}: no certificates can be read from it ({why}); choose another ca") from error
