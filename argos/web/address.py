"""Addresses of the HTTP server: how they are written, and which ones need a token."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

LEAST_TOKEN = 16
"""Letters of the shortest token; ``openssl rand -hex 16`` makes one of 32."""

REMEDY = "openssl rand -hex 16 makes one"

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/\[\]@]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens.

    Attributes:
        host: name or IP address, IPv6 without brackets.
        port: 0 lets the system choose.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        ip = ip_address(self.host)
        return ip is not None and ip.is_loopback

    @property
    def url(self) -> str:
        """The page's address for a browser on this machine; an address that means all of them is named localhost."""
        ip = ip_address(self.host)
        host = "localhost" if ip is not None and ip.is_unspecified else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that ``host`` writes, or None when it is a name."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``; IPv6 in brackets.

    Raises:
        ValueError: it is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"should be HOST:PORT, as in 127.0.0.1:8080, got {text[:60]!r}")
    return Address(match["host"].removeprefix("[").removesuffix("]"), int(match["port"]))


def check_token(token: str) -> None:
    """Refuse a token that could be guessed or cannot travel in a header; the message does not show it.

    Raises:
        ValueError: with the remedy.
    """
    if len(token) < LEAST_TOKEN:
        raise ValueError(f"should have at least {LEAST_TOKEN} letters, got {len(token)}; {REMEDY}")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError(f"should hold only ASCII letters, digits and signs, without spaces; {REMEDY}")


def check_reach(address: Address, token: str) -> None:
    """Refuse an address that other machines reach without a token.

    Raises:
        ValueError: with the remedy.
    """
    if not token and not address.is_loopback:
        raise ValueError(
            f"{address.host} can be reached from other machines, and everyone there would see the cameras: "
            f"bind to 127.0.0.1, or set http.token ({REMEDY})"
        )
