"""The keys of one camera: its source, tasks, rate, regions, and what is seen in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from argos.config_privacy import MaskArea, PrivacySection
from argos.config_scene import ActiveSection, LineSection, TrackSection, ZoneSection
from argos.config_values import (
    Backoff,
    Name,
    Seconds,
    Section,
    Share,
    check_unique,
    check_url,
)

Task = Literal["semantic", "instances"]


class Reconnect(Backoff):
    """How a live source that was lost is tried again."""

    initial_s: Seconds = Field(default=0.1, description="wait before the first new attempt, seconds")
    max_s: Seconds = Field(default=1.0, description="longest wait between attempts, seconds; at least initial_s")
    give_up_after: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="attempts after which the camera is given up; null: never"
    )


class SourceDefaults(Section):
    """How sources are opened and read."""

    transport: Literal["tcp", "udp"] = Field(default="tcp", description="how RTSP carries the pictures")
    open_timeout_s: Seconds = Field(default=2.0, description="longest wait for a live source to open, seconds")
    stall_timeout_s: Seconds = Field(
        default=1.5, description="a live source without a decoded frame for this long is lost, seconds"
    )
    reconnect: Reconnect = Field(default=Reconnect(), description="how a live source that was lost is tried again")
    isolate: Literal["thread", "process"] = Field(
        default="thread",
        description="where pictures are decoded; process: in a process of its own, which may crash or hang on a "
        "damaged stream and is started again (not with an output of type recording)",
    )
    memory_mb: Annotated[int, Field(ge=64)] | None = Field(
        default=1024,
        description="most memory of a decoder process beyond what it has at its start, in MiB; null: no limit",
    )


class Source(SourceDefaults):
    """Where pictures come from."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
        description="rtsp(s)://..., http(s)://..., webcam:N, /dev/videoN, fake://people?n=5&seed=1, or the path of a "
        "video, an image, a directory or a glob of images; a relative path starts at the configuration's folder when "
        "it exists there, otherwise at the current directory"
    )


class Rate(Section):
    """How many frames are analysed."""

    fps: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="at most this many frames per second, chosen by presentation time; null: all"
    )


class Latency(Section):
    """What happens to frames that come faster than they are analysed."""

    policy: Literal["latest", "every_frame"] | None = Field(
        default=None,
        description="latest: older frames are dropped and counted; every_frame: reading waits; "
        "null: every_frame for files, latest for live sources",
    )
    max_age_ms: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="age that results of a live source should not exceed, from capture to publishing: when they do, "
        "less is computed, step by step (rate, then regions only, then scale, then smaller models), until it is over; "
        "null: never",
    )

    @field_validator("max_age_ms")
    @classmethod
    def _may_drop(cls, max_age_ms: float | None, info: ValidationInfo) -> float | None:
        if max_age_ms is not None and info.data.get("policy") == "every_frame":
            raise ValueError("needs policy latest: with every_frame nothing may be left out")
        return max_age_ms


class RegionsSection(Section):
    """Where the deep networks look."""

    mode: Literal["auto", "pack", "gather", "full", "mask"] = Field(
        default="auto",
        description="pack: regions into canvases; gather: in place, active blocks only, the whole frame where more "
        "than half of them are active; full: the whole frame; mask: the whole frame with the rest blanked; auto: skip "
        "(nothing proposed), pack, full or, after argos tune, gather: the cheapest, frame by frame",
    )
    threshold: Share | None = Field(
        default=None, description="probability from which a cell is proposed, 0..1; null: the value in the model's card"
    )
    dilation: Annotated[int, Field(ge=0, le=1000)] | Literal["dynamic"] = Field(
        default=4,
        description="growth of the proposed cells, in cells; dynamic: in proportion to each",
    )
    min_area: Share = Field(default=0.0002, description="smaller components are dropped; share of the frame, 0..1")
    margin: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        default=None,
        description="context that the network sees around each region, frame pixels; null: 16 pixels of the network",
    )
    memory: bool = Field(
        default=True,
        description="places where the deep network has found nobody are not asked about again until the picture "
        "changes there, and those where it has found somebody are, whatever is proposed; while nothing changes at all, "
        "the proposer is asked once a second, and where little moves six times; regions keep their place on the "
        "canvas; false: each frame for itself",
    )
    refresh_full_s: Seconds | None = Field(
        default=10.0, description="the whole frame is analysed this often, which bounds a miss, seconds; null: never"
    )


