"""Results with their true people, made from rendered scenes, for tests of what is shown of them."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from argos.sources.synthetic import parse_scene, render
from argos.types import Instances, Regions, Result, SemanticMask, State, Status
from argos.web.server import WebServer

SCENE = "fake://people?n=4&seed=3&size=320x180&fps=5"


def scene_results(camera: str = "door", scene: str = SCENE, frames: int = 3) -> list[Result]:
    """The first pictures of a scene, each with its people as instances, as mask and as regions."""
    results = []
    for index, rendered in zip(range(frames), render(parse_scene(scene)), strict=False):
        size = rendered.pixels.shape[0], rendered.pixels.shape[1]
        boxes = np.array([person.box for person in rendered.people], np.int32).reshape(-1, 4)
        count = len(boxes)
        people = Instances(
            boxes,
            np.linspace(0.9, 0.6, count, dtype=np.float32),
            np.zeros(count, np.int32),
            tuple(person.mask for person in rendered.people),
            size,
            np.array([person.id for person in rendered.people], np.int64),
        )
        grown = boxes + np.array([-8, -8, 8, 8], np.int32)
        grown = np.clip(grown, 0, [size[1], size[0], size[1], size[0]]).astype(np.int32)
        now = time.time_ns()
        results.append(
            Result(
                camera=camera,
                epoch=0,
                seq=index,
                index=index,
                pts=index,
                time_base=(1, 5),
                pts_s=index / 5,
                captured_ns=now - 20_000_000,
                clock="arrival",
                run="test",
                size=size,
                mode="pack",
                regions=Regions(grown, np.full(count, 0.8, np.float32), size),
                instances=people,
                semantic=SemanticMask(people.union()),
                deep_share=0.25,
                spans_ms={"propose": 4.0, "segment": 16.0},
                dropped={},
                models={"instances": "ssdisb@sha256:0"},
                published_ns=now,
                image=rendered.pixels,
            )
        )
    return results


def again(result: Result, seq: int) -> Result:
    """The same picture as a later result."""
    now = time.time_ns()
    return replace(result, seq=seq, index=seq, pts=seq, captured_ns=now - 20_000_000, published_ns=now)


class Cameras:
    """States of cameras, to be set by a test; what the server asks for."""

    def __init__(self, *names: str) -> None:
        self.statuses = {name: self._status(name, "up", "", "", 0) for name in names}

    @staticmethod
    def _status(name: str, state: State, code: str, message: str, epoch: int) -> Status:
        now = time.time_ns()
        here = state == "up"
        return Status(
            camera=name,
            run="test",
            state=state,
            code=code,
            message=message,
            since_ns=now,
            sent_ns=now,
            epoch=epoch,
            fps_in=5.0 if here else 0.0,
            fps_out=5.0 if here else 0.0,
            age_ms=21.0,
            last_pts_s=1.0,
            dropped={"stale": 2, "publish_result": 1},
            size=(180, 320),
            step=1,
            config="sha256:cc",
        )

    def set(self, name: str, state: State, code: str = "", message: str = "", epoch: int = 0) -> Status:
        """Change a state; the new status has to be told to the server as well."""
        self.statuses[name] = self._status(name, state, code, message, epoch)
        return self.statuses[name]

    def __getitem__(self, name: str) -> Status:
        return self.statuses[name]


@contextmanager
def served(cameras: Cameras, **options: Any) -> Iterator[WebServer]:
    """A server on a free port of loopback, with the states of ``cameras``."""
    server = WebServer(
        options.pop("bind", "127.0.0.1:0"),
        run="test",
        cameras=list(cameras.statuses),
        models={"instances": "ssdisb@sha256:0"},
        status=cameras.__getitem__,
        **options,
    )
    try:
        yield server
    finally:
        server.close()


def split(message: bytes) -> list[bytes]:
    """The parts of a message; the inverse of ``argos.web.pictures.joined``."""
    (count,) = struct.unpack_from("<I", message)
    lengths = struct.unpack_from(f"<{count}I", message, 4)
    parts, at = [], 4 + 4 * count
    for length in lengths:
        parts.append(message[at : at + length])
        at += length
    assert at == len(message)
    return parts
