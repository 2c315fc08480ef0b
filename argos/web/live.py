"""Live pictures to whoever looks: over a WebSocket with credits, or as MJPEG. Each viewer gets the newest, or nothing.

The page sends ``{"watch": {camera: width}}`` for the tiles that can be seen, and ``{"seen": camera}`` when a picture
is drawn: until then that camera's next picture is not sent, so a slow viewer costs one picture per camera.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field

import msgspec
from aiohttp import WSMsgType, web

from argos.types import Result
from argos.web.board import Board, events_message
from argos.web.pictures import Pictures

MOST_VIEWERS = 64
HEARTBEAT_S = 10.0
"""A viewer that does not answer for this long and a half is gone."""

STALLED_S = 1.5 * HEARTBEAT_S
"""A viewer that does not read for so long is cut off."""

STATE_S = 1.0
_BOUNDARY = b"--argos\r\n"


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """What a page may send."""

    watch: dict[str, int] | None = None
    seen: str | None = None


_read = msgspec.json.Decoder(_Request).decode


@dataclass(eq=False)
class _Viewer:
    """One connection.

    Attributes:
        wake: set when there may be something new to send.
        watch: camera -> width wanted.
        waiting: cameras whose last picture was not drawn yet.
        sent: camera -> ``seq`` of the last picture, and when the next one is due.
        stream: camera of an MJPEG stream; None for a page.
        is_gone: the connection ends.
    """

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    watch: dict[str, int] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    sent: dict[str, tuple[int, float]] = field(default_factory=dict)
    stream: str | None = None
    is_gone: bool = False

    async def pause(self, until_s: float) -> None:
        """Wait until something is new, ``until_s`` (monotonic) at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await self.wake.wait()
        self.wake.clear()


