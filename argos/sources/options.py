"""How a source is opened, watched and reconnected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from argos.types import State

Transport = Literal["tcp", "udp"]
Isolate = Literal["thread", "process"]


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Back-off between attempts to reach a live source.

    Attributes:
        initial_s: wait before the first new attempt.
        max_s: longest wait; after 10 minutes away it grows to 30 s. A refusal that an attempt cannot change (wrong
            password, no such path) waits 10 s at least; of a camera that was well a minute ago only a refused
            password does.
        factor: growth of the wait from one attempt to the next.
        jitter: share by which each wait varies at random, so that many cameras do not return at one instant.
        give_up_after: attempts in a row without a picture after which the source fails; None never gives up.
    """

    initial_s: float = 0.1
    max_s: float = 1.0
    factor: float = 2.0
    jitter: float = 0.2
    give_up_after: int | None = None


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read.

    Attributes:
        transport: of RTP in RTSP; ``udp`` loses pictures on a bad link, many of them without any sign of it.
        open_timeout_s: longest wait for a live source to answer.
        stall_timeout_s: a live source without a decoded picture for this long is stalled and reconnected.
        reconnect: back-off of live sources.
        fps: most frames per second, by presentation time; None keeps every frame. Images are never thinned out.
        isolate: ``thread`` decodes in the calling thread, ``process`` in a process of its own, which may crash or
            hang on a damaged stream without harm to anything else.
        memory_mb: most memory of such a process beyond what it has at its start, in MiB; None for no limit.
    """

    transport: Transport = "tcp"
    open_timeout_s: float = 2.0
    stall_timeout_s: float = 1.5
    reconnect: Reconnect = field(default_factory=Reconnect)
    fps: float | None = None
    isolate: Isolate = "thread"
    memory_mb: int | None = 1024


@dataclass(frozen=True, slots=True)
class SourceState:
    """A change of state of a source.

    Attributes:
        state: ``connecting`` before the first picture, ``up``, ``stalled`` (connected, no pictures), ``lost``,
            ``ended``.
        code: stable word for the cause (``SourceError.code``); empty when there is none.
        message: the cause in words, credentials removed; empty when there is none.
        epoch: reconnects so far.
    """

    state: State
    code: str
    message: str
    epoch: int


OnState = Callable[[SourceState], None]
"""Called on each change of state, in the thread that reads the source; it must not block."""
