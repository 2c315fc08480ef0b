"""The ZeroMQ publisher: results, statuses and overlays to whoever subscribes, without ever holding up the pipeline."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import zmq

from argos.errors import PublishError
from argos.publishing.curve import ServerKeys, ask_for_keys, serve_curve
from argos.publishing.encode import (
    MaskEncodings,
    encode_event,
    encode_hello,
    encode_notice,
    encode_overlay,
    encode_result,
    encode_status,
)
from argos.publishing.endpoints import bind, is_address, is_loopback
from argos.publishing.every import MOST_CREDIT, SPOOL_BYTES, Every, Spool, drain
from argos.publishing.overlays import Draw, OverlayEncoder
from argos.publishing.socket_options import set_every_options, set_publishing_options
from argos.publishing.wake import Wake
from argos.publishing.wire import KINDS, NO_CAMERA, topic
from argos.types import Event, Hello, Notice, Overlay, Result, Status
from argos.version import VERSION

logger = logging.getLogger(__name__)

_HEARTBEAT_S = 1.0
_DRAIN_S = 1.0

_Item = Result | Event | Status | Overlay | Notice


class Publisher:
    """Binds an address and publishes by the contract ``argos/1``; a context manager.

    One thread owns the socket and encodes; the other methods hand over and return at once, from any thread. What
    nobody subscribes to is not encoded. A new subscription is answered with ``hello`` and the last ``status``.

    Attributes:
        endpoint: the bound address, with the real port.
        every_endpoint: that of consumers who need every message; None without.
        sent: messages handed to 0MQ, by kind.
        sent_bytes: their bytes, by kind.
        dropped: messages that overflowed the queue or came after ``close``, by kind.
    """

    def __init__(
        self,
        address: str,
        *,
        run: str,
        cameras: Sequence[str],
        kinds: Sequence[str] = KINDS,
        models: Mapping[str, str] | None = None,
        masks: MaskEncodings | None = None,
        status: Callable[[str], Status | None] | None = None,
        overlay_fps: float = 5.0,
        overlay_quality: int = 80,
        queue: int = 256,
        curve: ServerKeys | None = None,
        insecure: bool = False,
        every: str | None = None,
        spool_bytes: int = SPOOL_BYTES,
    ) -> None:
        """Bind and start.

        Args:
            address: ``tcp://127.0.0.1:5555``; the port ``*`` is chosen by the system.
            run: id of the process run.
            cameras: names of the cameras.
            kinds: what may be published; ``hello`` always is.
            models: role -> ``name@sha256:...``, told in ``hello``.
            masks: encodings of the masks; default ``bits_zlib`` for frames and ``coco_rle`` for people.
            status: gives the present status of a camera, asked every second in the publisher's thread; without
                it the last ``status_changed`` is repeated.
            overlay_fps: overlays per second and camera at most.
            overlay_quality: of the JPEG, 1..100.
            queue: messages that may wait for the publisher's thread; the oldest are dropped.
            curve: encrypt, and let only its clients in; None publishes to everyone who reaches the address.
            insecure: allow an address that other machines reach, unencrypted.
            every: address for consumers that need every message (``argos.Consumer``); None: off.
            spool_bytes: most bytes kept for each of them.

        Raises:
            PublishError: an address cannot be bound, or is not on loopback with neither ``curve`` nor ``insecure``.
        """
        for asked in (address, every or address):
            if is_address(asked) and not is_loopback(asked) and curve is None and not insecure:
                raise PublishError(
                    f"{asked}: reachable from other machines without encryption; "
                    "bind to 127.0.0.1, set publish.curve (argos keygen makes keys), "
                    "or set publish.insecure: true on a network you trust"
                )
        self.run = run
        self.sent: Counter[str] = Counter()
        self.sent_bytes: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._cameras = {camera: topic("status", camera) for camera in cameras}
        self._kinds = tuple(kind for kind in KINDS if kind == "hello" or kind in kinds)
        self._models = dict(models or {})
        self._masks = masks or MaskEncodings()
        self._status = status
        self._last_status: dict[str, Status] = {}
        self._prefixes: frozenset[bytes] = frozenset()
        self._greets = False
        self._queue: deque[_Item] = deque()
        self._longest_queue = queue
        self._lock = threading.Lock()
        self._closed = False
        self._drained_by = 0.0
        self._failure: BaseException | None = None
        self.every_endpoint: str | None = None
        self._every: Every | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._doorkeeper = None if curve is None else serve_curve(self._context, self._socket, curve)
        try:
            set_publishing_options(self._socket)
            self.endpoint = bind(self._socket, address)
            if every is not None:
                router = self._context.socket(zmq.ROUTER)
                set_every_options(router, MOST_CREDIT)
                if curve is not None:
                    ask_for_keys(router, curve)
                self.every_endpoint = bind(router, every)
                self._every = Every(router, run, spool_bytes)
        except PublishError:
            if self._doorkeeper is not None:
                self._doorkeeper.stop()
            self._context.destroy(linger=0)
            raise
        self._wake = Wake()
        self._overlays = OverlayEncoder(
            self._hand_over, self._fail, run=run, max_fps=overlay_fps, quality=overlay_quality
        )
        # the socket moves to this thread for good; starting it is the memory barrier that 0MQ asks for
        self._thread = threading.Thread(target=self._work, name="argos-publisher", daemon=True)
        self._thread.start()

    @property
    def overlays_encoded(self) -> int:
        """Overlays drawn and encoded so far."""
        return self._overlays.encoded

    def spools(self) -> dict[str, Spool]:
        """What is kept for consumers that need every message, by their names."""
        return {} if self._every is None else self._every.spools()

    def wants(self, kind: str, camera: str) -> bool:
        """Whether somebody is subscribed to this kind of this camera right now."""
        name = topic(kind, camera)
        return kind in self._kinds and any(name.startswith(prefix) for prefix in self._prefixes)

    def send(self, result: Result) -> None:
        """Publish a result, then its events; one without ``published_ns`` is stamped now.

        Raises:
            ValueError: the camera's name is not allowed in a topic.
            Exception: whatever ended a thread of the publisher.
        """
        topic("result", result.camera)
        self._hand_over(replace(result, image=None, published_ns=result.published_ns or time.time_ns()))
        for event in result.events:
            self._hand_over(event)

    def status_changed(self, status: Status) -> None:
        """Publish a status at once; raises like ``send``."""
        topic("status", status.camera)
        self._last_status[status.camera] = status
        self._hand_over(status)

    def notice(self, notice: Notice) -> None:
        """Publish a notice; raises like ``send``."""
        topic("notice", notice.camera)
        self._hand_over(notice)

    def set_cameras(self, cameras: Sequence[str]) -> None:
        """Publish for other cameras from now on; subscribers are greeted again."""
        self._cameras = {camera: topic("status", camera) for camera in cameras}
        self._last_status = {name: status for name, status in self._last_status.items() if name in self._cameras}
        self._greets = True
        self._wake.set()

    def offer_overlay(self, result: Result, draw: Draw | None = None) -> bool:
        """Publish a picture of ``result``, if somebody subscribed and the last one is long enough ago.

        Args:
            result: what is drawn.
            draw: gives ``(H, W, 3)`` uint8 RGB, called later in the encoder's thread; default ``result.plot``.

        Returns:
            Whether it was taken.
        """
        return self.wants("overlay", result.camera) and self._overlays.offer(result, draw or result.plot)

    def close(self) -> None:
        """Send what is queued, for one second at most, and release the address.

        Raises:
            Exception: whatever ended a thread of the publisher.
        """
        with self._lock:
            already, self._closed = self._closed, True
            if already:
                return
            self._drained_by = time.monotonic() + _DRAIN_S
            self._wake.set()
        self._overlays.close()
        self._thread.join()
        if self._doorkeeper is not None:
            self._doorkeeper.stop()
        self._context.term()
        self._wake.close()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_over(self, item: _Item) -> None:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                self.dropped[_kind_of(item)] += 1
                return
            self._queue.append(item)
            while len(self._queue) > self._longest_queue:
                self.dropped[_kind_of(self._queue.popleft())] += 1
            self._wake.set()

    def _fail(self, error: BaseException) -> None:
        logger.error("publishing ended: %s", error)
        with self._lock:
            self._failure = self._failure or error

    # From here on everything runs in the publisher's thread.

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # handed on: the next send or close raises it
            self._fail(error)
        finally:
            linger = max(0, round(1000 * (self._drained_by - time.monotonic())))
            self._socket.close(linger=linger)
            if self._every is not None:
                self._every.socket.close(linger=linger)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        if self._every is not None:
            poller.register(self._every.socket, zmq.POLLIN)
        due = time.monotonic() + _HEARTBEAT_S
        while not self._closed:
            poller.poll(1 + max(0, int(1000 * (due - time.monotonic()))))
            self._wake.clear()
            self._answer_subscriptions()
            self._send_queued()
            if self._every is not None:
                self._every.serve(time.monotonic())
            if time.monotonic() >= due:
                due = time.monotonic() + _HEARTBEAT_S
                for camera in self._cameras:
                    self._send_status_of(camera)
        self._send_queued()
        if self._every is not None:
            drain(self._every, self._drained_by)

    def _answer_subscriptions(self) -> None:
        """Take note of who joined and left; greet those who joined."""
        prefixes, joined = set(self._prefixes), []
        while True:
            try:
                request = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if request[:1] == b"\x01":
                prefixes.add(request[1:])
                joined.append(request[1:])
            elif request[:1] == b"\x00":  # 0MQ reports the last leaving of a prefix only
                prefixes.discard(request[1:])
        self._prefixes = frozenset(prefixes)
        greeting = topic("hello", NO_CAMERA)
        again, self._greets = self._greets, False
        if any(greeting.startswith(prefix) for prefix in (self._prefixes if again else joined)):
            self._put("hello", encode_hello(self._hello()))
        for camera, name in self._cameras.items():
            if any(name.startswith(prefix) for prefix in joined):
                self._send_status_of(camera)

    def _hello(self) -> Hello:
        return Hello(self.run, tuple(self._cameras), self._kinds, self._models, VERSION, time.time_ns())

    def _send_status_of(self, camera: str) -> None:
        if not self.wants("status", camera):
            return
        status = self._status(camera) if self._status is not None else None
        status = status or self._last_status.get(camera)
        if status is not None:
            self._put("status", encode_status(replace(status, sent_ns=time.time_ns())))

    def _send_queued(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    return
                item = self._queue.popleft()
                late = self._closed and time.monotonic() > self._drained_by
            kind = _kind_of(item)
            if late:
                self.dropped[kind] += 1
                continue
            spooled = self._every is not None and kind in self._kinds and self._every.wants(kind, item.camera)
            subscribed = self.wants(kind, item.camera)
            if not (spooled or subscribed):
                continue
            parts = self._encoded(item)
            if subscribed:
                self._put(kind, parts)
            if spooled and self._every is not None:
                self._every.put(kind, item.camera, parts)

    def _encoded(self, item: _Item) -> list[bytes]:
        match item:
            case Result():
                return encode_result(item, self._masks)
            case Event():
                return encode_event(replace(item, sent_ns=item.sent_ns or time.time_ns()))
            case Status():
                return encode_status(item)
            case Overlay():
                return encode_overlay(item)
            case Notice():
                return encode_notice(item)

    def _put(self, kind: str, parts: list[bytes]) -> None:
        self._socket.send_multipart(parts, copy=False)
        self.sent[kind] += 1
        self.sent_bytes[kind] += sum(map(len, parts))


def _kind_of(item: _Item) -> str:
    return type(item).__name__.lower()
