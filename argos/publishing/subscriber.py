"""The ZeroMQ subscriber: messages of publishers, near or far, without torch, PyAV or OpenCV."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec
import zmq

from argos.errors import SchemaError
from argos.publishing.curve import read_client_keys, speak_curve
from argos.publishing.decode import Message, decode
from argos.publishing.endpoints import EXAMPLES
from argos.publishing.link import AGAIN_S, Link
from argos.publishing.socket_options import set_subscribing_options
from argos.publishing.waiting import Latest, Queue
from argos.publishing.wake import Wake
from argos.publishing.wire import KINDS, NO_CAMERA, parse_topic, topic

logger = logging.getLogger(__name__)

_RUNS_REMEMBERED = 1024
_LONGEST_HEARTBEAT_S = 3600.0


class _Origin(msgspec.Struct):
    """What the I/O thread needs to know of a header."""

    run: str = ""
    seq: int | None = None


_read_origin = msgspec.json.Decoder(_Origin).decode


class Subscriber:
    """Iterates over the messages of one or more publishers; a context manager.

    A thread of its own reads the socket, so that a slow consumer gets new messages instead of old ones: of each camera
    and kind the newest waits, or with ``queue=n`` the ``n`` newest of all, in order. Connections that break or are
    refused are made again. A publisher that hangs is noticed by its missing heartbeats: ``connected`` turns False.

    Attributes:
        missed: messages lost on the way: gaps in ``seq`` within a run, camera and kind.
        discarded: messages that arrived, and were replaced by newer ones before they were asked for.
        malformed: messages that do not follow ``argos/1``.
        restarted: how often a camera came back under a new ``run``: its publisher was started again.
        refused: connections whose handshake failed: wrong or missing keys, or no publisher of ``argos/1`` there.
        connected: whether a publisher is connected.
    """

    def __init__(
        self,
        endpoints: str | Sequence[str],
        cameras: Sequence[str] | None = None,
        kinds: Sequence[str] = ("result",),
        *,
        mode: Literal["latest"] = "latest",
        queue: int | None = None,
        timeout: float | None = None,
        heartbeat_s: float = 1.0,
        server_key: str | Path | None = None,
        client_key: str | Path | None = None,
    ) -> None:
        """Connect in the background; the publisher need not be there yet.

        Args:
            endpoints: one or more addresses like ``tcp://host:5555``.
            cameras: only these; default all.
            kinds: of ``hello``, ``result``, ``event``, ``status``, ``overlay``, ``notice``. A ``hello`` belongs
                to no camera.
            mode: ``latest``, the newest of each camera and kind.
            queue: keep this many messages in order instead.
            timeout: seconds without a message after which iteration and ``receive`` raise; None waits for ever.
            heartbeat_s: a publisher that does not answer for twice as long is disconnected.
            server_key: file with the public key of the publishers (``server.key``), where they ask for keys.
            client_key: file with the subscriber's own keys (``NAME.key_secret``).

        Raises:
            ValueError: an address, a camera's name or a kind is not one, there is none, ``queue`` is less than 1,
                ``heartbeat_s`` is negative, or one key is given without the other.
            ConfigError: a key file cannot be read.
        """
        if mode != "latest" or (queue is not None and queue < 1):
            raise ValueError(f"mode '{mode}', queue {queue}: expected mode 'latest', or queue=n of at least 1")
        if not 0 <= heartbeat_s <= _LONGEST_HEARTBEAT_S:
            raise ValueError(f"heartbeat_s {heartbeat_s:g}: expected 0 to {_LONGEST_HEARTBEAT_S:g} seconds")
        if (server_key is None) != (client_key is None):
            raise ValueError("server_key and client_key: expected both or none; argos keygen makes keys")
        keys = None if server_key is None or client_key is None else read_client_keys(server_key, client_key)
        self.missed = 0
        self.discarded = 0
        self.malformed = 0
        self.restarted = 0
        self.refused = 0
        self.connected = False
        self._endpoints = [endpoints] if isinstance(endpoints, str) else list(endpoints)
        if not self._endpoints:
            raise ValueError(f"endpoints: there is none; expected one like {EXAMPLES}")
        self._timeout = timeout
        self._waiting: Latest | Queue = Latest() if queue is None else Queue(queue)
        self._last_seq: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._arrived_s: float | None = None
        self._arrived_of: dict[str, float] = {}
        self._runs: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._closed = False
        self._failure: BaseException | None = None
        self._ready = threading.Condition()
        prefixes = prefixes_of(cameras, kinds)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._links: list[Link] = []
        try:
            for endpoint in self._endpoints:
                socket = self._context.socket(zmq.SUB)
                set_subscribing_options(socket, heartbeat_s)
                if keys is not None:
                    speak_curve(socket, keys)
                for prefix in prefixes:
                    socket.setsockopt(zmq.SUBSCRIBE, prefix)
                self._links.append(Link(socket, endpoint))
        except (ValueError, zmq.ZMQError):
            self._context.destroy(linger=0)
            raise
        self._wake = Wake()
        # the sockets move to this thread for good; starting it is the memory barrier that 0MQ asks for
        self._thread = threading.Thread(target=self._work, name="argos-subscriber", daemon=True)
        self._thread.start()

    @property
    def age_s(self) -> float | None:
        """Seconds since the last message arrived; None before the first."""
        return None if self._arrived_s is None else time.monotonic() - self._arrived_s

    @property
    def ages_s(self) -> dict[str, float]:
        """Seconds since the last message of each camera heard so far, whatever its kind."""
        now = time.monotonic()
        with self._ready:
            return {camera: now - arrived_s for camera, arrived_s in self._arrived_of.items()}

    def receive(self, timeout: float | None = None) -> Message:
        """Wait for the next message.

        Args:
            timeout: seconds; default the subscriber's own.

        Raises:
            TimeoutError: none came in time.
            ValueError: the subscriber is closed.
        """
        message = self._next(self._timeout if timeout is None else timeout)
        if message is None:
            raise ValueError("the subscriber is closed")
        return message

    def __iter__(self) -> Iterator[Message]:
        """The messages, until ``close``; raises ``TimeoutError`` as ``receive`` does."""
        while (message := self._next(self._timeout)) is not None:
            yield message

    def close(self) -> None:
        """Disconnect; ends an iteration in another thread. Any thread may call it, more than once."""
        with self._ready:
            already, self._closed = self._closed, True
            if already:
                return
            self._ready.notify_all()
            self._wake.set()
        self._thread.join()
        self._context.term()
        self._wake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, timeout: float | None) -> Message | None:
        """The next message that can be read; None when closed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._ready:
                while not self._closed and not len(self._waiting):
                    if self._failure is not None:
                        raise self._failure
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        raise TimeoutError(
                            f"{', '.join(self._endpoints)}: no message for {timeout:g} s ({self._how()})"
                        )
                    self._ready.wait(left)
                if self._closed:
                    return None
                parts = self._waiting.take()
            try:
                return decode(parts)
            except SchemaError as error:
                self._count_malformed(error)

    def _how(self) -> str:
        if self.connected:
            return "connected"
        return "not connected: the handshake was refused, check the keys" if self.refused else "not connected"

    def _count_malformed(self, error: Exception) -> None:
        with self._ready:
            self.malformed += 1
        logger.debug("malformed message: %s", error)

    # From here on everything runs in the subscriber's thread.

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # handed on: the consumer raises it
            with self._ready:
                self._failure = error
                self._ready.notify_all()
        finally:
            for link in self._links:
                link.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._wake, zmq.POLLIN)
        for link in self._links:
            poller.register(link.monitor, zmq.POLLIN)
            poller.register(link.socket, zmq.POLLIN)
        while not self._closed:
            ready = dict(poller.poll(round(1000 * AGAIN_S)))
            for link in self._links:
                if link.monitor in ready:
                    link.hear()
                    self.connected = any(one.connected for one in self._links)
                    self.refused = sum(one.refused for one in self._links)
                if link.socket in ready:
                    self._take_in(link.socket.recv_multipart())
                link.mend()

    def _take_in(self, parts: list[bytes]) -> None:
        try:
            kind, camera = parse_topic(parts[0])
            origin = _read_origin(parts[1])
        except (SchemaError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError) as error:
            self._count_malformed(error)
            return
        with self._ready:
            self._arrived_s = time.monotonic()
            if camera != NO_CAMERA:
                self._arrived_of[camera] = self._arrived_s
                if len(self._arrived_of) > _RUNS_REMEMBERED:
                    self._arrived_of.pop(next(iter(self._arrived_of)))
                self._count_restart(camera, origin.run)
            if origin.seq is not None:
                self._count_gap((origin.run, camera, kind), origin.seq)
            self.discarded += self._waiting.put((camera, kind), parts)
            self._ready.notify()

    def _count_restart(self, camera: str, run: str) -> None:
        """A run that was never seen is a restart, unless it is the camera's first."""
        if (camera, run) not in self._runs:
            self.restarted += any(name == camera for name, _ in self._runs)
            self._runs[camera, run] = None
            while len(self._runs) > _RUNS_REMEMBERED:
                self._runs.popitem(last=False)

    def _count_gap(self, stream: tuple[str, str, str], seq: int) -> None:
        """A publisher that started again has a new run and begins a new count."""
        last = self._last_seq.pop(stream, None)
        if last is not None and seq > last + 1:
            self.missed += seq - last - 1
        self._last_seq[stream] = seq if last is None else max(seq, last)
        while len(self._last_seq) > _RUNS_REMEMBERED:
            self._last_seq.popitem(last=False)


def prefixes_of(cameras: Sequence[str] | None, kinds: Sequence[str]) -> list[bytes]:
    """Beginnings of the topics of some kinds and cameras.

    Raises:
        ValueError: a kind or a camera's name is none, or a list is empty.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown or not kinds:
        raise ValueError(f"kinds {list(kinds)}: expected some of {', '.join(KINDS)}")
    if cameras is not None and not cameras:
        raise ValueError("cameras: there is none; expected names, or None for all")
    if cameras is None:
        return [f"argos/1/{kind}/".encode() for kind in kinds]
    if isinstance(cameras, str):
        raise ValueError(f"cameras '{cameras}': expected a list of names")
    return [topic(kind, camera) for kind in kinds for camera in ((NO_CAMERA,) if kind == "hello" else tuple(cameras))]
