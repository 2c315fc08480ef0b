"""Who may ask: the name in ``Host``, the page that asks, and the token; all else is refused before it is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from argos.web.address import ip_address

OPEN_PATHS = ("/healthz", "/readyz")
"""Asked by supervisors that have no token; they tell nothing but yes or no."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a request has to bring.

    Attributes:
        token: secret; empty where none is needed.
        hosts: names in ``Host`` that are answered, besides IP addresses and ``localhost``.
    """

    token: str
    hosts: Collection[str]


def guard(access: Access) -> Middleware:
    """The middleware that refuses.

    A page of another site can make a browser ask us: with a name that it lets point to our address (refused by
    ``Host``), from its own scripts and pictures (refused by ``Sec-Fetch-Site`` and ``Origin``).
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _wrong_host(request, access.hosts) or _other_site(request)
        if refusal is not None:
            return refusal
        if access.token and request.path not in OPEN_PATHS and not _brings(request, access.token):
            return web.Response(
                status=401,
                text="a token is needed: open the page with ?token=TOKEN, or send Authorization: Bearer TOKEN\n",
                headers={"WWW-Authenticate": 'Bearer realm="argos"'},
            )
        if access.token and request.path == "/" and "token" in request.query:
            return _page_without_token(access.token)
        return await handler(request)

    return guarded


def cookie_value(token: str) -> str:
    """What a browser keeps instead of the token: cookies are shown to every port of a host."""
    return hmac.new(token.encode(), b"argos live page", hashlib.sha256).hexdigest()


def cookie_name(token: str) -> str:
    """Of a token: a second server on another port of the host keeps a cookie of its own."""
    return f"argos_page_{cookie_value(token)[:8]}"


def _wrong_host(request: web.Request, hosts: Collection[str]) -> web.Response | None:
    name = _split(f"//{request.headers.get('Host', '')}").hostname or ""
    if ip_address(name) is not None or name == "localhost" or name in hosts:
        return None
    return web.Response(status=421, text="this name is not answered; add it to http.hosts, or use the IP address\n")


def _other_site(request: web.Request) -> web.Response | None:
    """Refuse what another site's page asks for; opening the page itself by a link is allowed."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") and request.path != "/":
        return web.Response(status=403, text="asked by the page of another site\n")
    origin = request.headers.get("Origin")
    if origin is not None and _split(origin).netloc != request.headers.get("Host"):
        return web.Response(status=403, text="asked by the page of another site\n")
    return None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # nothing that a browser sends; it has neither host nor port then
        return urlsplit("")


def _brings(request: web.Request, token: str) -> bool:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    found = [
        (bearer.strip() if scheme.lower() == "bearer" else "", token),
        (request.query.get("token", ""), token),
        (request.cookies.get(cookie_name(token), ""), cookie_value(token)),
    ]
    # bytes beyond ASCII in a header become surrogates
    return any(hmac.compare_digest(given.encode(errors="surrogatepass"), wanted.encode()) for given, wanted in found)


def _page_without_token(token: str) -> web.Response:
    """Go on without the token in the address, where it would stay in the browser's history.

    The cookie is ``Lax``, because a ``Strict`` one is left out where a link on another site opens the page.
    """
    response = web.Response(status=303, headers={"Location": "./"})  # a proxy may serve the page below a path
    name, value = cookie_name(token), cookie_value(token)
    response.set_cookie(name, value, httponly=True, samesite="Lax", max_age=30 * 24 * 3600)
    return response
