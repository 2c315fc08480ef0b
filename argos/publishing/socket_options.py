"""Bounds and patience of the 0MQ sockets."""

from __future__ import annotations

import zmq

LARGEST_MESSAGE = 64 << 20
"""Bytes of one part that a subscriber takes; a publisher that sends more is disconnected."""

_UNREAD_MESSAGES = 256  # per connection: a slow subscriber then loses the newest
_LONGEST_REQUEST = 4096  # bytes; a subscriber sends nothing but prefixes of topics, one at a time
_LONGEST_ASK = 1 << 16  # bytes; a consumer names the topics of all its cameras at once


def set_publishing_options(socket: zmq.Socket[bytes], unread: int = _UNREAD_MESSAGES) -> None:
    """Options of an XPUB or ROUTER socket that is not bound yet.

    Args:
        socket: to set them on.
        unread: most messages that wait for one connection.
    """
    if socket.type == zmq.XPUB:
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # every subscription is seen, not only the first of a prefix
    socket.setsockopt(zmq.SNDHWM, unread)
    socket.setsockopt(zmq.MAXMSGSIZE, _LONGEST_REQUEST)
    socket.setsockopt(zmq.BACKLOG, 1024)  # 300 subscribers at once: 0.03 s instead of 1.25 s
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.IPV6, 0)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 10)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)


def set_every_options(socket: zmq.Socket[bytes], most_on_the_way: int) -> None:
    """Options of the ROUTER of consumers, not bound yet; credits bound what is on the way, so nothing is dropped."""
    set_publishing_options(socket, most_on_the_way + 64)
    socket.setsockopt(zmq.MAXMSGSIZE, _LONGEST_ASK)
    socket.setsockopt(zmq.RCVHWM, 1000)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)


def set_subscribing_options(socket: zmq.Socket[bytes], heartbeat_s: float) -> None:
    """Options of a SUB socket that is not connected yet; a publisher silent for twice the heartbeat is disconnected."""
    socket.setsockopt(zmq.RCVHWM, _UNREAD_MESSAGES)
    socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IPV6, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    socket.setsockopt(zmq.HEARTBEAT_IVL, round(1000 * heartbeat_s))
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, round(2000 * heartbeat_s))
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
