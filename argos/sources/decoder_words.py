"""What a decoder process and ARGOS say to each other: JSON, checked on arrival, since a decoder may have gone mad."""

from __future__ import annotations

from typing import Literal

import msgspec

from argos.types import Clock, State


class Order(msgspec.Struct, frozen=True):
    """What to read; the first message, to the decoder. It travels by a pipe: a command line is seen by all users.

    Attributes:
        source, camera: as ``argos.sources.read``.
        options: fields of ``SourceOptions``, with ``isolate: thread``.
        fail_fast: as ``argos.sources.read``.
        memory_mb: what the decoder may take beyond what it has when it starts; None for no limit.
        log_level: records of lower levels are not sent.
    """

    source: str
    camera: str
    options: dict[str, object]
    fail_fast: bool
    memory_mb: int | None
    log_level: int


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """The decoder is there.

    Attributes:
        quiet_s: seconds since the reading thread was last seen to get on.
    """

    quiet_s: float


class Told(msgspec.Struct, frozen=True, tag="state"):
    """A ``SourceState``; its epoch counts from the start of the process."""

    state: State
    code: str
    message: str
    epoch: int


class Shown(msgspec.Struct, frozen=True, tag="frame"):
    """A ``Frame``, its pixels in a slot; index and epoch count from the start of the process."""

    slot: int
    slot_bytes: int
    size: tuple[int, int]
    index: int
    pts_s: float
    pts: int | None
    time_base: tuple[int, int]
    captured_ns: int
    epoch: int
    clock: Clock


class Logged(msgspec.Struct, frozen=True, tag="log"):
    """A log record, its text complete."""

    name: str
    level: int
    text: str
    event: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The source ended by a ``SourceError``, or the decoder by a fault of its own.

    Attributes:
        kind: ``source``; ``memory``, the limit was met; ``bug``, an error that nobody named.
    """

    kind: Literal["source", "memory", "bug"]
    message: str
    code: str


class Ended(msgspec.Struct, frozen=True, tag="end"):
    """Nothing more will come."""


Said = Alive | Told | Shown | Logged | Failed | Ended

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
decode_said = msgspec.json.Decoder(Said).decode


OUT_OF_MEMORY = 12
"""Exit status of a decoder that has no memory left even to say so; errno's number."""
