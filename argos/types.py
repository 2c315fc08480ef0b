"""The types of the straight line: frame -> regions -> packed batch -> instances -> result.

Read this file first. Shapes are checked once, where a value is made; kernels and loops trust them.
Sizes are ``(height, width)``, points ``(x, y)``, boxes ``(x0, y0, x1, y1)`` in pixels with the end exclusive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision

Size = tuple[int, int]
"""``(height, width)`` in pixels."""

Mode = Literal["pack", "gather", "full", "mask", "skip"]
"""How the deep network was run on a frame; ``skip`` when nothing was proposed."""

Clock = Literal["arrival", "file", "ntp", "recording"]
"""Where ``captured_ns`` comes from: arrival at this machine, the file's own clock, the camera's NTP, or the arrival at
the time of a recording."""

EventType = Literal["zone_enter", "zone_leave", "line_cross", "crowd_start", "crowd_end", "loiter_start", "loiter_end"]

EventCause = Literal["left", "lost", "reconnected", "closed"]
"""Why somebody is not in a zone any more: went out, was not seen for too long, the camera was reconnected, or the
active hours are over."""

State = Literal["connecting", "up", "stalled", "lost", "ended"]
"""State of a source."""


def _check(name: str, array: NDArray[Any], dtype: type, *shape: int | None) -> None:
    """Raise ``ValueError`` unless ``array`` has the dtype and shape (None: any length)."""
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise ValueError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture.

    Attributes:
        pixels: ``(H, W, 3)`` uint8, RGB, upright (rotation metadata applied).
        camera: name of the camera, from the configuration.
        index: frame number since the source was first opened; counts every decoded frame, also dropped ones.
        pts: presentation time in ticks of ``time_base``; None where the stream has none.
        time_base: ``(numerator, denominator)`` of one tick in seconds.
        pts_s: seconds on the clock of the source, never decreasing within an epoch.
        captured_ns: wall clock at arrival (live) or at decoding (file), nanoseconds since 1970.
        epoch: grows by one at each reconnect.
        clock: where ``captured_ns`` comes from.
    """

    pixels: NDArray[np.uint8]
    camera: str
    index: int
    pts_s: float
    pts: int | None = None
    time_base: tuple[int, int] = (1, 1000)
    captured_ns: int = 0
    epoch: int = 0
    clock: Clock = "file"

    def __post_init__(self) -> None:
        _check("Frame.pixels", self.pixels, np.uint8, None, None, 3)

    @property
    def size(self) -> Size:
        """``(height, width)``."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class RegionMask:
    """Where a proposer sees people, on its own coarse grid that covers the whole frame.

    Attributes:
        scores: ``(h, w)`` float32 in 0..1, probability of a person.
        mask: ``(h, w)`` bool, the proposed cells.
        frame_size: size of the frame the grid covers; one cell is ``(H / h, W / w)`` frame pixels.
    """

    scores: NDArray[np.float32]
    mask: NDArray[np.bool_]
    frame_size: Size

    def __post_init__(self) -> None:
        _check("RegionMask.scores", self.scores, np.float32, None, None)
        _check("RegionMask.mask", self.mask, np.bool_, *self.scores.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Rectangles of a frame that may hold people; they stay inside the frame and may touch.

    Attributes:
        boxes: ``(N, 4)`` int32, frame pixels.
        scores: ``(N,)`` float32 in 0..1, the highest proposal score inside.
        frame_size: size of the frame.
    """

    boxes: NDArray[np.int32]
    scores: NDArray[np.float32]
    frame_size: Size

    def __post_init__(self) -> None:
        _check("Regions.boxes", self.boxes, np.int32, None, 4)
        _check("Regions.scores", self.scores, np.float32, len(self.boxes))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True, eq=False)
