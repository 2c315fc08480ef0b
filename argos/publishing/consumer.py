"""The consumer that gets every result: it takes them in order, and says which it has done with."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import zmq

from argos.errors import SchemaError
from argos.publishing.curve import read_client_keys, speak_curve
from argos.publishing.decode import Message, decode
from argos.publishing.every import MOST_CREDIT, NAME, NAME_RULE, Ask, Told
from argos.publishing.link import Link
from argos.publishing.socket_options import set_subscribing_options
from argos.publishing.subscriber import prefixes_of
from argos.publishing.wake import Wake

logger = logging.getLogger(__name__)

_ASK_S = 1.0
_SILENT_S = 3.0


class Consumer:
    """Iterates over every message of one publisher, in order; a context manager.

    A message counts as done when the next one is asked for, or when the ``with`` block ends well. What was not done
    when the process died is sent again to the next consumer of the same name: at least once, not at most once. What the
    publisher's spool had no room for is lost and counted.

    Attributes:
        missed: messages lost: the spool at the publisher was full, also while no consumer of this name was there.
        repeated: messages that came twice over a connection that broke; they are handed out once.
        malformed: messages that do not follow ``argos/1``.
        restarted: how often the publisher came back under a new ``run``.
        waiting: messages that the publisher keeps for this consumer, as it said last.
        refused: why the publisher sends nothing; empty where it does.
    """

    def __init__(
        self,
        endpoint: str,
        name: str,
        cameras: Sequence[str] | None = None,
        kinds: Sequence[str] = ("result",),
        *,
        credit: int = 64,
        timeout: float | None = None,
        server_key: str | Path | None = None,
        client_key: str | Path | None = None,
    ) -> None:
        """Connect in the background; the publisher need not be there yet.

        Args:
            endpoint: the address ``publish.every.bind``.
            name: of this consumer, like that of a camera; its messages are kept under it.
            cameras: only these; default all.
            kinds: of ``result``, ``event``, ``status``, ``notice``.
            credit: messages that may be on their way or waiting here, 1 to 256.
            timeout: seconds without a message after which iteration and ``receive`` raise; None waits for ever.
            server_key, client_key: as for ``argos.Subscriber``.

        Raises:
            ValueError: an address, a name, a kind or the credit is not one, or one key is given without the other.
            ConfigError: a key file cannot be read.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"consumer '{name}': {NAME_RULE}")
        if not 1 <= credit <= MOST_CREDIT:
            raise ValueError(f"credit {credit}: expected 1 to {MOST_CREDIT}")
        if (server_key is None) != (client_key is None):
            raise ValueError("server_key and client_key: expected both or none; argos keygen makes keys")
        if set(kinds) & {"hello", "overlay"}:
            raise ValueError(f"kinds {list(kinds)}: hello and overlay are not kept for consumers; use argos.Subscriber")
        keys = None if server_key is None or client_key is None else read_client_keys(server_key, client_key)
        self.missed = self.repeated = self.malformed = self.restarted = self.waiting = 0
        self.refused = ""
        self._endpoint, self._name, self._credit, self._timeout = endpoint, name, credit, timeout
        self._topics = [prefix.decode() for prefix in prefixes_of(cameras, kinds)]
        self._run, self._seen, self._done = "", 0, 0
        self._counts = False  # whether every number since ``seen`` should come
        self._out: tuple[str, int] | None = None  # the message that is being worked on
        self._arrived: deque[tuple[str, int, list[bytes]]] = deque()
        self._heard_s = -float("inf")
        self._closed = False
        self._failure: BaseException | None = None
        self._ready = threading.Condition()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        try:
            set_subscribing_options(self._socket, _ASK_S)
            self._socket.setsockopt(zmq.IMMEDIATE, 1)  # an ask of yesterday helps nobody
            self._socket.setsockopt(zmq.LINGER, 500)
            if keys is not None:
                speak_curve(self._socket, keys)
            self._link = Link(self._socket, endpoint)
        except (ValueError, zmq.ZMQError):
            self._context.destroy(linger=0)
            raise
        self._wake = Wake()
        self._thread = threading.Thread(target=self._work, name="argos-consumer", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the publisher was heard in the last seconds."""
        return time.monotonic() - self._heard_s < _SILENT_S

    def receive(self, timeout: float | None = None) -> Message:
        """Be done with the last message, and wait for the next.

        Args:
            timeout: seconds; default the consumer's own.

        Raises:
            TimeoutError: none came in time.
            ValueError: the consumer is closed.
        """
        message = self._next(self._timeout if timeout is None else timeout)
        if message is None:
            raise ValueError("the consumer is closed")
        return message

    def __iter__(self) -> Iterator[Message]:
        """The messages, until ``close``; raises ``TimeoutError`` as ``receive`` does."""
        while (message := self._next(self._timeout)) is not None:
            yield message

    def close(self, *, done: bool = True) -> None:
        """Disconnect. Any thread may call it, more than once.

        Args:
            done: whether the last message is done with.
        """
        with self._ready:
            already, self._closed = self._closed, True
            if already:
                return
            if done:
                self._finish_last()
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
        self.close(done=kind is None)

    def _next(self, timeout: float | None) -> Message | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._ready:
                self._finish_last()
                while not self._closed and not self._arrived:
                    if self._failure is not None:
                        raise self._failure
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        how = self.refused or ("connected" if self.connected else "not connected")
                        raise TimeoutError(f"{self._endpoint}: no message for {timeout:g} s ({how})")
                    self._ready.wait(left)
                if self._closed:
                    return None
                run, number, parts = self._arrived.popleft()
                self._out = (run, number)
            try:
                return decode(parts)
            except SchemaError as error:
                self.malformed += 1
                logger.debug("malformed message: %s", error)

    def _finish_last(self) -> None:
        """Count the last message as done; called with the lock held."""
        out, self._out = self._out, None
        if out is not None and out[0] == self._run:
            self._done = out[1]
            if self._done % max(1, self._credit // 4) == 0:
                self._wake.set()

    # From here on everything runs in the consumer's thread.

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # handed on: the consumer raises it
            with self._ready:
                self._failure = error
                self._ready.notify_all()
        finally:
            self._link.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._link.monitor, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        due_s, asked = time.monotonic(), -1
        while not self._closed:
            ready = dict(poller.poll(max(0, round(1000 * (due_s - time.monotonic()))) + 1))
            self._wake.clear()
            if self._link.monitor in ready:
                self._hear()
            self._link.mend()
            if self._socket in ready:
                self._take_in(self._socket.recv_multipart())
            now_s = time.monotonic()
            if now_s >= due_s or self._done >= asked + max(1, self._credit // 4):
                due_s, asked = now_s + (_ASK_S if self.connected else 0.2), self._done
                self._ask()
        self._ask()

    def _hear(self) -> None:
        before = self._link.refused
        self._link.hear()
        if self._link.refused > before:
            self.refused = "not connected: the handshake was refused, check the keys"

    def _ask(self) -> None:
        with self._ready:
            ask = Ask(self._name, self._topics, self._credit, self._run, self._seen, self._done)
        with contextlib.suppress(zmq.Again):  # not connected; it is asked again soon
            self._socket.send(_encode(ask), zmq.NOBLOCK)

    def _take_in(self, parts: list[bytes]) -> None:
        with self._ready:
            self._heard_s = time.monotonic()
            if not parts[0] and len(parts) == 2:
                self._be_told(parts[1])
                return
            if not parts[0].isdigit() or len(parts[0]) > 18:
                self.malformed += 1
                return
            number = int(parts[0])
            if number <= self._seen:
                self.repeated += 1
                return
            if self._counts:
                self.missed += number - self._seen - 1
            self._seen, self._counts = number, True
            self._arrived.append((self._run, number, parts[1:]))
            self._ready.notify()

    def _be_told(self, text: bytes) -> None:
        try:
            told = _read_told(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.malformed += 1
            return
        if told.refused and told.refused != self.refused:
            logger.warning("consumer '%s' gets nothing: %s", self._name, told.refused)
        self.waiting, self.refused = told.waiting, told.refused
        if told.run != self._run:
            self.restarted += bool(self._run)
            self._run, self._seen = told.run, told.done or 0
            self._done = self._seen
            self._counts = told.done is not None or self.restarted > 0  # older publishers do not say


_read_told = msgspec.json.Decoder(Told).decode
_encode = msgspec.json.Encoder().encode
