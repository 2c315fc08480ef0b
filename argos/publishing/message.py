"""The ``argos/1`` contract: messages ``[topic, header (UTF-8 JSON), part...]``, written and read without torch.

The fields are in ``argos.publishing.wire``, writing in ``encode``, reading in ``decode``, masks in ``masks``.
"""

from __future__ import annotations

from argos.publishing.decode import Message, decode, read_header
from argos.publishing.encode import (
    MaskEncodings,
    encode_event,
    encode_hello,
    encode_notice,
    encode_overlay,
    encode_result,
    encode_status,
)
from argos.publishing.wire import KINDS, NO_CAMERA, message_schema, parse_topic, topic

__all__ = [
    "KINDS",
    "NO_CAMERA",
    "MaskEncodings",
    "Message",
    "decode",
    "encode_event",
    "encode_hello",
    "encode_notice",
    "encode_overlay",
    "encode_result",
    "encode_status",
    "message_schema",
    "parse_topic",
    "read_header",
    "topic",
]
