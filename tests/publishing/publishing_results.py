"""Results for the tests of publishing, and what it means that two are the same."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from argos.types import Event, Hello, Instances, Notice, Overlay, Regions, Result, SemanticMask, Size, Status

T0 = 1_760_000_000_000_000_000


def blob(shape: Size, seed: int) -> np.ndarray:
    """A disc with a ragged edge that fills its box, ``(h, w)`` bool; in integers, so the same on every machine."""
    h, w = shape
    y, x = np.mgrid[1 - h : h : 2, 1 - w : w : 2]
    ragged = (7 * x + 13 * y + seed) % 5
    return 20 * ((x * h) ** 2 + (y * w) ** 2) <= (20 - ragged) * (h * w) ** 2


def made_instances(boxes: list[list[int]], size: Size, tracked: bool = True) -> Instances:
    n = len(boxes)
    masks = tuple(blob((y1 - y0, x1 - x0), seed) for seed, (x0, y0, x1, y1) in enumerate(boxes))
    return Instances(
        boxes=np.array(boxes, np.int32).reshape(-1, 4),
        scores=np.linspace(0.91, 0.5, n, dtype=np.float32),
        labels=np.zeros(n, np.int32),
        masks=masks,
        size=size,
        ids=np.arange(7, 7 + n, dtype=np.int64) if tracked else np.zeros(0, np.int64),
    )


def made_result(
    seq: int = 0, camera: str = "desk", run: str = "01jtest", size: Size = (90, 120), **changes: Any
) -> Result:
    """A result with two people; a part of it depends on ``seq``."""
    shift = seq % 20
    people = made_instances([[10 + shift, 20, 40 + shift, 80], [70, 15, 101, 77]], (90, 120))
    values: dict[str, Any] = {
        "camera": camera,
        "epoch": 1,
        "seq": seq,
        "index": 2 * seq + 3,
        "pts": 6000 * seq,
        "time_base": (1, 90000),
        "pts_s": seq / 15,
        "captured_ns": T0 + seq,
        "clock": "arrival",
        "run": run,
        "size": size,
        "mode": "pack",
        "regions": Regions(np.array([[5, 10, 110, 85]], np.int32), np.array([0.97], np.float32), size),
        "instances": people,
        "semantic": SemanticMask(people.union()),
        "deep_share": 0.375,
        "spans_ms": {"decode": 1.25, "propose": 2.5, "segment": 12.0},
        "dropped": {"stale": 2, "busy": 0},
        "models": {"instances": "ssd_isb@sha256:aa", "semantic": "asbunet@sha256:bb"},
        "config": "sha256:cc",
        "published_ns": T0 + seq + 25_000_000,
    }
    return Result(**(values | changes))


def made_status(camera: str = "desk", run: str = "01jtest", **changes: Any) -> Status:
    values: dict[str, Any] = {
        "camera": camera,
        "run": run,
        "state": "lost",
        "code": "timeout",
        "message": "camera 'desk': no frame for 1.5 s",
        "since_ns": T0,
        "sent_ns": T0 + 1_000_000_000,
        "epoch": 3,
        "fps_in": 14.9,
        "fps_out": 10.0,
        "age_ms": 31.5,
        "last_pts_s": 12.25,
        "dropped": {"stale": 4},
        "size": (720, 1280),
    }
    return Status(**(values | changes))


def made_hello() -> Hello:
    return Hello(
        run="01jtest",
        cameras=("desk", "door"),
        kinds=("hello", "result", "status", "overlay"),
        models={"regions": "qunet@sha256:dd"},
        version="0.1.0",
        sent_ns=T0,
    )


def made_event() -> Event:
    return Event(
        camera="desk", run="01jtest", epoch=2, seq=5, type="zone_leave", name="porch", id=7, result_seq=17, index=90,
        pts_s=1.5, captured_ns=T0, box=(10, 20, 40, 80), anchor=(25.0, 79.5), count=3, occupancy=1, dwell_s=2.25,
        cause="left", sent_ns=T0,
    )  # fmt: skip


def made_notice() -> Notice:
    values = {"step": 2, "from": 1, "name": "regions", "age_ms": 712.5}
    return Notice("desk", "01jtest", 4, "overload.step", "results are 712 ms old: step 2 (regions)", values, T0)


def made_overlay() -> Overlay:
    data = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
    return Overlay("desk", "01jtest", 5, 17, 1.5, "jpeg", data, (90, 120), T0)


def assert_same(one: Any, other: Any) -> None:
    """Equal in every field but ``image``, arrays by value and dtype."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert np.array_equal(one, other)
    elif hasattr(one, "__dataclass_fields__"):
        for field in fields(one):
            if field.name != "image":
                assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other
