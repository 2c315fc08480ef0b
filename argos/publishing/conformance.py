"""The laws of ``argos/1`` that a stream of messages can be held against, whoever wrote the publisher.

What a single message must be is checked by reading it; what holds from one message to the next is checked here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from argos.errors import SchemaError
from argos.publishing.decode import decode, read_header
from argos.publishing.wire import KINDS, NO_CAMERA, ResultHeader, parse_topic
from argos.types import Hello, Result, State, Status

RULES = {
    "topic": "every topic is argos/1/<kind>/<camera>/, and every message has a header",
    "message": "every message of a known kind has all fields, boxes inside the frame, and masks that fit them",
    "seq": "seq grows within a run, camera and kind; a repeated or smaller one is an error, a gap is loss on the way",
    "frame": "frame grows within a run and camera, and pts_s never goes back within an epoch",
    "epoch": "epoch never goes back within a run and camera",
    "area": "semantic.area is the share of the mask, to one in a thousand",
    "clock": "t_publish_ns is not before t_capture_ns, and neither is more than 5 s ahead of the reader",
    "state": "a status has a known state; stalled and lost name their cause in code, up has none",
    "heartbeat": "a status of every camera comes at least every 3 s",
    "hello": "hello comes first within 3 s of subscribing, and names the cameras and kinds that are sent",
}
"""Rule -> what it says."""

PATIENCE_S = 3.0
_AHEAD_NS = 5_000_000_000


@dataclass
class Tally:
    """How a rule fared: ``checked`` times, ``broken`` times, and the first few ``examples`` of that."""

    checked: int = 0
    broken: int = 0
    examples: list[str] = field(default_factory=list)


class Conformance:
    """Takes in messages as they arrive and keeps a tally of each rule.

    Attributes:
        tallies: rule -> how it fared.
        messages: seen so far, by kind.
        missed: messages lost on the way, by the gaps in ``seq``; no fault of the publisher.
        unknown: messages of kinds this version does not know; allowed.
    """

    def __init__(self, began_s: float) -> None:
        """Begin at ``began_s``, the moment of subscribing on a monotonic clock."""
        self.tallies = {rule: Tally() for rule in RULES}
        self.messages: Counter[str] = Counter()
        self.missed = self.unknown = 0
        self._began_s = began_s
        self._hello: Hello | None = None
        self._seqs: dict[tuple[str, str, str], int] = {}
        self._results: dict[tuple[str, str], Result] = {}
        self._epochs: dict[tuple[str, str], int] = {}
        self._status_s: dict[str, float] = {}
        self._seen: set[tuple[str, str]] = set()

    @property
    def broken(self) -> int:
        """How often any rule was broken."""
        return sum(tally.broken for tally in self.tallies.values())

    def take(self, parts: Sequence[bytes], now_s: float, wall_ns: int) -> None:
        """Hold one message against the rules.

        Args:
            parts: ``[topic, header, part...]``.
            now_s: monotonic clock, seconds.
            wall_ns: wall clock, nanoseconds since 1970.
        """
        try:
            kind, _ = parse_topic(parts[0] if parts else b"")
            self._say("topic", len(parts) > 1, f"topic {parts[0][:80]!r}: a header is missing")
        except SchemaError as error:
            self._say("topic", False, str(error))
            return
        if kind not in KINDS:
            self.unknown += 1
            return
        self.messages[kind] += 1
        try:
            header, message = read_header(parts), decode(parts)
        except SchemaError as error:
            self._say("message", False, str(error))
            return
        self._say("message", True, "")
        match message:
            case Hello():
                self._take_hello(message, now_s)
            case Status():
                self._take_status(message, now_s)
            case Result():
                semantic = header.semantic if isinstance(header, ResultHeader) else None
                self._take_result(message, None if semantic is None else semantic.area, wall_ns)
            case _:
                self._take_seq(message.run, message.camera, kind, message.seq)
        if not isinstance(message, Hello):
            self._seen.add((kind, message.camera))

    def finish(self, now_s: float) -> None:
        """Say what only the end shows: who was silent, and what ``hello`` did not name."""
        if self._hello is None:
            self._say("hello", now_s - self._began_s < PATIENCE_S, "none came")
        else:
            for kind, camera in sorted(self._seen):
                self._say("hello", camera in (*self._hello.cameras, NO_CAMERA), f"camera '{camera}' is not named")
                self._say("hello", kind in self._hello.kinds, f"kind '{kind}' is not named")
        cameras = self._hello.cameras if self._hello else ()
        for camera in sorted({*cameras, *(camera for _, camera in self._seen)} - {NO_CAMERA}):
            silent_s = now_s - self._status_s.get(camera, self._began_s)
            self._say("heartbeat", silent_s <= PATIENCE_S, f"camera '{camera}': no status for {silent_s:.1f} s")

    def _say(self, rule: str, holds: bool, example: str) -> None:
        tally = self.tallies[rule]
        tally.checked += 1
        if not holds:
            tally.broken += 1
            if len(tally.examples) < 3:
                tally.examples.append(example)

    def _take_hello(self, hello: Hello, now_s: float) -> None:
        if self._hello is None:
            late_s = now_s - self._began_s
            self._say("hello", late_s <= PATIENCE_S, f"came after {late_s:.1f} s")
        self._hello = hello

    def _take_status(self, status: Status, now_s: float) -> None:
        where = f"camera '{status.camera}'"
        self._say("state", status.state in get_args(State), f"{where}: state '{status.state}'")
        fits = not status.code if status.state == "up" else bool(status.code) or status.state in ("connecting", "ended")
        self._say("state", fits, f"{where}: {status.state} with code '{status.code}'")
        if status.camera in self._status_s:
            gap_s = now_s - self._status_s[status.camera]
            self._say("heartbeat", gap_s <= PATIENCE_S, f"{where}: {gap_s:.1f} s between two")
        self._status_s[status.camera] = now_s
        self._take_epoch(status.run, status.camera, status.epoch)

    def _take_epoch(self, run: str, camera: str, epoch: int) -> None:
        last = self._epochs.get((run, camera), 0)
        self._say("epoch", epoch >= last, f"camera '{camera}': {epoch} after {last}")
        self._epochs[run, camera] = max(epoch, last)

    def _take_seq(self, run: str, camera: str, kind: str, seq: int) -> None:
        stream = (run, camera, kind)
        if stream in self._seqs:
            last = self._seqs[stream]
            self._say("seq", seq > last, f"{kind} of camera '{camera}': {seq} after {last}")
            self.missed += max(0, seq - last - 1)
        self._seqs[stream] = max(seq, self._seqs.get(stream, seq))

    def _take_result(self, result: Result, told_area: float | None, wall_ns: int) -> None:
        where = f"camera '{result.camera}', seq {result.seq}"
        self._take_seq(result.run, result.camera, "result", result.seq)
        before = self._results.get((result.run, result.camera))
        if before is not None and before.seq < result.seq:
            grew = result.index > before.index
            self._say("frame", grew, f"{where}: frame {result.index} after {before.index}")
            if result.epoch == before.epoch:
                self._say("frame", result.pts_s >= before.pts_s, f"{where}: {result.pts_s} s after {before.pts_s} s")
            # a status may tell of a reconnect before the results of the time before have left
            self._say("epoch", result.epoch >= before.epoch, f"{where}: {result.epoch} after {before.epoch}")
        self._results[result.run, result.camera] = result
        if result.semantic is not None and told_area is not None:
            share = result.semantic.area
            self._say("area", abs(share - told_area) <= 1e-3, f"{where}: told {told_area:g}, the mask has {share:g}")
        ordered = result.captured_ns <= result.published_ns <= wall_ns + _AHEAD_NS
        told = f"captured {result.captured_ns}, published {result.published_ns}, read {wall_ns}"
        self._say("clock", ordered, f"{where}: {told}")
