"""Metrics in Prometheus' text form; names and labels are those of ``docs/live.md``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from argos.publishing.delivery import DeliveryTally
from argos.publishing.every import Spool
from argos.types import Event, Result, Status
from argos.version import VERSION
from argos.web.board import Board, Shapes

MODES = ("pack", "gather", "full", "mask", "skip")
AGES_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STAGE_OF = {"damaged": "decode", "stale": "queue", "overload": "queue", "reload": "queue"}
"""Reason of a drop -> where it happens; others happen in the decoder."""

STAGES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Published:
    """What the ZeroMQ publisher sent so far, by kind, what it keeps, and how outputs fare that deliver to others."""

    messages: Mapping[str, int] = field(default_factory=dict)
    size: Mapping[str, int] = field(default_factory=dict)
    outputs: Sequence[tuple[str, str, DeliveryTally]] = ()
    spools: Mapping[str, Spool] = field(default_factory=dict)


class Metrics:
    """Counts results as they come, and asks the rest when it is scraped.

    Args:
        board: states and newest results.
        device: the networks run on.
        published: what the publisher sent; None where nothing is published.
    """

    def __init__(self, board: Board, device: str, published: Callable[[], Published] | None = None) -> None:
        self._registry = prometheus.CollectorRegistry()
        build = prometheus.Info("argos_build", "Version and device.", registry=self._registry)
        build.info({"version": VERSION, "device": device})
        self._processed = prometheus.Counter(
            "argos_frames_processed", "Frames analysed.", ("camera",), registry=self._registry
        )
        self._age = prometheus.Histogram(
            "argos_result_age_seconds",
            "From capture to publishing.",
            ("camera",),
            buckets=AGES_S,
            registry=self._registry,
        )
        self._stage = prometheus.Histogram(
            "argos_stage_seconds", "Time by stage.", ("camera", "stage"), buckets=STAGES_S, registry=self._registry
        )
        self._regions = prometheus.Counter("argos_regions", "Regions proposed.", ("camera",), registry=self._registry)
        self._pixels = prometheus.Counter(
            "argos_model_pixels",
            "Pixels the deep network computed, in pixels of the frame.",
            ("camera", "path"),
            registry=self._registry,
        )
        self._modes = prometheus.Counter(
            "argos_mode_frames", "Frames by how the deep network was run.", ("camera", "mode"), registry=self._registry
        )
        self._fallback = prometheus.Counter(
            "argos_privacy_fallback",
            "Frames of which more was covered, because the mask was not trusted.",
            ("camera", "cause"),
            registry=self._registry,
        )
        self._events = prometheus.Counter("argos_events", "Events.", ("camera", "type"), registry=self._registry)
        self._reconnects = prometheus.Counter(
            "argos_source_reconnects",
            "Reconnects, by the cause of the loss.",
            ("camera", "code"),
            registry=self._registry,
        )
        self._occupancy = prometheus.Gauge(
            "argos_zone_occupancy", "People in a zone.", ("camera", "zone"), registry=self._registry
        )
        self._crossings = prometheus.Counter(
            "argos_line_crossings",
            "People who crossed a line.",
            ("camera", "line", "direction"),
            registry=self._registry,
        )
        self._zones: set[tuple[str, str]] = set()
        self.expect(board.shapes, board.shapes)
        self._epochs: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()
        self._registry.register(_State(board, published))
        prometheus.ProcessCollector(registry=self._registry)
        prometheus.GCCollector(registry=self._registry)

    def expect(self, shapes: Shapes, recounted: Collection[str]) -> None:
        """Show zones and lines of the cameras ``recounted``, empty: a count that appears with its first event looks
        like none. Nobody is in zones that are gone.
        """
        zones = {(camera, zone) for camera, of_camera in shapes.items() for zone in of_camera.get("zones", {})}
        for camera, zone in self._zones - zones:
            self._occupancy.remove(camera, zone)
        self._zones = zones
        for camera in recounted:
            of_camera = shapes.get(camera, {})
            for zone in of_camera.get("zones", {}):
                self._occupancy.labels(camera, zone).set(0)
            for line in of_camera.get("lines", {}):
                for direction in ("left_to_right", "right_to_left"):
                    self._crossings.labels(camera, line, direction)

    def result(self, result: Result) -> None:
        """Count a result."""
        camera = result.camera
        self._processed.labels(camera).inc()
        self._modes.labels(camera, result.mode).inc()
        if result.clock != "recording":
            self._age.labels(camera).observe(max(0.0, (result.published_ns - result.captured_ns) / 1e9))
        for stage, spent_ms in result.spans_ms.items():
            self._stage.labels(camera, stage).observe(spent_ms / 1e3)
        if result.privacy.startswith("fallback:"):
            self._fallback.labels(camera, result.privacy.removeprefix("fallback:")).inc()
        if result.mode != "full":
            self._regions.labels(camera).inc(len(result.regions))
        self._pixels.labels(camera, result.mode).inc(result.deep_share * result.size[0] * result.size[1])

    def status(self, status: Status) -> None:
        """Count a reconnect where the epoch has grown after a loss; a reload begins one too."""
        with self._lock:
            epoch, code = self._epochs.get(status.camera, (0, ""))
            now = {"lost": status.code, "stalled": status.code, "up": ""}.get(status.state, code)
            self._epochs[status.camera] = max(epoch, status.epoch), now
        if status.epoch > epoch and code:
            self._reconnects.labels(status.camera, code).inc()

    def event(self, event: Event) -> None:
        """Count what somebody did in a zone or at a line."""
        if event.type == "line_cross":
            self._crossings.labels(event.camera, event.name, event.direction).inc()
        elif event.occupancy is not None:
            self._occupancy.labels(event.camera, event.name).set(event.occupancy)

    def told(self, camera: str, kind: str) -> None:
        """Count an event of any kind."""
        self._events.labels(camera, kind).inc()

    def text(self) -> bytes:
        """All metrics, in the text form 0.0.4."""
        return prometheus.generate_latest(self._registry)


class _State(Collector):
    """What is asked when it is scraped."""

    def __init__(self, board: Board, published: Callable[[], Published] | None) -> None:
        self._board, self._published = board, published

    def collect(self) -> Iterator[Metric]:
        """All figures that are read, not counted."""
        yield from self._sources()
        yield from self._results()
        if self._published is not None:
            sent = self._published()
            yield _by_kind("argos_publish_messages", "Messages handed to 0MQ.", sent.messages)
            yield _by_kind("argos_publish_bytes", "Bytes handed to 0MQ.", sent.size)
            yield from _outputs(sent.outputs)
            yield from _of_spools(sent.spools)

    def _sources(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("argos_source_up", "1 while pictures come.", labels=["camera"])
        decoded = CounterMetricFamily(
            "argos_frames_decoded", "Frames decoded until the newest result.", labels=["camera"]
        )
        last = GaugeMetricFamily(
            "argos_source_last_frame_timestamp_seconds", "Capture of the newest result.", labels=["camera"]
        )
        dropped = CounterMetricFamily(
            "argos_frames_dropped", "Frames and messages dropped.", labels=["camera", "stage", "reason"]
        )
        step = GaugeMetricFamily("argos_degrade_step", "Step of the ladder under overload.", labels=["camera"])
        config = GaugeMetricFamily("argos_config_info", "1 for the configuration in force.", labels=["digest"])
        digests: set[str] = set()
        lost: Counter[str] = Counter()
        for camera in self._board.cameras:
            status, result = self._board.status(camera), self._board.latest(camera)
            up.add_metric([camera], float(status.state == "up"))
            step.add_metric([camera], status.step)
            if status.config:
                digests.add(status.config)
            if result is not None:
                decoded.add_metric([camera], result.index + 1)
                last.add_metric([camera], result.captured_ns / 1e9)
            for reason, number in status.dropped.items():
                if reason.startswith("publish_"):
                    lost[reason.removeprefix("publish_")] = number  # the publisher counts all cameras together
                else:
                    dropped.add_metric([camera, STAGE_OF.get(reason, "decode"), reason], number)
        for digest in digests:
            config.add_metric([digest], 1.0)
        for kind, number in lost.items():
            dropped.add_metric(["", "publish", kind], number)
        yield from (up, decoded, last, dropped, step, config)

    def _results(self) -> Iterator[Metric]:
        people = GaugeMetricFamily("argos_people", "People in the newest result.", labels=["camera"])
        area = GaugeMetricFamily(
            "argos_region_area_ratio", "Area of the proposed regions, share of the frame.", labels=["camera"]
        )
        share = GaugeMetricFamily(
            "argos_deep_pixels_ratio", "Pixels the deep network computed, share of the full frame.", labels=["camera"]
        )
        mode = GaugeMetricFamily("argos_mode_info", "1 for the present mode.", labels=["camera", "mode"])
        for camera in self._board.cameras:
            result = self._board.latest(camera)
            if result is None:
                continue
            if result.instances is not None:
                people.add_metric([camera], len(result.instances))
            sides = result.regions.boxes[:, 2:] - result.regions.boxes[:, :2]
            area.add_metric([camera], float(sides.prod(axis=1).sum()) / (result.size[0] * result.size[1]))
            share.add_metric([camera], result.deep_share)
            for name in MODES:
                mode.add_metric([camera, name], float(name == result.mode))
        yield from (people, area, share, mode)


def _outputs(tallies: Sequence[tuple[str, str, DeliveryTally]]) -> Iterator[Metric]:
    labels = ["camera", "output"]
    taken = CounterMetricFamily("argos_output_messages", "Messages delivered by an output.", labels=labels)
    failed = CounterMetricFamily("argos_output_errors", "Attempts to deliver that did not work.", labels=labels)
    waiting = GaugeMetricFamily("argos_output_waiting", "Messages that wait to be delivered.", labels=labels)
    dropped = CounterMetricFamily(
        "argos_output_dropped", "Messages that an output lost, by reason.", labels=[*labels, "reason"]
    )
    sums: dict[tuple[str, str], list[DeliveryTally]] = {}
    for camera, kind, tally in tallies:
        sums.setdefault((camera, kind), []).append(tally)
    for key, of_kind in sums.items():
        taken.add_metric(key, sum(tally.delivered for tally in of_kind))
        failed.add_metric(key, sum(tally.failed for tally in of_kind))
        waiting.add_metric(key, sum(tally.waiting for tally in of_kind))
        for reason in ("full", "refused", "closed"):
            dropped.add_metric([*key, reason], sum(tally.dropped[reason] for tally in of_kind))
    yield from (taken, failed, waiting, dropped)


def _of_spools(spools: Mapping[str, Spool]) -> Iterator[Metric]:
    kept = GaugeMetricFamily("argos_spool_messages", "Messages kept for a consumer.", labels=["consumer"])
    size = GaugeMetricFamily("argos_spool_bytes", "Their bytes.", labels=["consumer"])
    lost = CounterMetricFamily("argos_spool_lost", "Messages its spool had no room for.", labels=["consumer"])
    there = GaugeMetricFamily("argos_consumer_up", "1 while the consumer is there.", labels=["consumer"])
    for name, spool in spools.items():
        kept.add_metric([name], spool.messages)
        size.add_metric([name], spool.size)
        lost.add_metric([name], spool.lost)
        there.add_metric([name], float(spool.connected))
    yield from (kept, size, lost, there)


def _by_kind(name: str, words: str, numbers: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=["kind"])
    for kind, number in numbers.items():
        family.add_metric([kind], number)
    return family
