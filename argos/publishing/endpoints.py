"""Addresses of 0MQ: what may be bound or connected, said in words."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket as sockets
from typing import cast

import zmq

from argos.errors import PublishError

EXAMPLES = "tcp://127.0.0.1:5555 or ipc:///run/argos/socket"

_IN_USE = "address already in use; choose another publish.bind or stop the other process"
_ADDRESS = re.compile(r"tcp://(\[(?P<ip>[^]\s]+)\]|[^][\s:/]+):(?P<port>\*|\d{1,5})|ipc://.+")
_LOOPBACK = re.compile(r"tcp://(127(\.\d+){3}|localhost|lo):.*|ipc://.*")


def is_address(endpoint: str) -> bool:
    """Whether it reads ``tcp://HOST:PORT``, IPv6 in brackets, or ``ipc://PATH``; 0MQ takes port 99999 for another."""
    match = _ADDRESS.fullmatch(endpoint)
    if match is None or (match["ip"] and _ipv6(endpoint) is None):
        return False
    return match["port"] in (None, "*") or int(match["port"]) < 65536


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine reaches the address."""
    ip = _ipv6(endpoint)
    return _LOOPBACK.fullmatch(endpoint) is not None if ip is None else ip.is_loopback


def _ipv6(endpoint: str) -> ipaddress.IPv6Address | None:
    """The host of an address, where it is IPv6."""
    match = _ADDRESS.fullmatch(endpoint)
    try:
        return ipaddress.IPv6Address(match["ip"]) if match and match["ip"] else None
    except ipaddress.AddressValueError:
        return None


def _speak_ipv6(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Only where it is asked for: a name would be looked for under IPv6 first."""
    if _ipv6(endpoint) is not None:
        socket.setsockopt(zmq.IPV6, 1)


def bind(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind a socket.

    Returns:
        The bound address, with the port the system chose for ``*``.

    Raises:
        PublishError: it cannot be bound.
    """
    if not is_address(endpoint):
        raise PublishError(f"{endpoint}: not an address; expected publish.bind like {EXAMPLES}")
    if _is_taken(endpoint):
        raise PublishError(f"{endpoint}: {_IN_USE}")
    _speak_ipv6(socket, endpoint)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise PublishError(f"{endpoint}: {_why_not_bound(error)}") from error
    bound = cast(bytes, socket.getsockopt(zmq.LAST_ENDPOINT))
    return bound.decode().rstrip("\0")


def _is_taken(endpoint: str) -> bool:
    """Whether somebody listens at the file of an ``ipc://`` address: 0MQ would take it away from them."""
    path = endpoint.removeprefix("ipc://")
    if path == endpoint or path[0] in "*@":
        return False
    with sockets.socket(sockets.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            return probe.connect_ex(path) in (0, errno.EAGAIN)
        except OSError:  # longer than a path may be; binding says so
            return False


def _why_not_bound(error: zmq.ZMQError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return _IN_USE
        case errno.EADDRNOTAVAIL | errno.ENODEV:
            return "no such address on this machine; choose one of its addresses, or 127.0.0.1, as publish.bind"
        case errno.EACCES:
            return "permission denied; choose a publish.bind with a port above 1023"
        case _:
            return f"cannot be bound ({error.strerror}); choose another publish.bind"


def connect(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """Connect a socket; the other side need not be there yet.

    Raises:
        ValueError: it is not an address.
    """
    plain = endpoint.removeprefix("sub+connect:")
    if not is_address(plain):
        raise ValueError(f"{endpoint}: not an address; expected one like {EXAMPLES}")
    _speak_ipv6(socket, plain)
    try:
        socket.connect(plain)
    except zmq.ZMQError as error:
        raise ValueError(f"{endpoint}: cannot be connected ({error.strerror})") from error
