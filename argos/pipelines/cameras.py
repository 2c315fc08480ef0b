"""What runs for each camera: its feed, how its frames are analysed, who follows its people; changed while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from argos.config import Camera, Config, source_options
from argos.engines.weights import Card
from argos.pipelines.build import least_strict, ready_in_place, view_of
from argos.pipelines.changes import Changes, is_covered_otherwise, is_reopened, is_rewatched
from argos.pipelines.feeds import Arrived, Feed
from argos.pipelines.follow import Following, analyst_of, track_settings
from argos.pipelines.ladder import MODEL, RATE, REGIONS, SCALE, Ladder, eased, period_s
from argos.pipelines.people import People
from argos.pipelines.relief import Line, Relief
from argos.pipelines.shield import Shield
from argos.pipelines.turns import Turns
from argos.pipelines.views import View
from argos.recording.recorder import PacketRecorder
from argos.sources.names import is_live


class Cameras:
    """The cameras of a configuration.

    Args:
        config: validated.
        people: the line they share.
        cards: of its usual models, by role.
        fail_fast: a live camera that cannot be reached ends instead of being tried again.
        changed: notified by every feed.
        on_state: called at every change of state of a feed that still counts, in its thread.

    Attributes:
        config: in force.
        feeds: by name; those that are gone are not among them.
        views: how the frames of each camera are analysed.
        following: follows the people of each camera.
        shield: covers what nobody may see.
        recorders: keep the packets of each camera, where that is asked for.
    """

    def __init__(
        self,
        config: Config,
        people: Line,
        cards: dict[str, Card],
        *,
        recorders: Mapping[str, PacketRecorder],
        fail_fast: bool,
        changed: threading.Condition,
        on_state: Callable[[Feed], None],
    ) -> None:
        self.config, self.recorders = config, dict(recorders)
        self._people, self._cards, self._fail_fast = people, cards, fail_fast
        self._changed, self._on_state = changed, on_state
        self.views = {name: view_of(camera, config, cards) for name, camera in config.cameras.items()}
        self.following = Following(
            {name: track_settings(config.cameras[name], view.instances) for name, view in self.views.items()},
            {name: analyst_of(camera) for name, camera in config.cameras.items()},
        )
        self.shield = Shield(config.cameras)
        self._left: dict[str, Feed] = {}
        self._seq: dict[str, int] = {}
        self._last_full_s: dict[str, tuple[int, float]] = {}
        self._ladders = {name: self._ladder(name) for name in config.cameras}
        self._unhurried = dict(self.views)  # the views at step 0
        self._turns = Turns()
        self._small: dict[str, View] = {}  # and those for smaller networks, where there are some
        for name, view in self.views.items():
            self._look(name, view)
        self.feeds = {name: self._feed(name) for name in config.cameras}

    def start(self) -> None:
        """Let every feed begin."""
        for feed in self.feeds.values():
            feed.start()

    def feed(self, name: str) -> Feed:
        """The feed of a camera; the last one of a camera that is gone."""
        return self.feeds.get(name) or self._left[name]

    def everyone(self) -> list[Feed]:
        """Every feed whose thread may still run."""
        return [*self.feeds.values(), *self._left.values()]

    def take(self) -> list[Arrived]:
        """At most one frame of each camera, under overload of those whose turn it is. Called with ``changed`` held.

        None of any, although some wait, where it is the turn of one whose next frame is about to come.
        """
        waiting = {name: feed for name, feed in self.feeds.items() if feed.waits}
        due = {name for name, feed in self.feeds.items() if feed.is_due}
        hurried = bool(due) or any(feed.is_behind for feed in waiting.values())
        priorities = {name: self.config.cameras[name].priority for name in {*waiting, *due}}
        chosen = self._turns.of(priorities, list(waiting), hurried=hurried)
        return [arrived for name in chosen if (arrived := waiting[name].take()) is not None]

    def next_seq(self, name: str) -> int:
        """Number of the next result of a camera; it goes on through every change."""
        seq = self._seq.get(name, 0)
        self._seq[name] = seq + 1
        return seq

    @property
    def gave_results(self) -> bool:
        """Whether there was any."""
        return any(self._seq.values())

    def due_full(self, arrived: Arrived) -> bool:
        """Whether a frame is analysed in full, because the last full one is too long ago."""
        frame = arrived.frame
        every = self.config.cameras[frame.camera].regions.refresh_full_s
        if every is None or self.step(frame.camera) >= REGIONS:
            return False
        epoch, last = self._last_full_s.get(frame.camera, (-1, 0.0))
        if epoch == frame.epoch and frame.pts_s - last < every:
            return False
        self._last_full_s[frame.camera] = (frame.epoch, frame.pts_s)
        return True

    def step(self, name: str) -> int:
        """Step of a camera on the ladder under overload; 0 when nothing is held back."""
        ladder = self._ladders.get(name)
        return 0 if ladder is None else ladder.step

    def aged(self, name: str, age_ms: float, now_s: float) -> bool:
        """Take the age of a result when it is published; hold more or less back where the ladder says so.

        Args:
            name: of the camera.
            age_ms: from capture to publishing.
            now_s: monotonic clock.

        Returns:
            Whether the step has changed.
        """
        ladder = self._ladders.get(name)
        if ladder is None or not ladder.take(age_ms, now_s):
            return False
        feed = self.feeds[name]
        if ladder.step < RATE:
            feed.hold_back(0.0)
        elif not feed.is_held_back:
            feed.hold_back(period_s(feed.rate_out.per_second()))
        self._ease(name)
        return True

    def make_ready(self, config: Config) -> None:
        """Make the networks ready for the modes that a configuration asks for; before ``apply``, as it may fail.

        Args:
            config: checked.

        Raises:
            UsageError: a network cannot be run in mode ``gather``.
        """
        for people, cards in self._lines():
            ready_in_place(people, list(config.cameras.values()), cards)

    def _lines(self) -> list[tuple[People, Mapping[str, Card]]]:
        """The networks that frames go through, with the cards of their models by role."""
        if isinstance(self._people, Relief):
            return [(self._people.usual, self._cards), (self._people.small, self._people.cards)]
        return [(self._people, self._cards)]

    def apply(self, config: Config, changes: Changes, recorders: Mapping[str, PacketRecorder]) -> None:
        """Change what differs; every camera that is not in ``changes`` goes on untouched.

        Called between two frames, by the thread that analyses them.

        Args:
            config: checked (``argos.pipelines.changes``).
            changes: from the present configuration to it.
            recorders: of the cameras that are added.
        """
        before, self.config = self.config, config
        self.recorders.update(recorders)
        if any("instances" in camera.tasks for camera in config.cameras.values()):
            for people, cards in self._lines():
                people.keep_from(*least_strict(list(config.cameras.values()), cards["instances"]))
        for name in changes.removed:
            self._remove(name)
        feeds = dict(self.feeds)
        for name in (*changes.added, *changes.reopened, *changes.adjusted):
            camera, old = config.cameras[name], before.cameras.get(name)
            new_ids = self._adjust(name, camera, old)
            if name in changes.adjusted:
                if new_ids:
                    with self._changed:
                        feeds[name].begin_epoch()
                continue
            last = feeds.get(name) or self._left.get(name)
            if name in feeds:
                with self._changed:
                    feeds[name].leave()
            self._people.forget(name)
            feeds[name] = self._feed(name, last)
        # replaced as a whole, in the order of the configuration: other threads go through them
        self.feeds = {name: feeds[name] for name in config.cameras}
        self._left = {name: feed for name, feed in self._left.items() if name not in self.feeds}
        for name in (*changes.added, *changes.reopened):
            self.feeds[name].start()

    def _adjust(self, name: str, camera: Camera, old: Camera | None) -> bool:
        """Analyse the next frames of a camera as asked; returns whether ids begin again."""
        view = view_of(camera, self.config, self._cards)
        new_ids = self.following.keep(name, track_settings(camera, view.instances))
        if old is None or is_rewatched(old, camera):
            self.following.watch(name, analyst_of(camera))
        if old is None or is_covered_otherwise(old, camera):
            self.shield.cover(name, camera)
        if old is not None and old.mask_areas != camera.mask_areas:
            self._people.forget(name)
        if old is None or old.latency != camera.latency or is_reopened(old, camera):
            self._ladders[name] = self._ladder(name)
            if name in self.feeds:
                self.feeds[name].hold_back(0.0)
        self._look(name, view)
        return new_ids

    def _look(self, name: str, view: View) -> None:
        """Let the view of a camera see what following and covering need; under overload less."""
        self._unhurried[name] = self.shield.view(name, self.following.view(name, view))
        if isinstance(self._people, Relief):
            small = view_of(self.config.cameras[name], self.config, dict(self._people.cards))
            self._small[name] = replace(self.shield.view(name, self.following.view(name, small)), small=True)
        self._ease(name)

    def _ease(self, name: str) -> None:
        """Let the next frames of a camera be analysed as its step asks for."""
        step = self.step(name)
        view = self._small.get(name, self._unhurried[name]) if step >= MODEL else self._unhurried[name]
        before, self.views[name] = self.views.get(name), eased(view, step)
        if before is not None and _may_find_others(before, self.views[name]):
            self._people.forget(name)  # where nobody was found, somebody may be

    def _ladder(self, name: str) -> Ladder | None:
        """The ladder of a camera whose results have an age to keep."""
        camera = self.config.cameras[name]
        most_ms = camera.latency.max_age_ms
        if most_ms is None or not is_live(camera.source.url):
            return None
        return Ladder(most_ms, last=MODEL if isinstance(self._people, Relief) else SCALE)

    def _remove(self, name: str) -> None:
        feed = self.feeds[name]
        with self._changed:
            feed.leave()
        self._left[name] = feed
        self.feeds = {other: kept for other, kept in self.feeds.items() if other != name}
        self._people.forget(name)
        self.following.forget(name)
        self.shield.cover(name, None)
        del self.views[name], self._unhurried[name], self._ladders[name]
        self._small.pop(name, None)
        self._last_full_s.pop(name, None)

    def _feed(self, name: str, after: Feed | None = None) -> Feed:
        camera = self.config.cameras[name]
        return Feed(
            name,
            camera.source.url,
            source_options(camera),
            every_frame=_keeps_all(camera),
            live=is_live(camera.source.url),
            fail_fast=self._fail_fast,
            tap=self.recorders.get(name),
            changed=self._changed,
            on_state=self._tell,
            stop=threading.Event(),
            after=after,
        )

    def _tell(self, feed: Feed) -> None:
        """Hand on a change of state, unless the feed was replaced or its camera is gone."""
        if self.feeds.get(feed.camera) is feed:
            self._on_state(feed)


def _may_find_others(before: View, now: View) -> bool:
    """Whether the deep networks may find people where they found none: other limits or networks, finer pictures."""
    same = (before.semantic, before.instances, before.small) == (now.semantic, now.instances, now.small)
    return not same or now.shrink > before.shrink


def _keeps_all(camera: Camera) -> bool:
    """Whether every frame of a camera is analysed."""
    policy = camera.latency.policy or ("latest" if is_live(camera.source.url) else "every_frame")
    return policy == "every_frame"