class InstancesSection(Section):
    """People one by one."""

    score_threshold: Share | None = Field(
        default=None, description="lowest score of a person, 0..1; null: the value in the model's card"
    )
    nms: Share | None = Field(
        default=None,
        description="of two boxes with a larger IoU the better one is kept, 0..1; null: the value in the model's card",
    )
    max_people: int = Field(default=100, ge=1, description="most people per frame")


class SemanticSection(Section):
    """Person or not, for every pixel."""

    threshold: Share | None = Field(
        default=None, description="probability from which a pixel is person, 0..1; null: the value in the model's card"
    )
    patch_threshold: Share | None = Field(
        default=None,
        description="probability that some pixel of a patch must reach, or the patch is dropped; 0 keeps every patch; "
        "null: the value in the model's card, or 0 where privacy covers people",
    )


def _url_mapping(source: Any) -> Any:
    """``source: URL`` is short for ``source: {url: URL}``."""
    return {"url": source} if isinstance(source, str) else source


class CameraDefaults(Section):
    """What holds for every camera that does not say otherwise: maps are merged, lists replaced."""

    source: SourceDefaults = Field(default=SourceDefaults(), description="how the source is opened and read")
    rate: Rate = Field(default=Rate(), description="how many frames are analysed")
    latency: Latency = Field(default=Latency(), description="what happens to frames that come too fast")
    priority: int = Field(
        default=1,
        ge=1,
        le=100,
        description="share of the analysis where frames of several cameras come faster than they are analysed: with 2 "
        "twice as many as a camera with 1",
    )
    tasks: Annotated[tuple[Task, ...], Field(strict=False, min_length=1), AfterValidator(check_unique)] = Field(
        default=("instances",), description="what is found: semantic (one person mask), instances (people one by one)"
    )
    regions: RegionsSection = Field(default=RegionsSection(), description="where the deep networks look")
    instances: InstancesSection = Field(default=InstancesSection(), description="settings of the task instances")
    semantic: SemanticSection = Field(default=SemanticSection(), description="settings of the task semantic")
    track: TrackSection = Field(default=TrackSection(), description="ids that stay with people; of the task instances")
    active: ActiveSection | None = Field(
        default=None, description="hours of the week in which zones and lines are watched; null: always"
    )
    privacy: PrivacySection = Field(
        default=PrivacySection(), description="what is covered in every picture, fail-closed"
    )


class Camera(CameraDefaults):
    """One camera, complete."""

    name: Name = Field(description="a-z, 0-9, '-' and '_'; names the camera in topics, files and messages")
    source: Annotated[Source, BeforeValidator(_url_mapping, json_schema_input_type=str | Source)] = Field(
        description="where pictures come from: text (see url) or a mapping"
    )
    zones: dict[Name, ZoneSection] = Field(
        default={}, description="parts of the frame, by name: who enters, who leaves, how many are there"
    )
    lines: dict[Name, LineSection] = Field(default={}, description="lines, by name: who crosses in which direction")
    mask_areas: Annotated[tuple[MaskArea, ...], Field(strict=False)] = Field(
        default=(),
        description="polygons of corners [x, y], shares of the frame, filled with grey before anything looks at the "
        "picture: nothing is found there and nothing is shown",
    )

    @field_validator("zones", "lines")
    @classmethod
    def _followed(cls, marks: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        track, tasks = info.data.get("track", TrackSection()), info.data.get("tasks", ("instances",))
        if marks and not (track.enabled and "instances" in tasks):
            raise ValueError("needs people with ids: put instances into tasks and leave track.enabled true")
        return marks


class CameraEntry(Camera):
    """One camera as it is written; without ``name`` it is the key, or the stem of the configuration's file."""

    name: Name | None = Field(default=None, description=str(Camera.model_fields["name"].description))  # type: ignore[assignment]
