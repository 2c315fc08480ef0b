"""Requests and answers of RTSP.

Reference:
    RFC 2326.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEAD, MAX_BODY = 16 << 10, 64 << 10
"""Bytes; a longer request is not one."""

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request; names of headers in small letters."""

    method: str
    url: str
    headers: Mapping[str, str]


class BadRequestError(Exception):
    """What arrived is no request of RTSP; it never leaves this package."""


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; what viewers send between requests, reports on the pictures, is skipped.

    Returns:
        None when the viewer has left.

    Raises:
        BadRequestError: it cannot be read.
    """
    try:
        while (first := await reader.readexactly(1)) == b"$":
            size = (await reader.readexactly(3))[1:]
            await reader.readexactly(int.from_bytes(size, "big"))
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("ascii", "replace").strip()
        line, *lines = head.split("\r\n")
        method, url, version = line.split(" ")
        fields = [each.partition(":") for each in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        length = int(headers.get("content-length", "0"))
        if not version.startswith("RTSP/1.") or not 0 <= length <= MAX_BODY:
            raise BadRequestError(
                f"expected RTSP/1.0 and at most {MAX_BODY} bytes, got {version[:20]} and {length} bytes"
            )
        await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        return None
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise BadRequestError(str(error)[:100]) from error
    return Request(method, url, headers)


def answer(status: int, cseq: str, headers: Mapping[str, str] | None = None, body: str = "") -> bytes:
    """An answer; ``cseq`` is the one of the request."""
    lines = [f"RTSP/1.0 {status} {REASONS[status]}", f"CSeq: {cseq}", "Server: argos fakecam"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body.encode())}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