class Placements:
    """Which rectangle of which frame lies where on which canvas.

    Attributes:
        frame: ``(N,)`` int32, index into the list of frames that was packed.
        source: ``(N, 4)`` int32, rectangle read from the frame, context margin included, frame pixels.
        core: ``(N, 4)`` int32, the part of ``source`` whose result is kept on stitching, frame pixels.
        canvas: ``(N,)`` int32, index of the canvas.
        target: ``(N, 4)`` int32, where it lies on the canvas, canvas pixels.
        scale: ``(N,)`` float32, canvas pixels per frame pixel asked for; the exact factor of each axis is the
            ratio of the sides of ``target`` and ``source``. Smaller than ``engine.scale`` where a region had to
            be reduced to fit.
    """

    frame: NDArray[np.int32]
    source: NDArray[np.int32]
    core: NDArray[np.int32]
    canvas: NDArray[np.int32]
    target: NDArray[np.int32]
    scale: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.frame)
        _check("Placements.frame", self.frame, np.int32, n)
        _check("Placements.source", self.source, np.int32, n, 4)
        _check("Placements.core", self.core, np.int32, n, 4)
        _check("Placements.canvas", self.canvas, np.int32, n)
        _check("Placements.target", self.target, np.int32, n, 4)
        _check("Placements.scale", self.scale, np.float32, n)

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class PackedBatch:
    """Canvases filled with rectangles of frames.

    Attributes:
        pixels: ``(B, H, W, 3)`` uint8, RGB; B may be 0.
        placements: where each rectangle came from.
    """

    pixels: NDArray[np.uint8]
    placements: Placements

    def __post_init__(self) -> None:
        _check("PackedBatch.pixels", self.pixels, np.uint8, None, None, None, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """People, one by one, in the pixels of one picture (frame or canvas).

    Attributes:
        boxes: ``(N, 4)`` int32, inside the picture.
        scores: ``(N,)`` float32 in 0..1.
        labels: ``(N,)`` int32, index of the class; 0 is person.
        masks: N bool arrays, each ``(h, w)`` of its box.
        size: size of the picture.
        ids: ``(N,)`` int64 track ids, -1 for people who have none yet; empty when no tracker ran. They are unique
            within a camera and epoch only.
    """

    boxes: NDArray[np.int32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int32]
    masks: tuple[NDArray[np.bool_], ...]
    size: Size
    ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        n = len(self.boxes)
        _check("Instances.boxes", self.boxes, np.int32, None, 4)
        _check("Instances.scores", self.scores, np.float32, n)
        _check("Instances.labels", self.labels, np.int32, n)
        if len(self.masks) != n or len(self.ids) not in (0, n):
            raise ValueError(f"Instances: {n} boxes, {len(self.masks)} masks, {len(self.ids)} ids")
        for (x0, y0, x1, y1), mask in zip(self.boxes.tolist(), self.masks, strict=True):
            _check("Instances.masks[]", mask, np.bool_, y1 - y0, x1 - x0)

    def __len__(self) -> int:
        return len(self.boxes)

    def full_mask(self, n: int) -> NDArray[np.bool_]:
        """Mask ``n`` on the whole picture, ``(H, W)`` bool."""
        full = np.zeros(self.size, np.bool_)
        x0, y0, x1, y1 = self.boxes[n]
        full[y0:y1, x0:x1] = self.masks[n]
        return full

    def union(self) -> NDArray[np.bool_]:
        """Pixels of any person, ``(H, W)`` bool."""
        full = np.zeros(self.size, np.bool_)
        for (x0, y0, x1, y1), mask in zip(self.boxes.tolist(), self.masks, strict=True):
            full[y0:y1, x0:x1] |= mask
        return full


def no_instances(size: Size) -> Instances:
    """An empty ``Instances`` of a picture."""
    return Instances(np.zeros((0, 4), np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32), (), size)


def some_of(people: Instances, rows: NDArray[np.integer[Any]]) -> Instances:
    """The people of ``rows`` ``(M,)``, in that order, without ids."""
    masks = tuple(people.masks[row] for row in rows.tolist())
    return Instances(people.boxes[rows], people.scores[rows], people.labels[rows], masks, people.size)


@dataclass(frozen=True, slots=True, eq=False)
class SemanticMask:
    """Person or not, for every pixel of a frame.

    Attributes:
        mask: ``(H, W)`` bool.
    """

    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        _check("SemanticMask.mask", self.mask, np.bool_, None, None)

    @property
    def area(self) -> float:
        """Share of the frame that is person, 0..1."""
        return np.count_nonzero(self.mask) / max(1, self.mask.size)  # 20 times faster than the mean


@dataclass(frozen=True, slots=True)
class Event:
    """Something that somebody did, or that the number of people in a zone became.

    Attributes:
        camera, run, index, pts_s, captured_ns: as in ``Result``, of the result that confirmed it.
        epoch: of the track; ``(camera, epoch, id)`` is one person.
        seq: 0, 1, 2, ... without a gap per run and camera.
        type: ``zone_enter``, ``zone_leave``, ``line_cross``, ``crowd_start``, ``crowd_end``, ``loiter_start`` or
            ``loiter_end``.
        name: of the zone or line.
        id: track id of the person; of a crowd, of who came last, or left last where it ends.
        result_seq: ``seq`` of the result.
        box: ``(x0, y0, x1, y1)`` of the person, frame pixels; the last one where it is gone.
        anchor: ``(x, y)`` where it stands, frame pixels.
        count: entries into the zone so far, crossings of the line in this direction, crowds or loiterers in the zone,
            since the run began.
        occupancy: people in the zone after this; None for lines.
        dwell_s: how long the person was in the zone, or the crowd was one; None for ``zone_enter``, ``line_cross`` and
            ``crowd_start``.
        direction: ``left_to_right`` or ``right_to_left``, seen from the line's first point towards its second; None
            for zones.
        cause: why it left; None but for ``zone_leave``, ``loiter_end``, and a ``crowd_end`` that nobody's leaving made.
        sent_ns: wall clock when it was published; 0 before.
    """

    camera: str
    run: str
    epoch: int
    seq: int
    type: EventType
    name: str
    id: int
    result_seq: int
    index: int
    pts_s: float
    captured_ns: int
    box: tuple[int, int, int, int]
    anchor: tuple[float, float]
    count: int
    occupancy: int | None = None
    dwell_s: float | None = None
    direction: str | None = None
    cause: EventCause | None = None
    sent_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Everything known about one analysed frame; what is published, written and drawn.

    The arrays of a pipeline's results are read-only, for the outputs and the frames to come read them too: copy one
    before you write into it.

    Attributes:
        camera, epoch, index, pts, time_base, pts_s, captured_ns, clock: as in ``Frame``.
        run: id of the process run, the same in all its messages.
        seq: 0, 1, 2, ... without a gap per run and camera.
        size: size of the frame.
        mode: how the deep network was run.
        regions: what was proposed; the whole frame where no proposer ran (mode ``full`` asked for, or a refresh).
        instances: people one by one; None when the task ``instances`` is off or a network failed.
        semantic: person mask; None when the task ``semantic`` is off or a network failed.
        deep_share: pixels the deep network computed divided by the pixels of the full frame at the same scale;
            margins, gutter and empty canvas counted, so it can exceed 1.
        spans_ms: milliseconds by stage (``decode``, ``propose``, ``pack``, ``segment``, ``stitch``, ...).
        dropped: frames dropped since the start of the run, by reason.
        models: role -> ``name@sha256:...`` of the weights used.
        config: digest of the configuration, ``sha256:...``.
        published_ns: wall clock when it was handed to the publisher; 0 before.
        events: what the result made happen in the zones and at the lines of the camera; they travel as messages of
            their own, so results received from a subscriber carry none.
        image: the analysed picture, covered as ``privacy`` says, ``(H, W, 3)`` uint8 RGB; None in results received
            from a subscriber.
        privacy: ``off``; ``ok`` when what the configuration asks for is covered; ``fallback:CAUSE`` when more is,
            because the mask is not trusted: ``failed``, ``missing``, ``stale``, ``late`` or ``uncertain``.
    """

    camera: str
    epoch: int
    seq: int
    index: int
    pts: int | None
    time_base: tuple[int, int]
    pts_s: float
    captured_ns: int
    clock: Clock
    run: str
    size: Size
    mode: Mode
    regions: Regions
    instances: Instances | None
    semantic: SemanticMask | None
    deep_share: float
    spans_ms: Mapping[str, float]
    dropped: Mapping[str, int]
    models: Mapping[str, str]
    config: str = ""
    published_ns: int = 0
    events: tuple[Event, ...] = ()
    image: NDArray[np.uint8] | None = None
    privacy: str = "off"

    @property
    def spans(self) -> Mapping[str, float]:
        """Milliseconds by stage; the same as ``spans_ms``."""
        return self.spans_ms

    def plot(self) -> NDArray[np.uint8]:
        """The picture with masks, boxes and regions drawn, ``(H, W, 3)`` uint8 RGB.

        Raises:
            ValueError: the result came over the wire and has no picture.
        """
        from argos.drawing.overlay import overlay

        if self.image is None:
            raise ValueError("this result has no image: results received from a subscriber carry none")
        return overlay(self.image, self)

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows of the result: ``plot`` as PNG; None where there is no picture."""
        from argos.drawing.overlay import png

        return None if self.image is None else png(self.plot())

    def to_coco(self) -> list[dict[str, Any]]:
        """Annotations in COCO's result format, masks as compressed full-frame RLE."""
        from argos.publishing.coco import coco_annotations

        return coco_annotations(self)

    def to_supervision(self) -> supervision.Detections:
        """The instances as ``supervision.Detections`` (needs the package ``supervision``)."""
        from argos.publishing.supervision import detections

        return detections(self)


OVERLOAD_STEPS = ("none", "rate", "regions", "scale", "model")
"""Steps of the ladder under overload, see ``argos.pipelines.ladder``; a number is a place in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Status:
    """How a camera is doing; published every second and on change.

    Attributes:
        camera: name.
        run: id of the process run.
        state: state of the source.
        code: stable word for the cause (``SourceError.code``), empty when up.
        message: the cause in words, credentials removed.
        since_ns: wall clock of the last change of state.
        sent_ns: wall clock of this message.
        epoch: number of reconnects so far.
        fps_in: decoded frames per second, over the last seconds.
        fps_out: results per second, over the last seconds.
        age_ms: age of the last result when it was published; None before the first.
        last_pts_s: presentation time of the last decoded frame; None before the first.
        dropped: frames dropped since the start, by reason.
        size: size of the last frame; None before the first.
        step: of the ladder under overload, in ``OVERLOAD_STEPS``; 0 when nothing is held back.
        config: digest of the configuration in force, ``sha256:...``.
    """

    camera: str
    run: str
    state: State
    code: str
    message: str
    since_ns: int
    sent_ns: int
    epoch: int
    fps_in: float
    fps_out: float
    age_ms: float | None
    last_pts_s: float | None
    dropped: Mapping[str, int]
    size: Size | None
    step: int = 0
    config: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to ARGOS itself: a configuration was loaded or refused, a step taken under overload.

    Attributes:
        camera: whom it concerns; ``-`` for all of them.
        run: id of the process run.
        seq: 0, 1, 2, ... without a gap per run and camera.
        type: stable name, the ``event`` of the log line that says the same.
        text: for people, credentials removed.
        values: for programs.
        sent_ns: wall clock.
    """

    camera: str
    run: str
    seq: int
    type: str
    text: str
    values: Mapping[str, str | int | float]
    sent_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Hello:
    """What a publisher offers; sent to each new subscription.

    Attributes:
        run: id of the process run.
        cameras: names of the cameras.
        kinds: message kinds published.
        models: role -> ``name@sha256:...``.
        version: version of ARGOS.
        sent_ns: wall clock.
    """

    run: str
    cameras: tuple[str, ...]
    kinds: tuple[str, ...]
    models: Mapping[str, str]
    version: str
    sent_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A drawn picture of a camera, as it travels.

    Attributes:
        camera, run, seq, pts_s: as in ``Result``; ``seq`` counts overlays.
        result_seq: ``seq`` of the result that is drawn.
        codec: ``jpeg``.
        data: the encoded picture.
        size: size of the picture.
        sent_ns: wall clock.
    """

    camera: str
    run: str
    seq: int
    result_seq: int
    pts_s: float
    codec: str
    data: bytes
    size: Size
    sent_ns: int
