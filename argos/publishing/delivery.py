"""Messages to somebody who may be away: kept within bounds, tried again with growing pauses, counted where lost.

What waits is in memory: it does not survive the process. When it is full the oldest message goes, because the newest is
the one that matters; a message about a state replaces the one before it that still waits.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

DRAIN_S = 2.0
"""What waits when all ends is sent for so long at most."""

GIVEN_UP_S = 0.5
"""An attempt that is under way then is waited for so much longer; its receiver may hang for the whole timeout."""

REPEATED_S = 60.0
"""A fault that lasts is logged again after this long."""


class NotDelivered(Exception):  # noqa: N818 (it is told to the delivery alone)
    """It did not work now; ``after_s`` is the pause that the receiver asked for, 0 where it did not."""

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class Refused(Exception):  # noqa: N818
    """The receiver does not want this message, and will not want it later."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between attempts: ``initial_s``, then ``factor`` times as long up to ``max_s``, each by ``jitter`` off."""

    initial_s: float = 0.5
    max_s: float = 60.0
    factor: float = 2.0
    jitter: float = 0.2

    def pause_s(self, attempt: int) -> float:
        """The pause after attempt 0, 1, 2, ..."""
        longest = min(self.max_s, self.initial_s * self.factor ** min(attempt, 64))
        return longest * (1 + self.jitter * random.uniform(-1, 1))


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent.

    Attributes:
        key: messages with the same one replace each other while they wait; None: each is an event of its own.
        address: where it goes at the receiver.
        body: of it.
        retained: the receiver keeps it for those who come later.
    """

    key: str | None
    address: str
    body: bytes
    retained: bool = False


@dataclass(slots=True)
class DeliveryTally:
    """How an output fares.

    Attributes:
        delivered: messages that were taken.
        failed: attempts that did not work.
        dropped: messages lost, by reason: ``full``, ``refused``, ``closed``.
        waiting: messages that are not delivered yet.
    """

    delivered: int = 0
    failed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    waiting: int = 0


class Delivery:
    """A thread that sends what it is given, in order.

    Args:
        name: of the receiver in logs, without credentials.
        send: sends one message, called in the thread; raises ``NotDelivered`` or ``Refused``.
        most: messages that may wait.
        backoff: pauses between attempts.
    """

    def __init__(self, name: str, send: Callable[[Message], None], most: int, backoff: Backoff) -> None:
        self.name, self._send, self._most, self._backoff = name, send, most, backoff
        self._tally = DeliveryTally()
        self._waiting: dict[str | int, Message] = {}
        self._number = 0
        self._changed = threading.Condition()
        self._ends_s: float | None = None
        self._crash: BaseException | None = None
        self._is_away, self._told_s = False, 0.0
        self._is_given_up = False
        self._thread = threading.Thread(target=self._work, name="argos-delivery", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Hand over a message; never waits.

        Raises:
            BaseException: what ended the thread and nobody named: a bug. It would only show as messages that wait.
        """
        with self._changed:
            if self._crash is not None:
                raise self._crash
            if self._ends_s is not None:
                self._tally.dropped["closed"] += 1
                return
            if message.key is not None:
                self._waiting.pop(message.key, None)
            elif len(self._waiting) >= self._most:
                oldest = next((key for key, one in self._waiting.items() if one.key is None), None)
                if oldest is not None:
                    del self._waiting[oldest]
                    self._tally.dropped["full"] += 1
            self._number += 1
            self._waiting[self._number if message.key is None else message.key] = message
            self._changed.notify_all()

    def tally(self) -> DeliveryTally:
        """How it fares now."""
        with self._changed:
            tally = self._tally
            return DeliveryTally(
                tally.delivered, tally.failed, Counter(tally.dropped), tally.waiting + len(self._waiting)
            )

    def close(self) -> None:
        """Send what waits, for ``DRAIN_S`` at most, and end the thread; any number of times. Raises as ``put`` does.

        A thread whose receiver hangs is left behind; its message counts as lost, though it may still arrive.
        """
        with self._changed:
            if self._ends_s is None:
                self._ends_s = time.monotonic() + DRAIN_S
            self._changed.notify_all()
        self._thread.join(max(0.0, self._ends_s + GIVEN_UP_S - time.monotonic()))
        if self._crash is not None:
            raise self._crash
        if self._thread.is_alive():
            self._give_up()
        lost = self._tally.dropped.total()
        if lost and self._told_s >= 0:
            words = ", ".join(f"{count} {reason}" for reason, count in self._tally.dropped.items())
            log.warning("%s: %d messages were not delivered (%s)", self.name, lost, words)
            self._told_s = -1.0  # once

    def _give_up(self) -> None:
        """Count what is on its way and what waits as lost; the thread counts nothing any more."""
        with self._changed:
            self._is_given_up = True
            if lost := self._tally.waiting + len(self._waiting):
                self._tally.dropped["closed"] += lost
            self._tally.waiting = 0
            self._waiting.clear()

    def _work(self) -> None:
        try:
            while (message := self._next()) is not None:
                attempt = 0
                while not self._attempt(message, attempt):
                    attempt += 1
        except BaseException as error:  # handed to the thread that puts the next message, which raises it
            with self._changed:
                self._crash = error

    def _next(self) -> Message | None:
        """The next message; None when all ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ends_s is not None)
            if not self._waiting:
                return None
            message = self._waiting.pop(next(iter(self._waiting)))
            self._tally.waiting = 1
            return message

    def _attempt(self, message: Message, attempt: int) -> bool:
        """Send once; whether the message is done with, one way or the other."""
        asked_s, why, dropped = 0.0, "", ""
        try:
            if self._is_over():
                dropped = "closed"
            else:
                self._send(message)
        except Refused as refusal:
            dropped, why = "refused", str(refusal)
        except NotDelivered as fault:
            asked_s, why = fault.after_s, str(fault)
        with self._changed:
            if self._is_given_up:
                return True
            self._tally.failed += bool(why)
            if dropped:
                self._tally.dropped[dropped] += 1
            elif not why:
                self._tally.delivered += 1
            self._tally.waiting = int(bool(why) and not dropped)
        if dropped != "closed":
            self._tell(why, refused=dropped == "refused")
        if dropped or not why:
            return True
        pause_s = max(self._backoff.pause_s(attempt), min(asked_s, self._backoff.max_s))
        with self._changed:
            self._changed.wait_for(lambda: self._ends_s is not None, pause_s)
        if self._ends_s is not None:
            time.sleep(min(0.1, self._backoff.initial_s))  # the last attempts are no storm
        return False

    def _is_over(self) -> bool:
        return self._ends_s is not None and time.monotonic() >= self._ends_s

    def _tell(self, why: str, *, refused: bool) -> None:
        """Log when it begins to fail, now and then while it does, and when it works again."""
        now = time.monotonic()
        if why and (not self._is_away or now - self._told_s >= REPEATED_S):
            verb = "refuses a message, which is dropped" if refused else "cannot be reached, messages wait"
            log.warning("%s: %s (%s)", self.name, verb, why, extra={"event": "output.failed"})
            self._told_s = now
        elif self._is_away and not why:
            log.info("%s: takes messages again", self.name, extra={"event": "output.recovered"})
        self._is_away = bool(why)
