"""From the types of ``argos.types`` to ``argos/1`` messages ``[topic, header (UTF-8 JSON), part...]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec
import numpy as np
from numpy.typing import NDArray

from argos.publishing.masks import MaskEncoding, encode_mask
from argos.publishing.wire import (
    EVENT,
    HELLO,
    NO_CAMERA,
    NOTICE,
    OVERLAY,
    RESULT,
    STATUS,
    EventHeader,
    HelloHeader,
    InstanceHeader,
    MaskHeader,
    NoticeHeader,
    OverlayHeader,
    ResultHeader,
    SemanticHeader,
    StatusHeader,
    WireBox,
    WireSize,
    label_name,
    topic,
)
from argos.types import Event, Hello, Instances, Notice, Overlay, Result, Status

_encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class MaskEncodings:
    """How masks travel: the person mask of the frame, and the masks of single people."""

    semantic: MaskEncoding = "bits_zlib"
    instances: MaskEncoding = "coco_rle"


def encode_result(result: Result, masks: MaskEncodings = MaskEncodings()) -> list[bytes]:
    """The message of a result; its picture does not travel.

    All masks of people stand one after the other in one part, the person mask of the frame in the next.
    """
    parts: list[bytes] = []
    people: list[MaskHeader] = []
    semantic = None
    if result.instances is not None and len(result.instances):
        data = [encode_mask(mask, masks.instances) for mask in result.instances.masks]
        parts.append(b"".join(data))
        offsets = accumulate(map(len, data), initial=0)
        people = [
            MaskHeader(masks.instances, box, part=1, off=offset, len=len(mask))
            for box, offset, mask in zip(wire_boxes(result.instances), offsets, data, strict=False)
        ]
    if result.semantic is not None:
        parts.append(encode_mask(result.semantic.mask, masks.semantic))
        size = wire_size(result.semantic.mask.shape)
        semantic = SemanticHeader(masks.semantic, size, person_share(result.semantic.mask), part=len(parts))
    return [topic("result", result.camera), _encode_json(result_header(result, people, semantic)), *parts]


def encode_event(event: Event) -> list[bytes]:
    """The message of an event."""
    return [topic("event", event.camera), _encode_json(event_header(event))]


def event_header(event: Event) -> EventHeader:
    """The header of an event, which is all of it."""
    return EventHeader(
        schema=EVENT,
        run=event.run,
        camera=event.camera,
        epoch=event.epoch,
        seq=event.seq,
        type=event.type,
        name=event.name,
        id=event.id,
        result_seq=event.result_seq,
        frame=event.index,
        pts_s=float(event.pts_s),
        t_capture_ns=event.captured_ns,
        t_publish_ns=event.sent_ns,
        box=_wire_box(event.box),
        anchor=event.anchor,
        count=event.count,
        occupancy=event.occupancy,
        dwell_s=event.dwell_s,
        direction=event.direction,
        cause=event.cause,
    )


def encode_status(status: Status) -> list[bytes]:
    """The message of a status."""
    header = StatusHeader(
        schema=STATUS,
        run=status.run,
        camera=status.camera,
        state=status.state,
        code=status.code,
        message=status.message,
        t_since_ns=status.since_ns,
        t_sent_ns=status.sent_ns,
        epoch=status.epoch,
        fps_in=float(status.fps_in),
        fps_out=float(status.fps_out),
        age_ms=None if status.age_ms is None else float(status.age_ms),
        last_pts_s=None if status.last_pts_s is None else float(status.last_pts_s),
        dropped=_counts(status.dropped),
        size=None if status.size is None else wire_size(status.size),
        step=status.step,
        config=status.config,
    )
    return [topic("status", status.camera), _encode_json(header)]


def encode_notice(notice: Notice) -> list[bytes]:
    """The message of a notice."""
    header = NoticeHeader(
        schema=NOTICE,
        run=notice.run,
        camera=notice.camera,
        seq=notice.seq,
        type=notice.type,
        text=notice.text,
        values=dict(notice.values),
        t_sent_ns=notice.sent_ns,
    )
    return [topic("notice", notice.camera), _encode_json(header)]


def encode_hello(hello: Hello) -> list[bytes]:
    """The message of a hello."""
    header = HelloHeader(
        schema=HELLO,
        run=hello.run,
        cameras=list(hello.cameras),
        kinds=list(hello.kinds),
        models=dict(hello.models),
        version=hello.version,
        t_sent_ns=hello.sent_ns,
    )
    return [topic("hello", NO_CAMERA), _encode_json(header)]


def encode_overlay(overlay: Overlay) -> list[bytes]:
    """The message of an overlay."""
    header = OverlayHeader(
        schema=OVERLAY,
        run=overlay.run,
        camera=overlay.camera,
        seq=overlay.seq,
        result_seq=overlay.result_seq,
        pts_s=float(overlay.pts_s),
        codec=overlay.codec,
        part=1,
        size=wire_size(overlay.size),
        t_sent_ns=overlay.sent_ns,
    )
    return [topic("overlay", overlay.camera), _encode_json(header), overlay.data]


def result_header(result: Result, people: Sequence[MaskHeader], semantic: SemanticHeader | None) -> ResultHeader:
    """The header of a result whose masks are already placed: one of ``people`` for each instance."""
    return ResultHeader(
        schema=RESULT,
        run=result.run,
        camera=result.camera,
        epoch=result.epoch,
        seq=result.seq,
        frame=result.index,
        pts=result.pts,
        pts_s=float(result.pts_s),
        time_base=result.time_base,
        t_capture_ns=result.captured_ns,
        t_publish_ns=result.published_ns,
        clock=result.clock,
        size=wire_size(result.size),
        mode=result.mode,
        regions=[
            (*_wire_box(box), score)
            for box, score in zip(result.regions.boxes.tolist(), _shortest(result.regions.scores), strict=True)
        ],
        instances=None if result.instances is None else _wire_instances(result.instances, people),
        semantic=semantic,
        deep_share=float(result.deep_share),
        dropped=_counts(result.dropped),
        privacy=result.privacy,
        models=dict(result.models),
        config=result.config,
        spans_ms={stage: float(ms) for stage, ms in result.spans_ms.items()},
    )


def person_share(mask: NDArray[np.bool_]) -> float:
    """Share of a mask that is set, 0..1, to six digits."""
    return round(int(np.count_nonzero(mask)) / max(1, mask.size), 6)


def wire_boxes(instances: Instances) -> list[WireBox]:
    """The boxes as ``(x, y, w, h)``."""
    return [_wire_box(box) for box in instances.boxes.tolist()]


def wire_size(size: tuple[int, ...]) -> WireSize:
    """``(h, w)`` as ``(w, h)``."""
    return int(size[1]), int(size[0])


def _wire_box(box: Sequence[int]) -> WireBox:
    x0, y0, x1, y1 = box
    return x0, y0, x1 - x0, y1 - y0


def _wire_instances(instances: Instances, masks: Sequence[MaskHeader]) -> list[InstanceHeader]:
    tracks = instances.ids.tolist() if len(instances.ids) else [-1] * len(instances)
    ids = [track if track >= 0 else None for track in tracks]
    return [
        InstanceHeader(track, label_name(label), score, box, mask)
        for track, label, score, box, mask in zip(
            ids, instances.labels.tolist(), _shortest(instances.scores), wire_boxes(instances), masks, strict=True
        )
    ]


def _shortest(scores: NDArray[np.float32]) -> list[float]:
    """The shortest decimals that give the same float32 back: 0.91, not 0.9100000262260437."""
    return [float(str(score)) for score in scores]


def _counts(dropped: Mapping[str, int]) -> dict[str, int]:
    return {reason: int(count) for reason, count in dropped.items()}
