"""Topics and headers of ``argos/1`` as they stand on the wire: one struct for one kind of message.

Within major 1 fields are only added, with a default; readers ignore fields they do not know.
On the wire ``box`` and ``crop`` are ``[x, y, w, h]`` and ``size`` is ``[w, h]`` in pixels of the source frame; in an
``rle`` alone ``size`` is ``[h, w]``, as in COCO. Fields that begin with ``t_`` are wall clock, nanoseconds since 1970.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from argos.errors import SchemaError
from argos.types import Clock, EventCause, EventType

Count = Annotated[int, Meta(ge=0)]
WireBox = tuple[int, int, Count, Count]
WireSize = tuple[Count, Count]
WireRegion = tuple[int, int, Count, Count, float]

HELLO, RESULT, STATUS, OVERLAY = "argos.hello/1.0", "argos.result/1.0", "argos.status/1.1", "argos.overlay/1.0"
EVENT, NOTICE = "argos.event/1.0", "argos.notice/1.0"


class Rle(msgspec.Struct, frozen=True):
    """Compressed run lengths as pycocotools takes them; ``size`` is ``[h, w]``."""

    size: WireSize
    counts: str


class MaskHeader(msgspec.Struct, frozen=True):
    """Mask of one person, cropped to ``crop``.

    In a message its bytes are ``len`` bytes from ``off`` of part ``part``, where the header counts as part 0; in a
    JSONL line they are inline, as ``rle``.
    """

    enc: str
    crop: WireBox
    part: Count | UnsetType = UNSET
    off: Count | UnsetType = UNSET
    len: Count | UnsetType = UNSET
    rle: Rle | UnsetType = UNSET


class SemanticHeader(msgspec.Struct, frozen=True):
    """Person mask of the whole frame: all of part ``part``, or inline as ``rle``; ``area`` is its share, 0..1."""

    enc: str
    size: WireSize
    area: float
    part: Count | UnsetType = UNSET
    rle: Rle | UnsetType = UNSET


class InstanceHeader(msgspec.Struct, frozen=True):
    """One person; ``id`` is null without a tracker, and until the track is confirmed; unique per camera and epoch."""

    id: int | None
    label: str
    score: float
    box: WireBox
    mask: MaskHeader


class ResultHeader(msgspec.Struct, frozen=True):
    """Everything known about one analysed frame.

    ``seq`` counts 0, 1, 2, ... per run and camera: a gap is loss on the way. ``frame`` counts decoded frames: its gaps
    are drops before the analysis, counted by reason in ``dropped``. ``instances`` and ``semantic`` are null when their
    task is off or a network failed. ``privacy`` is ``off`` when nothing is covered in the pictures, ``ok`` when what is
    asked for is, ``fallback:CAUSE`` when more is because the mask is not trusted (``failed``, ``missing``, ``stale``,
    ``late``, ``uncertain``).

    ``run`` is the id of the process run; ``epoch`` grows by one at each reconnect, and where ids begin again.
    ``pts`` is the time of the frame in ticks of ``time_base`` (null where the stream has none), ``pts_s`` the same
    in seconds, never decreasing within an epoch. ``t_capture_ns`` is when it arrived (live) or was decoded (file),
    and ``clock`` says where that comes from; ``t_publish_ns`` is when the result was done. ``mode`` is how the deep
    network was run, ``skip`` where nothing was proposed; ``regions`` are ``[x, y, w, h, score]``. ``deep_share`` is
    the share of the full frame's pixels that the deep network computed, margins and empty canvas counted, so it can
    exceed 1. ``models`` has ``name@sha256:...`` by role, ``config`` is the digest of the configuration,
    ``spans_ms`` has milliseconds by stage.
    """

    schema: Annotated[str, Meta(pattern=r"^argos\.result/1\.\d+$")]
    run: str
    camera: str
    epoch: Count
    seq: Count
    frame: Count
    pts: int | None
    pts_s: float
    time_base: tuple[int, int]
    t_capture_ns: int
    t_publish_ns: int
    clock: Annotated[str, Meta(examples=list(get_args(Clock)))]
    size: WireSize
    mode: Annotated[str, Meta(examples=["pack", "gather", "full", "mask", "skip"])]
    regions: list[WireRegion]
    instances: list[InstanceHeader] | None
    semantic: SemanticHeader | None
    deep_share: float
    dropped: dict[str, int]
    privacy: Annotated[str, Meta(examples=["off", "ok", "fallback:failed", "fallback:uncertain"])]
    models: dict[str, str]
    config: str
    spans_ms: dict[str, float]


class StatusHeader(msgspec.Struct, frozen=True):
    """How a camera is doing; sent every second, on change, and to each new subscription.

    ``code`` is a stable word for why it is not up, ``message`` the same in words; ``t_since_ns`` is when ``state``
    changed. ``fps_in`` are decoded frames per second, ``fps_out`` results, over the last seconds; ``age_ms`` is the age
    of the last result when it was published, ``last_pts_s`` the time of the last decoded frame, both null before the
    first. ``dropped`` counts frames by reason since the start; ``epoch`` is that of the results.

    ``step`` is that of the ladder under overload, 0 when nothing is held back; ``config`` is the digest of the
    configuration in force (both since 1.1).
    """

    schema: Annotated[str, Meta(pattern=r"^argos\.status/1\.\d+$")]
    run: str
    camera: str
    state: Annotated[str, Meta(examples=["connecting", "up", "stalled", "lost", "ended"])]
    code: str
    message: str
    t_since_ns: int
    t_sent_ns: int
    epoch: Count
    fps_in: float
    fps_out: float
    age_ms: float | None
    last_pts_s: float | None
    dropped: dict[str, int]
    size: WireSize | None
    step: Count = 0
    config: str = ""


class EventHeader(msgspec.Struct, frozen=True):
    """Somebody entered or left a zone, stayed too long in it, or crossed a line; or people in a zone became a crowd.

    ``(camera, epoch, id)`` is one person; of a crowd, who came last, or left last where it ends. ``seq`` counts
    0, 1, 2, ... per run and camera. ``count`` counts entries into the zone, crowds or loiterers in it, or crossings in
    this direction, since the run began; ``occupancy`` is null for lines. ``dwell_s`` is how long the person was in the
    zone or the crowd was one, seconds; null for ``zone_enter``, ``line_cross`` and ``crowd_start``. ``cause``
    (``left``, ``lost``, ``reconnected``, ``closed``: the active hours are over) is null but for ``zone_leave``,
    ``loiter_end``, and a ``crowd_end`` that nobody's leaving made; ``direction`` is ``left_to_right`` or
    ``right_to_left``, seen from the line's first point towards its second, and null for zones. Readers ignore a
    ``type`` that they do not know.

    ``name`` is that of the zone or line. ``result_seq``, ``frame``, ``pts_s`` and ``t_capture_ns`` are those of the
    result that confirmed it. ``box`` is ``[x, y, w, h]`` of the person, the last one where it is gone, and ``anchor``
    is ``[x, y]`` where it stands, in pixels of the frame. ``t_publish_ns`` is when the message was published over
    ZeroMQ; 0 in what files, webhooks and brokers get. ``run`` is the id of the process run.
    """

    schema: Annotated[str, Meta(pattern=r"^argos\.event/1\.\d+$")]
    run: str
    camera: str
    epoch: Count
    seq: Count
    type: Annotated[str, Meta(examples=list(get_args(EventType)))]
    name: str
    id: Count
    result_seq: Count
    frame: Count
    pts_s: float
    t_capture_ns: int
    t_publish_ns: int
    box: WireBox
    anchor: tuple[float, float]
    count: Count
    occupancy: Count | None
    dwell_s: float | None
    direction: Annotated[str, Meta(examples=["left_to_right", "right_to_left"])] | None
    cause: Annotated[str, Meta(examples=list(get_args(EventCause)))] | None


class NoticeHeader(msgspec.Struct, frozen=True):
    """Something that happened to ARGOS itself; ``camera`` is ``-`` where it concerns all of them.

    ``seq`` counts 0, 1, 2, ... per run and camera. ``type`` is a stable name, ``text`` is for people.
    """

    schema: Annotated[str, Meta(pattern=r"^argos\.notice/1\.\d+$")]
    run: str
    camera: str
    seq: Count
    type: Annotated[str, Meta(examples=["config.applied", "config.refused", "overload.step"])]
    text: str
    values: dict[str, str | int | float]
    t_sent_ns: int


class HelloHeader(msgspec.Struct, frozen=True):
    """What a publisher offers; sent to each new subscription, on the topic of the camera ``-``."""

    schema: Annotated[str, Meta(pattern=r"^argos\.hello/1\.\d+$")]
    run: str
    cameras: list[str]
    kinds: list[str]
    models: dict[str, str]
    version: str
    t_sent_ns: int


class OverlayHeader(msgspec.Struct, frozen=True):
    """A drawn picture: all of part ``part``, where the header counts as part 0."""

    schema: Annotated[str, Meta(pattern=r"^argos\.overlay/1\.\d+$")]
    run: str
    camera: str
    seq: Count
    result_seq: Count
    pts_s: float
    codec: str
    part: Count
    size: WireSize
    t_sent_ns: int


Header = ResultHeader | EventHeader | StatusHeader | HelloHeader | OverlayHeader | NoticeHeader
HEADERS: dict[str, type[Header]] = {
    "hello": HelloHeader,
    "result": ResultHeader,
    "event": EventHeader,
    "status": StatusHeader,
    "overlay": OverlayHeader,
    "notice": NoticeHeader,
}


KINDS = tuple(HEADERS)
NO_CAMERA = "-"
"""Stands for the publisher itself in the topic of ``hello``; no camera can have this name."""

LABELS = ("person",)
"""Names of the classes, by the index in ``Instances.labels``."""

_TOPIC = re.compile(rb"argos/1/([a-z]+)/(-|[a-z0-9][a-z0-9_-]{0,62})/")


def label_name(label: int) -> str:
    """Name of a class, by the index in ``Instances.labels``; ``class-<index>`` for those without one."""
    return LABELS[label] if 0 <= label < len(LABELS) else f"class-{label}"


def label_index(name: str) -> int:
    """The inverse of ``label_name``; -1 for a name that this version does not know."""
    if name in LABELS:
        return LABELS.index(name)
    number = name.removeprefix("class-")
    return int(number) if name != number and number.isdecimal() else -1


@lru_cache(maxsize=1024)
def topic(kind: str, camera: str) -> bytes:
    """``argos/1/<kind>/<camera>/``.

    Raises:
        ValueError: the camera's name does not follow ``[a-z0-9][a-z0-9_-]{0,62}``.
    """
    name = f"argos/1/{kind}/{camera}/".encode()
    if not _TOPIC.fullmatch(name):
        raise ValueError(f"camera '{camera}': expected a name like desk-2 (a-z, 0-9, _ and -, at most 63 characters)")
    return name


def parse_topic(name: bytes) -> tuple[str, str]:
    """``(kind, camera)`` of a topic.

    Raises:
        SchemaError: it is not a topic of ``argos/1``.
    """
    match = _TOPIC.fullmatch(name)
    if match is None:
        raise SchemaError(f"topic {name[:80]!r}: expected argos/1/<kind>/<camera>/")
    return match[1].decode(), match[2].decode()


def event_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an event: the header of its message, and its line in a file."""
    schema: dict[str, Any] = msgspec.json.schema(EventHeader)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "argos/1 event", **schema}


def message_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the headers of all kinds, and of a JSONL line."""
    headers, parts = msgspec.json.schema_components(HEADERS.values(), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "argos/1",
        "description": "Header of an ARGOS message; a message is [topic argos/1/<kind>/<camera>/, header, part...].",
        "oneOf": list(headers),
        "$defs": parts,
    }
