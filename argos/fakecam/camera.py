"""The camera itself: one picture after the other for all who look, and the faults that are on."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Sequence

from argos.errors import PublishError
from argos.fakecam.clip import AccessUnit, Clip
from argos.fakecam.conversation import Conversation
from argos.fakecam.messages import MAX_HEAD
from argos.fakecam.password import Password
from argos.fakecam.rtp import payloads_of
from argos.fakecam.script import FAULTS, Command, Script
from argos.fakecam.viewers import Damage, Viewer, ticks

log = logging.getLogger(__name__)

MOST_VIEWERS = 64
MOST_CONNECTIONS = 256

_LATE_S = 1.0  # a busy machine may fall behind this far; then the clock moves instead of a burst of pictures


class Camera:
    """An RTSP server for one stream, in an event loop; ``FakeCamera`` runs it in a thread.

    Attributes:
        path: of the URL.
        password: who may look; None lets everybody.
        port: it listens on, after ``open``.
        shown: pictures so far, whether anybody looked or not.
    """

    def __init__(
        self, clips: Sequence[Clip], *, host: str, port: int, path: str, password: Password | None, seed: int
    ) -> None:
        self.path, self.password, self.port = path, password, port
        self.shown = 0
        self._clips, self._host = tuple(clips), host
        self._rng = random.Random(seed)
        self.ssrc = self._rng.getrandbits(32)
        self._first_tick = self._rng.getrandbits(31)
        self._values = {name: fault.off for name, fault in FAULTS.items() if fault.kind != "event"}
        self._clip = 0
        self._switched = False
        self._clock_s = 0.0
        self._conversations: set[Conversation] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, script: Script | None = None) -> None:
        """Listen, show pictures, and follow a script.

        Raises:
            PublishError: the port cannot be listened on.
        """
        await self._listen()
        self._start(self._show())
        if script is not None:
            self._start(self._follow(script))

    async def close(self) -> None:
        """Drop every viewer and give the port back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._hang_up()
        if self._server is not None:
            self._server.close()

    def is_on(self, fault: str) -> bool:
        """Whether a fault is on now."""
        return self._values[fault] != FAULTS[fault].off

    def clip(self) -> Clip:
        """What is shown now."""
        return self._clips[self._clip]

    def timestamp(self) -> int:
        """RTP time of the next picture."""
        return self._first_tick + ticks(self._clock_s)

    def has_room(self) -> bool:
        """Whether one more may look."""
        return len(self.viewers) < MOST_VIEWERS

    @property
    def viewers(self) -> list[Viewer]:
        """Those who look, or are about to."""
        return [each.viewer for each in self._conversations if each.viewer is not None]

    async def apply(self, command: Command) -> None:
        """Let a fault happen, or end."""
        log.info("%s %g", command.fault, command.value, extra={"event": f"fakecam.{command.fault}"})
        match command.fault:
            case "kick":
                self._hang_up()
            case "jump":
                self._first_tick += ticks(command.value)
            case "switch":
                self._clip = (self._clip + 1) % len(self._clips)
                self._switched = True
            case _:
                was_on = self.is_on(command.fault)
                self._values[command.fault] = command.value
                if command.fault == "refuse" and was_on != self.is_on("refuse"):
                    await self._leave_or_return()

    async def _leave_or_return(self) -> None:
        if not self.is_on("refuse"):
            await self._listen()
        elif self._server is not None:
            self._server.close()
            self._hang_up()

    async def _listen(self) -> None:
        try:
            self._server = await asyncio.start_server(
                self._welcome, self._host, self.port, limit=MAX_HEAD, reuse_address=True
            )
        except OSError as error:
            where = f"{self._host}:{self.port}"
            raise PublishError(f"{where}: cannot be listened on ({error.strerror}); choose another --port") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._conversations) >= MOST_CONNECTIONS or self.is_on("refuse"):
            writer.transport.abort()
            return
        conversation = Conversation(self, reader, writer)
        self._conversations.add(conversation)
        try:
            await conversation.run()
        finally:
            self._conversations.discard(conversation)

    def _hang_up(self) -> None:
        for conversation in list(self._conversations):
            conversation.abort()

    def _start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

    async def _show(self) -> None:
        """Send picture after picture, at the pace of the clip, for ever."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for unit, begin_s, wait_s in self._endless():
            due_s += wait_s / self._values["slow"]
            await asyncio.sleep(due_s - loop.time() + self._rng.uniform(0, self._values["jitter"]) / 1e3)
            due_s = max(due_s, loop.time() - _LATE_S)
            if self._switched:
                continue
            self._clock_s = begin_s + unit.pts_s
            self.shown += 1
            if not self.is_on("stall"):
                self._send(unit)

    def _endless(self) -> Iterator[tuple[AccessUnit, float, float]]:
        """Each picture with the time at which its clip began, and the wait before it, all in seconds."""
        begin_s = 0.0
        wait_s = 0.0
        while True:
            clip, last_s, self._switched = self.clip(), 0.0, False
            for unit in clip.units:
                yield unit, begin_s, wait_s + unit.dts_s - last_s
                last_s, wait_s = unit.dts_s, 0.0
                if self._switched:
                    break
            else:
                last_s, wait_s = clip.duration_s, clip.duration_s - last_s
            begin_s += last_s

    def _send(self, unit: AccessUnit) -> None:
        payloads = tuple(payloads_of(unit.nals, self.clip().codec))
        damage = Damage(self._values["loss"], self._values["corrupt"])
        for viewer in self.viewers:
            if viewer.playing:
                viewer.show(payloads, self.timestamp(), time.time(), damage, self._rng)

    async def _follow(self, script: Script) -> None:
        """Let happen what the script says, when it says it."""
        moments = [(step.at_s, n, step.command) for n, step in enumerate(script.steps)]
        moments += [
            (step.at_s + step.for_s, n, Command(step.command.fault, FAULTS[step.command.fault].off))
            for n, step in enumerate(script.steps)
            if step.for_s is not None
        ]
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        while True:
            for at_s, _, command in sorted(moments, key=lambda moment: moment[:2]):
                await asyncio.sleep(begin_s + at_s - loop.time())
                await self.apply(command)
            if script.repeat_s is None:
                return
            begin_s += script.repeat_s
            await asyncio.sleep(begin_s - loop.time())
