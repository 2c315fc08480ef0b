"""The connection of a reading socket to one address: whether it stands, and made again where 0MQ gives it up."""

from __future__ import annotations

import contextlib
import logging
import sys
import time

import zmq

from argos.publishing.endpoints import connect

logger = logging.getLogger(__name__)

AGAIN_S = 1.0
"""A connection that was given up is made again after so long."""

_FAILED = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
_EVENTS = _FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED


class Link:
    """Connects a socket that has all of its options; whoever made it then serves it from one thread.

    0MQ itself connects again when a connection breaks, but never after a handshake that was refused: a client whose key
    is let in a minute later would wait for ever.

    Args:
        socket: of no other connection.
        endpoint: where to.

    Attributes:
        socket: the same.
        monitor: tells of the connection; the poller waits for it, and ``hear`` reads it.
        connected: whether a publisher is connected.
        refused: handshakes that failed.

    Raises:
        ValueError: it is not an address.
    """

    def __init__(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        self.socket, self._endpoint = socket, endpoint
        self.connected, self.refused = False, 0
        self._failed_in_a_row = 0
        self._again_s: float | None = None
        self.monitor = socket.get_monitor_socket(_EVENTS)
        connect(socket, endpoint)

    def hear(self) -> None:
        """Take note of one event."""
        event, _ = self.monitor.recv_multipart()
        number = int.from_bytes(event[:2], sys.byteorder)
        if number == zmq.EVENT_CONNECT_RETRIED:  # 0MQ has not given up
            self._again_s = None
            return
        self.connected = number == zmq.EVENT_HANDSHAKE_SUCCEEDED
        if self.connected:
            self._again_s, self._failed_in_a_row = None, 0
            return
        self._again_s = time.monotonic() + AGAIN_S
        if number & _FAILED:
            self.refused += 1
            self._failed_in_a_row += 1
            if self._failed_in_a_row == 2:  # one alone may be a publisher that just ended
                logger.warning("%s: the handshake was refused, check the keys; it is tried again", self._endpoint)

    def mend(self) -> None:
        """Connect again if 0MQ has given up; called about every second."""
        if self._again_s is None or time.monotonic() < self._again_s:
            return
        self._again_s = None
        plain = self._endpoint.removeprefix("sub+connect:")
        with contextlib.suppress(zmq.ZMQError):  # of what was given up nothing may be left
            self.socket.disconnect(plain)
        connect(self.socket, self._endpoint)

    def close(self) -> None:
        """Close both sockets; the other keeps its linger."""
        self.socket.disable_monitor()
        self.monitor.close(linger=0)
        self.socket.close()
