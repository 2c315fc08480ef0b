"""The HTTP server: a thread with a loop of its own. The pipeline hands over the newest and goes on."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from aiohttp import web

from argos.errors import PublishError
from argos.types import Result, Status
from argos.web.access import Access, guard
from argos.web.address import Address, check_reach, parse_address
from argos.web.board import Board, Shapes, Told, told
from argos.web.live import STATE_S, Live
from argos.web.metrics import Metrics, Published
from argos.web.page import page
from argos.web.pictures import Pictures

log = logging.getLogger(__name__)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

PATHS = {
    "/": "page",
    "/healthz": "healthz",
    "/readyz": "readyz",
    "/status": "status",
    "/metrics": "metrics",
    "/live": "socket",
    "/cameras/{camera}.mjpg": "mjpeg",
    "/cameras/{camera}.jpg": "snapshot",
}
"""Path -> what answers; ``docs/live.md`` describes them."""


class WebServer:
    """Serves page, pictures, status, health and metrics until it is closed.

    Attributes:
        address: bound, with the real port.
        board: what is shown.
        pictures: what was encoded.
    """

    def __init__(
        self,
        bind: str,
        *,
        run: str,
        cameras: Sequence[str],
        models: Mapping[str, str],
        status: Callable[[str], Status],
        token: str = "",
        hosts: Sequence[str] = (),
        shapes: Shapes | None = None,
        published: Callable[[], Published] | None = None,
        device: str = "cpu",
        quality: int = 75,
        max_fps: float = 15.0,
        width: int = 1280,
    ) -> None:
        """Bind and start.

        Args:
            bind: ``HOST:PORT``; port 0 is chosen by the system.
            run: id of the process run.
            cameras: names.
            models: role -> ``name@sha256:...``.
            status: the present status of a camera; called from the server's thread.
            token: that every request has to bring; needed where other machines reach ``bind``.
            hosts: names answered besides IP addresses and localhost.
            shapes: zones and lines of the configuration.
            published: what the publisher sent, for the metrics.
            device: the networks run on, for the metrics.
            quality: of JPEG pictures, 1..100.
            max_fps: pictures per second and camera at most.
            width: of the widest picture, pixels.

        Raises:
            PublishError: it cannot be bound, or could be reached from other machines without a token.
        """
        try:
            asked = parse_address(bind)
            check_reach(asked, token)
        except ValueError as error:
            raise PublishError(f"http.bind: {error}") from error
        self._socket = _bound(asked)
        self.address = Address(asked.host, self._socket.getsockname()[1])
        self.board = Board(run, cameras, models, status, shapes)
        self.metrics = Metrics(self.board, device, published)
        self.pictures = Pictures(quality=quality, width=width)
        self._live = Live(self.board, self.pictures, max_fps)
        self._access = Access(token, frozenset(hosts))
        self._loop = asyncio.new_event_loop()
        self._ends = asyncio.Event()
        self._crash: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="argos-web", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The page's address."""
        return self.address.url

    @property
    def viewers(self) -> int:
        """Who gets pictures now."""
        return self._live.viewers

    def set_cameras(
        self, cameras: Sequence[str], shapes: Shapes, forgotten: Collection[str], recounted: Collection[str]
    ) -> None:
        """Show other cameras, zones and lines from now on; open pages connect again and are told.

        Args:
            cameras: names.
            shapes: zones and lines of all of them.
            forgotten: cameras whose newest picture is not shown any more.
            recounted: cameras whose zones and lines are watched anew.
        """
        self.board.set_cameras(cameras, shapes, forgotten)
        self.metrics.expect(shapes, recounted)
        self._call(self._live.cameras_changed)

    def offer(self, result: Result) -> None:
        """Show a result with its picture; encodes nothing, waits for nobody."""
        self.metrics.result(result)
        self.board.put(result)
        for event in result.events:
            self.metrics.event(event)
            self.tell(told(event))
        if self._live.viewers:
            self._call(self._live.wake)

    def status_changed(self, status: Status) -> None:
        """Show a change of state at once; the rest is asked every second."""
        self.metrics.status(status)
        if self.board.state_changed(status):
            self.metrics.told(status.camera, f"source.{status.state}")
            self._call(self._live.state_changed)

    def tell(self, event: Told) -> None:
        """Show an event; it has at least ``type``, ``camera``, ``t_ns`` and ``text``."""
        self.metrics.told(event["camera"], event["type"])
        self.board.tell(event)
        self._call(self._live.wake)

    def close(self) -> None:
        """Send the viewers away and release the address; any number of times.

        Raises:
            Exception: whatever ended the server's thread.
        """
        self._call(self._ends.set)
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def _call(self, what: Callable[[], object]) -> None:
        """Run something in the loop, if there still is one."""
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # closed
            return

    # From here on everything runs in the server's thread.

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # handed on: close raises it
            log.error("the HTTP server ended: %s", error)
            self._crash = error
        finally:
            self.pictures.close()
            self._socket.close()
            self._loop.close()

    async def _serve(self) -> None:
        runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        while not self._ends.is_set():
            self.board.sample()
            self._live.state_changed()
            try:
                await asyncio.wait_for(self._ends.wait(), STATE_S)
            except TimeoutError:
                continue
        self._live.send_away()
        await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[guard(self._access)], client_max_size=4096)
        application.on_response_prepare.append(_with_headers)
        handlers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
            "page": self._page,
            "healthz": self._healthz,
            "readyz": self._readyz,
            "status": self._status,
            "metrics": self._metrics,
            "socket": self._live.socket,
            "mjpeg": self._live.mjpeg,
            "snapshot": self._live.snapshot,
        }
        for path, name in PATHS.items():
            application.router.add_get(path, handlers[name], allow_head=name not in ("socket", "mjpeg"))
        return application

    async def _page(self, request: web.Request) -> web.Response:
        document, policy = page()
        return web.Response(text=document, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        ready = self.board.is_ready()
        return web.Response(status=200 if ready else 503, text="ready\n" if ready else "no camera is up\n")

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(body=self.board.state(), content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=self.metrics.text(), headers={"Content-Type": kind})


async def _with_headers(request: web.Request, answer: web.StreamResponse) -> None:
    """The same headers on every answer, refusals and streams included."""
    answer.headers.update(HEADERS)


def _bound(address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        PublishError: it cannot be bound.
    """
    where = f"{address.host}:{address.port}"
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family[0], socket.SOCK_STREAM)
    except OSError as error:
        raise PublishError(f"{where}: no such address ({error.strerror}); choose another http.bind") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(family[4])
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PublishError(f"{where}: cannot be bound ({error.strerror}); choose another http.bind") from error
    listener.setblocking(False)
    return listener
