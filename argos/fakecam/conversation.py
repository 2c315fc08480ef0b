"""One connection of a viewer: what it asks in RTSP, and what the camera answers."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from argos.fakecam.clip import Clip
from argos.fakecam.messages import BadRequestError, Request, answer, read_request
from argos.fakecam.password import Password
from argos.fakecam.rtp import PAYLOAD_TYPE
from argos.fakecam.viewers import Interleaved, Udp, Viewer

log = logging.getLogger(__name__)

METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN"
IDLE_S = 60.0
"""A connection that plays nothing and asks nothing for this long is closed."""

_TRACK = "track0"
_CHANNELS = re.compile(r"interleaved=(\d{1,3})-(\d{1,3})(?!\d)")
_PORTS = re.compile(r"client_port=(\d{1,5})-(\d{1,5})(?!\d)")


class Stage(Protocol):
    """What a conversation needs to know of its camera."""

    path: str
    password: Password | None
    ssrc: int

    def is_on(self, fault: str) -> bool:
        """Whether a fault is on now."""

    def clip(self) -> Clip:
        """What is shown now."""

    def timestamp(self) -> int:
        """RTP time of the next picture."""

    def has_room(self) -> bool:
        """Whether one more may look."""


@dataclass(eq=False)
class Conversation:
    """A connection and what was agreed on it.

    Attributes:
        viewer: who looks, from SETUP on.
        session: its number, told by the viewer in each request.
    """

    stage: Stage
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    viewer: Viewer | None = None
    session: str = ""

    async def run(self) -> None:
        """Answer until the viewer leaves or speaks no RTSP."""
        try:
            while True:
                playing = self.viewer is not None and self.viewer.playing
                request = await asyncio.wait_for(read_request(self.reader), None if playing else IDLE_S)
                if request is None:
                    return
                if self.stage.is_on("mute"):
                    continue
                self.writer.write(self._answer(request))
                await self.writer.drain()
                if request.method == "TEARDOWN":
                    return
        except BadRequestError as error:
            log.info("a viewer was sent away: %s", error, extra={"event": "fakecam.bad_request"})
            self.writer.write(answer(400, "0"))
        except (TimeoutError, ConnectionError):
            return
        finally:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self.viewer is not None:
            self.viewer.playing = False
            self.viewer.way.close()
        self.writer.close()

    def abort(self) -> None:
        """Hang up at once; what was not sent yet is lost."""
        self.close()
        self.writer.transport.abort()

    def _answer(self, request: Request) -> bytes:
        cseq = request.headers.get("cseq", "0")[:20]
        if request.method == "OPTIONS":  # never asks for a password
            return answer(200, cseq, {"Public": METHODS})
        refusal = self._refusal(request)
        if refusal is not None:
            return answer(refusal, cseq, self._challenge() if refusal == 401 else None)
        handlers: Mapping[str, Callable[[Request], tuple[int, dict[str, str], str]]] = {
            "DESCRIBE": self._describe,
            "SETUP": self._set_up,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "GET_PARAMETER": self._in_session,
            "SET_PARAMETER": self._in_session,
            "TEARDOWN": self._in_session,
        }
        if request.method not in handlers:
            return answer(405, cseq, {"Allow": METHODS})
        status, headers, body = handlers[request.method](request)
        return answer(status, cseq, headers, body)

    def _refusal(self, request: Request) -> int | None:
        """Why the request is not answered as asked, if so."""
        authorization = request.headers.get("authorization", "")
        password = self.stage.password
        if self.stage.is_on("unauthorized"):
            return 401
        if password is not None and not password.opens(authorization, request.method):
            return 401
        path = urlsplit(request.url).path.rstrip("/")
        is_here = path in (self.stage.path, f"{self.stage.path}/{_TRACK}")
        return None if is_here and not self.stage.is_on("missing") else 404

    def _challenge(self) -> dict[str, str]:
        password = self.stage.password or Password("nobody", secrets.token_hex())
        return {"WWW-Authenticate": password.challenge()}

    def _describe(self, request: Request) -> tuple[int, dict[str, str], str]:
        host = self.writer.get_extra_info("sockname")[0]
        media = _sound() if self.stage.is_on("no_video") else _picture(self.stage.clip())
        kind, anywhere = ("IP6", "::") if ":" in host else ("IP4", "0.0.0.0")
        begin = [
            "v=0",
            f"o=- 1 1 IN {kind} {host}",
            "s=argos fakecam",
            f"c=IN {kind} {anywhere}",
            "t=0 0",
            "a=control:*",
        ]
        base = request.url.rstrip("/") + "/"
        return 200, {"Content-Base": base, "Content-Type": "application/sdp"}, "\r\n".join([*begin, *media]) + "\r\n"

    def _set_up(self, request: Request) -> tuple[int, dict[str, str], str]:
        if self.viewer is not None:
            return 455, {}, ""
        if not self.stage.has_room():
            return 503, {}, ""
        asked = request.headers.get("transport", "")
        channels, ports = _CHANNELS.search(asked), _PORTS.search(asked)
        if "TCP" in asked.upper():
            pair = (int(channels[1]), int(channels[2])) if channels else (0, 1)
            if max(pair) > 255:
                return 461, {}, ""
            self.viewer = Viewer(Interleaved(self.writer, pair), ssrc=self.stage.ssrc)
            agreed = f"RTP/AVP/TCP;unicast;interleaved={pair[0]}-{pair[1]}"
        elif ports and "multicast" not in asked and max(int(ports[1]), int(ports[2])) < 65536:
            here, there = (self.writer.get_extra_info(name)[0] for name in ("sockname", "peername"))
            try:
                way = Udp(here, there, (int(ports[1]), int(ports[2])))
            except OSError as error:
                log.warning("no UDP for a viewer: %s", error, extra={"event": "fakecam.no_ports"})
                return 503, {}, ""
            self.viewer = Viewer(way, ssrc=self.stage.ssrc)
            agreed = f"RTP/AVP;unicast;client_port={ports[1]}-{ports[2]};server_port={way.ports[0]}-{way.ports[1]}"
        else:
            return 461, {}, ""
        self.session = secrets.token_hex(8)
        headers = {"Transport": f"{agreed};ssrc={self.stage.ssrc:08X}", "Session": f"{self.session};timeout=60"}
        return 200, headers, ""

    def _play(self, request: Request) -> tuple[int, dict[str, str], str]:
        status, headers, _ = self._in_session(request)
        if self.viewer is None or status != 200:
            return status, headers, ""
        self.viewer.playing = True
        track = f"{request.url.rstrip('/')}/{_TRACK}"
        begin = f"seq={self.viewer.seq & 0xFFFF};rtptime={self.stage.timestamp() & 0xFFFFFFFF}"
        return 200, headers | {"Range": "npt=now-", "RTP-Info": f"url={track};{begin}"}, ""

    def _pause(self, request: Request) -> tuple[int, dict[str, str], str]:
        if self.viewer is not None:
            self.viewer.playing = False
        return self._in_session(request)

    def _in_session(self, request: Request) -> tuple[int, dict[str, str], str]:
        """Good if the viewer names the session of this connection; asking is also how it says that it is alive."""
        named = request.headers.get("session", "").partition(";")[0]
        if self.viewer is None or named != self.session:
            return 454, {}, ""
        return 200, {"Session": self.session}, ""


def _picture(clip: Clip) -> list[str]:
    return [
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {clip.codec.title}/90000",
        f"a=fmtp:{PAYLOAD_TYPE} {clip.codec.parameters(clip.sets)}",
        f"a=framerate:{len(clip.units) / clip.duration_s:.3f}",
        f"a=control:{_TRACK}",
    ]


def _sound() -> list[str]:
    return ["m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", f"a=control:{_TRACK}"]
