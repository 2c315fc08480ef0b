"""Asking viewers for a user and a password.

Reference:
    RFC 7617 (Basic), RFC 2617 (Digest with MD5, without qop, as cameras have it).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal

REALM = "argos fakecam"

Method = Literal["basic", "digest"]

_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Password:
    """Who may look, and how they say it.

    Attributes:
        user: name.
        secret: the password.
        method: ``basic`` sends it readable, ``digest`` its sum with a number of the camera's.
        nonce: that number.
    """

    user: str
    secret: str = field(repr=False)
    method: Method = "digest"
    nonce: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def challenge(self) -> str:
        """What the camera asks: the value of ``WWW-Authenticate``."""
        if self.method == "basic":
            return f'Basic realm="{REALM}"'
        return f'Digest realm="{REALM}", nonce="{self.nonce}"'

    def opens(self, authorization: str, request: str) -> bool:
        """Whether the value of ``Authorization`` in a request of the method ``request`` is right."""
        word, _, rest = authorization.partition(" ")
        if word.lower() != self.method:
            return False
        if self.method == "basic":
            return _same(rest.strip(), base64.b64encode(f"{self.user}:{self.secret}".encode()).decode())
        given = {name: quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
        who = _md5(f"{self.user}:{REALM}:{self.secret}")
        what = _md5(f"{request}:{given.get('uri', '')}")
        right = _md5(f"{who}:{self.nonce}:{what}")
        return given.get("nonce") == self.nonce and _same(given.get("response", ""), right)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())
