"""Events to an HTTP server, one POST each."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from argos.publishing.delivery import Message, NotDelivered, Refused
from argos.version import VERSION

TEMPORARY = (408, 425, 429)
"""Refusals below 500 that may be over later."""


class Webhook:
    """Posts JSON.

    A status of 2xx is a delivery. The same message is sent again after 5xx, 408, 425, 429, a timeout or a broken
    connection, so it may arrive twice: ``Idempotency-Key`` tells. Every other status is a refusal; redirects are not
    followed, because a POST that moves elsewhere may take its secrets with it.

    Args:
        url: ``http(s)://``; a user and password in it become basic authentication.
        headers: further ones, as for a bearer token.
        timeout_s: longest wait for the connection, and for each part of the answer.

    Attributes:
        name: scheme and host, for logs; paths of webhooks are secrets too.
    """

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        parts = urlsplit(url)
        self._is_tls, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "User-Agent": f"argos/{VERSION}", **headers}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers.setdefault("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
        self._timeout_s = timeout_s
        self.name = f"webhook {parts.scheme}://{self._host}" + (f":{self._port}" if self._port else "")

    def send(self, message: Message) -> None:
        """Post the body; the address of the message is its key against doubles.

        Raises:
            NotDelivered: it may work later.
            Refused: it will not.
        """
        connection = (
            http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=ssl.create_default_context()
            )
            if self._is_tls
            else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        )
        try:
            connection.request("POST", self._path, message.body, {**self._headers, "Idempotency-Key": message.address})
            answer = connection.getresponse()
            status, after = answer.status, answer.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            raise NotDelivered(_words(error)) from error
        finally:
            connection.close()
        if 200 <= status < 300:
            return
        if status >= 500 or status in TEMPORARY:
            raise NotDelivered(f"status {status}", float(after) if after.isdecimal() else 0.0)
        raise Refused(f"status {status}")


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or type(error).__name__
