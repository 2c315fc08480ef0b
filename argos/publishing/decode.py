"""From ``argos/1`` messages back to the types of ``argos.types``.

A mask whose encoding this version does not know is not guessed at: ``semantic`` (or ``instances``, whose boxes mean
little without masks) is None and a warning is logged; ``read_header`` and the raw parts still hold all that was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from argos.errors import SchemaError
from argos.publishing.masks import MASK_ENCODINGS, decode_mask
from argos.publishing.wire import (
    HEADERS,
    KINDS,
    NO_CAMERA,
    EventHeader,
    Header,
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
    label_index,
    parse_topic,
)
from argos.types import (
    Clock,
    Event,
    EventCause,
    EventType,
    Hello,
    Instances,
    Mode,
    Notice,
    Overlay,
    Regions,
    Result,
    SemanticMask,
    Size,
    State,
    Status,
)

logger = logging.getLogger(__name__)

Message = Result | Event | Status | Hello | Overlay | Notice

MAX_PIXELS = 1 << 28  # of a frame in a message; keeps a forged header from asking for all of the memory
MAX_MASK_PIXELS = 1 << 30  # of the masks of all people in a message

_DECODERS = {kind: msgspec.json.Decoder(header) for kind, header in HEADERS.items()}


def read_header(parts: Sequence[bytes]) -> Header:
    """The header of a message ``[topic, header, part...]`` as it was sent, its parts untouched.

    Raises:
        SchemaError: it is not a message of ``argos/1`` of a known kind.
    """
    if len(parts) < 2:
        raise SchemaError(f"message: expected [topic, header, part...], got {len(parts)} parts")
    kind, camera = parse_topic(bytes(parts[0]))
    if kind not in _DECODERS:
        raise SchemaError(f"message: kind '{kind}' is not known to this version; known are {', '.join(KINDS)}")
    try:
        header: Header = _DECODERS[kind].decode(parts[1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError(f"{kind} of camera '{camera}': {error}") from error
    named = NO_CAMERA if isinstance(header, HelloHeader) else header.camera
    if named != camera:
        raise SchemaError(f"{kind}: the topic says camera '{camera}', the header '{named}'")
    return header


def decode(parts: Sequence[bytes]) -> Message:
    """Read a message ``[topic, header, part...]``; fields it does not know are ignored.

    Returns:
        What was encoded, without the picture of a result. A label it does not know is -1.

    Raises:
        SchemaError: it is not a message of ``argos/1`` of a known kind.
    """
    header = read_header(parts)
    try:
        match header:
            case ResultHeader():
                return result_of(header, parts[1:])
            case EventHeader():
                return event_of(header)
            case StatusHeader():
                return _status_of(header)
            case HelloHeader():
                return _hello_of(header)
            case OverlayHeader():
                return _overlay_of(header, parts[1:])
            case NoticeHeader():
                return _notice_of(header)
    except (ValueError, OverflowError, IndexError) as error:
        raise SchemaError(f"{header.schema}: {error}") from error


def result_of(header: ResultHeader, parts: Sequence[bytes]) -> Result:
    """The result of a header and the parts its masks point into, of which the header itself is number 0.

    Raises:
        ValueError, OverflowError, IndexError: sizes, boxes or masks do not fit each other.
    """
    size = _size_of(header.size)
    boxes = _corners([region[:4] for region in header.regions], size)
    return Result(
        camera=header.camera,
        epoch=header.epoch,
        seq=header.seq,
        index=header.frame,
        pts=header.pts,
        time_base=header.time_base,
        pts_s=header.pts_s,
        captured_ns=header.t_capture_ns,
        clock=cast(Clock, header.clock),
        run=header.run,
        size=size,
        mode=cast(Mode, header.mode),
        regions=Regions(boxes, np.array([region[4] for region in header.regions], np.float32), size),
        instances=None if header.instances is None else _instances_of(header.instances, size, parts),
        semantic=None if header.semantic is None else _semantic_of(header.semantic, size, parts),
        deep_share=header.deep_share,
        spans_ms=header.spans_ms,
        dropped=header.dropped,
        models=header.models,
        config=header.config,
        published_ns=header.t_publish_ns,
        privacy=header.privacy,
    )


def _size_of(size: WireSize) -> Size:
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"size: {size[0]}x{size[1]} is more than {MAX_PIXELS} pixels")
    return size[1], size[0]


def _corners(boxes: Sequence[WireBox], size: Size) -> NDArray[np.int32]:
    """Boxes ``(x, y, w, h)`` as ``(N, 4)`` int32 ``(x0, y0, x1, y1)``."""
    array = np.array(boxes, np.int64).reshape(-1, 4)
    array[:, 2:] += array[:, :2]
    if (array < 0).any() or (array > (size[1], size[0]) * 2).any():
        raise ValueError(f"a box reaches out of the frame of {size[1]}x{size[0]} pixels")
    return array.astype(np.int32)


def _instances_of(headers: Sequence[InstanceHeader], size: Size, parts: Sequence[bytes]) -> Instances | None:
    unknown = {header.mask.enc for header in headers} - set(MASK_ENCODINGS)
    if unknown:
        logger.warning("instances are left out: mask encoding %s is not known to this version", ", ".join(unknown))
        return None
    boxes = _corners([header.box for header in headers], size)
    if sum(header.box[2] * header.box[3] for header in headers) > MAX_MASK_PIXELS:
        raise ValueError(f"instances: masks of more than {MAX_MASK_PIXELS} pixels in all")
    masks = []
    for header in headers:
        if header.mask.crop != header.box:
            raise ValueError(f"mask: its crop {list(header.mask.crop)} is not the box {list(header.box)}")
        _, _, w, h = header.box
        masks.append(decode_mask(_mask_bytes(header.mask, parts), header.mask.enc, (h, w)))
    ids = [-1 if header.id is None else header.id for header in headers]
    return Instances(
        boxes=boxes,
        scores=np.array([header.score for header in headers], np.float32),
        labels=np.array([label_index(header.label) for header in headers], np.int32),
        masks=tuple(masks),
        size=size,
        ids=np.array(ids if any(track >= 0 for track in ids) else [], np.int64),
    )


def _semantic_of(header: SemanticHeader, size: Size, parts: Sequence[bytes]) -> SemanticMask | None:
    if header.enc not in MASK_ENCODINGS:
        logger.warning("the semantic mask is left out: its encoding %s is not known to this version", header.enc)
        return None
    if _size_of(header.size) != size:
        raise ValueError(f"semantic: size {list(header.size)} differs from the frame's")
    return SemanticMask(decode_mask(_mask_bytes(header, parts), header.enc, size))


def _mask_bytes(mask: MaskHeader | SemanticHeader, parts: Sequence[bytes]) -> bytes:
    if mask.rle is not UNSET:
        return mask.rle.counts.encode()
    if mask.part is UNSET or mask.part == 0:
        raise ValueError("mask: neither a part nor an rle")
    data = parts[mask.part]
    if isinstance(mask, SemanticHeader):
        return data
    if mask.off is UNSET or mask.len is UNSET or mask.off + mask.len > len(data):
        raise ValueError(f"mask: off and len do not lie in part {mask.part} of {len(data)} bytes")
    return data[mask.off : mask.off + mask.len]


def event_of(header: EventHeader) -> Event:
    """The event of a header."""
    x, y, w, h = header.box
    return Event(
        camera=header.camera,
        run=header.run,
        epoch=header.epoch,
        seq=header.seq,
        type=cast(EventType, header.type),
        name=header.name,
        id=header.id,
        result_seq=header.result_seq,
        index=header.frame,
        pts_s=header.pts_s,
        captured_ns=header.t_capture_ns,
        box=(x, y, x + w, y + h),
        anchor=header.anchor,
        count=header.count,
        occupancy=header.occupancy,
        dwell_s=header.dwell_s,
        direction=header.direction,
        cause=cast(EventCause | None, header.cause),
        sent_ns=header.t_publish_ns,
    )


def _status_of(header: StatusHeader) -> Status:
    return Status(
        camera=header.camera,
        run=header.run,
        state=cast(State, header.state),
        code=header.code,
        message=header.message,
        since_ns=header.t_since_ns,
        sent_ns=header.t_sent_ns,
        epoch=header.epoch,
        fps_in=header.fps_in,
        fps_out=header.fps_out,
        age_ms=header.age_ms,
        last_pts_s=header.last_pts_s,
        dropped=header.dropped,
        size=None if header.size is None else (header.size[1], header.size[0]),
        step=header.step,
        config=header.config,
    )


def _hello_of(header: HelloHeader) -> Hello:
    return Hello(
        run=header.run,
        cameras=tuple(header.cameras),
        kinds=tuple(header.kinds),
        models=header.models,
        version=header.version,
        sent_ns=header.t_sent_ns,
    )


def _notice_of(header: NoticeHeader) -> Notice:
    return Notice(
        camera=header.camera,
        run=header.run,
        seq=header.seq,
        type=header.type,
        text=header.text,
        values=header.values,
        sent_ns=header.t_sent_ns,
    )


def _overlay_of(header: OverlayHeader, parts: Sequence[bytes]) -> Overlay:
    if header.part == 0:
        raise ValueError("part: 0 is the header, not a picture")
    return Overlay(
        camera=header.camera,
        run=header.run,
        seq=header.seq,
        result_seq=header.result_seq,
        pts_s=header.pts_s,
        codec=header.codec,
        data=parts[header.part],
        size=(header.size[1], header.size[0]),
        sent_ns=header.t_sent_ns,
    )
