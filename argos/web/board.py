"""What there is to show: the newest result and the state of each camera, the last events, minutes of figures."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from argos.drawing.overlay import PALETTE, SEMANTIC
from argos.publishing.encode import encode_status
from argos.types import Event, Result, Status
from argos.version import VERSION

HISTORY_S = 300
"""Figures are kept this long, one sample a second."""

EVENTS = 100
"""Events that are kept."""

Told = Mapping[str, Any]
"""An event for the page: at least ``type``, ``camera``, ``t_ns`` and ``text``; JSON values."""

Shapes = Mapping[str, Mapping[str, Any]]
"""Camera -> what the configuration draws on it: ``zones`` and ``lines``, JSON values."""

_encode = msgspec.json.Encoder().encode


class Board:
    """Filled by the pipeline's threads, read by the server's; keeps the newest and never makes anyone wait.

    Args:
        run: id of the process run.
        cameras: names.
        models: role -> ``name@sha256:...``.
        status: the present status of a camera.
        shapes: zones and lines of the configuration.
    """

    def __init__(
        self,
        run: str,
        cameras: Sequence[str],
        models: Mapping[str, str],
        status: Callable[[str], Status],
        shapes: Shapes | None = None,
    ) -> None:
        self.run, self.cameras = run, tuple(cameras)
        self.status = status
        self._models, self.shapes = dict(models), shapes or {}
        self._latest: dict[str, Result] = {}
        self._states: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self._events: deque[tuple[int, Told]] = deque(maxlen=EVENTS)
        self._told = 0
        self._history: dict[str, deque[tuple[float | None, ...]]] = {
            name: deque(maxlen=HISTORY_S) for name in self.cameras
        }

    def set_cameras(self, cameras: Sequence[str], shapes: Shapes, forgotten: Collection[str]) -> None:
        """Show other cameras from now on; the newest pictures of those ``forgotten`` are not shown any more."""
        # each replaced as a whole: the server's thread goes through them at any time
        self._history = {name: self._history.get(name, deque(maxlen=HISTORY_S)) for name in cameras}
        self.shapes, self.cameras = shapes, tuple(cameras)
        for name in forgotten:
            self._latest.pop(name, None)

    def put(self, result: Result) -> None:
        """Show a result."""
        self._latest[result.camera] = result

    def latest(self, camera: str) -> Result | None:
        """The newest result of a camera."""
        return self._latest.get(camera)

    def state_changed(self, status: Status) -> bool:
        """Take a change of state down as an event; False when it is none."""
        now = (status.state, status.code)
        with self._lock:
            if self._states.get(status.camera) == now:
                return False
            self._states[status.camera] = now
        text = status.message or {"up": "pictures come", "connecting": "connecting"}.get(status.state, status.state)
        kind = f"source.{status.state}"
        self.tell({"type": kind, "camera": status.camera, "t_ns": status.sent_ns, "code": status.code, "text": text})
        return True

    def tell(self, event: Told) -> None:
        """Add an event."""
        with self._lock:
            self._told += 1
            self._events.append((self._told, event))

    def events(self, after: int = 0) -> tuple[int, list[Told]]:
        """The number of the last event, and those after number ``after`` that are still kept."""
        with self._lock:
            return self._told, [event for number, event in self._events if number > after]

    def sample(self) -> None:
        """Add the present figures to the history; called once a second."""
        for name, row in self._history.items():
            now = self.figures(name)
            row.append(
                (round(time.time(), 1), *(now[key] for key in ("fps_in", "fps_out", "age_ms", "share", "people")))
            )

    def figures(self, camera: str) -> dict[str, float | None]:
        """Rates, age, share of the pixels computed and people; None where nothing is known or the camera is away."""
        status, result = self.status(camera), self._latest.get(camera)
        here = result is not None and status.state == "up"
        people = len(result.instances) if here and result is not None and result.instances is not None else None
        return {
            "fps_in": round(status.fps_in, 2),
            "fps_out": round(status.fps_out, 2),
            "age_ms": round(status.age_ms, 1) if here and status.age_ms is not None else None,
            "share": round(result.deep_share, 4) if here and result is not None else None,
            "people": people,
        }

    def hello(self) -> bytes:
        """JSON for a page that has just opened."""
        return _encode(
            {
                "kind": "hello",
                "run": self.run,
                "version": VERSION,
                "cameras": self.cameras,
                "models": self._models,
                "palette": PALETTE,
                "semantic": SEMANTIC,
                "shapes": self.shapes,
                "history": {name: list(row) for name, row in self._history.items()},
            }
        )

    def state(self) -> bytes:
        """JSON of all cameras: their ``argos/1`` status, and figures of the newest result."""
        cameras = {}
        for name in self.cameras:
            result = self._latest.get(name)
            cameras[name] = {
                "status": msgspec.Raw(encode_status(self.status(name))[1]),
                "figures": self.figures(name),
                "mode": None if result is None else result.mode,
            }
        return _encode(
            {
                "kind": "state",
                "run": self.run,
                "version": VERSION,
                "models": self._models,
                "t_ns": time.time_ns(),
                "cameras": cameras,
            }
        )

    def is_ready(self) -> bool:
        """Whether at least one camera gives pictures; that the models are loaded is implied."""
        return any(self.status(name).state == "up" for name in self.cameras)


def told(event: Event) -> Told:
    """What somebody did, in words for the page."""
    match event.type:
        case "zone_enter":
            text = f"{event.id} enters {event.name}, {event.occupancy} inside"
        case "zone_leave":
            text = f"{event.id} leaves {event.name} after {event.dwell_s or 0:.0f} s, {event.occupancy} inside"
        case "line_cross":
            text = f"{event.id} crosses {event.name} {(event.direction or '').replace('_', ' ')}, {event.count} so far"
        case "crowd_start":
            text = f"{event.occupancy} people in {event.name}"
        case "crowd_end":
            text = f"{event.occupancy} people in {event.name}, a crowd for {event.dwell_s or 0:.0f} s"
        case "loiter_start":
            text = f"{event.id} is in {event.name} for {event.dwell_s or 0:.0f} s"
        case "loiter_end":
            text = f"{event.id} was in {event.name} for {event.dwell_s or 0:.0f} s"
    return {"type": event.type, "camera": event.camera, "t_ns": event.captured_ns, "text": text}


def events_message(events: Sequence[Told]) -> bytes:
    """JSON of events for the page."""
    return _encode({"kind": "events", "events": events})
