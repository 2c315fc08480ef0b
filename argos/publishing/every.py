"""Every result to consumers that need each one: a ROUTER with credits, acknowledgements and a bounded spool for each.

A consumer (``argos.publishing.consumer``) names itself and says what it has received and done; what is not done is
kept for it, also while it is away, and sent again when it is back. The pipeline never waits: where a consumer is slower
than the cameras, or away for long, the oldest messages of its spool go first, and both sides count them.

Wire, inside the ``argos/1`` contract: the consumer sends ``[ask]``, JSON of ``Ask``, when it connects, every second,
and when it has done a quarter of its credit. The publisher answers with ``[number, topic, header, part...]``, where
``number`` in ASCII counts 1, 2, 3, ... per run and consumer, and every second with ``["", told]``, JSON of ``Told``.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import zmq

from argos.publishing.wire import topic

logger = logging.getLogger(__name__)

SPOOL_BYTES = 64 << 20
"""Of one consumer, where nobody says otherwise; what is on its way counts, and is kept whatever its size."""

GONE_S = 5.0
"""A consumer that asks for nothing for this long is taken for gone; what it has not done is kept."""

FORGOTTEN_S = 3600.0
"""The spool of a consumer that is gone for this long is given up."""

MOST_CONSUMERS = 16
MOST_CREDIT = 256
_MESSAGE_BYTES = 256  # what Python needs for one, about
_FORGOTTEN_REMEMBERED = 1024
NAME, NAME_RULE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}"), "the name should be of a-z, 0-9, '-' and '_'"


class Ask(msgspec.Struct):
    """What a consumer says.

    Attributes:
        name: of the consumer, like that of a camera; the newest connection of a name counts.
        topics: beginnings of topics it wants.
        credit: messages it takes before it has done with them.
        run: whose numbers the other two are; empty when it knows none.
        seen: the last number it has received.
        done: the last number it has done with; up to it nothing is kept.
    """

    name: str
    topics: list[str]
    credit: int = 64
    run: str = ""
    seen: int = 0
    done: int = 0


class Told(msgspec.Struct):
    """What the publisher says every second.

    Attributes:
        run: id of the process run; numbers begin again with each.
        waiting: messages kept for this consumer.
        lost: messages that its spool had no room for.
        refused: why nothing is sent; empty where something is.
        done: the last number that a consumer of this name has done with; None: not said.
    """

    run: str
    waiting: int = 0
    lost: int = 0
    refused: str = ""
    done: int | None = None


@dataclass(eq=False)
class _Consumer:
    """One name, connected or not; the first ``flying`` of those ``waiting`` were sent over the present connection."""

    name: str
    heard_s: float
    identity: bytes | None = None
    topics: tuple[bytes, ...] = ()
    credit: int = 0
    waiting: deque[tuple[int, list[bytes], int]] = field(default_factory=deque)
    size: int = 0
    number: int = 0
    done: int = 0
    flying: int = 0
    lost: int = 0
    told_s: float = 0.0
    replaced: deque[bytes] = field(default_factory=lambda: deque(maxlen=8))


@dataclass(frozen=True, slots=True)
class Spool:
    """What is kept for a consumer: messages and their bytes, those lost so far, and whether it is there."""

    messages: int
    size: int
    lost: int
    connected: bool


class Every:
    """The consumers of a publisher; used by the thread that owns the socket.

    Args:
        socket: a bound ROUTER.
        run: id of the process run.
        spool_bytes: most bytes kept for one consumer; when its credit takes more, that much is kept.
    """

    def __init__(self, socket: zmq.Socket[bytes], run: str, spool_bytes: int = SPOOL_BYTES) -> None:
        self.socket = socket
        self._run, self._bound = run, spool_bytes
        self._consumers: dict[str, _Consumer] = {}
        self._forgotten: dict[str, tuple[int, int]] = {}  # their number and what was done: both go on

    def spools(self) -> dict[str, Spool]:
        """What is kept, by consumer; from any thread."""
        return {
            name: Spool(len(one.waiting), one.size, one.lost, one.identity is not None)
            for name, one in list(self._consumers.items())
        }

    def wants(self, kind: str, camera: str) -> bool:
        """Whether a consumer asked for this, be it there or not."""
        name = topic(kind, camera)
        return any(name.startswith(one.topics) for one in self._consumers.values())

    def put(self, kind: str, camera: str, parts: Sequence[bytes]) -> None:
        """Keep a message for everyone who asked for it, and send it to those who have credit."""
        name, kept = topic(kind, camera), list(parts)
        size = sum(map(len, kept)) + _MESSAGE_BYTES
        for one in self._consumers.values():
            if name.startswith(one.topics):
                one.number += 1
                one.waiting.append((one.number, kept, size))
                one.size += size
                self._send(one)  # first: what its credit lets go at once is not lost to acknowledgements on their way
                self._bind(one)

    def serve(self, now_s: float) -> None:
        """Read what consumers ask, answer, and notice who is gone.

        Args:
            now_s: monotonic clock.
        """
        while True:
            try:
                identity, *request = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._asked(identity, request, now_s)
        for one in list(self._consumers.values()):
            if one.identity is not None and now_s - one.heard_s > GONE_S:
                logger.warning("consumer '%s' is gone; its results are kept", one.name, extra={"event": "every.gone"})
                one.identity, one.flying = None, 0
            elif one.identity is None and now_s - one.heard_s > FORGOTTEN_S:
                logger.warning("consumer '%s' is forgotten", one.name, extra={"event": "every.forgotten"})
                self._forget(one)
            elif one.identity is not None and now_s - one.told_s >= 1.0:
                self._tell(one, now_s)

    def has_unsent(self) -> bool:
        """Whether somebody who is there has not got everything yet."""
        return any(one.identity is not None and one.waiting for one in self._consumers.values())

    def _asked(self, identity: bytes, request: Sequence[bytes], now_s: float) -> None:
        try:
            ask = _read_ask(request[0])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
            return  # nobody of ours
        one = self._consumers.get(ask.name)
        if one is None:
            refused = "" if NAME.fullmatch(ask.name) else NAME_RULE
            if len(self._consumers) >= MOST_CONSUMERS:
                refused = f"{MOST_CONSUMERS} consumers are known already"
            if refused:
                self._deliver(identity, b"", _encode(Told(self._run, refused=refused)))
                return
            number, done = self._forgotten.pop(ask.name, (0, 0))
            one = self._consumers[ask.name] = _Consumer(ask.name, now_s, number=number, done=done)
        if identity in one.replaced:
            words = "another consumer of this name has connected since"
            self._deliver(identity, b"", _encode(Told(self._run, refused=words)))
            return
        known = ask.run == self._run
        if known:
            one.done = max(one.done, min(ask.done, one.number))
            while one.waiting and one.waiting[0][0] <= ask.done:
                one.size -= one.waiting.popleft()[2]
                one.flying = max(0, one.flying - 1)
        one.topics = tuple(prefix.encode() for prefix in ask.topics)
        one.credit, one.heard_s = max(1, min(ask.credit, MOST_CREDIT)), now_s
        if one.identity != identity:  # another connection: what the last one did not bring is sent again
            if one.identity is None and one.number:
                logger.info(
                    "consumer '%s' is back, %d wait for it", one.name, len(one.waiting), extra={"event": "every.back"}
                )
            if one.identity is not None:
                one.replaced.append(one.identity)
            one.identity, seen = identity, ask.seen if known else 0
            one.flying = sum(1 for number, _, _ in one.waiting if number <= seen)
            self._tell(one, now_s)
        self._send(one)

    def _forget(self, one: _Consumer) -> None:
        """Give its spool up; its numbers go on should it come back, or it would take new messages for repeated ones."""
        del self._consumers[one.name]
        self._forgotten[one.name] = one.number, one.done
        if len(self._forgotten) > _FORGOTTEN_REMEMBERED:
            self._forgotten.pop(next(iter(self._forgotten)))

    def _bind(self, one: _Consumer) -> None:
        """Hold a spool to its bound: the oldest that is not on its way goes."""
        while one.size > self._bound and len(one.waiting) > one.flying:
            if not one.lost:
                logger.warning(
                    "consumer '%s' is too slow or away for too long: its oldest results are lost", one.name,
                    extra={"event": "every.lost"},
                )  # fmt: skip
            one.size -= one.waiting[one.flying][2]
            del one.waiting[one.flying]
            one.lost += 1

    def _send(self, one: _Consumer) -> None:
        while one.identity is not None and one.flying < min(one.credit, len(one.waiting)):
            number, parts, _ = one.waiting[one.flying]
            self._deliver(one.identity, str(number).encode(), *parts)
            one.flying += 1

    def _tell(self, one: _Consumer, now_s: float) -> None:
        assert one.identity is not None
        one.told_s = now_s
        self._deliver(one.identity, b"", _encode(Told(self._run, len(one.waiting), one.lost, done=one.done)))

    def _deliver(self, *parts: bytes) -> None:
        self.socket.send_multipart(parts, copy=False)  # to a ROUTER it never blocks; to nobody it is dropped


_read_ask = msgspec.json.Decoder(Ask).decode
_encode = msgspec.json.Encoder().encode


def drain(every: Every, until_s: float) -> None:
    """Let consumers that are there take what is left, until a time of the monotonic clock."""
    while every.has_unsent() and (left_s := until_s - time.monotonic()) > 0:
        every.socket.poll(round(1000 * min(left_s, 0.05)))
        every.serve(time.monotonic())
