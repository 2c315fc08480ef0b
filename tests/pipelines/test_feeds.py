"""Feeds that follow each other, begin an epoch, hold frames back, bound what waits: real threads, rendered scenes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from argos.pipelines import feeds
from argos.pipelines.feeds import QUEUED, Arrived, Feed
from argos.sources.options import SourceOptions

LIVE = "fake://people?n=1&seed=1&size=64x48&fps=20&realtime=1"
FILE = "fake://people?n=1&seed=1&size=64x48&frames={}"


@contextmanager
def started(source: str, *, every_frame: bool, after: Feed | None = None) -> Iterator[tuple[Feed, threading.Condition]]:
    changed = threading.Condition()
    feed = Feed(
        "door", source, SourceOptions(), every_frame=every_frame, live="realtime" in source, fail_fast=False,
        changed=changed, on_state=lambda feed: None, stop=threading.Event(), after=after,
    )  # fmt: skip
    feed.start()
    try:
        yield feed, changed
    finally:
        feed.stop()
        with changed:
            changed.notify_all()
        feed.join(90)


def wait(changed: threading.Condition, what: Callable[[], bool]) -> None:
    with changed:
        assert changed.wait_for(what, 90), "waited in vain"


def taken(feed: Feed, changed: threading.Condition, count: int) -> list[Arrived]:
    """The next frames of a feed."""
    got: list[Arrived] = []

    def take() -> bool:
        while len(got) < count and (arrived := feed.take()) is not None:
            got.append(arrived)
        return len(got) == count

    wait(changed, take)
    return got


def told(arrived: list[Arrived]) -> list[tuple[int, int]]:
    return [(one.frame.epoch, one.frame.index) for one in arrived]


def test_the_next_feed_of_a_camera_counts_on_in_a_new_epoch() -> None:
    with started(FILE.format(50), every_frame=True) as (first, changed):
        assert told(taken(first, changed, 3)) == [(0, 0), (0, 1), (0, 2)]
        wait(changed, lambda: len(first._waiting) == QUEUED)
        with changed:
            first.leave()
            assert first.take() is None
    assert first.dropped["reload"] == QUEUED
    with started(FILE.format(2), every_frame=True, after=first) as (second, changed):
        got = taken(second, changed, 2)
        wait(changed, lambda: second.done)
        status = second.status("01jrun")
    assert told(got) == [(1, 3 + QUEUED), (1, 4 + QUEUED)]
    # every frame is accounted for: analysed or counted
    assert [one.frame.index for one in got] == [3 + n + sum(one.dropped.values()) for n, one in enumerate(got)]
    assert (status.epoch, status.state, status.dropped) == (1, "ended", {"reload": QUEUED})


def test_an_epoch_begins_without_a_new_connection() -> None:
    with started(FILE.format(9), every_frame=True) as (feed, changed):
        before = taken(feed, changed, 2)
        wait(changed, lambda: len(feed._waiting) == QUEUED)
        with changed:
            feed.begin_epoch()
        after = taken(feed, changed, 7)
        wait(changed, lambda: feed.done)
        assert feed.status("01jrun").epoch == 1
    assert told(before + after) == [(0, 0), (0, 1), *((1, n) for n in range(2, 9))]
    assert feed.dropped == {}


def test_frames_that_are_held_back_are_dropped_as_they_come_and_counted() -> None:
    with started(LIVE, every_frame=False) as (feed, changed):
        taken(feed, changed, 1)
        with changed:
            feed.hold_back(0.5)
        assert feed.is_held_back
        # nothing notifies of a dropped frame
        while feed.dropped["overload"] < 3:
            with changed:
                feed.hold_back(0.5)
            time.sleep(0.05)
        with changed:
            feed.hold_back(0.0)
        later = taken(feed, changed, 2)
    assert feed.dropped["overload"] >= 3
    analysed = 1
    for one in later:
        assert one.frame.index >= analysed + one.dropped["overload"]
        analysed += 1


def test_pictures_that_a_scene_cannot_render_in_time_are_not_damaged() -> None:
    with started("fake://people?n=1&size=640x480&fps=1000&realtime=1", every_frame=False) as (feed, changed):
        wait(changed, lambda: feed._index > 100)
        rendered = feed.rate_in.per_second()
    assert rendered < 500, "the scene is not behind"
    assert feed.dropped["not_rendered"] > 0
    assert "damaged" not in feed.dropped


def test_a_file_is_never_held_back() -> None:
    with started(FILE.format(6), every_frame=True) as (feed, changed):
        with changed:
            feed.hold_back(60.0)
        assert told(taken(feed, changed, 6)) == [(0, n) for n in range(6)]
    assert feed.dropped == {}


def test_what_waits_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "QUEUED_BYTES", 64 * 48 * 3 * 2)
    longest = 0
    with started(FILE.format(12), every_frame=True) as (feed, changed):
        for n in range(12):
            wait(changed, lambda: len(feed._waiting) == 2 or feed._ended)
            longest = max(longest, len(feed._waiting))
            assert told(taken(feed, changed, 1)) == [(0, n)]
    assert longest == 2
    monkeypatch.setattr(feeds, "QUEUED_BYTES", 1)
    with started(FILE.format(3), every_frame=True) as (feed, changed):  # one always may wait
        assert told(taken(feed, changed, 3)) == [(0, 0), (0, 1), (0, 2)]
