"""A camera over RTSP in, results over ZeroMQ out: a server, ``argos run`` and subscribers, each in its own process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from main_job import ONE_THREAD, always_four, assert_gapless, decoded, finish, frames_told, free_port, lines_of, start
from pycocotools import mask as coco_mask
from rtsp import RtspCamera

from argos.publishing.jsonl import read_jsonl
from argos.publishing.subscriber import Subscriber
from argos.types import Hello, Overlay, Result, Status

pytestmark = [pytest.mark.rtsp, pytest.mark.timeout(170)]

SAMPLE = Path(__file__).parents[1] / "samples" / "subscribe.py"
KINDS = ("hello", "status", "result", "event", "overlay", "notice")


def collect(
    subscriber: Subscriber, messages: list[object], enough: Callable[[list[Result]], bool], of: subprocess.Popen[str]
) -> None:
    """Receive until the results are enough."""
    while not enough([m for m in messages if isinstance(m, Result)]):
        try:
            messages.append(subscriber.receive(timeout=60))
        except TimeoutError:
            of.kill()
            raise AssertionError(f"{len(messages)} messages, then none; the run: {finish(of)}") from None


def drain(subscriber: Subscriber, messages: list[object]) -> None:
    """Receive what is still on the way."""
    while True:
        try:
            messages.append(subscriber.receive(timeout=1))
        except TimeoutError:
            return


def assert_same(received: Result, written: Result) -> None:
    assert (received.run, received.camera, received.epoch, received.seq, received.index, received.pts) == (
        written.run, written.camera, written.epoch, written.seq, written.index, written.pts
    )  # fmt: skip
    assert (received.size, received.mode, received.dropped) == (written.size, written.mode, written.dropped)
    np.testing.assert_array_equal(received.regions.boxes, written.regions.boxes)
    assert received.semantic is not None
    assert written.semantic is not None
    np.testing.assert_array_equal(received.semantic.mask, written.semantic.mask)
    assert received.instances is not None
    assert written.instances is not None
    np.testing.assert_array_equal(received.instances.boxes, written.instances.boxes)
    np.testing.assert_array_equal(received.instances.scores, written.instances.scores)
    for mine, theirs in zip(received.instances.masks, written.instances.masks, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_camera_that_drops_is_followed_by_subscribers_without_a_gap(
    tmp_path: Path, rtsp_camera: Callable[..., RtspCamera]
) -> None:
    camera = rtsp_camera("--size", "320x192")
    address = f"tcp://127.0.0.1:{free_port()}"
    patience = ["--set", "camera.source.open_timeout_s=6", "--set", "camera.source.stall_timeout_s=3"]
    sample = subprocess.Popen(
        [sys.executable, str(SAMPLE), address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ONE_THREAD,
    )
    messages: list[object] = []
    with Subscriber(address, kinds=KINDS, queue=2000) as subscriber:  # before there is a publisher
        run = start(
            *("run", camera.url, "--record", "rec", "--set", f"publish.bind={address}", "--set", "engine.scale=0.5"),
            *(*patience, *always_four(tmp_path)),
            folder=tmp_path,
        )
        collect(subscriber, messages, lambda results: len(results) >= 8, run)
        camera.send("kick")
        collect(subscriber, messages, lambda results: sum(r.epoch == 1 for r in results) >= 4, run)
        run.send_signal(signal.SIGINT)
        status, out, err = finish(run)
        drain(subscriber, messages)
        lost_on_the_way = (subscriber.missed, subscriber.discarded, subscriber.malformed)
    sample.send_signal(signal.SIGINT)
    sample_status, sample_out, sample_err = finish(sample)

    assert status == 0, err
    assert "Traceback" not in err
    assert "(lost)" in err
    assert "up again" in err
    assert lost_on_the_way == (0, 0, 0)

    (folder,) = (tmp_path / "rec").iterdir()
    lines = lines_of(folder / "results.jsonl")
    assert_gapless(lines)
    assert len(decoded(folder / "overlay.mp4")) == len(lines)
    assert frames_told(out) == len(lines)
    written = list(read_jsonl(folder / "results.jsonl"))

    # results: every one from the first received to the last written, equal to its line
    results = [m for m in messages if isinstance(m, Result)]
    first = results[0].seq
    assert [result.seq for result in results] == list(range(first, len(lines)))
    for received, line in zip(results, lines[first:], strict=True):
        assert_same(received, written[received.seq])
        assert received.instances is not None
        assert len(received.instances) > 0
        assert received.semantic is not None
        rle = coco_mask.decode(line["semantic"]["rle"])  # by other code than ours
        np.testing.assert_array_equal(received.semantic.mask, rle.astype(bool))
    assert [epoch for epoch, _ in groupby(r.epoch for r in results)][:2] == [0, 1]  # more where the machine is too busy
    assert all(a.index < b.index for a, b in pairwise(written))
    # live: what is not analysed is dropped and counted
    assert set(written[-1].dropped) <= {"stale", "damaged"}
    assert [result.index for result in written] == [result.seq + sum(result.dropped.values()) for result in written]

    hellos = [m for m in messages if isinstance(m, Hello)]
    assert messages[0] is hellos[0]
    assert hellos[0].run == results[0].run
    assert hellos[0].cameras == (results[0].camera,)
    assert set(KINDS) == set(hellos[0].kinds)
    assert hellos[0].models == results[0].models
    assert set(hellos[0].models) == {"proposal", "semantic", "instances"}

    statuses = [m for m in messages if isinstance(m, Status)]
    states = [state for state, _ in groupby(s.state for s in statuses)]
    states = [state for state in states if state != "connecting"]
    assert (states[:3], states[-1]) == (["up", "lost", "up"], "ended")
    assert [epoch for epoch, _ in groupby(s.epoch for s in statuses)][:2] == [0, 1]
    away = next(s for s in statuses if s.state == "lost")
    assert (away.code, "ended" in away.message) == ("ended", True)
    assert statuses[-1].last_pts_s is not None
    assert statuses[-1].size == (192, 320)

    overlays = [m for m in messages if isinstance(m, Overlay)]
    assert overlays
    assert [overlay.seq for overlay in overlays] == list(range(overlays[0].seq, overlays[-1].seq + 1))
    for overlay in overlays:
        picture = cv2.imdecode(np.frombuffer(overlay.data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (192, 320, 3)
        assert 0 <= overlay.result_seq < len(lines)

    # the sample saw the same, in its own process
    assert (sample_status, sample_err) == (0, "missed 0\n")
    seen = [int(seq) for seq in re.findall(rf"^{results[0].camera} (\d+) at .* s: \d people ", sample_out, re.M)]
    assert seen == list(range(seen[0], len(lines)))
