"""``argos.Pipeline``: a configuration, running. Iterate over it to get results; everything else happens by itself."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from argos.config import Config, config_digest, config_from_sources, load_config
from argos.drawing.memory import Memory
from argos.drawing.overlay import overlay
from argos.drawing.styles import remembers
from argos.engines.threads import limit_threads
from argos.errors import ArgosError, SourceError
from argos.pipelines.build import in_flight, output_files
from argos.pipelines.cameras import Cameras
from argos.pipelines.changes import Changes, check, compare, is_covered_otherwise, is_rewatched
from argos.pipelines.deep import InstancesGiven, SemanticGiven
from argos.pipelines.feeds import JOIN_S, Arrived, Feed
from argos.pipelines.flight import Flight
from argos.pipelines.notices import Notices
from argos.pipelines.outputs import (
    Output,
    OutputFile,
    Outputs,
    close_all,
    missing_folders,
    open_outputs,
    remove_empty,
)
from argos.pipelines.packets import recorders, recording_of
from argos.pipelines.read_only import read_only
from argos.pipelines.relief import Relief, line_of_config
from argos.pipelines.shield import Shown
from argos.pipelines.warm import told_when_long
from argos.pipelines.web import open_web, shapes_of
from argos.publishing.curve import read_server_keys
from argos.publishing.encode import MaskEncodings
from argos.publishing.every import SPOOL_BYTES
from argos.publishing.overlays import reduced
from argos.publishing.publisher import Publisher
from argos.publishing.wire import NO_CAMERA
from argos.recording.recorder import PacketRecorder
from argos.recording.results import RecordedResults
from argos.types import OVERLOAD_STEPS, Result, Status

if TYPE_CHECKING:
    from argos.web.server import WebServer

log = logging.getLogger(__name__)

_NOT_OPEN = "the pipeline is not open; enter it first: with pipeline: ..."

READS_S = 1.0
"""Longest time that results of a file, and frames of other files, wait for its next frame to be read."""


class Pipeline:
    """Reads every camera, finds people, publishes, writes, and yields each result; runs once.

    Args:
        config: validated configuration.
        fail_fast: a live camera that cannot be reached ends the run instead of being tried again.
        semantic, instances: networks of your own in the deep place: an ``nn.Module`` or function as
            ``engine.models`` describes it, or any ``argos.engines.segmenter.Segmenter``; None: those of the
            configuration.

    Raises:
        ValueError: ``config`` is no configuration.

    Attributes:
        config: in force: as given, and then as ``reload`` changed it.
        run: id of this run, in every message.
        endpoint: bound address of the publisher; None when nothing is published.
        every_endpoint: bound address for consumers that need every message; None without ``publish.every``.
        page: address of the live page; None without ``http.bind``.

    Example:
        >>> with argos.Pipeline.from_yaml("camera.yaml") as pipeline:
        ...     for result in pipeline:
        ...         print(result.camera, len(result.instances))
    """

    def __init__(
        self,
        config: Config,
        *,
        fail_fast: bool = False,
        semantic: SemanticGiven | None = None,
        instances: InstancesGiven | None = None,
    ) -> None:
        if not isinstance(config, Config):
            raise ValueError(
                f"config: expected argos.config.Config, got {type(config).__name__}; "
                "Pipeline.from_yaml takes a file, Pipeline.from_sources takes videos and cameras"
            )
        self.config = config
        self._own = (semantic, instances)
        self.run = f"{int(time.time() * 1000):012x}{secrets.token_hex(4)}"
        self.endpoint: str | None = None
        self.every_endpoint: str | None = None
        self.page: str | None = None
        self._fail_fast = fail_fast
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._cameras: Cameras | None = None
        self._asked: tuple[Config, Callable[[Config], None]] | None = None
        self._notices = Notices(self.run)
        self._in_flight: Flight[list[Shown], list[tuple[Arrived, Mapping[str, str]]]] | None = None
        self._publisher: Publisher | None = None
        self._outputs: Outputs | None = None
        self._drawn: dict[str, Memory] = {}
        self._web: WebServer | None = None

    @classmethod
    def from_yaml(
        cls,
        path: str | Path,
        overrides: Sequence[str] = (),
        *,
        fail_fast: bool = False,
        semantic: SemanticGiven | None = None,
        instances: InstancesGiven | None = None,
    ) -> Pipeline:
        """A pipeline from ``camera.yaml``; ``overrides`` as ``cameras.door.rate.fps=5``.

        Raises:
            ConfigError: with every fault of the file.
            ValueError: ``overrides`` is one string.
        """
        config = load_config(Path(path), _several(overrides))
        return cls(config, fail_fast=fail_fast, semantic=semantic, instances=instances)

    @classmethod
    def from_sources(
        cls,
        *sources: str | Path,
        overrides: Sequence[str] = (),
        fail_fast: bool = False,
        semantic: SemanticGiven | None = None,
        instances: InstancesGiven | None = None,
    ) -> Pipeline:
        """A pipeline over sources, paths or addresses, with the default settings.

        Raises:
            ConfigError: with every fault of the sources and overrides.
            ValueError: a source is something else, as a list or an array; or ``overrides`` is one string.
        """
        for source in sources:
            if not isinstance(source, str | Path):
                raise ValueError(
                    f"sources: expected paths or addresses one by one, got {type(source).__name__}; "
                    "write from_sources(*paths) for a list, and pictures to a file"
                )
        config = config_from_sources([str(source) for source in sources], _several(overrides))
        return cls(config, fail_fast=fail_fast, semantic=semantic, instances=instances)

    def __enter__(self) -> Self:
        """Load the networks, bind the publisher, open the outputs, start decoding.

        Raises:
            WeightsError, DeviceError, PublishError: what is missing, and the remedy.
            ConfigError: an output would show what is to be covered.
            ValueError: it was entered before.
        """
        if self._cameras is not None:
            raise ValueError("this pipeline has run; make a new one")
        cv2.setNumThreads(1)
        limit_threads(self.config.engine.threads)
        with told_when_long():
            self._people, cards = line_of_config(self.config, *self._own)
        self._models = {role: card.identity for role, card in cards.items()}
        small = self._people.cards if isinstance(self._people, Relief) else {}
        self._small_models = {role: card.identity for role, card in small.items()}
        self._digest = config_digest(self.config)
        self._cameras = Cameras(
            self.config,
            self._people,
            cards,
            recorders=recorders(self.config),
            fail_fast=self._fail_fast,
            changed=self._changed,
            on_state=self._publish_state,
        )
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        self._cameras.start()
        return self

    def _wake(self) -> None:
        """Let the iteration look at what has changed."""
        with self._changed:
            self._changed.notify_all()

    def _open(self) -> None:
        self._in_flight = Flight(in_flight(self.config), torch.get_num_threads(), self._wake)
        publish = self.config.publish
        if publish.bind is not None:
            curve = publish.curve
            keys = None if curve is None else read_server_keys(curve.server_key, curve.clients)
            self._publisher = Publisher(
                publish.bind,
                run=self.run,
                cameras=list(self.config.cameras),
                kinds=publish.kinds,
                models=self._models,
                masks=MaskEncodings(semantic=publish.masks.semantic),
                status=self.status,
                overlay_fps=publish.overlay.max_fps,
                overlay_quality=publish.overlay.quality,
                curve=keys,
                insecure=publish.insecure,
                every=None if publish.every is None else publish.every.bind,
                spool_bytes=SPOOL_BYTES if publish.every is None else round(publish.every.spool_mb * 1e6),
            )
            self.endpoint, self.every_endpoint = self._publisher.endpoint, self._publisher.every_endpoint
        if self.config.outputs:
            kept = {name: [RecordedResults(recorder)] for name, recorder in self._running.recorders.items()}
            self._outputs = Outputs(output_files(self.config), kept)
        if self.config.http.bind is not None:
            self._web = open_web(self.config, self.run, self._models, self.status, self._publisher, self._outputs)
            self.page = self._web.url
        self._notices.to(self._publisher, self._web)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as fault:
            if error is None:
                raise
            if fault is not error:  # the first error is the one to tell; this one may follow from it
                log.error("%s", fault)

    def __iter__(self) -> Iterator[Result]:
        """Yield each result after it was published and handed to the outputs; ends when every source has ended.

        Raises:
            SourceError: no source gave a single frame, or, with ``fail_fast``, a camera could not be reached.
            PublishError: an output cannot be written any more.
            ValueError: the pipeline is not open.
        """
        if self._cameras is None:
            raise ValueError("the pipeline is not open; write: with pipeline: for result in pipeline: ...")
        flying = self._flying
        while not self._stop.is_set():
            if not flying:
                self._reload()
            arrived = self._wait()
            if self._stop.is_set():
                return
            if arrived:
                self._begin(arrived)
            if flying and (not arrived or flying.is_full):
                for result in self._finish():
                    self._send(result)
                    self._ease(result)
                    yield read_only(result)
            if not flying:
                self._raise_faults()
            if arrived is None and self._asked is None:
                self._raise_if_nothing_came()
                return

    def stop(self) -> None:
        """End the iteration after the present frame; from any thread, any number of times."""
        self._stop.set()
        for feed in [] if self._cameras is None else self._cameras.everyone():
            feed.stop()
        self._wake()

    def reload(self, config: Config, applied: Callable[[Config], None] = lambda _: None) -> Changes:
        """Change cameras while the pipeline runs, before the next frame; those that stay as they are do not notice.

        Frames that the networks have begun with are shown as the old configuration asks for, unless what is covered of
        their camera changes: then they are dropped. Call it from any thread. What the reading of a new configuration
        can still meet then (a file that cannot be opened) is told by a notice ``config.refused``; the old one stays in
        force as a whole.

        Args:
            config: validated.
            applied: called with it once it is in force, in the thread that iterates; not for one that is refused then.

        Returns:
            What will change.

        Raises:
            ConfigError: it changes what holds while ARGOS runs; the keys are named, and nothing changes.
            ValueError: the pipeline was not opened yet. After ``stop`` nothing happens.
        """
        if self._cameras is None:
            raise ValueError(_NOT_OPEN)
        check(self.config, config, [task for task in self._models if task != "proposal"])
        recording_of(config)
        with self._changed:
            self._asked = config, applied
            self._changed.notify_all()
        return compare(self.config, config)

    def refuse(self, error: ArgosError) -> None:
        """Tell that a new configuration was not taken, in one line; the old one stays."""
        text = "; ".join(str(error).splitlines())
        self._notices.tell("config.refused", NO_CAMERA, f"the old configuration stays: {text}", level="error")

    def close(self) -> None:
        """Stop decoding, finish the files, send what waits to be published; any number of times.

        Raises:
            PublishError: something could not be written.
        """
        self.stop()
        end = time.monotonic() + JOIN_S
        for feed in [] if self._cameras is None else self._cameras.everyone():
            feed.join(max(0.0, end - time.monotonic()))
        try:
            if self._in_flight is not None:
                self._in_flight.close()
            if self._outputs is not None:
                self._outputs.close()
            for recorder in [] if self._cameras is None else list(self._cameras.recorders.values()):
                recorder.close()
        finally:
            try:
                if self._web is not None:
                    self._web.close()
            finally:
                if self._publisher is not None:
                    self._publisher.close()

    @property
    def paths(self) -> list[Path]:
        """Files that got a result, and folders of recordings."""
        files = [] if self._outputs is None else self._outputs.paths
        kept = [] if self._cameras is None else list(self._cameras.recorders.values())
        return files + [recorder.folder for recorder in kept]

    @property
    def _running(self) -> Cameras:
        if self._cameras is None:
            raise ValueError(_NOT_OPEN)
        return self._cameras

    @property
    def _flying(self) -> Flight[list[Shown], list[tuple[Arrived, Mapping[str, str]]]]:
        assert self._in_flight is not None
        return self._in_flight

    def status(self, camera: str) -> Status:
        """How a camera is doing now; what the publisher itself had to drop counts for all cameras together.

        Raises:
            ValueError: the pipeline was not opened yet.
        """
        status = self._running.feed(camera).status(self.run)
        status = replace(status, step=self._running.step(camera), config=self._digest)
        lost = self._publisher.dropped if self._publisher is not None else {}
        return replace(status, dropped={**status.dropped, **{f"publish_{kind}": n for kind, n in lost.items()}})

    @property
    def errors(self) -> dict[str, SourceError]:
        """Cameras whose source ended by a fault, and the fault."""
        feeds = [] if self._cameras is None else list(self._cameras.feeds.values())
        return {feed.camera: feed.error for feed in feeds if feed.error is not None}

    def _reload(self) -> None:
        """Take over the configuration that was asked for, if one was; in the thread that iterates."""
        with self._changed:
            asked, self._asked = self._asked, None
        if asked is None:
            return
        config, applied = asked
        changes = compare(self.config, config)
        if changes:
            try:
                self._take_over(config, changes)
            except ArgosError as error:
                self.refuse(error)
                return
        applied(config)
        words = f"the configuration was loaded again: {changes}"
        self._notices.tell("config.applied", NO_CAMERA, words, {"config": self._digest})

    def _take_over(self, config: Config, changes: Changes) -> None:
        """Change what differs; what can fail comes first and leaves everything as it was."""
        check(self.config, config, [task for task in self._models if task != "proposal"])
        self._running.make_ready(config)
        files = output_files(config)
        kept, opened = self._opened(config, files, changes.added)
        gone = {name: self.status(name) for name in changes.removed}
        hidden = self._hidden_by(config)
        rewatched = {n for n in changes.adjusted if is_rewatched(self.config.cameras[n], config.cameras[n])}
        self._running.apply(config, changes, kept)
        self.config, self._digest = config, config_digest(config)
        for name in changes.removed:
            self._drawn.pop(name, None)
            if self._outputs is not None:
                recorder = self._running.recorders.get(name)
                self._outputs.remove(name, None if recorder is None else recorder.close)
        for name, outputs in opened.items():
            assert self._outputs is not None
            self._outputs.add(name, files[name], outputs)
        if self._outputs is not None:
            for name in hidden:
                self._outputs.forget(name)
            for name in rewatched:
                self._outputs.watch(config.cameras[name])
        self._show(changes, gone, rewatched)

    def _opened(
        self, config: Config, files: Mapping[str, Sequence[OutputFile]], added: Collection[str]
    ) -> tuple[dict[str, PacketRecorder], dict[str, list[Output]]]:
        """What further cameras are written to; nothing of it stays open or behind where a part cannot be opened."""
        kept: dict[str, PacketRecorder] = {}
        opened: dict[str, list[Output]] = {}
        made = missing_folders(file.path for name in added for file in files[name] if file.path is not None)
        try:
            kept |= recorders(config, added)
            for name in added if self._outputs is not None else ():
                opened[name] = [RecordedResults(kept[name])] if name in kept else []
                opened[name] += open_outputs(files[name])
        except ArgosError:
            close_all([*chain.from_iterable(opened.values()), *kept.values()])
            remove_empty(made)
            raise
        return kept, opened

    def _show(self, changes: Changes, gone: Mapping[str, Status], rewatched: Collection[str]) -> None:
        """Tell subscribers and pages of other cameras."""
        names, other = list(self.config.cameras), {*changes.added, *changes.reopened, *changes.adjusted}
        if self._publisher is not None:
            self._publisher.set_cameras(names)
            for name in names:
                self._publisher.status_changed(self.status(name))
        for name, status in gone.items():
            now = time.time_ns()
            words = f"camera '{name}': not in the configuration any more"
            ended = replace(status, state="ended", code="removed", message=words, since_ns=now, sent_ns=now)
            if self._publisher is not None:
                self._publisher.status_changed(ended)
            if self._web is not None:
                self._web.status_changed(ended)
        if self._web is not None:
            again = {*changes.added, *changes.reopened, *rewatched}
            self._web.set_cameras(names, shapes_of(self.config), {*gone, *other}, again)
        for name in other:
            self._drawn.pop(name, None)

    def _wait(self) -> list[Arrived] | None:
        """At most one frame of each camera, as soon as there is any; None when all have ended.

        None of any where the oldest frames in flight come first. Those of files wait until as many are in flight as
        may be, and for each other, so that neither what a frame knows of those before it nor whom it shares canvases
        with hangs on a clock; unless reading takes that long.
        """
        begin = time.monotonic()
        with self._changed:
            while not self._stop.is_set():
                if self._asked is not None or self._fault() is not None:
                    return []
                feeds = self._running.feeds.values()
                hurries = any(feed.live for feed in feeds) or time.monotonic() - begin > READS_S
                if self._flying.has_landed and hurries:
                    return []
                if hurries or all(feed.waits or feed.done for feed in feeds):
                    arrived = self._running.take()
                    if arrived:
                        return arrived
                if all(feed.done for feed in feeds):
                    return [] if self._flying else None
                self._changed.wait(0.1)  # a frame that was about to come may stay away
        return None

    def _begin(self, arrived: Sequence[Arrived]) -> None:
        """Send frames to the networks."""
        frames = [a.frame for a in arrived]
        cameras = self._running
        views = [cameras.views[frame.camera] for frame in frames]
        # what comes out of it are pictures that may be shown
        steps = cameras.shield.steps(self._people, frames, views, [cameras.due_full(a) for a in arrived])
        models = [self._small_models if view.small else self._models for view in views]
        with suppress(CancelledError):  # closed from another thread
            self._flying.begin(steps, list(zip(arrived, models, strict=True)))

    def _finish(self) -> list[Result]:
        """The results of the oldest frames in flight."""
        try:
            arrived, shown = self._flying.finish()
        except CancelledError:  # closed from another thread
            return []
        asked = self._asked
        hidden = set() if asked is None else self._hidden_by(asked[0])
        results = []
        for (one, models), seen in zip(arrived, shown, strict=True):
            if one.frame.camera in hidden:
                self._running.feeds[one.frame.camera].dropped["reload"] += 1
            else:
                results.append(self._result(one, seen, models))
        return results

    def _hidden_by(self, config: Config) -> set[str]:
        """Cameras of which less may be shown by a configuration than by the one in force."""
        now = self.config.cameras
        return {n for n, camera in config.cameras.items() if n in now and is_covered_otherwise(now[n], camera)}

    def _result(self, arrived: Arrived, shown: Shown, models: Mapping[str, str]) -> Result:
        frame, feed = arrived.frame, self._running.feeds[arrived.frame.camera]
        analysis = self._running.following.followed(frame, shown.analysis)
        seq = self._running.next_seq(frame.camera)
        now = time.time_ns()
        feed.rate_out.tick()
        feed.age_ms = None if frame.clock == "recording" else (now - frame.captured_ns) / 1e6
        result = Result(
            camera=frame.camera,
            epoch=frame.epoch,
            seq=seq,
            index=frame.index,
            pts=frame.pts,
            time_base=frame.time_base,
            pts_s=frame.pts_s,
            captured_ns=frame.captured_ns,
            clock=frame.clock,
            run=self.run,
            size=frame.size,
            mode=analysis.mode,
            regions=analysis.regions,
            instances=analysis.instances,
            semantic=analysis.semantic,
            deep_share=analysis.deep_share,
            spans_ms={"decode": arrived.decode_ms, **analysis.spans_ms},
            dropped=arrived.dropped,
            models=models,
            config=self._digest,
            published_ns=now,
            image=shown.pixels,
            privacy=shown.privacy,
        )
        return self._running.following.watched(result)

    def _ease(self, result: Result) -> None:
        """Hold more or less back, as the age of a result asks for, and tell it."""
        name, age_ms = result.camera, (result.published_ns - result.captured_ns) / 1e6
        before = self._running.step(name)
        if not self._running.aged(name, age_ms, time.monotonic()):
            return
        step = self._running.step(name)
        limit = self.config.cameras[name].latency.max_age_ms
        self._notices.tell(
            "overload.step",
            name,
            f"step {step} ({OVERLOAD_STEPS[step]}) under overload, from {before}: results are {age_ms:.0f} ms old, "
            f"max_age_ms is {limit:g}",
            {"step": step, "from": before, "held_back": OVERLOAD_STEPS[step], "age_ms": round(age_ms, 1)},
            level="warning" if step > before else "info",
        )
        self._publish_state(self._running.feed(name))

    def _send(self, result: Result) -> None:
        if self._publisher is not None:
            self._publisher.send(result)
            self._publisher.offer_overlay(result, lambda: self._picture(result))
        if self._web is not None:
            self._web.offer(result)
        if self._outputs is not None:
            self._outputs.write(result)

    def _picture(self, result: Result) -> NDArray[np.uint8]:
        """The overlay of a result; called in the encoder's thread alone, which gives the memory what it draws."""
        assert result.image is not None
        chosen = self.config.publish.overlay
        memory = self._drawn.setdefault(result.camera, remembers(chosen.style))
        memory.keep(result)
        picture = overlay(result.image, result, style=chosen.style, memory=memory)
        return picture if chosen.width is None else reduced(picture, chosen.width)

    def _publish_state(self, feed: Feed) -> None:
        """Publish how a camera is doing, because it changed; called in the threads of the feeds."""
        if self._publisher is not None:
            self._publisher.status_changed(self.status(feed.camera))
        if self._web is not None:
            self._web.status_changed(self.status(feed.camera))

    def _raise_if_nothing_came(self) -> None:
        """Without a frame there is no result to tell a fault by."""
        if self.errors and not self._stop.is_set() and not self._running.gave_results:
            raise next(iter(self.errors.values()))

    def _raise_faults(self) -> None:
        """Raise what ended a feed, once its last frame was analysed."""
        fault = self._fault()
        if fault is not None:
            raise fault

    def _fault(self) -> BaseException | None:
        """What ended a feed, where that ends the run."""
        for feed in self._running.feeds.values():
            if feed.crash is not None:
                return feed.crash
            if self._fail_fast and feed.error is not None and feed.done:
                return feed.error
        return None


def _several(overrides: Sequence[str]) -> Sequence[str]:
    """Overrides that are not one string, whose letters would be taken for them."""
    if isinstance(overrides, str):
        raise ValueError(f"overrides: expected a list of KEY=VALUE, got one string; write [{overrides!r}]")
    return overrides