class Live:
    """The viewers of a board; used from the server's loop, but for ``has_viewers``.

    Args:
        board: what there is to show.
        pictures: makes the pictures.
        max_fps: pictures per second, camera and viewer at most.
    """

    def __init__(self, board: Board, pictures: Pictures, max_fps: float) -> None:
        self._board, self._pictures, self._period_s = board, pictures, 1 / max_fps
        self._viewers: set[_Viewer] = set()
        self._state = b""
        self._state_number = 0

    @property
    def viewers(self) -> int:
        """Connections that get pictures now."""
        return len(self._viewers)

    def wake(self) -> None:
        """Something is new."""
        for viewer in self._viewers:
            viewer.wake.set()

    def state_changed(self) -> None:
        """The state of a camera is new, or a second is over."""
        if self._viewers:
            self._state, self._state_number = self._board.state(), self._state_number + 1
            self.wake()

    def cameras_changed(self) -> None:
        """The configuration is another: pages connect again and are told, streams of cameras that are gone end."""
        for viewer in self._viewers:
            if viewer.stream not in self._board.cameras:
                viewer.is_gone = True
        self.wake()

    def send_away(self) -> None:
        """End all connections."""
        for viewer in self._viewers:
            viewer.is_gone = True
        self.wake()

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """``/live``: everything the page shows, over a WebSocket."""
        with self._joined() as viewer:
            answer = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=4096, compress=False)
            await answer.prepare(request)
            reader = asyncio.create_task(self._read(answer, viewer))
            try:
                await self._write(answer, viewer)
                await _sent(answer.close())
                is_over = answer.exception() is None  # else it did not answer a ping
            except (ConnectionResetError, TimeoutError):
                is_over = False  # the viewer left, or does not read
            finally:
                reader.cancel()
            if not is_over:
                _cut_off(request)
            return answer

    async def _read(self, answer: web.WebSocketResponse, viewer: _Viewer) -> None:
        try:
            async for message in answer:
                asked = _read(message.data) if message.type == WSMsgType.TEXT else _Request()
                if asked.watch is not None:
                    known = {name: width for name, width in asked.watch.items() if name in self._board.cameras}
                    viewer.watch = known
                if asked.seen is not None:
                    viewer.waiting.discard(asked.seen)
                viewer.wake.set()
        except msgspec.DecodeError:
            pass  # not our page; the connection ends
        viewer.is_gone = True
        viewer.wake.set()

    async def _write(self, answer: web.WebSocketResponse, viewer: _Viewer) -> None:
        await _sent(answer.send_str(self._board.hello().decode()))
        events = state = 0
        self.state_changed()
        while not viewer.is_gone:
            events, new = self._board.events(after=events)
            if new:
                await _sent(answer.send_str(events_message(new).decode()))
            if state != self._state_number:
                state = self._state_number
                await _sent(answer.send_str(self._state.decode()))
            next_s = time.monotonic() + 2 * STATE_S
            for camera in list(viewer.watch):
                next_s = min(next_s, await self._send_picture(answer, viewer, camera))
            await viewer.pause(next_s)

    async def _send_picture(self, answer: web.WebSocketResponse, viewer: _Viewer, camera: str) -> float:
        """Send the newest picture of a camera if it is due; returns when to look again (monotonic seconds)."""
        result, now = self._board.latest(camera), time.monotonic()
        seq, due_s = viewer.sent.get(camera, (-1, 0.0))
        if result is None or result.image is None or result.seq == seq or camera in viewer.waiting:
            return now + 2 * STATE_S
        if now < due_s:
            return due_s
        viewer.sent[camera] = result.seq, max(due_s, now - self._period_s) + self._period_s
        viewer.waiting.add(camera)
        message = await self._pictures.message(result, viewer.watch.get(camera, 0))
        await _sent(answer.send_bytes(message))
        return now + 2 * STATE_S

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        """``/cameras/NAME.mjpg?width=W&plain=1``: a stream of JPEG pictures, drawn on unless ``plain``."""
        camera, width, plain = self._asked(request)
        with self._joined(camera) as viewer:
            answer = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=argos"})
            await answer.prepare(request)
            try:
                await answer.write(_BOUNDARY)
                async for result in self._newest(camera, viewer, request):
                    data = await self._pictures.jpeg(result, width, plain=plain)
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                    # the boundary follows at once, because browsers show a part when the next one begins
                    await _sent(answer.write(head + data + b"\r\n" + _BOUNDARY))
                await _sent(answer.write_eof())
            except (ConnectionResetError, TimeoutError):
                _cut_off(request)  # the viewer left, or does not read
            return answer

    async def _newest(self, camera: str, viewer: _Viewer, request: web.Request) -> AsyncIterator[Result]:
        """Each newest result of a camera while the viewer is there."""
        seq, due_s = -1, 0.0
        while not viewer.is_gone and request.transport is not None and not request.transport.is_closing():
            result, now = self._board.latest(camera), time.monotonic()
            if result is not None and result.image is not None and result.seq != seq and now >= due_s:
                seq, due_s = result.seq, max(due_s, now - self._period_s) + self._period_s
                yield result
            else:
                await viewer.pause(due_s if now < due_s else now + 2 * STATE_S)

    async def snapshot(self, request: web.Request) -> web.StreamResponse:
        """``/cameras/NAME.jpg?width=W&plain=1``: one picture."""
        camera, width, plain = self._asked(request)
        result = self._board.latest(camera)
        if result is None or result.image is None:
            return web.Response(status=503, text=f"camera '{camera}' has not given a picture yet\n")
        data = await self._pictures.jpeg(result, width, plain=plain)
        return web.Response(body=data, content_type="image/jpeg")

    def _asked(self, request: web.Request) -> tuple[str, int, bool]:
        camera, width = request.match_info["camera"], request.query.get("width", "9999")
        if camera not in self._board.cameras:
            raise web.HTTPNotFound(text=f"no camera '{camera}'; there are {', '.join(self._board.cameras)}\n")
        if not (width.isascii() and width.isdigit() and len(width) < 6):
            raise web.HTTPBadRequest(text="width should be a number of pixels\n")
        return camera, int(width), request.query.get("plain", "0") == "1"

    @contextlib.contextmanager
    def _joined(self, stream: str | None = None) -> Iterator[_Viewer]:
        if len(self._viewers) >= MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_VIEWERS} viewers are connected already\n")
        viewer = _Viewer(stream=stream)
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)


async def _sent(sending: Awaitable[object]) -> None:
    """Wait until something is sent.

    Raises:
        TimeoutError: the viewer does not read.
    """
    async with asyncio.timeout(STALLED_S):
        await sending


def _cut_off(request: web.Request) -> None:
    """Drop the connection with what waits in it, which closing would wait for."""
    if request.transport is not None:
        request.transport.abort()
