"""``argos.Pipeline``: a configuration, running. Iterate over it to get results; everything else happens by itself."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from argos.config import Config, config_digest, config_from_sources, load_config, source_options
from argos.drawing.memory import Memory
from argos.drawing.overlay import overlay
from argos.drawing.styles import remembers
from argos.errors import SourceError
from argos.pipelines.build import output_files, people_of_config, view_of
from argos.pipelines.deep import InstancesGiven, SemanticGiven
from argos.pipelines.feeds import Arrived, Feed
from argos.pipelines.follow import Following, analyst_of, track_settings
from argos.pipelines.outputs import Outputs
from argos.pipelines.packets import recorders
from argos.pipelines.shield import Shield, Shown
from argos.pipelines.web import open_web
from argos.publishing.curve import read_server_keys
from argos.publishing.encode import MaskEncodings
from argos.publishing.publisher import Publisher
from argos.recording.recorder import PacketRecorder
from argos.recording.results import RecordedResults
from argos.sources.names import is_live
from argos.types import Result, Status

if TYPE_CHECKING:
    from argos.web.server import WebServer

log = logging.getLogger(__name__)

JOIN_S = 4.0
"""Longest wait for all decoding threads on the way out; with the usual timeouts a blocked read ends before."""


class Pipeline:
    """Reads every camera, finds people, publishes, writes, and yields each result; runs once.

    Args:
        config: validated configuration.
        fail_fast: a live camera that cannot be reached ends the run instead of being tried again.
        semantic, instances: networks of your own in the deep place: an ``nn.Module`` or function as
            ``engine.models`` describes it, or any ``argos.engines.segmenter.Segmenter``; None: those of the
            configuration.

    Attributes:
        config: as given.
        run: id of this run, in every message.
        endpoint: bound address of the publisher; None when nothing is published.
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
        self.config = config
        self._own = (semantic, instances)
        self.run = f"{int(time.time() * 1000):012x}{secrets.token_hex(4)}"
        self.endpoint: str | None = None
        self.page: str | None = None
        self._fail_fast = fail_fast
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._feeds: dict[str, Feed] = {}
        self._publisher: Publisher | None = None
        self._outputs: Outputs | None = None
        self._recorders: dict[str, PacketRecorder] = {}
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
        """
        config = load_config(Path(path), overrides)
        return cls(config, fail_fast=fail_fast, semantic=semantic, instances=instances)

    @classmethod
    def from_sources(
        cls,
        *sources: str,
        overrides: Sequence[str] = (),
        fail_fast: bool = False,
        semantic: SemanticGiven | None = None,
        instances: InstancesGiven | None = None,
    ) -> Pipeline:
        """A pipeline over sources with the default settings.

        Raises:
            ConfigError: with every fault of the sources and overrides.
        """
        config = config_from_sources(sources, overrides)
        return cls(config, fail_fast=fail_fast, semantic=semantic, instances=instances)

    def __enter__(self) -> Self:
        """Load the networks, bind the publisher, open the outputs, start decoding.

        Raises:
            WeightsError, DeviceError, PublishError: what is missing, and the remedy.
            ConfigError: an output would show what is to be covered.
            ValueError: it was entered before.
        """
        if self._feeds:
            raise ValueError("this pipeline has run; make a new one")
        cv2.setNumThreads(1)
        if self.config.engine.threads is not None:
            torch.set_num_threads(self.config.engine.threads)
        self._people, cards = people_of_config(self.config, *self._own)
        self._models = {role: card.identity for role, card in cards.items()}
        self._digest = config_digest(self.config)
        views = {name: view_of(camera, self.config, cards) for name, camera in self.config.cameras.items()}
        self._following = Following(
            {name: track_settings(self.config.cameras[name], view.instances) for name, view in views.items()},
            {name: analyst_of(camera) for name, camera in self.config.cameras.items()},
        )
        self._shield = Shield(self.config.cameras)
        self._views = {name: self._shield.view(name, self._following.view(name, view)) for name, view in views.items()}
        self._last_full_s: dict[str, tuple[int, float]] = {}
        self._seq = dict.fromkeys(self.config.cameras, 0)
        self._recorders = recorders(self.config)
        for name, camera in self.config.cameras.items():
            live = is_live(camera.source.url)
            self._feeds[name] = Feed(
                name,
                camera.source.url,
                source_options(camera),
                every_frame=(camera.latency.policy or ("latest" if live else "every_frame")) == "every_frame",
                live=live,
                fail_fast=self._fail_fast,
                tap=self._recorders.get(name),
                changed=self._changed,
                on_state=self._publish_state,
                stop=self._stop,
            )
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        for feed in self._feeds.values():
            feed.start()
        return self

    def _open(self) -> None:
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
            )
            self.endpoint = self._publisher.endpoint
        if self.config.outputs:
            # a file is analysed anew; a camera goes on where it stopped
            anew = {name for name, feed in self._feeds.items() if not feed.live}
            kept = {name: [RecordedResults(recorder)] for name, recorder in self._recorders.items()}
            self._outputs = Outputs(output_files(self.config), anew, kept)
        if self.config.http.bind is not None:
            self._web = open_web(self.config, self.run, self._models, self.status, self._publisher, self._outputs)
            self.page = self._web.url

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
        if not self._feeds:
            raise ValueError("the pipeline is not open; write: with pipeline: for result in pipeline: ...")
        while not self._stop.is_set():
            arrived = self._wait()
            for result in self._analysed(arrived or []):
                self._send(result)
                yield result
            self._raise_faults()
            if arrived is None:
                self._raise_if_nothing_came()
                return

    def stop(self) -> None:
        """End the iteration after the present frame; from any thread, any number of times."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Stop decoding, finish the files, send what waits to be published; any number of times.

        Raises:
            PublishError: something could not be written.
        """
        self.stop()
        end = time.monotonic() + JOIN_S
        for feed in self._feeds.values():
            feed.join(max(0.0, end - time.monotonic()))
        try:
            if self._outputs is not None:
                self._outputs.close()
            for recorder in self._recorders.values():
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
        return files + [recorder.folder for recorder in self._recorders.values()]

    def status(self, camera: str) -> Status:
        """How a camera is doing now; what the publisher itself had to drop counts for all cameras together."""
        status = self._feeds[camera].status(self.run)
        lost = self._publisher.dropped if self._publisher is not None else {}
        return replace(status, dropped={**status.dropped, **{f"publish_{kind}": n for kind, n in lost.items()}})

    @property
    def errors(self) -> dict[str, SourceError]:
        """Cameras whose source ended by a fault, and the fault."""
        return {name: feed.error for name, feed in self._feeds.items() if feed.error is not None}

    def _wait(self) -> list[Arrived] | None:
        """At most one frame of each camera, as soon as one has any; None when all have ended."""
        with self._changed:
            while not self._stop.is_set():
                arrived = [a for feed in self._feeds.values() if (a := feed.take()) is not None]
                if arrived:
                    return arrived
                if all(feed.done for feed in self._feeds.values()):
                    return None
                self._changed.wait(0.5)
        return None

    def _analysed(self, arrived: Sequence[Arrived]) -> list[Result]:
        if not arrived:
            return []
        frames = [a.frame for a in arrived]
        views = [self._views[frame.camera] for frame in frames]
        # from here on there are only pictures that may be shown
        shown = self._shield.step(self._people, frames, views, [self._due_full(a) for a in arrived])
        return [self._result(a, s) for a, s in zip(arrived, shown, strict=True)]

    def _due_full(self, arrived: Arrived) -> bool:
        """Whether a frame is analysed in full, because the last full one is too long ago."""
        frame = arrived.frame
        every = self.config.cameras[frame.camera].regions.refresh_full_s
        if every is None:
            return False
        epoch, last = self._last_full_s.get(frame.camera, (-1, 0.0))
        if epoch == frame.epoch and frame.pts_s - last < every:
            return False
        self._last_full_s[frame.camera] = (frame.epoch, frame.pts_s)
        return True

    def _result(self, arrived: Arrived, shown: Shown) -> Result:
        frame, feed = arrived.frame, self._feeds[arrived.frame.camera]
        analysis = self._following.followed(frame, shown.analysis)
        seq = self._seq[frame.camera]
        self._seq[frame.camera] = seq + 1
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
            models=self._models,
            config=self._digest,
            published_ns=now,
            image=shown.pixels,
            privacy=shown.privacy,
        )
        return self._following.watched(result)

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
        return _reduced(overlay(result.image, result, style=chosen.style, memory=memory), chosen.width)

    def _publish_state(self, feed: Feed) -> None:
        """Publish how a camera is doing, because it changed; called in the threads of the feeds."""
        if self._publisher is not None:
            self._publisher.status_changed(self.status(feed.camera))
        if self._web is not None:
            self._web.status_changed(self.status(feed.camera))

    def _raise_if_nothing_came(self) -> None:
        """Without a frame there is no result to tell a fault by."""
        if self.errors and not self._stop.is_set() and not any(self._seq.values()):
            raise next(iter(self.errors.values()))

    def _raise_faults(self) -> None:
        """Raise what ended a feed, once its last frame was analysed."""
        for feed in self._feeds.values():
            if feed.crash is not None:
                raise feed.crash
            if self._fail_fast and feed.error is not None and feed.done:
                raise feed.error


def _reduced(picture: NDArray[np.uint8], width: int | None) -> NDArray[np.uint8]:
    """A picture at most ``width`` pixels wide."""
    if width is None or picture.shape[1] <= width:
        return picture
    height = round(picture.shape[0] * width / picture.shape[1])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
