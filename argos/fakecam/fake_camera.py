"""``FakeCamera``: the camera in a thread of its own, for tests and for the command line."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from argos.fakecam.camera import Camera
from argos.fakecam.clip import read_clip
from argos.fakecam.password import Method, Password
from argos.fakecam.script import Command, Script

_Answer = TypeVar("_Answer")

_PATIENCE_S = 30.0


class FakeCamera:
    """An RTSP camera that shows clips for ever and has faults on demand; a context manager.

    Viewers join where the clip is at that moment, as with a real camera, and see it from its next key picture on.

    Attributes:
        url: its address, without user and password.
        port: it listens on.
    """

    def __init__(
        self,
        sources: Sequence[str] = ("fake://people?n=3&seed=1&size=640x360",),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str = "/cam",
        user: str = "",
        password: str = "",
        auth: Method = "digest",
        seed: int = 0,
        script: Script | None = None,
    ) -> None:
        """Read the clips and listen.

        Args:
            sources: H.264 and H.265 files and ``fake://people?...``; the fault ``switch`` goes from one to the next.
            host: address to listen on.
            port: 0 takes a free one.
            path: of the URL, with its slash.
            user: who may look; empty lets everybody.
            password: of the user.
            auth: how it is asked for.
            seed: of the faults that are random.
            script: faults that come by themselves.

        Raises:
            SourceError: a clip cannot be read.
            PublishError: the port cannot be listened on.
        """
        clips = [read_clip(source) for source in sources]
        guard = Password(user, password, auth) if user else None
        self._camera = Camera(clips, host=host, port=port, path=path, password=guard, seed=seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="argos-fakecam", daemon=True)
        self._closed = False
        self._thread.start()
        try:
            self._ask(self._camera.open(script))
        except BaseException:
            self._stop()
            raise
        self.port = self._camera.port
        self.url = f"rtsp://{f'[{host}]' if ':' in host else host}:{self.port}{path}"

    @property
    def viewers(self) -> int:
        """How many look, or are about to."""
        return len(self._camera.viewers)

    @property
    def shown(self) -> int:
        """Pictures so far, whether anybody looked or not."""
        return self._camera.shown

    def apply(self, command: Command) -> None:
        """Let a fault happen, or end, before this returns.

        Raises:
            PublishError: the camera should return, and its port was taken by another.
        """
        self._ask(self._camera.apply(command))

    def close(self) -> None:
        """Drop every viewer and end the thread; more than once does no harm."""
        if self._closed:
            return
        self._ask(self._camera.close())
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        done: concurrent.futures.Future[_Answer] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(_PATIENCE_S)

    def _stop(self) -> None:
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()
